/* Classifies one image of a test set with saved weights: predict_one MODEL.safetensors [INDEX [DATA]]
 * The network and the data set are those of the file's metadata, unless DATA names another data set. */
#include "base/safetensors.h"
#include "data/data.h"
#include "models/models.h"
#include "nn/nn.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(void)
{
    fprintf(stderr, "predict_one: %s\n", descent_error());
    return 1;
}

/* The first channel, darkest to lightest; x: height x width x channels. */
static void draw(const struct data_info *info, const float *x)
{
    static const char shades[] = " .:-=+*#%@";
    for (int i = 0; i < info->height; i++) {
        for (int j = 0; j < info->width; j++, x += info->channels) {
            double gray = (double)(*x * (info->deviation[0] > 0 ? info->deviation[0] : 1) +
                                   info->mean[0]); /* 0 .. 1 */
            char shade = shades[(int)(gray * 9 + 0.5)];
            putchar(shade), putchar(shade);
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return fprintf(stderr, "usage: predict_one MODEL.safetensors [INDEX [DATA]]\n"), 2;
    struct descent_safetensors file;
    if (descent_safetensors_read(argv[1], &file))
        return fail();
    const char *model = descent_safetensors_metadata(&file, "model"),
               *saved = descent_safetensors_metadata(&file, "data");
    const char *data = argc > 3 ? argv[3] : saved;
    if (!model || !data)
        return fprintf(stderr, "predict_one: %s: no metadata 'model' and 'data'; was it saved by train?\n",
                       argv[1]),
               1;

    struct data_set *set;
    if (data_open(data, &set))
        return fail();
    const struct data_info *info = data_describe(set);
    if (info->targets > 0)
        return fprintf(stderr, "predict_one: %s has numbers to predict; this example is for classes\n",
                       data),
               1;
    struct data_view *test = data_view_test(set);
    float *image =
        calloc((size_t)info->height * (size_t)info->width * (size_t)info->channels, sizeof *image);
    int32_t label;
    if (!test || !image || data_sample(test, argc > 2 ? atoll(argv[2]) : 0, image, &label))
        return fail();

    nn_graph *graph = nn_graph_new(0);
    nn_node *x = nn_input(graph, info->channels, info->height, info->width);
    nn_node *logits = model_build(model, x, info->classes);
    nn_node *output = logits ? nn_softmax(logits) : NULL;
    nn_plan *plan = output ? nn_compile(graph, .output = output, .batch = 1) : NULL;
    if (!plan || nn_load(graph, argv[1], NULL))
        return fail();
    nn_feed(plan, x, image);
    if (nn_forward(plan, 1))
        return fail();

    draw(info, image);
    const float *probability = nn_value(plan, output);
    int best = 0;
    for (int k = 0; k < info->classes; k++) {
        printf("%6.2f %%  %s\n", 100.0 * (double)probability[k], info->class_names[k]);
        best = probability[k] > probability[best] ? k : best;
    }
    printf("predicted: %s; labeled: %s\n", info->class_names[best], info->class_names[label]);

    nn_plan_free(plan), nn_graph_free(graph);
    data_view_free(test), data_free(set);
    free(image), descent_safetensors_free(&file);
    return 0;
}
