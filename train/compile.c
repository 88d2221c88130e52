/* Compiling users' C files; see compile.h. The name of an object in the cache is the digest of everything
 * it depends on: the preprocessed source, which holds all headers and the compiler's version
 * (base/interface.h), and the flags. So a change anywhere makes a new object, and an object never changes.
 * Its time of modification is that of its last use. */
#include "train/compile.h"

#include "base/file.h"
#include "base/isa.h"
#include "compile_args.h" /* COMPILE_...: made by meson.build */
#include "data/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    WORDS = 64,
    LARGEST_SOURCE = 256 << 20 /* bytes, preprocessed */,
    KEPT = 90 * 24 * 3600 /* seconds */
};

extern char **environ;

/* A command line: the compiler, which may be several words ("ccache gcc"), and its arguments. */
struct command_line {
    char compiler[1024];
    char include[PATH_MAX + 2];
    const char *word[WORDS + 1];
    int count;
};

static void add(struct command_line *line, const char *word)
{
    if (line->count < WORDS)
        line->word[line->count++] = word;
}

/* ---- Where things are ---- */

static bool holds_headers(const char *directory)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/base/interface.h", directory);
    return access(path, R_OK) == 0;
}

/* An installed program finds the headers that were installed with it, one that was just built those of its
 * source. */
static enum descent_status find_headers(char include[PATH_MAX])
{
    char program[PATH_MAX / 2] = "";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = length > 0 ? strrchr(program, '/') : NULL;
    if (slash) {
        *slash = 0;
        snprintf(include, PATH_MAX, "%s/%s", program, COMPILE_INCLUDE);
        if (holds_headers(include))
            return DESCENT_OK;
    }
    snprintf(include, PATH_MAX, "%s", COMPILE_SOURCE_ROOT);
    if (holds_headers(include))
        return DESCENT_OK;
    return descent_fail(
        DESCENT_NOT_FOUND,
        "descent's headers are not there; a C file needs base/interface.h and the others in "
        "%s/%s or %s",
        program, COMPILE_INCLUDE, COMPILE_SOURCE_ROOT);
}

/* Code is only loaded from where nobody else can put it. */
static enum descent_status check_private(const char *directory)
{
    struct stat info;
    if (stat(directory, &info) != 0)
        return descent_fail_errno("use", directory, errno);
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || info.st_mode & (S_IWGRP | S_IWOTH))
        return descent_fail(
            DESCENT_IO_ERROR,
            "%s: others could write there; compiled C files are kept in a directory that is "
            "yours alone",
            directory);
    return DESCENT_OK;
}

static enum descent_status find_cache(char directory[PATH_MAX / 2])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char parent[PATH_MAX / 2 - 16];
    bool given = cache && *cache == '/';
    if (!given && !(home && *home))
        return descent_fail(DESCENT_NOT_FOUND,
                            "no place for compiled C files: neither XDG_CACHE_HOME nor HOME is set");
    int length = given ? snprintf(parent, sizeof parent, "%s", cache)
                       : snprintf(parent, sizeof parent, "%s/.cache", home);
    if (length >= (int)sizeof parent)
        return descent_fail(DESCENT_BAD_ARGUMENT, "XDG_CACHE_HOME or HOME: the path is too long");
    snprintf(directory, PATH_MAX / 2, "%s/descent", parent);
    enum descent_status status = descent_make_directories(parent);
    if (status)
        return status;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return descent_fail_errno("make", directory, errno);
    return check_private(directory);
}

/* ---- The compiler ---- */

/* The flags of rules/ in optim/meson.build, for this machine's instruction set: a rule computes the same
 * wherever it stands. */
static enum descent_status begin_line(struct command_line *line)
{
    static const char *const isa_words[DESCENT_ISA_COUNT][WORDS / 4] = {
        [DESCENT_ISA_GENERIC] = {COMPILE_GENERIC},
        [DESCENT_ISA_AVX2] = {COMPILE_AVX2},
        [DESCENT_ISA_AVX512] = {COMPILE_AVX512},
    };
    static const char *const words[] = {"-std=c11", "-O3",     "-fPIC",          "-shared",
                                        "-Wall",    "-Wextra", COMPILE_RULE_ARGS};
    const char *compiler = getenv("CC");
    snprintf(line->compiler, sizeof line->compiler, "%s", compiler && *compiler ? compiler : "cc");
    line->count = 0;
    char *next;
    for (char *word = strtok_r(line->compiler, " ", &next); word; word = strtok_r(NULL, " ", &next))
        add(line, word);
    if (line->count == 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "CC names no compiler");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        add(line, words[i]);
    for (const char *const *word = isa_words[descent_isa()]; *word; word++)
        add(line, *word);
    memcpy(line->include, "-I", 2);
    add(line, line->include);
    return find_headers(line->include + 2);
}

