/* The functions of surfaces.h with their gradients. Most are old acquaintances of numerical optimization:
 * Surjanovic & Bingham's virtual library of test functions; Rosenbrock 1960; Beale 1958. */
#include "train/landscape/surfaces.h"

#include "base/spec.h"

#include <math.h>
#include <string.h>

static const double TAU = 6.283185307179586;

static double ravine(const double p[2], double g[2])
{
    g[0] = p[0];
    g[1] = 100 * p[1];
    return 0.5 * (p[0] * p[0] + 100 * p[1] * p[1]);
}

/* The ravine turned by 30 degrees. */
static double rotated_ravine(const double p[2], double g[2])
{
    const double c = 0.8660254037844386, s = 0.5;
    double q[2] = {c * p[0] + s * p[1], -s * p[0] + c * p[1]}, h[2];
    double value = ravine(q, h);
    g[0] = c * h[0] - s * h[1];
    g[1] = s * h[0] + c * h[1];
    return value;
}

static double rosenbrock(const double p[2], double g[2])
{
    double a = 1 - p[0], b = p[1] - p[0] * p[0];
    g[0] = -2 * a - 400 * p[0] * b;
    g[1] = 200 * b;
    return a * a + 100 * b * b;
}

static double beale(const double p[2], double g[2])
{
    static const double constant[] = {1.5, 2.25, 2.625};
    double value = 0, power = 1;
    g[0] = g[1] = 0;
    for (int k = 0; k < 3; k++) {
        double before = power;
        power *= p[1];
        double term = constant[k] - p[0] + p[0] * power;
        value += term * term;
        g[0] += 2 * term * (power - 1);
        g[1] += 2 * term * p[0] * (k + 1) * before;
    }
    return value;
}

static double saddle(const double p[2], double g[2])
{
    g[0] = 2 * p[0];
    g[1] = -2 * p[1];
    return p[0] * p[0] - p[1] * p[1];
}

static double monkey_saddle(const double p[2], double g[2])
{
    g[0] = 3 * p[0] * p[0] - 3 * p[1] * p[1];
    g[1] = -6 * p[0] * p[1];
    return p[0] * p[0] * p[0] - 3 * p[0] * p[1] * p[1];
}

static double himmelblau(const double p[2], double g[2])
{
    double a = p[0] * p[0] + p[1] - 11, b = p[0] + p[1] * p[1] - 7;
    g[0] = 4 * a * p[0] + 2 * b;
    g[1] = 2 * a + 4 * b * p[1];
    return a * a + b * b;
}

static double rastrigin(const double p[2], double g[2])
{
    double value = 20;
    for (int i = 0; i < 2; i++) {
        value += p[i] * p[i] - 10 * cos(TAU * p[i]);
        g[i] = 2 * p[i] + 10 * TAU * sin(TAU * p[i]);
    }
    return value;
}

/* At the minimum itself, where it has a corner, the gradient is taken to be 0. */
static double ackley(const double p[2], double g[2])
{
    double radius = sqrt(0.5 * (p[0] * p[0] + p[1] * p[1]));
    double hill = -20 * exp(-0.2 * radius), waves = -exp(0.5 * (cos(TAU * p[0]) + cos(TAU * p[1])));
    for (int i = 0; i < 2; i++) {
        double outwards = radius > 0 ? 0.5 * p[i] / radius : 0;
        g[i] = -0.2 * hill * outwards - waves * 0.5 * TAU * sin(TAU * p[i]);
    }
    return hill + waves + 20 + exp(1);
}

static double styblinski_tang(const double p[2], double g[2])
{
    double value = 0;
    for (int i = 0; i < 2; i++) {
        double x = p[i];
        value += 0.5 * (x * x * x * x - 16 * x * x + 5 * x);
        g[i] = 0.5 * (4 * x * x * x - 32 * x + 5);
    }
    return value;
}

static double booth(const double p[2], double g[2])
{
    double a = p[0] + 2 * p[1] - 7, b = 2 * p[0] + p[1] - 5;
    g[0] = 2 * a + 4 * b;
    g[1] = 4 * a + 2 * b;
    return a * a + b * b;
}

static double six_hump_camel(const double p[2], double g[2])
{
    double x = p[0], y = p[1], xx = x * x, yy = y * y;
    g[0] = 8 * x - 8.4 * xx * x + 2 * xx * xx * x + y;
    g[1] = x + 16 * yy * y - 8 * y;
    return (4 - 2.1 * xx + xx * xx / 3) * xx + x * y + (4 * yy - 4) * yy;
}

static double three_hump_camel(const double p[2], double g[2])
{
    double x = p[0], y = p[1], xx = x * x;
    g[0] = 4 * x - 4.2 * xx * x + xx * xx * x + y;
    g[1] = x + 2 * y;
    return 2 * xx - 1.05 * xx * xx + xx * xx * xx / 6 + x * y + y * y;
}

static double goldstein_price(const double p[2], double g[2])
{
    double x = p[0], y = p[1], s = x + y + 1, d = 2 * x - 3 * y;
    double u = 19 - 14 * x + 3 * x * x - 14 * y + 6 * x * y + 3 * y * y;
    double v = 18 - 32 * x + 12 * x * x + 48 * y - 36 * x * y + 27 * y * y;
    double a = 1 + s * s * u, b = 30 + d * d * v;
    double ux = -14 + 6 * x + 6 * y, vx = -32 + 24 * x - 36 * y, vy = 48 - 36 * x + 54 * y;
    g[0] = (2 * s * u + s * s * ux) * b + a * (4 * d * v + d * d * vx);
    g[1] = (2 * s * u + s * s * ux) * b + a * (-6 * d * v + d * d * vy);
    return a * b;
}

