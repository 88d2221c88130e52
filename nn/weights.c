/* Saves a graph's parameters and running statistics to a .safetensors file, and loads them; not the graph
 * itself. Names and layouts are PyTorch's, so that torch.nn.Module.load_state_dict takes them. */
#include "base/safetensors.h"
#include "nn/nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum descent_status nn_save(nn_graph *graph, const char *path, const struct descent_metadata *metadata,
                            int metadata_count)
{
    int count;
    const struct descent_param *param = nn_params(graph, &count);
    struct descent_tensor *tensor = calloc((size_t)count + 1, sizeof *tensor);
    if (!tensor)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "%s: out of memory", path);
    for (int i = 0; i < count; i++) {
        tensor[i] = (struct descent_tensor){.name = param[i].name,
                                            .dtype = DESCENT_F32,
                                            .rank = param[i].rank,
                                            .data = param[i].value,
                                            .bytes = (size_t)param[i].size * sizeof(float)};
        memcpy(tensor[i].shape, param[i].shape, sizeof param[i].shape);
    }
    enum descent_status status = descent_safetensors_write(path, tensor, count, metadata, metadata_count);
    free(tensor);
    return status;
}

/* "64x1x3x3", and "scalar" for rank 0. */
static const char *shape_text(int rank, const int64_t *shape, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "scalar");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "x" : "", (long long)shape[i]);
    return text;
}

/* Why the tensor (NULL: the file has none of that name) cannot become the parameter's value; OK if it can.
 */
static enum descent_status check(const char *path, const struct descent_param *param,
                                 const struct descent_tensor *tensor)
{
    if (!tensor)
        return descent_fail(DESCENT_MISMATCH, "%s: has no tensor '%s'", path, param->name);
    bool same = tensor->rank == param->rank;
    for (int i = 0; same && i < param->rank; i++)
        same = tensor->shape[i] == param->shape[i];
    char found[160], expected[80];
    if (!same)
        return descent_fail(DESCENT_MISMATCH, "%s: tensor '%s' is %s; the network has %s", path,
                            param->name, shape_text(tensor->rank, tensor->shape, found, sizeof found),
                            shape_text(param->rank, param->shape, expected, sizeof expected));
    if (tensor->dtype != DESCENT_F32 && tensor->dtype != DESCENT_F64)
        return descent_fail(DESCENT_MISMATCH, "%s: tensor '%s' holds integers; expected F32 or F64", path,
                            param->name);
    return DESCENT_OK;
}

static void copy(struct descent_param *param, const struct descent_tensor *tensor)
{
    if (tensor->dtype == DESCENT_F32) {
        memcpy(param->value, tensor->data, (size_t)param->size * sizeof(float));
    } else {
        const double *from = tensor->data;
        for (int64_t i = 0; i < param->size; i++)
            param->value[i] = (float)from[i];
    }
    param->version++;
}

enum descent_status nn_load(nn_graph *graph, const char *path, bool *loaded)
{
    int count, matching = 0;
    struct descent_param *param = nn_params(graph, &count);
    if (count > 0 && !param[0].value)
        return descent_fail(DESCENT_BAD_ARGUMENT, "nn_load: compile the graph first");
    struct descent_safetensors file;
    enum descent_status status = descent_safetensors_read(path, &file);
    if (status != DESCENT_OK)
        return status;

    /* First look, then copy: a file that does not fit changes nothing. */
    for (int i = 0; i < count && status == DESCENT_OK; i++) {
        status = check(path, &param[i], descent_safetensors_find(&file, param[i].name));
        matching += status == DESCENT_OK;
        if (loaded) {
            loaded[i] = status == DESCENT_OK;
            status = DESCENT_OK;
        }
    }
    if (status == DESCENT_OK && matching == 0 && count > 0)
        status =
            descent_fail(DESCENT_MISMATCH,
                         "%s: none of its %d tensors has the name and shape of a parameter of this network",
                         path, file.count);
    for (int i = 0; i < count && status == DESCENT_OK; i++)
        if (!loaded || loaded[i])
            copy(&param[i], descent_safetensors_find(&file, param[i].name));
    descent_safetensors_free(&file);
    return status;
}
