/* Users' own C files; see extension.h. */
#include "train/extension.h"

#include "base/file.h"
#include "base/interface.h"
#include "base/memory.h"
#include "models/models.h"
#include "optim/optim.h"
#include "train/compile.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_SOURCE = 64 << 20 /* bytes */ };

/* A file that was loaded; it stays so until the program ends. */
struct file {
    struct extension info; /* first */
    void *library;
    bool registered[EXTENSION_OPTIMIZER + 1];
    struct model model; /* copies under the file's path */
    struct optim_algorithm algorithm;
    struct file *next;
};

static struct file *files;
static struct descent_arena *arena; /* of the texts in them */

static struct file *find(const char *path)
{
    struct file *file = files;
    while (file && strcmp(file->info.path, path) != 0)
        file = file->next;
    return file;
}

/* ---- Loading ---- */

static const char *keep(const char *text)
{
    if (!arena)
        arena = descent_arena_new();
    return arena ? descent_arena_string(arena, text) : NULL;
}

enum descent_status extension_digest(const char *path, char md5[DATA_MD5_TEXT])
{
    char *source;
    size_t size;
    enum descent_status status = descent_file_read(path, LARGEST_SOURCE, &source, &size);
    if (status)
        return status;
    data_md5(source, size, md5);
    free(source);
    return DESCENT_OK;
}

static enum descent_status describe(const char *path, struct file *file)
{
    char full[PATH_MAX], md5[DATA_MD5_TEXT];
    if (!realpath(path, full))
        return descent_fail_errno("open", path, errno);
    enum descent_status status = extension_digest(path, md5);
    if (status)
        return status;
    struct extension *info = &file->info;
    bool kept = (info->path = keep(path)) && (info->full_path = keep(full)) && (info->md5 = keep(md5));
    return kept ? DESCENT_OK : descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
}

/* The file compiled and loaded, nothing of it looked at. */
static enum descent_status load(const char *path, struct file **loaded)
{
    char object[PATH_MAX];
    if ((*loaded = find(path)))
        return DESCENT_OK;
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return descent_fail(DESCENT_OUT_OF_MEMORY, "out of memory");
    enum descent_status status = describe(path, file);
    if (!status && (status = compile_shared(path, object)))
        descent_fail_in(status, "%s", path);
    if (!status && !(file->library = dlopen(object, RTLD_NOW | RTLD_LOCAL)))
        status = descent_fail(DESCENT_BAD_ARGUMENT, "%s: %s", path, dlerror());
    if (status) {
        free(file);
        return status;
    }
    file->next = files;
    *loaded = files = file;
    return DESCENT_OK;
}

/* ---- What it exports ---- */

/* How each kind is found in a file. */
static const struct {
    const char *noun, *a_noun, *symbol, *interface, *macro, *header;
} exports[] = {
    [EXTENSION_MODEL] = {"model", "a model", "model_export", "model_export_interface", "MODEL_EXPORT",
                         "models/models.h"},
    [EXTENSION_OPTIMIZER] = {"optimizer", "an optimizer", "optim_export", "optim_export_interface",
                             "OPTIM_EXPORT", "optim/algorithm.h"},
};

static enum descent_status check_interface(const char *path, enum extension_kind kind, struct file *file)
{
    const struct descent_interface *interface = dlsym(file->library, exports[kind].interface);
    if (!interface)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "%s does not say for which version of descent's interface it is; define its %s "
                            "with %s of %s",
                            path, exports[kind].noun, exports[kind].macro, exports[kind].header);
    if (interface->version != DESCENT_INTERFACE)
        return descent_fail(
            DESCENT_BAD_ARGUMENT,
            "%s is for version %d of descent's interface, this program has version %d: the "
            "structures they share are laid out differently; compile it against the headers "
            "of this program",
            path, interface->version, DESCENT_INTERFACE);
    file->info.compiler = interface->compiler;
    return DESCENT_OK;
}

/* Finds the export. `other` is what else the file might be. */
static enum descent_status find_export(const char *path, enum extension_kind kind, struct file *file,
                                       const void **symbol)
{
    enum extension_kind other = kind == EXTENSION_MODEL ? EXTENSION_OPTIMIZER : EXTENSION_MODEL;
    *symbol = dlsym(file->library, exports[kind].symbol);
    if (*symbol)
        return check_interface(path, kind, file);
    if (dlsym(file->library, exports[other].symbol))
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s is no %s: it defines %s", path, exports[kind].noun,
                            exports[other].a_noun);
    return descent_fail(
        DESCENT_BAD_ARGUMENT,
        "%s defines no %s; it should end with %s = {...}; see %s, or write one to begin with: "
        "train new %s NAME",
        path, exports[kind].noun, exports[kind].macro, exports[kind].header, exports[kind].noun);
}

