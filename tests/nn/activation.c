/* Activations to the last digits, against libm in double precision, for each instruction set of this CPU:
 * from tiny numbers to where they saturate, at infinity and NaN. Gradients are gradcheck.c's, but for their
 * limits. */
#include "nn/op.h"
#include "tests/test.h"

#include <float.h>
#include <stdlib.h>

static double exact_elu(double x)
{
    return x > 0 ? x : expm1(x);
}

static double exact_selu(double x)
{
    return 1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * expm1(x));
}

static double exact_gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2));
}

static double exact_gelu_tanh(double x)
{
    return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double exact_silu(double x)
{
    return x / (1 + exp(-x));
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double exact_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* Of each function: the error allowed, in units of 2^-23 of the result, and what to allow more in the far
 * tail, where exp(-x^2 / 2) turns a rounding of x^2 into `tail` x^2 units. At -FLT_MAX and FLT_MAX. */
static const struct function {
    const char *op;
    double (*exact)(double x);
    double units, tail;
    float low, high;
} functions[] = {
    {"elu", exact_elu, 1, 0, -1, FLT_MAX},
    {"selu", exact_selu, 2, 0, -1.7580993f, INFINITY},
    {"gelu", exact_gelu, 3, 0.5, 0, FLT_MAX},
    {"gelu_tanh", exact_gelu_tanh, 3, 1, 0, FLT_MAX},
    {"silu", exact_silu, 2, 0, 0, FLT_MAX},
    {"sigmoid", exact_sigmoid, 2, 0, 0, 1},
    {"tanh", tanh, 2, 0, -1, 1},
    {"softplus", exact_softplus, 2, 0, 0, FLT_MAX},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* y = f(x), and dx = f'(x) unless NULL, of count numbers. */
static void apply(const char *op, const float *x, int count, float *y, float *dx)
{
    nn_graph *graph = nn_graph_new(1);
    nn_node *input = nn_input(graph, count, 1, 1);
    nn_node *output = nn_build(op, &(struct nn_slope_options){.x = input}); /* begins as nn_plain_options */
    nn_node *loss = nn_dense(output, 1, .no_bias = true, .init = "constant:1");
    nn_plan *plan = nn_compile(graph, .output = output, .loss = loss, .batch = 1, .training = true,
                               .input_gradients = true);
    assert_non_null(plan);
    nn_feed(plan, input, x);
    assert_int_equal(nn_forward(plan, 1), DESCENT_OK);
    memcpy(y, nn_value(plan, output), (size_t)count * sizeof *y);
    assert_int_equal(nn_backward(plan), DESCENT_OK);
    if (dx)
        memcpy(dx, nn_gradient(plan, input), (size_t)count * sizeof *dx);
    nn_plan_free(plan);
    nn_graph_free(graph);
}

/* Numbers of every size: -110 to 110 evenly, and +-2^-40 to 2^10 in eighths of an octave. */
static int make_numbers(float *x)
{
    int count = 0;
    for (int i = -11000; i <= 11000; i++)
        x[count++] = (float)i / 100;
    for (int i = -40 * 8; i <= 10 * 8; i++) {
        x[count++] = exp2f((float)i / 8);
        x[count++] = -exp2f((float)i / 8);
    }
    return count;
}

static void values_are_within_a_few_units_of_exact(void **state)
{
    static float x[24000], y[24000];
    int count = make_numbers(x);
    (void)state;
    for (int f = 0; f < FUNCTIONS; f++) {
        double worst = 0, at = 0;
        apply(functions[f].op, x, count, y, NULL);
        for (int i = 0; i < count; i++) {
            double exact = functions[f].exact((double)x[i]), unit = 0x1p-23 * fabs(exact);
            double allowed =
                functions[f].units + (x[i] < 0 ? functions[f].tail * (double)(x[i] * x[i]) : 0);
            double error =
                fmax(0, fabs((double)y[i] - exact) - (double)FLT_MIN * fmax(1, fabs((double)x[i]))) /
                (unit + DBL_MIN) / allowed;
            if (!(error <= worst)) {
                worst = error;
                at = (double)x[i];
            }
        }
        if (!(worst <= 1))
            fail_msg("%s with %s: %g of the error allowed at %.9g", functions[f].op,
                     descent_isa_name(descent_isa()), worst, at);
    }
}

static void values_and_slopes_are_right_at_the_ends(void **state)
{
    const float ends[] = {-FLT_MAX, FLT_MAX, NAN, 1e19f, -1e19f};
    float y[5], dx[5];
    (void)state;
    for (int f = 0; f < FUNCTIONS; f++) {
        bool bounded = functions[f].high <= 1;
        apply(functions[f].op, ends, 5, y, dx);
        assert_float_equal(y[0], functions[f].low, 1e-6);
        assert_true(y[1] == functions[f].high);
        assert_true(isnan(y[2]) && isnan(dx[2]));
        assert_float_equal(dx[0], 0, 1e-6);
        assert_float_equal(dx[3], bounded ? 0 : !strcmp(functions[f].op, "selu") ? 1.0507010 : 1, 1e-6);
        assert_float_equal(dx[4], 0, 1e-6);
    }
}

static void position_changes_no_bit(void **state)
{
    float x[67], y[67], one;
    (void)state;
    for (int i = 0; i < 67; i++)
        x[i] = (float)(i - 33) / 7;
    for (int f = 0; f < FUNCTIONS; f++) {
        apply(functions[f].op, x, 67, y, NULL);
        for (int i = 0; i < 67; i++) {
            apply(functions[f].op, x + i, 1, &one, NULL);
            assert_memory_equal(&one, y + i, sizeof one);
        }
    }
}

static void slopes_left_out_are_pytorchs_and_others_must_be_positive(void **state)
{
    const float x[] = {-2.f};
    float y[1];
    (void)state;
    apply("leaky_relu", x, 1, y, NULL);
    assert_float_equal(y[0], -0.02, 1e-8);
    apply("elu", x, 1, y, NULL);
    assert_float_equal(y[0], expm1(-2), 1e-7);
    nn_graph *graph = nn_graph_new(1);
    nn_node *bad = nn_leaky_relu(nn_input(graph, 1, 1, 1), -0.5, .name = "lazy");
    assert_null(nn_compile(graph, .output = bad, .batch = 1));
    assert_string_equal(descent_error(), "leaky_relu 'lazy': slope -0.5; expected more than 0");
    nn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_within_a_few_units_of_exact),
        cmocka_unit_test(values_and_slopes_are_right_at_the_ends),
        cmocka_unit_test(position_changes_no_bit),
        cmocka_unit_test(slopes_left_out_are_pytorchs_and_others_must_be_positive),
    };
    int failed = 0;
    for (enum descent_isa isa = 0; isa < DESCENT_ISA_COUNT; isa++) {
        setenv("DESCENT_ISA", descent_isa_name(isa), 1);
        if (descent_isa() == isa) /* this CPU has it */
            failed += cmocka_run_group_tests_name(descent_isa_name(isa), tests, NULL, NULL);
    }
    return failed;
}
