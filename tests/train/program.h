/* Runs the `train` program (TRAIN: its path) and keeps what it said. */
#ifndef DESCENT_TESTS_TRAIN_PROGRAM_H
#define DESCENT_TESTS_TRAIN_PROGRAM_H

#include "base/file.h"
#include "base/json.h"
#include "tests/scratch.h"
#include "tests/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

enum { MOST_ARGUMENTS = 40 };

struct program {
    int code; /* exit code, or minus the signal that ended it */
    char *out, *err;
};

/* A scratch path to keep. */
struct path {
    char text[256];
};

static inline struct path path_of(const char *name)
{
    struct path path;
    snprintf(path.text, sizeof path.text, "%s", scratch_path(name));
    return path;
}

static inline char *file_text(const char *path)
{
    char *text;
    size_t size;
    assert_int_equal(descent_file_read(path, 64 << 20, &text, &size), DESCENT_OK);
    return text;
}

/* Starts `train` with the words of `arguments`, split at spaces; its output goes to two scratch files. */
static inline pid_t program_start(const char *arguments)
{
    static char words[4096];
    char *argv[MOST_ARGUMENTS] = {"train"};
    int count = 1;
    assert_true(strlen(arguments) < sizeof words);
    for (char *word = strtok(strcpy(words, arguments), " "); word; word = strtok(NULL, " ")) {
        assert_true(count < MOST_ARGUMENTS - 1);
        argv[count++] = word;
    }
    const char *out = scratch_path("stdout"), *err = scratch_path("stderr");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    if (dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1) < 0 ||
        dup2(open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2) < 0)
        _exit(126);
    execv(TRAIN, argv);
    _exit(127);
}

static inline struct program program_wait(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return (struct program){.code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status),
                            .out = file_text(scratch_path("stdout")),
                            .err = file_text(scratch_path("stderr"))};
}

static inline void program_free(struct program *program)
{
    free(program->out);
    free(program->err);
}

/* program_run("--data %s --epochs 2", path): argument words must hold no spaces. */
static inline struct program __attribute__((format(printf, 1, 2))) program_run(const char *format, ...)
{
    char arguments[4096];
    va_list list;
    va_start(list, format);
    assert_true(vsnprintf(arguments, sizeof arguments, format, list) < (int)sizeof arguments);
    va_end(list);
    return program_wait(program_start(arguments));
}

static inline void program_must_say(const struct program *program, int code, const char *fragment)
{
    if (program->code != code || !strstr(program->err, fragment))
        fail_msg("expected exit code %d and '%s' on standard error; got %d and\n%s", code, fragment,
                 program->code, program->err);
}

/* ---- Small data sets: each class a bright square of its own, in noise ---- */

enum { SMALL_SIDE = 28, SMALL_CLASSES = 10, SMALL_TRAIN = 200, SMALL_TEST = 50 };

static inline void write_idx(const char *directory, const char *name, const uint8_t *head, size_t head_size,
                             const uint8_t *body, size_t body_size)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(head, 1, head_size, stream), head_size);
    assert_int_equal(fwrite(body, 1, body_size, stream), body_size);
    assert_int_equal(fclose(stream), 0);
}

/* The head promises `images` and `labels`; `images` are written. */
static inline void write_part(const char *directory, const char *part, uint32_t images, uint32_t labels)
{
    const uint8_t image_head[16] = {0,
                                    0,
                                    8,
                                    3,
                                    (uint8_t)(images >> 24),
                                    (uint8_t)(images >> 16),
                                    (uint8_t)(images >> 8),
                                    (uint8_t)images,
                                    0,
                                    0,
                                    0,
                                    SMALL_SIDE,
                                    0,
                                    0,
                                    0,
                                    SMALL_SIDE};
    const uint8_t label_head[8] = {0, 0, 8, 1, 0, 0, (uint8_t)(labels >> 8), (uint8_t)labels};
    uint32_t count = images < 1000 ? images : 1000, noise = 1;
    uint8_t *pixels = malloc((size_t)count * SMALL_SIDE * SMALL_SIDE), *classes = malloc(labels);
    assert_true(pixels && classes);
    for (uint32_t i = 0; i < labels; i++)
        classes[i] = (uint8_t)(i % SMALL_CLASSES);
    for (uint32_t i = 0; i < count; i++)
        for (int k = 0; k < SMALL_SIDE * SMALL_SIDE; k++) {
            int row = k / SMALL_SIDE / 7, column = k % SMALL_SIDE / 7;
            noise = noise * 1664525 + 1013904223;
            pixels[i * SMALL_SIDE * SMALL_SIDE + (uint32_t)k] =
                (uint8_t)((noise >> 25) + (row * 4 + column == (int)(i % SMALL_CLASSES) ? 120 : 0));
        }
    char name[64];
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", part);
    write_idx(directory, name, image_head, 16, pixels, (size_t)count * SMALL_SIDE * SMALL_SIDE);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", part);
    write_idx(directory, name, label_head, 8, classes, labels);
    free(pixels);
    free(classes);
}

/* A scratch directory of that name with SMALL_TRAIN and SMALL_TEST images. */
static inline struct path small_data(const char *name)
{
    struct path path = path_of(name);
    assert_int_equal(descent_make_directories(path.text), DESCENT_OK);
    write_part(path.text, "train", SMALL_TRAIN, SMALL_TRAIN);
    write_part(path.text, "t10k", SMALL_TEST, SMALL_TEST);
    return path;
}

/* ---- metrics.jsonl ---- */

/* The i-th line of the run's metrics with that event, i from 0; NULL past the last. Every line must parse.
 */
static inline struct descent_json *metrics_event(const char *run, const char *event, int i)
{
    char path[300];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    char *text = file_text(path);
    struct descent_json *found = NULL;
    for (char *line = strtok(text, "\n"); line && !found; line = strtok(NULL, "\n")) {
        struct descent_json *json = descent_json_parse(path, line, strlen(line));
        assert_non_null(json);
        if (strcmp(descent_json_text(json, "event", ""), event) == 0 && i-- == 0)
            found = json;
        else
            descent_json_free(json);
    }
    free(text);
    return found;
}

#endif
