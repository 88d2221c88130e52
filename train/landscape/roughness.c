/* See roughness.h. */
#include "train/landscape/roughness.h"

#include <math.h>
#include <stddef.h>

struct roughness roughness_of(const double *value, int rows, int columns, int stride, double dx, double dy)
{
    struct roughness result = {0};
    ptrdiff_t right = stride, up = (ptrdiff_t)columns * stride;
    for (int i = 1; i < rows - 1; i++)
        for (int j = 1; j < columns - 1; j++) {
            const double *z = value + i * up + j * right;
            double xx = (z[right] - 2 * z[0] + z[-right]) / (dx * dx);
            double yy = (z[up] - 2 * z[0] + z[-up]) / (dy * dy);
            double xy = (z[up + right] - z[up - right] - z[right - up] + z[-up - right]) / (4 * dx * dy);
            double mean = (xx + yy) / 2, half = hypot((xx - yy) / 2, xy);
            double low = mean - half, most = fmax(fabs(low), fabs(mean + half));
            if (!isfinite(most))
                continue;
            result.points++;
            result.share += low < 0;
            result.mean += most > 0 ? fmax(0, -low) / most : 0;
        }
    if (result.points > 0) {
        result.mean /= result.points;
        result.share /= result.points;
    }
    return result;
}
