/* The running side of `train compare`: which runs a plan has, what trials try, and that whoever does the
 * runs, however often it is killed, the same records come out. */
#include "tests/train/program.h"
#include "train/compare/plan.h"
#include "train/compare/record.h"
#include "train/compare/sobol.h"
#include "train/compare/space.h"

#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <signal.h>
#include <time.h>

enum { KILLS = 10, MOST_RUNS = 200 };

static struct path data;

static int make_data(void **state)
{
    (void)state;
    data = small_data("small");
    return 0;
}

/* ---- Plans ---- */

static void a_plan_numbers_each_of_its_runs_once(void **state)
{
    (void)state;
    for (unsigned leagues = 1; leagues <= 3; leagues++) {
        struct plan plan = {.task_count = 2,
                            .entry_count = 3,
                            .leagues = leagues,
                            .budget = leagues & PLAN_TUNED ? 4 : 0,
                            .seeds = 5};
        int runs = plan_runs(&plan), pairs = 2 * 3, both = leagues == 3 ? 2 : 1;
        assert_int_equal(runs, pairs * plan.budget + both * pairs * 5);
        for (int i = 0; i < runs; i++) {
            struct plan_run run = plan_run(&plan, i);
            assert_int_equal(plan_find(&plan, &run), i);
            assert_true((run.kind == PLAN_TRIAL_RUN) == (i < pairs * plan.budget));
        }
        struct plan_run beyond = {.kind = PLAN_TUNED_RUN, .index = 5};
        assert_int_equal(plan_find(&plan, &beyond), -1);
    }
}

static void plan_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct descent_arena *arena = descent_arena_new();
    struct plan plan = {.task_count = 1,
                        .entry_count = 2,
                        .task = {{.data = "./some data/:size=32", .model = "mlp:8", .epochs = 3}},
                        .entry = {{.label = "twin", .spec = "adamw"},
                                  {.label = "sgd", .spec = "sgd:lr=0.5"}},
                        .reference = 1,
                        .leagues = PLAN_TUNED,
                        .budget = 7,
                        .seeds = 2,
                        .points = 11,
                        .batch = 32,
                        .validation = 0.2,
                        .seed = 5,
                        .schedule = "cosine",
                        .augment = "flip"},
                again;
    struct path out = path_of("a-plan");
    assert_int_equal(plan_complete(&plan, arena), DESCENT_OK);
    assert_string_equal(plan.task[0].name, "some-data-size=32-mlp-8");
    assert_string_equal(plan.task[0].data_name, "some data:size=32");
    assert_int_equal(descent_make_directories(out.text), DESCENT_OK);
    assert_int_equal(plan_write(&plan, out.text), DESCENT_OK);
    assert_int_equal(plan_read(out.text, arena, &again), DESCENT_OK);
    assert_int_equal(plan_merge(&plan, &again, out.text), DESCENT_OK);
    assert_int_equal(plan.entry_count, 2);
    assert_string_equal(again.entry[1].spec, "sgd:lr=0.5");
    assert_string_equal(again.augment, "flip");
    assert_int_equal(again.reference, 1);

    plan.entry[1].spec = "sgd:lr=0.1";
    assert_int_equal(plan_merge(&plan, &again, out.text), DESCENT_MISMATCH);
    plan.entry[1] = (struct plan_entry){.label = "adam", .name = "adam", .spec = "adam"};
    plan.seeds = 4;
    assert_int_equal(plan_merge(&plan, &again, out.text), DESCENT_OK);
    assert_int_equal(plan.entry_count, 3);
    assert_int_equal(plan.seeds, 4);
    plan.budget = 8;
    assert_int_equal(plan_merge(&plan, &again, out.text), DESCENT_MISMATCH);
    plan.budget = 7;
    plan.task[0].data = "elsewhere/some data:size=32"; /* of the same name, but not the same */
    assert_int_equal(plan_complete(&plan, arena), DESCENT_OK);
    assert_string_equal(plan.task[0].name, again.task[0].name);
    assert_int_equal(plan_merge(&plan, &again, out.text), DESCENT_MISMATCH);
    plan.task[plan.task_count++] = again.task[0];
    assert_int_equal(plan_complete(&plan, arena), DESCENT_BAD_ARGUMENT);
    descent_arena_free(arena);
}

/* ---- Search spaces ---- */

