/* exp, tanh and relatives on vectors of floats, within a few units in the last place (tests/nn/vector.c
 * says how many), right at infinity, and NaN for NaN. Without branches or tables; the same operations for
 * every lane, so a number's function does not depend on where in a vector it stands. */
#ifndef DESCENT_NN_VECTOR_MATH_H
#define DESCENT_NN_VECTOR_MATH_H

#include "nn/vector.h"

#include <math.h>

/* x within low .. high; NaN stays NaN. */
NN_INLINE nn_vector nn_vector_clamp(nn_vector x, float low, float high)
{
    x = nn_vector_select(x < low, nn_vector_all(low), x);
    return nn_vector_select(x > high, nn_vector_all(high), x);
}

NN_INLINE nn_vector nn_vector_abs(nn_vector x)
{
    return (nn_vector)((nn_mask)x & 0x7fffffff);
}

/* The magnitude of `value` >= 0 with the sign of x. */
NN_INLINE nn_vector nn_vector_with_sign(nn_vector value, nn_vector x)
{
    return (nn_vector)((nn_mask)value | ((nn_mask)x & ~0x7fffffff));
}

/* exp(x) = 2^n (1 + p), p = exp(r) - 1 with |r| <= ln(2)/2: Cody & Waite's reduction, then Taylor's series
 * to r^7, whose next term is below a tenth of a unit in the last place. n: |x| < 2^21. */
struct nn_exp_parts {
    nn_mask n;
    nn_vector p;
};

NN_INLINE struct nn_exp_parts nn_exp_parts(nn_vector x)
{
    const float round = 0x1.8p23f; /* adding it leaves the nearest integer in the low bits */
    nn_vector shifted = x * (float)M_LOG2E + round;
    nn_vector n = shifted - round;
    nn_vector r = x - n * 0.693359375f + n * 2.12194440e-4f; /* ln(2), its first nine bits apart */
    nn_vector q = 1.f / 720 + r * (1.f / 5040);
    q = 1.f / 6 + r * (1.f / 24 + r * (1.f / 120 + r * q));
    return (struct nn_exp_parts){(nn_mask)shifted - (nn_mask)nn_vector_all(round),
                                 r + r * r * (0.5f + r * q)};
}

/* 2^n, -127 <= n <= 127; -127 gives 0. */
NN_INLINE nn_vector nn_vector_power_of_two(nn_mask n)
{
    return (nn_vector)((n + 127) << 23);
}

NN_INLINE nn_vector nn_vector_exp(nn_vector x)
{
    struct nn_exp_parts e = nn_exp_parts(nn_vector_clamp(x, -104, 89));
    nn_mask half = e.n >> 1; /* 2^n itself may be beyond what a float holds */
    return (1 + e.p) * nn_vector_power_of_two(half) * nn_vector_power_of_two(e.n - half);
}

/* exp(x) - 1, to full relative precision near 0 */
NN_INLINE nn_vector nn_vector_expm1(nn_vector x)
{
    struct nn_exp_parts e = nn_exp_parts(nn_vector_clamp(x, -87, 89));
    nn_vector half = nn_vector_power_of_two(e.n - 1);
    return 2 * (half * e.p + (half - 0.5f));
}

/* log(1 + x) for 0 <= x <= 1: 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...), s = x / (2 + x) <= 1/3 */
NN_INLINE nn_vector nn_vector_log1p_unit(nn_vector x)
{
    nn_vector s = x / (2 + x), z = s * s;
    nn_vector series = 1.f / 11 + z * (1.f / 13 + z * (1.f / 15));
    series = 1.f / 3 + z * (1.f / 5 + z * (1.f / 7 + z * (1.f / 9 + z * series)));
    return 2 * s + 2 * s * z * series;
}

/* 1 / (1 + exp(-x)) */
NN_INLINE nn_vector nn_vector_sigmoid(nn_vector x)
{
    return 1 / (1 + nn_vector_exp(-x));
}

/* tanh |x| = -m / (2 + m), m = exp(-2 |x|) - 1 */
NN_INLINE nn_vector nn_vector_tanh(nn_vector x)
{
    nn_vector m = nn_vector_expm1(-2 * nn_vector_abs(x));
    return nn_vector_with_sign(-m / (2 + m), x);
}

/* log(1 + exp(x)) */
NN_INLINE nn_vector nn_vector_softplus(nn_vector x)
{
    return nn_vector_relu(x) + nn_vector_log1p_unit(nn_vector_exp(-nn_vector_abs(x)));
}

/* The standard normal distribution: P(X <= x) and its density at x. */
struct nn_normal {
    nn_vector below, density;
};

/* P(X <= -|x|) = 1/2 exp(-z^2) erfcx(z), z = |x| / sqrt(2). erfcx(z) / t is smooth in t = 1 / (1 + z/2):
 * the polynomial is its least maximum fit of degree 8 for z <= 10.4, relative error 4.4e-8; beyond, the
 * probability is less than any float. The form is that of erfcc in Press et al., Numerical Recipes. */
NN_INLINE struct nn_normal nn_vector_normal(nn_vector x)
{
    nn_vector e = nn_vector_exp(-0.5f * x * x);
    nn_vector t = 1 / (1 + nn_vector_abs(x) * (float)(M_SQRT1_2 / 2));
    nn_vector p = 0.28508229f + t * -0.059172767f;
    p = -0.027458295f + t * (0.27927339f + t * (-0.48825226f + t * p));
    p = 0.28208571f + t * (0.28238763f + t * (0.24301434f + t * (0.2030399f + t * p)));
    nn_vector tail = 0.5f * e * (t * p);
    return (struct nn_normal){nn_vector_select(x > 0, 1 - tail, tail), e * 0.39894228f};
}

#endif
