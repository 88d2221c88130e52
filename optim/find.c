/* What there is: the algorithms, compiled for this machine, by name; and the difficulties they answer. */
#include "optim/internal.h"

#include <assert.h>
#include <stdio.h>
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

enum { REGISTERED = 32, MOST = 256 };

/* Once something was registered: the built-in ones and the registered ones after them. */
struct extended {
    const struct optim_algorithm *all[MOST];
    int count, registered;
};
static struct extended algorithms, wrappers;

const struct optim_algorithm *const *optim_algorithms(int *count)
{
    const struct optim_table *table = optim_find_table();
    *count = algorithms.registered > 0 ? algorithms.count : table->count;
    return algorithms.registered > 0 ? algorithms.all : table->algorithm;
}

const struct optim_algorithm *const *optim_wrappers(int *count)
{
    const struct optim_table *table = optim_find_table();
    *count = wrappers.registered > 0 ? wrappers.count : table->wrapper_count;
    return wrappers.registered > 0 ? wrappers.all : table->wrapper;
}

static const struct optim_algorithm *look_up(const char *name, bool wraps)
{
    int count;
    const struct optim_algorithm *const *all = wraps ? optim_wrappers(&count) : optim_algorithms(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static enum descent_status fail_unknown(const char *name, bool wraps)
{
    int count;
    const struct optim_algorithm *const *all = wraps ? optim_wrappers(&count) : optim_algorithms(&count);
    const char *names[MOST];
    assert(count <= MOST);
    for (int i = 0; i < count; i++)
        names[i] = all[i]->name;
    if (descent_is_path(name) && look_up(name, !wraps))
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s defines %s", name,
                            wraps ? "an optimizer, which cannot follow a '+'"
                                  : "a wrapper, which follows an optimizer and a '+'");
    return descent_fail_unknown(wraps ? "optimizer wrapper" : "optimizer", name, names, count);
}

const struct optim_algorithm *optim_find(const char *name)
{
    const struct optim_algorithm *found = look_up(name, false);
    if (!found)
        fail_unknown(name, false);
    return found;
}

const struct optim_algorithm *optim_find_wrapper(const char *name)
{
    const struct optim_algorithm *found = look_up(name, true);
    if (!found)
        fail_unknown(name, true);
    return found;
}

/* --- Registering. --- */

/* What an algorithm lacks, or NULL. */
static const char *find_flaw(const struct optim_algorithm *algorithm)
{
    if (!algorithm->summary)
        return ".summary";
    if (!algorithm->step)
        return "function .step";
    if (!algorithm->wraps && (algorithm->option_count < 1 || !algorithm->options))
        return "table of hyperparameters: set .options, the first of them lr, and .option_count";
    if (algorithm->outermost && (algorithm->option_count < 1 || !(algorithm->options[0].min >= 1)))
        return "first option of at least 1, which says how many calls make a step";
    if (algorithm->fallback && !algorithm->takes)
        return "function .takes beside its .fallback";
    return algorithm->answers < OPTIM_DIFFICULTIES ? NULL : "difficulty that it .answers";
}

static enum descent_status check(const struct optim_algorithm *algorithm, const char *what)
{
    const char *flaw = find_flaw(algorithm);
    if (flaw)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s has no %s", what, flaw);
    enum descent_status status = descent_options_check(what, algorithm->options, algorithm->option_count);
    if (!status && !algorithm->wraps && strcmp(algorithm->options[0].name, "lr") != 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "the first hyperparameter of %s is %s; expected lr", what,
                            algorithm->options[0].name);
    if (!status && algorithm->fallback && !optim_find(algorithm->fallback))
        return descent_fail_in(DESCENT_BAD_ARGUMENT, "the fallback of %s", what);
    return status;
}

enum descent_status optim_register(const struct optim_algorithm *algorithm)
{
    struct extended *extended = algorithm->wraps ? &wrappers : &algorithms;
    int count;
    const struct optim_algorithm *const *all =
        algorithm->wraps ? optim_wrappers(&count) : optim_algorithms(&count);
    if (!algorithm->name)
        return descent_fail(DESCENT_BAD_ARGUMENT, "an optimizer without a name");
    if (look_up(algorithm->name, algorithm->wraps))
        return descent_fail(DESCENT_EXISTS, "optimizer %s is there already", algorithm->name);
    char what[300];
    snprintf(what, sizeof what, "optimizer %s", algorithm->name);
    enum descent_status status = check(algorithm, what);
    if (status)
        return status;
    if (extended->registered == REGISTERED)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: %d are registered already", what, REGISTERED);
    assert(count < MOST);
    for (int i = 0; i < count && extended->registered == 0; i++)
        extended->all[i] = all[i];
    extended->all[count] = algorithm;
    extended->count = count + 1;
    extended->registered++;
    return DESCENT_OK;
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
