/* The worker processes of decoder.h. A request and its answer go through a socket, files and pixels through
 * memory that the two processes share. */
#include "data/decoder.h"

#include "base/clock.h"
#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers need system calls that strict mode forbids, and standard error to report to. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                                 \
    __has_feature(undefined_behavior_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#if defined(__linux__) && !SANITIZED
#define CONFINED 1
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#else
#define CONFINED 0
#endif

enum {
    ARENA = 1 << 29,   /* bytes for stb_image and for scaling: a progressive JPEG of 24 megapixels */
    LARGE = 1 << 26,   /* a worker that has touched more bytes is replaced */
    FIRST_PRIVATE = 3, /* file descriptors after the standard ones */
    MAX_DESCRIPTORS = 1 << 20,
};

struct request {
    uint32_t size; /* of the file */
    struct data_image_size wanted;
};

struct answer {
    int32_t height, width;
    int32_t unconfined;               /* of the first answer: 0, or the errno of seccomp */
    uint32_t used;                    /* bytes of its arena */
    char problem[DATA_IMAGE_PROBLEM]; /* "": none */
};

struct worker {
    pid_t process; /* 0: none runs */
    int socket;
    bool busy, fresh;       /* fresh: has not yet said that it is confined */
    uint8_t *file, *pixels; /* shared with the process; DATA_MAX_IMAGE_FILE and DATA_MAX_PIXELS */
};

struct data_decoder {
    double seconds;
    int count;
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    struct worker worker[];
};

/* ---- In the worker ---- */

_Noreturn static void leave(void)
{
#if CONFINED
    syscall(SYS_exit, 0); /* exit_group is forbidden */
#endif
    _exit(0);
}

static bool receive(int socket, struct request *request)
{
    uint8_t *at = (uint8_t *)request;
    for (size_t got = 0; got < sizeof *request;) {
        ssize_t more = read(socket, at + got, sizeof *request - got);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return true;
}

/* Shorter than any socket's buffer: goes at once or not at all. */
static bool reply(int socket, const struct answer *answer)
{
    return write(socket, answer, sizeof *answer) == (ssize_t)sizeof *answer;
}

/* All but the socket: whoever takes a worker over must not reach the run's files. */
static void close_others(int keep)
{
    int first = SANITIZED ? FIRST_PRIVATE : 0;
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > MAX_DESCRIPTORS)
        limit = MAX_DESCRIPTORS;
#if CONFINED && defined(SYS_close_range)
    if ((keep <= first || syscall(SYS_close_range, first, keep - 1, 0) == 0) &&
        syscall(SYS_close_range, keep + 1, ~0U, 0) == 0)
        return;
#endif
    for (int i = first; i < limit; i++)
        if (i != keep)
            close(i);
}

#if CONFINED

/* The numbers of system calls are those of one architecture. */
#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ARCHITECTURE AUDIT_ARCH_I386
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

/* Strict mode, said as a filter. */
static bool install_filter(void)
{
#ifdef ARCHITECTURE
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
#else
    return false;
#endif
}

#endif

/* No system call but read, write and exit; 0, or why that is not to be had. A process that has a filter
 * already, as in a container, can have another one, but not strict mode. */
static int confine(void)
{
#if CONFINED
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0 && !install_filter())
        return errno;
#endif
    return 0;
}