static void trials_stay_in_the_published_ranges(void **state)
{
    (void)state;
    struct space space;
    char text[SPEC_LENGTH];
    assert_int_equal(space_of("momentum:weight_decay=0+lookahead", &space), DESCENT_OK);
    assert_int_equal(space.count, 3); /* lr, momentum; of the wrapper alpha */
    assert_true(!space.dimension[0].complement && space.dimension[1].complement);
    assert_int_equal(space.dimension[2].part, 1);
    double low[] = {0, 0, 0}, high[] = {1, 1, 1}, middle[] = {0.5, 0.5, 0.5}, place[3];
    assert_int_equal(space_spec("momentum:weight_decay=0+lookahead", &space, low, text), DESCENT_OK);
    assert_string_equal(text, "momentum:weight_decay=0,lr=0.001,momentum=0.995000+lookahead:alpha=0.2");
    space_spec("momentum:weight_decay=0+lookahead", &space, high, text);
    assert_string_equal(text, "momentum:weight_decay=0,lr=1,momentum=0.7000+lookahead:alpha=0.8");
    space_spec("momentum:weight_decay=0+lookahead", &space, middle, text);
    assert_int_equal(space_locate(text, &space, place), DESCENT_OK);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(place[i] - 0.5) < 1e-3);
}

/* All algorithms: what a trial writes can be read, and lies in the range that the table gives. */
static void every_trial_of_every_algorithm_is_a_spec(void **state)
{
    (void)state;
    int count;
    const struct optim_algorithm *const *all = optim_algorithms(&count);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < 16; k++) {
            struct space space;
            double point[SPACE_DIMENSIONS], place[SPACE_DIMENSIONS];
            char text[SPEC_LENGTH];
            assert_int_equal(space_of(all[i]->name, &space), DESCENT_OK);
            if (space.count > 0)
                sobol_point(1, k, space.count, point);
            assert_int_equal(space_spec(all[i]->name, &space, point, text), DESCENT_OK);
            if (space_locate(text, &space, place) != DESCENT_OK)
                fail_msg("%s: %s", text, descent_error());
            for (int d = 0; d < space.count; d++)
                if (!(fabs(place[d] - point[d]) < 1e-3))
                    fail_msg("%s: %s is at %g, not %g", text, space.dimension[d].option->name, place[d],
                             point[d]);
        }
}

/* ---- Runs ---- */

static const char options[] =
    "--model mlp:8 --epochs 1 --batch 20 --points 4 --optimizers sgd,adamw,dog --seeds 2 --jobs 2";

static void arguments(const struct path *out, const char *more, char text[1000])
{
    snprintf(text, 1000, "compare --data %s --out %s %s %s %s", data.text, out->text, options,
             strstr(more, "--league defaults") ? "" : "--budget 3", more);
}

static void must_compare(const struct path *out, const char *more)
{
    char text[1000];
    arguments(out, more, text);
    struct program program = program_run("%s", text);
    program_must_say(&program, 0, "");
    program_free(&program);
}

/* All records of a comparison. */
struct records {
    struct descent_arena *arena;
    struct plan plan;
    int count;
    struct record record[MOST_RUNS];
};

static void read_all(const struct path *out, struct records *records)
{
    records->arena = descent_arena_new();
    assert_int_equal(plan_read(out->text, records->arena, &records->plan), DESCENT_OK);
    records->count = plan_runs(&records->plan);
    assert_true(records->count <= MOST_RUNS);
    for (int i = 0; i < records->count; i++) {
        char path[PLAN_PATH];
        struct plan_run run = plan_run(&records->plan, i);
        plan_path(&records->plan, &run, out->text, path);
        assert_int_equal(record_read(path, &records->record[i]), DESCENT_OK);
        if (records->record[i].state == RECORD_MISSING)
            fail_msg("%s is not done", path);
    }
}

static void free_all(struct records *records)
{
    for (int i = 0; i < records->count; i++)
        record_free(&records->record[i]);
    descent_arena_free(records->arena);
}