enum descent_status extension_load(enum extension_kind kind, const char *path)
{
    struct file *file;
    const void *symbol;
    enum descent_status status = load(path, &file);
    if (status || file->registered[kind])
        return status;
    status = find_export(path, kind, file, &symbol);
    if (status)
        return status;
    if (kind == EXTENSION_MODEL) {
        file->model = *(const struct model *)symbol;
        file->model.name = file->info.path;
        status = model_register(&file->model);
    } else {
        file->algorithm = *(const struct optim_algorithm *)symbol;
        file->algorithm.name = file->info.path;
        status = optim_register(&file->algorithm);
    }
    file->registered[kind] = status == DESCENT_OK;
    return status;
}

/* ---- Specs ---- */

typedef enum descent_status visitor(void *context, enum extension_kind kind, const char *path);

/* Visits the paths in a spec. One that cannot be parsed names nothing: whoever reads it says what is wrong.
 */
static enum descent_status visit_spec(enum extension_kind kind, const char *text, visitor *visit,
                                      void *context)
{
    struct descent_spec spec;
    enum descent_status status = DESCENT_OK;
    if (!text || descent_spec_parse(text, &spec))
        return DESCENT_OK;
    for (int i = 0; i < spec.count && !status; i++)
        if (descent_is_path(spec.part[i].name))
            status = visit(context, kind, spec.part[i].name);
    descent_spec_free(&spec);
    return status;
}

static enum descent_status visit_config(const struct train_config *config, visitor *visit, void *context)
{
    enum descent_status status = visit_spec(EXTENSION_MODEL, config->model, visit, context);
    if (!status)
        status = visit_spec(EXTENSION_OPTIMIZER, config->optimizer, visit, context);
    for (int i = 0; i < TRAIN_GROUPS && config->group[i] && !status; i++) {
        const char *colon = strchr(config->group[i], ':');
        status = visit_spec(EXTENSION_OPTIMIZER, colon ? colon + 1 : NULL, visit, context);
    }
    return status;
}

static enum descent_status visit_to_find(void *context, enum extension_kind kind, const char *path)
{
    (void)kind, (void)path;
    *(bool *)context = true;
    return DESCENT_OK;
}

bool spec_names_code(const char *spec)
{
    bool found = false;
    visit_spec(EXTENSION_MODEL, spec, visit_to_find, &found);
    return found;
}

static enum descent_status visit_to_load(void *context, enum extension_kind kind, const char *path)
{
    (void)context;
    return extension_load(kind, path);
}

enum descent_status extension_load_spec(enum extension_kind kind, const char *spec)
{
    return visit_spec(kind, spec, visit_to_load, NULL);
}

enum descent_status extension_load_config(const struct train_config *config)
{
    return visit_config(config, visit_to_load, NULL);
}

enum descent_status extension_load_found(enum extension_kind kind, const char *spec, const char *where,
                                         bool allow_code)
{
    if (spec_names_code(spec) && !allow_code)
        return descent_fail(DESCENT_BAD_ARGUMENT,
                            "%s names C code, '%s'; --allow-code compiles and runs it, if you trust it",
                            where, spec);
    return extension_load_spec(kind, spec);
}

/* ---- What was loaded ---- */

struct choice {
    int left;
    const struct file *found;
};

static enum descent_status visit_to_choose(void *context, enum extension_kind kind, const char *path)
{
    (void)kind;
    struct choice *choice = context;
    if (choice->left-- == 0)
        choice->found = find(path);
    return DESCENT_OK;
}

const struct extension *extension_of_config(const struct train_config *config, int i)
{
    struct choice choice = {.left = i};
    visit_config(config, visit_to_choose, &choice);
    return choice.found ? &choice.found->info : NULL;
}

static enum descent_status visit_to_digest(void *context, enum extension_kind kind, const char *path)
{
    (void)kind;
    char *text = context;
    size_t length = strlen(text);
    const struct file *file = find(path);
    snprintf(text + length, EXTENSION_DIGESTS - length, "%s%s", length > 0 ? "+" : "",
             file ? file->info.md5 : "?");
    return DESCENT_OK;
}

const char *extension_digests(const char *spec, char text[EXTENSION_DIGESTS])
{
    *text = 0;
    visit_spec(EXTENSION_OPTIMIZER, spec, visit_to_digest, text);
    return text;
}