static double mccormick(const double p[2], double g[2])
{
    double wave = cos(p[0] + p[1]), d = p[0] - p[1];
    g[0] = wave + 2 * d - 1.5;
    g[1] = wave - 2 * d + 2.5;
    return sin(p[0] + p[1]) + d * d - 1.5 * p[0] + 2.5 * p[1] + 1;
}

static const struct surface surfaces[] = {
    {"ravine",
     "steep across, flat along, in line with the axes",
     "(x^2 + 100 y^2) / 2",
     {-12, -2},
     {12, 2},
     {-10, 1},
     0,
     false,
     1,
     {{0, 0}},
     ravine},
    {"rotated_ravine",
     "the ravine turned by 30 degrees, where rates of single parameters help less",
     "(u^2 + 100 v^2) / 2, (u, v) being (x, y) turned by 30 degrees",
     {-12, -12},
     {12, 12},
     {-9, -4},
     0,
     false,
     1,
     {{0, 0}},
     rotated_ravine},
    {"rosenbrock",
     "a bent ravine with a flat floor",
     "(1 - x)^2 + 100 (y - x^2)^2",
     {-2, -1},
     {2, 3},
     {-1.2, 1},
     0,
     false,
     1,
     {{1, 1}},
     rosenbrock},
    {"beale",
     "plateaus with steep walls at the corners, and a saddle at (0, 1)",
     "(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
     {-4.5, -4.5},
     {4.5, 4.5},
     {1, 1},
     0,
     false,
     1,
     {{3, 0.5}},
     beale},
    {"saddle",
     "the gradient vanishes where it is not lowest",
     "x^2 - y^2; without a minimum",
     {-1.5, -1.5},
     {1.5, 1.5},
     {1, 1e-3},
     -2.25,
     true,
     2,
     {{0, -1.5}, {0, 1.5}},
     saddle},
    {"monkey_saddle",
     "a saddle whose curvature vanishes too",
     "x^3 - 3 x y^2; without a minimum",
     {-1, -1},
     {1, 1},
     {0.8, 0.02},
     -2,
     true,
     2,
     {{1, 1}, {1, -1}},
     monkey_saddle},
    {"himmelblau",
     "four minima of one depth",
     "(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
     {-6, -6},
     {6, 6},
     {0, 0},
     0,
     false,
     4,
     {{3, 2}, {-2.805118, 3.131312}, {-3.779310, -3.283186}, {3.584428, -1.848126}},
     himmelblau},
    {"rastrigin",
     "a bowl full of local minima",
     "20 + x^2 + y^2 - 10 (cos 2 pi x + cos 2 pi y)",
     {-5.12, -5.12},
     {5.12, 5.12},
     {-2, 3.5},
     0,
     false,
     1,
     {{0, 0}},
     rastrigin},
    {"ackley",
     "a plain of local minima around a deep hole",
     "-20 exp(-0.2 sqrt((x^2 + y^2) / 2)) - exp((cos 2 pi x + cos 2 pi y) / 2) + 20 + e",
     {-5, -5},
     {5, 5},
     {-3, 4},
     0,
     false,
     1,
     {{0, 0}},
     ackley},
    {"styblinski_tang",
     "one deep minimum among three others",
     "sum of (x^4 - 16 x^2 + 5 x) / 2",
     {-5, -5},
     {5, 5},
     {4, 4},
     -78.33233140754282,
     false,
     1,
     {{-2.903534, -2.903534}},
     styblinski_tang},
    {"booth",
     "a gentle valley, for comparison",
     "(x + 2 y - 7)^2 + (2 x + y - 5)^2",
     {-10, -10},
     {10, 10},
     {-8, -8},
     0,
     false,
     1,
     {{1, 3}},
     booth},
    {"six_hump_camel",
     "six minima, two of them deepest",
     "(4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2",
     {-3, -2},
     {3, 2},
     {-1.8, -0.2},
     -1.031628453489877,
     false,
     2,
     {{0.0898420, -0.7126564}, {-0.0898420, 0.7126564}},
     six_hump_camel},
    {"three_hump_camel",
     "a minimum between two shallower ones",
     "2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2",
     {-5, -5},
     {5, 5},
     {2, -1.5},
     0,
     false,
     1,
     {{0, 0}},
     three_hump_camel},
    {"goldstein_price",
     "values from 3 to a million, with local minima",
     "[1 + (x + y + 1)^2 (19 - 14 x + 3 x^2 - 14 y + 6 x y + 3 y^2)] times\n"
     "[30 + (2 x - 3 y)^2 (18 - 32 x + 12 x^2 + 48 y - 36 x y + 27 y^2)]",
     {-2, -2},
     {2, 2},
     {-1.5, 1.5},
     3,
     false,
     1,
     {{0, -1}},
     goldstein_price},
    {"mccormick",
     "a wave on a slope",
     "sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1",
     {-1.5, -3},
     {4, 4},
     {3, 3},
     -1.913222954981037,
     false,
     1,
     {{-0.547198, -1.547198}},
     mccormick},
};

enum { SURFACES = sizeof surfaces / sizeof surfaces[0] };

const struct surface *surface_list(int *count)
{
    *count = SURFACES;
    return surfaces;
}

const struct surface *surface_find(const char *name)
{
    const char *names[SURFACES];
    for (int i = 0; i < SURFACES; i++) {
        names[i] = surfaces[i].name;
        if (strcmp(name, names[i]) == 0)
            return &surfaces[i];
    }
    descent_fail_unknown("surface", name, names, SURFACES);
    return NULL;
}
