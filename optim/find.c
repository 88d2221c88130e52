/* What there is: the algorithms, compiled for this machine, by name; and the difficulties they answer. */
#include "optim/internal.h"

#include <assert.h>
#include <string.h>

extern const struct optim_table optim_table_generic;
#ifdef __x86_64__
extern const struct optim_table optim_table_avx2, optim_table_avx512;
#endif

const struct optim_table *optim_find_table(void)
{
    static const struct optim_table *const tables[DESCENT_ISA_COUNT] = {
        [DESCENT_ISA_GENERIC] = &optim_table_generic,
#ifdef __x86_64__
        [DESCENT_ISA_AVX2] = &optim_table_avx2,
        [DESCENT_ISA_AVX512] = &optim_table_avx512,
#endif
    };
    return tables[descent_isa()];
}

const struct optim_algorithm *const *optim_algorithms(int *count)
{
    *count = optim_find_table()->count;
    return optim_find_table()->algorithm;
}

const struct optim_algorithm *optim_find(const char *name)
{
    enum { MOST = 256 };
    const char *names[MOST];
    const struct optim_table *table = optim_find_table();
    assert(table->count <= MOST);
    for (int i = 0; i < table->count; i++) {
        if (strcmp(table->algorithm[i]->name, name) == 0)
            return table->algorithm[i];
        names[i] = table->algorithm[i]->name;
    }
    descent_fail_unknown("optimizer", name, names, table->count);
    return NULL;
}

const char *optim_difficulty_title(enum optim_difficulty difficulty)
{
    static const char *const titles[] = {
#define X(name, title, text) title,
        OPTIM_DIFFICULTY_LIST(X)
#undef X
    };
    return titles[difficulty];
}

const char *optim_difficulty_text(enum optim_difficulty difficulty)
{
    static const char *const texts[] = {
#define X(name, title, text) text,
        OPTIM_DIFFICULTY_LIST(X)
#undef X
    };
    return texts[difficulty];
}