/* Both comparisons have the same runs, to the bit, but for what they measured of time. */
static void must_agree(const struct path *a, const struct path *b)
{
    static struct records first, second;
    read_all(a, &first);
    read_all(b, &second);
    assert_int_equal(first.count, second.count);
    for (int i = 0; i < first.count; i++) {
        const struct record *x = &first.record[i], *y = &second.record[i];
        assert_int_equal(x->state, y->state);
        assert_string_equal(x->spec, y->spec);
        assert_int_equal(x->count, y->count);
        assert_memory_equal(&x->test_accuracy, &y->test_accuracy, sizeof x->test_accuracy);
        assert_memory_equal(&x->test_loss, &y->test_loss, sizeof x->test_loss);
        for (int k = 0; k < x->count; k++) {
            assert_memory_equal(&x->point[k].loss, &y->point[k].loss, sizeof x->point[k].loss);
            assert_true(x->point[k].step == y->point[k].step);
        }
    }
    free_all(&first);
    free_all(&second);
}

/* So do the tables of their reports, byte for byte, but for those that a clock measured. */
static void tables_must_agree(const struct path *a, const struct path *b)
{
    static const char *const names[] = {"leaderboard.csv", "overall.csv", "targets.csv", "tuning.csv",
                                        "finals.csv",      "trials.csv",  "curves.csv",  "comparison.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[2][4200], *text[2];
        size_t size[2];
        for (int k = 0; k < 2; k++) {
            snprintf(path[k], sizeof path[k], "%s/report/%s", k ? b->text : a->text, names[i]);
            assert_int_equal(descent_file_read(path[k], 1 << 26, &text[k], &size[k]), DESCENT_OK);
        }
        assert_string_equal(text[0], text[1]);
        free(text[0]);
        free(text[1]);
    }
}

static void trials_never_read_the_test_set_and_final_runs_do_once(void **state)
{
    (void)state;
    static struct records all;
    struct path out = path_of("reads");
    must_compare(&out, "");
    read_all(&out, &all);
    assert_int_equal(all.count, 3 * 3 + 2 * 3 * 2);
    for (int i = 0; i < all.count; i++) {
        struct plan_run run = plan_run(&all.plan, i);
        const struct record *record = &all.record[i];
        bool trial = run.kind == PLAN_TRIAL_RUN;
        assert_int_equal(record->test_reads, trial ? 0 : 1);
        assert_true(isnan(record->test_accuracy) == trial);
        assert_int_equal(record->count, 4);
        assert_true(record->point[3].step == record->steps);
    }
    free_all(&all);
}

static void tuned_runs_have_the_settings_of_the_best_trial(void **state)
{
    (void)state;
    static struct records all;
    struct path out = path_of("reads");
    must_compare(&out, ""); /* done already: says so at once */
    read_all(&out, &all);
    for (int entry = 0; entry < 3; entry++) {
        struct record trial[3];
        for (int k = 0; k < 3; k++) {
            const struct plan_run run = {0, entry, PLAN_TRIAL_RUN, k};
            trial[k] = all.record[plan_find(&all.plan, &run)];
        }
        const struct plan_run tuned = {0, entry, PLAN_TUNED_RUN, 1};
        assert_string_equal(all.record[plan_find(&all.plan, &tuned)].spec,
                            trial[record_best(trial, 3)].spec);
    }
    free_all(&all);
}

static void killed_at_any_instant_it_goes_on_to_the_same_records(void **state)
{
    (void)state;
    struct path whole = path_of("reads"), killed = path_of("killed");
    char text[1000];
    unsigned random = 12345;
    must_compare(&whole, "");
    arguments(&killed, "", text);
    for (int i = 0; i < KILLS; i++) {
        random = random * 1664525 + 1013904223;
        const struct timespec moment = {.tv_nsec = 20000000 + (long)(random >> 8) % 180000000};
        pid_t child = program_start(text);
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        struct program program = program_wait(child);
        program_free(&program);
    }
    must_compare(&killed, "");
    must_agree(&whole, &killed);
    tables_must_agree(&whole, &killed);
}

static void two_processes_share_the_work(void **state)
{
    (void)state;
    struct path whole = path_of("reads"), shared = path_of("shared");
    char text[1000];
    must_compare(&whole, "");
    arguments(&shared, "--quiet", text);
    pid_t one = program_start(text);
    arguments(&shared, "--quiet", text);
    pid_t other = program_start(text);
    struct program first = program_wait(one), second = program_wait(other);
    program_must_say(&first, 0, "");
    program_must_say(&second, 0, "");
    program_free(&first);
    program_free(&second);
    must_agree(&whole, &shared);
    tables_must_agree(&whole, &shared);
}