/* Runs the line with these words after it. DESCENT_BAD_ARGUMENT: it failed, and has said why. */
static enum descent_status run(struct command_line line, const char *const *words)
{
    for (; *words; words++)
        add(&line, *words);
    char *arguments[WORDS + 1];
    for (int i = 0; i < line.count; i++)
        arguments[i] = (char *)line.word[i]; /* spawn changes none; it predates const */
    arguments[line.count] = NULL;
    pid_t child;
    int status, error = posix_spawnp(&child, line.word[0], NULL, NULL, arguments, environ);
    if (error == 0) {
        while (waitpid(child, &status, 0) < 0)
            if (errno != EINTR)
                return descent_fail(DESCENT_IO_ERROR, "waiting for %s: %s", line.word[0], strerror(errno));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return DESCENT_OK;
    }
    if (error != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
        return descent_fail(DESCENT_NOT_FOUND,
                            "the C compiler '%s' cannot be run%s%s; install one, or name it in CC",
                            line.word[0], error ? ": " : "", error ? strerror(error) : "");
    if (!WIFEXITED(status))
        return descent_fail(DESCENT_IO_ERROR, "%s was killed by signal %d", line.word[0], WTERMSIG(status));
    return descent_fail(DESCENT_BAD_ARGUMENT, "%s does not compile it", line.word[0]);
}

/* ---- The cache ---- */

static enum descent_status digest_of(const struct command_line *line, const char *preprocessed,
                                     char md5[DATA_MD5_TEXT])
{
    char *text;
    size_t size;
    enum descent_status status = descent_file_read(preprocessed, LARGEST_SOURCE, &text, &size);
    if (status)
        return status;
    struct data_digest *digest = data_digest_new();
    if (!digest) {
        free(text);
        return DESCENT_OUT_OF_MEMORY;
    }
    for (int i = 0; i < line->count; i++)
        data_digest_add(digest, line->word[i], strlen(line->word[i]) + 1);
    data_digest_add(digest, text, size);
    data_digest_text(digest, md5);
    data_digest_free(digest);
    free(text);
    return DESCENT_OK;
}

/* A file of its own in the cache, which machines may share, for a compiler to write to. */
static enum descent_status make_temporary(const char *cache, const char *suffix, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/XXXXXX%s", cache, suffix);
    int file = mkstemps(path, (int)strlen(suffix));
    if (file < 0)
        return descent_fail_errno("write in", cache, errno);
    close(file);
    return DESCENT_OK;
}

/* What the preprocessor makes of the source, digested. */
static enum descent_status digest_source(const struct command_line *line, const char *path,
                                         const char *cache, char md5[DATA_MD5_TEXT])
{
    char temporary[PATH_MAX];
    enum descent_status status = make_temporary(cache, ".i", temporary);
    if (status)
        return status;
    status = run(*line, (const char *[]){"-w", "-E", "-o", temporary, path, NULL});
    if (!status)
        status = digest_of(line, temporary, md5);
    unlink(temporary);
    return status;
}

/* Removes what was not used for so long, and what a killed compiler left. */
static void remove_old(const char *cache)
{
    DIR *directory = opendir(cache);
    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        struct stat info;
        if (fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode) && time(NULL) - info.st_mtime > KEPT)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

enum descent_status compile_shared(const char *path, char object[PATH_MAX])
{
    struct command_line line;
    char cache[PATH_MAX / 2], temporary[PATH_MAX], md5[DATA_MD5_TEXT];
    const char *end = strrchr(path, '.');
    if (!end || strcmp(end, ".c") != 0)
        return descent_fail(DESCENT_BAD_ARGUMENT, "expected a C file, whose name ends in .c");
    enum descent_status status = find_cache(cache);
    if (!status)
        status = begin_line(&line);
    if (!status)
        status = digest_source(&line, path, cache, md5);
    if (status)
        return status;
    snprintf(object, PATH_MAX, "%s/%s.so", cache, md5);
    if (access(object, R_OK) == 0) {
        (void)utimensat(AT_FDCWD, object, NULL, 0);
        return DESCENT_OK;
    }
    remove_old(cache);
    status = make_temporary(cache, ".so", temporary);
    if (status)
        return status;
    status = run(line, (const char *[]){"-o", temporary, path, NULL});
    if (!status && rename(temporary, object) != 0)
        status = descent_fail_errno("rename", temporary, errno);
    unlink(temporary);
    return status;
}
