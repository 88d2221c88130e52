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

const struct optim_algorithm *const *optim_wrappers(int *count)
{
    *count = optim_find_table()->wrapper_count;
    return optim_find_table()->wrapper;
}

static const struct optim_algorithm *find(const char *what, const char *name,
                                          const struct optim_algorithm *const *all, int count)
{
    enum { MOST = 256 };
    const char *names[MOST];
    assert(count <= MOST);
    for (int i = 0; i < count; i++) {
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
        names[i] = all[i]->name;
    }
    descent_fail_unknown(what, name, names, count);
    return NULL;
}

const struct optim_algorithm *optim_find(const char *name)
{
    const struct optim_table *table = optim_find_table();
    return find("optimizer", name, table->algorithm, table->count);
}

const struct optim_algorithm *optim_find_wrapper(const char *name)
{
    const struct optim_table *table = optim_find_table();
    return find("optimizer wrapper", name, table->wrapper, table->wrapper_count);
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