static void an_optimizer_can_join_a_comparison(void **state)
{
    (void)state;
    struct path out = path_of("joined"), at_once = path_of("at-once");
    must_compare(&out, "");
    struct program program =
        program_run("compare --out %s --optimizer late=adam:lr=0.01 --seeds 3", out.text);
    program_must_say(&program, 0, "");
    program_free(&program);
    must_compare(&at_once, "--seeds 3 --optimizer late=adam:lr=0.01");
    must_agree(&out, &at_once);
}

static void a_rule_of_ones_own_takes_part_and_its_code_must_be_allowed(void **state)
{
    (void)state;
    char cache[300];
    struct path out = path_of("own");
    snprintf(cache, sizeof cache, "%s", scratch_path("cache"));
    setenv("XDG_CACHE_HOME", cache, 1);
    must_compare(&out, "--league tuned --optimizer own=" SAMPLE "/../../../examples/cautious_lion.c");
    struct program program = program_run("compare --out %s --seeds 3", out.text);
    program_must_say(&program, 2, "--allow-code");
    program_free(&program);
    program = program_run("compare --out %s --seeds 3 --allow-code", out.text);
    program_must_say(&program, 0, "");
    program_free(&program);

    static struct records all;
    read_all(&out, &all);
    const struct plan_run tuned = {0, 3, PLAN_TUNED_RUN, 2};
    assert_non_null(strstr(all.record[plan_find(&all.plan, &tuned)].spec, "cautious_lion.c:lr="));
    free_all(&all);
}

static void wrong_comparisons_are_refused_before_the_first_run(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int code;
        const char *message;
    } cases[] = {
        {"--optimizers adm", 2, "did you mean 'adam'"},
        {"--optimizer adam:lr=-1", 2, "lr=-1"},
        {"--optimizer =adam", 2, "NAME=SPEC"},
        {"--optimizer a=sgd --optimizer a=adam", 2, "given twice"},
        {"--task mnist", 2, "DATA:MODEL"},
        {"--task fashion-mnist:mlp@x", 2, "epochs after '@'"},
        {"--suite quik", 2, "did you mean 'quick'"},
        {"--suite quick --model mlp", 2, "tasks and epochs of its own"},
        {"--reference adma", 2, "not among the optimizers"},
        {"--schedule plateau", 2, "follows validation"},
        {"--league best", 2, "defaults, tuned"},
        {"--budget 0", 2, "--budget 0"},
        {"--data nowhere", 1, "nowhere"},
        {"--suite quick --epochs 3", 2, "epochs of its own"},
        {"--league defaults --budget 4", 2, "nothing is tuned"},
        {"--optimizer sgd:lr=0.1", 2, "no comparison"},
        {"--points 3", 2, "--points 3"},
        {"--data " SAMPLE " --augment bogus", 2, "bogus"},
        {"--data " SAMPLE " --validation 0.000001", 2, "validation"},
        {"--data " SAMPLE " --model mlp:8 --schedule constant+then:500+cosine --epochs 1", 2, "500"},
    };
    struct path out = path_of("refused");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program program = program_run("compare --out %s %s", out.text, cases[i].arguments);
        program_must_say(&program, cases[i].code, cases[i].message);
        program_free(&program);
        assert_int_not_equal(access(out.text, F_OK), 0);
    }
    struct path made = path_of("reads");
    must_compare(&made, "");
    struct program program = program_run("compare --out %s --epochs 2", made.text);
    program_must_say(&program, 1, "other tasks or their epochs");
    program_free(&program);
}

static void a_run_that_cannot_be_done_is_named_and_the_others_go_on(void **state)
{
    (void)state;
    char where[400];
    struct path out = path_of("blocked");
    snprintf(where, sizeof where, "%s/runs", out.text);
    assert_int_equal(descent_make_directories(where), DESCENT_OK);
    struct program program =
        program_run("compare --data %s --out %s %s --optimizer x=sgd:lr=0.1 --league defaults --seeds 1",
                    data.text, out.text, options);
    program_must_say(&program, 0, "");
    program_free(&program);
    static struct records all;
    read_all(&out, &all);
    const struct plan_run broken = {0, 3, PLAN_DEFAULT_RUN, 0};
    char path[PLAN_PATH], file[PLAN_PATH + 20];
    plan_path(&all.plan, &broken, out.text, path);
    free_all(&all);
    snprintf(file, sizeof file, "%s/metrics.jsonl", path);
    assert_int_equal(remove(file), 0);
    assert_int_equal(mkdir(file, 0700), 0); /* what should be a file is a directory */
    program = program_run("compare --out %s", out.text);
    program_must_say(&program, 1, path);
    program_free(&program);
}

