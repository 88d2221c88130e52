/* See vector.h. */
#include "train/vector.h"

#include <string.h>

int64_t vector_size(const struct descent_param *param, int count)
{
    int64_t size = 0;
    for (int i = 0; i < count; i++)
        size += param[i].kind == DESCENT_BUFFER ? 0 : param[i].size;
    return size;
}

void vector_read(const struct descent_param *param, int count, float *vector)
{
    for (int i = 0; i < count; i++) {
        if (param[i].kind == DESCENT_BUFFER)
            continue;
        memcpy(vector, param[i].value, (size_t)param[i].size * sizeof *vector);
        vector += param[i].size;
    }
}

void vector_write(struct descent_param *param, int count, const float *vector)
{
    for (int i = 0; i < count; i++) {
        if (param[i].kind == DESCENT_BUFFER)
            continue;
        memcpy(param[i].value, vector, (size_t)param[i].size * sizeof *vector);
        param[i].version++;
        vector += param[i].size;
    }
}

double vector_dot(const float *a, const float *b, int64_t size)
{
    double sum = 0;
    for (int64_t k = 0; k < size; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}
