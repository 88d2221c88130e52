/* The instruction set: the override can only ask for less than the CPU has. */
#include "base/isa.h"
#include "tests/test.h"

#include <stdlib.h>

static void override_lowers_the_choice_and_never_raises_it(void **state)
{
    (void)state;
    unsetenv("DESCENT_ISA");
    enum descent_isa best = descent_isa();
    for (enum descent_isa isa = 0; isa < DESCENT_ISA_COUNT; isa++) {
        setenv("DESCENT_ISA", descent_isa_name(isa), 1);
        assert_int_equal(descent_isa(), isa < best ? isa : best);
    }
    unsetenv("DESCENT_ISA");
}

static void unknown_override_is_ignored(void **state)
{
    (void)state;
    unsetenv("DESCENT_ISA");
    enum descent_isa best = descent_isa();
    setenv("DESCENT_ISA", "mmx", 1);
    assert_int_equal(descent_isa(), best);
    unsetenv("DESCENT_ISA");
}

static void names_are_those_of_the_build(void **state)
{
    (void)state;
    assert_string_equal(descent_isa_name(DESCENT_ISA_GENERIC), "generic");
    assert_string_equal(descent_isa_name(DESCENT_ISA_AVX2), "avx2");
    assert_string_equal(descent_isa_name(DESCENT_ISA_AVX512), "avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(override_lowers_the_choice_and_never_raises_it),
        cmocka_unit_test(unknown_override_is_ignored),
        cmocka_unit_test(names_are_those_of_the_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
