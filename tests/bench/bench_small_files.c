/* SPDX-License-Identifier: MIT */

/*
 * Ten thousand small files, read one and all: by ouro_file_read_all() from one task or from
 * thirty-two, beside plain open, read, close in a loop and in four threads.
 *
 * Warm, everything is in the kernel's caches. Cold, the bytes are not, but the names are. The files
 * are in BENCH_DIR, or /var/tmp, a hundred in a folder.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define FILES     10000u
#define IN_FOLDER 100u
#define SIZE      1024u
#define TASKS     32u
#define THREADS   4u

struct way {
    bool cold;
    unsigned at_once; /* tasks or threads */
};

static char root[200];
static char (*paths)[256];

static void remove_files(void)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    if (root[0] && system(command) != 0)
        fprintf(stderr, "%s could not be removed\n", root);
}

static void make_files(void)
{
    if (paths)
        return;
    const char *folder = getenv("BENCH_DIR");
    char bytes[SIZE];
    memset(bytes, 'x', sizeof(bytes));
    snprintf(root, sizeof(root), "%s/ouro-bench-small-%d", folder ? folder : "/var/tmp",
             (int)getpid());
    bench_check(mkdir(root, 0700) < 0 ? -errno : 0, root);
    atexit(remove_files);
    paths = bench_alloc(FILES * sizeof(*paths));
    for (unsigned i = 0; i < FILES; i++) {
        if (i % IN_FOLDER == 0) {
            snprintf(paths[i], sizeof(*paths), "%s/%u", root, i / IN_FOLDER);
            bench_check(mkdir(paths[i], 0700) < 0 ? -errno : 0, paths[i]);
        }
        snprintf(paths[i], sizeof(*paths), "%s/%u/%u", root, i / IN_FOLDER, i);
        int fd = open(paths[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        bench_check(write(fd, bytes, sizeof(bytes)) == SIZE ? 0 : -EIO, paths[i]);
        close(fd);
    }
    sync();
}

static void prepare(const struct way *way)
{
    make_files();
    for (unsigned i = 0; way->cold && i < FILES; i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        bench_check(-posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
        close(fd);
    }
}

/* ---- ouro ------------------------------------------------------------------------------------ */

struct share {
    unsigned first;
    unsigned step;
};

static int64_t read_share(void *arg)
{
    const struct share *share = arg;
    for (unsigned i = share->first; i < FILES; i += share->step) {
        int64_t size;
        void *bytes = ouro_await_ptr(ouro_file_read_all(paths[i], NULL), &size);
        bench_check(size == SIZE ? 0 : -EIO, "read_all");
        ouro_file_bytes_free(bytes);
    }
    return 0;
}

static int64_t read_in_tasks(void *arg)
{
    const struct way *way = arg;
    static struct share shares[TASKS];
    ouro_future *tasks[TASKS];
    for (unsigned i = 0; i < way->at_once; i++) {
        shares[i] = (struct share){i, way->at_once};
        tasks[i] = ouro_spawn(read_share, &shares[i]);
    }
    return ouro_await(ouro_gather(tasks, way->at_once, OURO_GATHER_ALL, NULL));
}

static double by_ouro(const void *arg)
{
    struct way way = *(const struct way *)arg;
    prepare(&way);
    uint64_t start = bench_now();
    bench_run(read_in_tasks, &way, 0);
    return bench_per(start, FILES * 1e3);
}

/* ---- Plain calls ----------------------------------------------------------------------------- */

static void *read_plainly(void *arg)
{
    const struct share *share = arg;
    char bytes[SIZE + 1];
    for (unsigned i = share->first; i < FILES; i += share->step) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        bench_check(read(fd, bytes, sizeof(bytes)) == SIZE ? 0 : -EIO, "read");
        close(fd);
    }
    return NULL;
}

static double by_loop(const void *arg)
{
    struct share all = {0, 1};
    prepare(arg);
    uint64_t start = bench_now();
    read_plainly(&all);
    return bench_per(start, FILES * 1e3);
}

static double by_threads(const void *arg)
{
    pthread_t threads[THREADS];
    struct share shares[THREADS];
    prepare(arg);
    uint64_t start = bench_now();
    for (unsigned i = 0; i < THREADS; i++) {
        shares[i] = (struct share){i, THREADS};
        bench_check(-pthread_create(&threads[i], NULL, read_plainly, &shares[i]), "pthread_create");
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return bench_per(start, FILES * 1e3);
}

int main(int argc, char **argv)
{
    static const struct way one = {false, 1}, many = {false, TASKS};
    static const struct way cold_one = {true, 1}, cold = {true, TASKS};
    static const struct bench_case cases[] = {
        {"small.warm", "us", by_ouro, "open, read, close", .rival = by_loop, .arg = &one,
         .note = "for each file of 1 KiB; a loop is made and closed in the time"},
        {"small.warm_32", "us", by_ouro, "the same in 4 threads", .rival = by_threads, .arg = &many,
         .note = "32 tasks on one thread"},
        {"small.cold", "us", by_ouro, "open, read, close", .rival = by_loop, .arg = &cold_one},
        {"small.cold_32", "us", by_ouro, "the same in 4 threads", .rival = by_threads, .arg = &cold,
         .note = "32 tasks, and the 8 threads of the disk lane"},
    };
    return bench_main(argc, argv, "Ten thousand small files", cases, BENCH_COUNT(cases));
}