/* What the best of all trials is, is not known while one is missing; nor may it change afterwards. */
static void final_runs_wait_for_a_trial_that_could_not_be_done(void **state)
{
    (void)state;
    static struct records all;
    struct path whole = path_of("reads"), out = path_of("waits");
    char text[1000], path[PLAN_PATH], file[PLAN_PATH + 40];
    must_compare(&whole, "");
    read_all(&whole, &all);
    struct plan_run missing = {0, 0, PLAN_TRIAL_RUN, 0}, tuned = {0, 0, PLAN_TUNED_RUN, 0};
    struct record trial[3];
    for (int k = 0; k < 3; k++) {
        const struct plan_run run = {0, 0, PLAN_TRIAL_RUN, k};
        trial[k] = all.record[plan_find(&all.plan, &run)];
    }
    missing.index = record_best(trial, 3);
    char lock[PLAN_PATH + 40];
    snprintf(lock, sizeof lock, "%s/lock", plan_path(&all.plan, &missing, out.text, path));
    assert_int_equal(descent_make_directories(lock), DESCENT_OK); /* what should be a file */
    arguments(&out, "", text);
    struct program program = program_run("%s", text);
    program_must_say(&program, 1, lock);
    program_free(&program);
    snprintf(file, sizeof file, "%s/metrics.jsonl", plan_path(&all.plan, &tuned, out.text, path));
    assert_int_not_equal(access(file, F_OK), 0);
    tuned.entry = 1;
    snprintf(file, sizeof file, "%s/metrics.jsonl", plan_path(&all.plan, &tuned, out.text, path));
    assert_int_equal(access(file, F_OK), 0); /* the others do not */
    free_all(&all);
    assert_int_equal(rmdir(lock), 0);
    must_compare(&out, "");
    must_agree(&whole, &out);
}

/* Several processes may add an optimizer each at the same moment. */
static void two_optimizers_can_join_at_once(void **state)
{
    (void)state;
    static struct records all;
    struct path out = path_of("joined-twice");
    must_compare(&out, "--league defaults");
    enum { JOINING = 3 };
    static const char *const names[JOINING] = {"adam", "momentum", "lion"};
    pid_t child[JOINING];
    for (int i = 0; i < JOINING; i++) {
        char text[1000];
        snprintf(text, sizeof text, "compare --out %s --quiet --optimizers %s", out.text, names[i]);
        child[i] = program_start(text);
    }
    for (int i = 0; i < JOINING; i++) {
        struct program program = program_wait(child[i]);
        program_must_say(&program, 0, "");
        program_free(&program);
    }
    must_compare(&out, "--league defaults");
    read_all(&out, &all);
    assert_int_equal(all.plan.entry_count, 3 + JOINING);
    free_all(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_numbers_each_of_its_runs_once),
        cmocka_unit_test(plan_is_read_back_as_it_was_written),
        cmocka_unit_test(trials_stay_in_the_published_ranges),
        cmocka_unit_test(every_trial_of_every_algorithm_is_a_spec),
        cmocka_unit_test(trials_never_read_the_test_set_and_final_runs_do_once),
        cmocka_unit_test(tuned_runs_have_the_settings_of_the_best_trial),
        cmocka_unit_test(killed_at_any_instant_it_goes_on_to_the_same_records),
        cmocka_unit_test(two_processes_share_the_work),
        cmocka_unit_test(an_optimizer_can_join_a_comparison),
        cmocka_unit_test(a_rule_of_ones_own_takes_part_and_its_code_must_be_allowed),
        cmocka_unit_test(wrong_comparisons_are_refused_before_the_first_run),
        cmocka_unit_test(a_run_that_cannot_be_done_is_named_and_the_others_go_on),
        cmocka_unit_test(final_runs_wait_for_a_trial_that_could_not_be_done),
        cmocka_unit_test(two_optimizers_can_join_at_once),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