_Noreturn static void work(const struct worker *worker, void *arena)
{
    static const int defaults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        signal(defaults[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); /* the terminal sends it to the whole group; the run ends its workers itself */
    signal(SIGPIPE, SIG_IGN);
    close_others(worker->socket);
    struct answer answer = {.unconfined = confine()};
    struct request request;
    bool running = reply(worker->socket, &answer) && !answer.unconfined;
    while (running && receive(worker->socket, &request)) {
        struct data_image image = data_image_decode(worker->file, request.size, &request.wanted, arena,
                                                    ARENA, worker->pixels, DATA_MAX_PIXELS);
        answer = (struct answer){image.height, image.width, 0, (uint32_t)image.used, ""};
        memcpy(answer.problem, image.problem, sizeof answer.problem);
        running = reply(worker->socket, &answer);
    }
    leave();
}

/* ---- Processes ---- */

static void *map(size_t bytes, int sharing)
{
    int flags = MAP_ANONYMOUS | sharing;
#ifdef MAP_NORESERVE
    flags |= MAP_NORESERVE;
#endif
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Keeps what a worker shares with its process from those forked later. */
static void share(const struct worker *worker, bool inherited)
{
#ifdef MADV_DONTFORK
    madvise(worker->file, DATA_MAX_IMAGE_FILE, inherited ? MADV_DOFORK : MADV_DONTFORK);
    madvise(worker->pixels, DATA_MAX_PIXELS, inherited ? MADV_DOFORK : MADV_DONTFORK);
#else
    (void)worker;
    (void)inherited;
#endif
}

static void unmap(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes);
}

/* Forks the worker's process; the caller holds the mutex. */
static enum descent_status start(struct worker *worker)
{
    int ends[2] = {-1, -1};
    worker->file = map(DATA_MAX_IMAGE_FILE, MAP_SHARED);
    worker->pixels = map(DATA_MAX_PIXELS, MAP_SHARED);
    void *arena = map(ARENA, MAP_PRIVATE);
    if (worker->file && worker->pixels && arena && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) {
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        share(worker, true);
        worker->process = fork();
        if (worker->process == 0) {
            worker->socket = ends[1];
            work(worker, arena);
        }
        share(worker, false);
        close(ends[1]);
        worker->socket = ends[0];
        worker->fresh = true;
    }
    int problem = errno;
    unmap(arena, ARENA);
    if (worker->process > 0)
        return DESCENT_OK;
    unmap(worker->file, DATA_MAX_IMAGE_FILE);
    unmap(worker->pixels, DATA_MAX_PIXELS);
    if (ends[0] >= 0)
        close(ends[0]);
    *worker = (struct worker){.process = 0};
    return descent_fail(DESCENT_OUT_OF_MEMORY, "no decoder can be started: %s", strerror(problem));
}

/* Ends the worker's process, however it is, and gives its memory back; its status as from waitpid. */
static int stop(struct data_decoder *decoder, struct worker *worker)
{
    int status = 0;
    close(worker->socket);
    kill(worker->process, SIGKILL);
    while (waitpid(worker->process, &status, 0) < 0 && errno == EINTR)
        ;
    munmap(worker->file, DATA_MAX_IMAGE_FILE);
    munmap(worker->pixels, DATA_MAX_PIXELS);
    pthread_mutex_lock(&decoder->mutex);
    *worker = (struct worker){.busy = worker->busy};
    pthread_mutex_unlock(&decoder->mutex);
    return status;
}

/* A worker for the calling thread alone, waiting where all are busy, or where no further one can be
 * started; NULL when out of memory. */
static struct worker *take(struct data_decoder *decoder)
{
    struct worker *taken = NULL;
    bool busy = true;
    pthread_mutex_lock(&decoder->mutex);
    while (!taken && busy) {
        struct worker *worker = NULL;
        busy = false;
        for (int i = decoder->count - 1; i >= 0; i--) { /* of the free ones rather one that runs */
            busy |= decoder->worker[i].busy;
            if (!decoder->worker[i].busy && (!worker || !worker->process || decoder->worker[i].process))
                worker = &decoder->worker[i];
        }
        if (worker && (worker->process || start(worker) == DESCENT_OK))
            taken = worker;
        else if (busy)
            pthread_cond_wait(&decoder->freed, &decoder->mutex);
        else
            pthread_cond_signal(&decoder->freed); /* whoever else waits would wait for nobody */
    }
    if (taken)
        taken->busy = true;
    pthread_mutex_unlock(&decoder->mutex);
    return taken;
}

static void give(struct data_decoder *decoder, struct worker *worker)
{
    pthread_mutex_lock(&decoder->mutex);
    worker->busy = false;
    pthread_cond_signal(&decoder->freed);
    pthread_mutex_unlock(&decoder->mutex);
}

/* ---- A picture ---- */

enum outcome { ANSWERED, LATE, GONE };

static enum outcome await(const struct worker *worker, double until, struct answer *answer)
{
    uint8_t *at = (uint8_t *)answer;
    for (size_t got = 0; got < sizeof *answer;) {
        double left = until - descent_seconds();
        struct pollfd wait = {.fd = worker->socket, .events = POLLIN};
        int ready = left > 0 ? poll(&wait, 1, left < 1e6 ? (int)(1000 * left) + 1 : -1) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return LATE;
        ssize_t more = ready > 0 ? read(worker->socket, at + got, sizeof *answer - got) : -1;
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return GONE;
        got += (size_t)more;
    }
    /* It may be anything: the worker has read a stranger's file. */
    for (size_t i = 0; i < sizeof answer->problem; i++)
        if (answer->problem[i] && (answer->problem[i] < ' ' || answer->problem[i] > '~'))
            answer->problem[i] = '?';
    answer->problem[sizeof answer->problem - 1] = 0;
    return ANSWERED;
}

/* Waits until a new process says that it is confined: what goes wrong before is no picture's fault. */
static enum descent_status greet(struct data_decoder *decoder, struct worker *worker)
{
    struct answer answer;
    enum outcome outcome = await(worker, descent_seconds() + decoder->seconds, &answer);
    worker->fresh = false;
    if (outcome == ANSWERED && !answer.unconfined)
        return DESCENT_OK;
    stop(decoder, worker);
    if (outcome == ANSWERED)
        return descent_fail(DESCENT_IO_ERROR,
                            "pictures are decoded in confined processes only, and seccomp is refused: %s",
                            strerror(answer.unconfined));
    if (outcome == LATE)
        return descent_fail(DESCENT_IO_ERROR,
                            "a process to decode pictures did not start within %g seconds",
                            decoder->seconds);
    return descent_fail(DESCENT_IO_ERROR, "a process to decode pictures ended before its first one");
}

static enum outcome ask(const struct worker *worker, const struct request *request, double seconds,
                        struct answer *answer)
{
    /* Shorter than any socket's buffer. */
    if (send(worker->socket, request, sizeof *request, MSG_NOSIGNAL) != (ssize_t)sizeof *request)
        return GONE;
    return await(worker, descent_seconds() + seconds, answer);
}

static enum descent_status decode(struct data_decoder *decoder, struct worker *worker, const char *path,
                                  const struct request *request, struct answer *answer)
{
    enum outcome outcome = ask(worker, request, decoder->seconds, answer);
    if (outcome == ANSWERED && *answer->problem)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: cannot be decoded: %s", path, answer->problem);
    if (outcome == ANSWERED && answer->height > 0 && answer->height <= DATA_MAX_SIDE && answer->width > 0 &&
        answer->width <= DATA_MAX_SIDE)
        return DESCENT_OK;
    if (outcome == ANSWERED)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: the decoder says it is %d x %d", path,
                            (int)answer->height, (int)answer->width);
    int status = stop(decoder, worker);
    if (outcome == LATE)
        return descent_fail(DESCENT_BAD_FORMAT, "%s: not decoded within %g seconds", path,
                            decoder->seconds);
    if (WIFSIGNALED(status))
        return descent_fail(DESCENT_BAD_FORMAT, "%s: the decoder was killed by signal %d (%s)", path,
                            WTERMSIG(status), strsignal(WTERMSIG(status)));
    return descent_fail(DESCENT_BAD_FORMAT, "%s: the decoder gave up with status %d", path,
                        WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

/* The file into the worker's memory. */
static enum descent_status read_file(const char *path, uint8_t *bytes, uint32_t *size)
{
    struct stat about;
    size_t got = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait for a writer */
    if (file < 0 || fstat(file, &about) != 0) {
        enum descent_status status = descent_fail(errno == ENOENT ? DESCENT_NOT_FOUND : DESCENT_IO_ERROR,
                                                  "%s: cannot be opened: %s", path, strerror(errno));
        if (file >= 0)
            close(file);
        return status;
    }
    ssize_t more = S_ISREG(about.st_mode) ? 1 : 0;
    while (more > 0 && got < DATA_MAX_IMAGE_FILE) {
        more = read(file, bytes + got, DATA_MAX_IMAGE_FILE - got);
        got += more > 0 ? (size_t)more : 0;
        if (more < 0 && errno == EINTR)
            more = 1;
    }
    enum descent_status status = DESCENT_OK;
    if (more < 0)
        status = descent_fail(DESCENT_IO_ERROR, "%s: reading failed at byte %zu: %s", path, got,
                              strerror(errno));
    else if (!S_ISREG(about.st_mode))
        status = descent_fail(DESCENT_IO_ERROR, "%s: not a regular file", path);
    else if (got == DATA_MAX_IMAGE_FILE)
        status =
            descent_fail(DESCENT_BAD_FORMAT, "%s: picture of %d bytes or more", path, DATA_MAX_IMAGE_FILE);
    close(file);
    *size = (uint32_t)got;
    return status;
}

static enum descent_status serve(struct data_decoder *decoder, const char *path,
                                 const struct data_image_size *wanted, uint8_t *pixels,
                                 char digest[DATA_MD5_TEXT], struct answer *answer)
{
    size_t bytes = (size_t)wanted->height * (size_t)wanted->width * (size_t)wanted->channels;
    if (bytes > DATA_MAX_PIXELS)
        return descent_fail(DESCENT_BAD_ARGUMENT, "%s: %d x %d x %d are %zu bytes, expected at most %d",
                            path, wanted->height, wanted->width, wanted->channels, bytes, DATA_MAX_PIXELS);
    struct worker *worker = take(decoder);
    if (!worker)
        return DESCENT_OUT_OF_MEMORY;
    struct request request = {.wanted = *wanted};
    enum descent_status status = read_file(path, worker->file, &request.size);
    if (status == DESCENT_OK && digest)
        data_md5(worker->file, request.size, digest);
    if (status == DESCENT_OK)
        status = worker->fresh ? greet(decoder, worker) : DESCENT_OK;
    if (status == DESCENT_OK)
        status = decode(decoder, worker, path, &request, answer);
    if (status == DESCENT_OK && pixels)
        memcpy(pixels, worker->pixels, bytes);
    if (worker->process && answer->used > LARGE)
        stop(decoder, worker);
    give(decoder, worker);
    return status;
}

enum descent_status data_decoder_read(struct data_decoder *decoder, const char *path,
                                      const struct data_image_size *wanted, uint8_t *pixels,
                                      char digest[DATA_MD5_TEXT])
{
    struct answer answer = {0};
    return serve(decoder, path, wanted, pixels, digest, &answer);
}

enum descent_status data_decoder_measure(struct data_decoder *decoder, const char *path, int *height,
                                         int *width)
{
    struct answer answer = {0};
    const struct data_image_size any = {.channels = 1};
    enum descent_status status = serve(decoder, path, &any, NULL, NULL, &answer);
    *height = answer.height;
    *width = answer.width;
    return status;
}

pid_t data_decoder_process(struct data_decoder *decoder, int worker)
{
    pthread_mutex_lock(&decoder->mutex);
    pid_t process = decoder->worker[worker].process;
    pthread_mutex_unlock(&decoder->mutex);
    return process;
}

struct data_decoder *data_decoder_new(int workers, double seconds)
{
    struct data_decoder *decoder = calloc(1, sizeof *decoder + (size_t)workers * sizeof *decoder->worker);
    if (!decoder) {
        descent_fail(DESCENT_OUT_OF_MEMORY, "no memory for a decoder");
        return NULL;
    }
    decoder->seconds = seconds;
    decoder->count = workers;
    pthread_mutex_init(&decoder->mutex, NULL);
    pthread_cond_init(&decoder->freed, NULL);
    return decoder;
}

void data_decoder_free(struct data_decoder *decoder)
{
    if (!decoder)
        return;
    for (int i = 0; i < decoder->count; i++) {
        if (decoder->worker[i].process)
            stop(decoder, &decoder->worker[i]);
    }
    pthread_cond_destroy(&decoder->freed);
    pthread_mutex_destroy(&decoder->mutex);
    free(decoder);
}
