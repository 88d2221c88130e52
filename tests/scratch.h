/* Files of a test: scratch_path("a.json") is in a fresh directory that is removed, with all in it, when the
 * test exits. */
#ifndef DESCENT_TESTS_SCRATCH_H
#define DESCENT_TESTS_SCRATCH_H

#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_directory[128];

static inline void scratch_remove(void)
{
    char *roots[] = {scratch_directory, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *entry; walk && (entry = fts_read(walk));)
        if (entry->fts_info == FTS_D)
            chmod(entry->fts_accpath, 0700); /* a test may have taken its rights away */
        else
            remove(entry->fts_accpath);
    if (walk)
        fts_close(walk);
}

/* The path is valid until the fourth next call. */
static inline const char *scratch_path(const char *name)
{
    static char paths[4][256];
    static int turn;
    if (!*scratch_directory) {
        const char *parent = getenv("TMPDIR");
        snprintf(scratch_directory, sizeof scratch_directory, "%s/descent-test-XXXXXX",
                 parent ? parent : P_tmpdir);
        if (!mkdtemp(scratch_directory) || atexit(scratch_remove))
            abort();
    }
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_directory, name);
    return path;
}

/* A scratch file of these bytes. */
static inline const char *scratch_file(const char *name, const void *data, size_t size)
{
    const char *path = scratch_path(name);
    remove(path); /* ext4 flushes a file to the disk that is truncated and written again */
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(data, 1, size, stream) != size || fclose(stream))
        abort();
    return path;
}

#endif
