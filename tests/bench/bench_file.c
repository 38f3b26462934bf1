/* SPDX-License-Identifier: MIT */

/*
 * Files as programs use them: small buffered writes beside pwrite(2), random reads beside fio's
 * io_uring engine and beside pread(2), and many small files.
 *
 * The files are in BENCH_DIR, or /var/tmp, and in /dev/shm. Reads of a depth are so many tasks that
 * read one block after the other. What every other way costs is in bench_routes.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "peers.h"

#define FILE_SIZE ((size_t)256 << 20)
#define DEPTH_MAX 32u
#define ROUND     OURO_SEC(1)
#define SMALL     OURO_MS(100) /* of rounds that wait for no disk */
#define FILES     2000u        /* small ones, in one folder */

struct what {
    size_t size;
    unsigned depth;
    bool memory;
    bool direct;
    bool cached;           /* for those that make sure */
    struct bench_peer fio; /* the last, to be the rival's argument too */
};

static char path[2][256]; /* of the large file: on a disk, in memory */
static char folder[256];  /* of the small ones */

static void make_file(int memory)
{
    const char *disk = getenv("BENCH_DIR");
    snprintf(path[memory], sizeof(path[memory]), "%s/ouro-bench-file-%d",
             memory ? "/dev/shm"
             : disk ? disk
                    : "/var/tmp",
             (int)getpid());
    char *block = bench_alloc(1 << 20);
    memset(block, 7, 1 << 20);
    int fd = open(path[memory], O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    for (size_t at = 0; at < FILE_SIZE; at += 1 << 20)
        bench_check(pwrite(fd, block, 1 << 20, (off_t)at), path[memory]);
    bench_check(fsync(fd), "fsync");
    close(fd);
    free(block);
}

static void remove_files(void)
{
    for (int i = 0; i < 2; i++)
        if (path[i][0])
            unlink(path[i]);
    if (!folder[0])
        return;
    char name[300];
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "%s/%u", folder, i);
        unlink(name);
    }
    rmdir(folder);
}

/* The file of @w, made when it is first asked for. */
static const char *file_of(const struct what *w)
{
    if (!path[w->memory][0])
        make_file(w->memory);
    char ms[16];
    snprintf(ms, sizeof ms, "%d", (int)(bench_round_time(ROUND) / OURO_MS(1)));
    setenv("BENCH_FILE", path[w->memory], 1);
    setenv("BENCH_MS", ms, 1);
    return path[w->memory];
}

static uint32_t drawn = 1;

static int64_t somewhere(size_t size)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (int64_t)((drawn >> 4) % (FILE_SIZE / size) * size);
}

static ouro_file *open_it(const struct what *w)
{
    int64_t rc;
    ouro_file *f = ouro_await_ptr(
        ouro_file_open(file_of(w), O_RDWR, &(ouro_file_options){.direct = w->direct}), &rc);
    bench_check(rc, "ouro_file_open");
    return f;
}

struct run {
    const struct what *what;
    ouro_file *file;
    uint64_t until;
    uint64_t n;
    double each;
};

/* ---- Reads ----------------------------------------------------------------------------------- */

static int64_t reader(void *arg)
{
    struct run *r = arg;
    char *buf = ouro_aligned_alloc(4096, r->what->size);
    for (; bench_now() < r->until; r->n++) {
        int64_t at = somewhere(r->what->size);
        bench_check(ouro_await(ouro_file_read(r->file, buf, r->what->size, at)), "ouro_file_read");
    }
    ouro_aligned_free(buf);
    return 0;
}

static int64_t read_all(void *arg)
{
    struct run *r = arg;
    ouro_future *readers[DEPTH_MAX];
    r->file = open_it(r->what);
    uint64_t start = bench_now();
    r->until = start + bench_round_time(ROUND);
    for (unsigned i = 0; i < r->what->depth; i++)
        readers[i] = ouro_spawn(reader, r);
    for (unsigned i = 0; i < r->what->depth; i++)
        bench_check(ouro_await(readers[i]), "reader");
    r->each = bench_per(start, (double)r->n) / 1000.0;
    ouro_await(ouro_file_close(r->file));
    ouro_file_free(r->file);
    return 0;
}

static double reads(const void *arg)
{
    struct run r = {.what = arg, .each = NAN};
    bench_run(read_all, &r, 0);
    return r.each;
}

static double fio_reads(const void *arg)
{
    const struct what *w = arg;
    file_of(w);
    return bench_peer(&w->fio);
}

static double plain_reads(const void *arg)
{
    const struct what *w = arg;
    int fd = open(file_of(w), O_RDONLY | O_CLOEXEC | (w->direct ? O_DIRECT : 0));
    char *buf = ouro_aligned_alloc(4096, w->size);
    uint64_t n = 0, start = bench_now();
    for (; bench_now() < start + bench_round_time(ROUND); n++)
        bench_check(pread(fd, buf, w->size, somewhere(w->size)), "pread");
    double each = bench_per(start, (double)n) / 1000.0;
    ouro_aligned_free(buf);
    close(fd);
    return each;
}

/* All of the file from one end to the other, in milliseconds; out of the cache, or into it. */
#define WHOLE ((size_t)64 << 20)

static void forget_it(const struct what *w)
{
    int fd = open(file_of(w), O_RDONLY | O_CLOEXEC);
    if (!w->cached)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static int64_t read_through(void *arg)
{
    struct run *r = arg;
    char *buf = bench_alloc(WHOLE);
    memset(buf, 1, WHOLE);
    r->file = open_it(r->what);
    uint64_t start = bench_now();
    bench_check(ouro_await(ouro_file_read_exact(r->file, buf, WHOLE, 0)), "ouro_file_read_exact");
    r->each = bench_per(start, 1e6);
    ouro_await(ouro_file_close(r->file));
    ouro_file_free(r->file);
    free(buf);
    return 0;
}

static double whole(const void *arg)
{
    struct run r = {.what = arg, .each = NAN};
    forget_it(arg);
    bench_run(read_through, &r, 0);
    return r.each;
}

static double plain_whole(const void *arg)
{
    char *buf = bench_alloc(WHOLE);
    memset(buf, 1, WHOLE);
    forget_it(arg);
    int fd = open(file_of(arg), O_RDONLY | O_CLOEXEC);
    uint64_t start = bench_now();
    for (size_t at = 0; at < WHOLE; at += 1 << 20)
        bench_check(pread(fd, buf + at, 1 << 20, (off_t)at), "pread");
    double each = bench_per(start, 1e6);
    close(fd);
    free(buf);
    return each;
}

/* ---- Writes ---------------------------------------------------------------------------------- */

static int64_t write_all(void *arg)
{
    struct run *r = arg;
    char *buf = bench_alloc(r->what->size);
    memset(buf, 3, r->what->size);
    ouro_file *f = open_it(r->what);
    uint64_t start = bench_now();
    for (; bench_now() < start + bench_round_time(SMALL); r->n++) {
        int64_t at = somewhere(r->what->size);
        bench_check(ouro_await(ouro_file_write(f, buf, r->what->size, at)), "ouro_file_write");
    }
    r->each = bench_per(start, (double)r->n) / 1000.0;
    ouro_await(ouro_file_close(f));
    ouro_file_free(f);
    free(buf);
    return 0;
}

static double writes(const void *arg)
{
    struct run r = {.what = arg, .each = NAN};
    bench_run(write_all, &r, 0);
    return r.each;
}

static double plain_writes(const void *arg)
{
    const struct what *w = arg;
    int fd = open(file_of(w), O_RDWR | O_CLOEXEC);
    char *buf = bench_alloc(w->size);
    memset(buf, 3, w->size);
    uint64_t n = 0, start = bench_now();
    for (; bench_now() < start + bench_round_time(SMALL); n++)
        bench_check(pwrite(fd, buf, w->size, somewhere(w->size)), "pwrite");
    double each = bench_per(start, (double)n) / 1000.0;
    free(buf);
    close(fd);
    return each;
}

/* ---- By path --------------------------------------------------------------------------------- */

static int64_t stat_all(void *arg)
{
    struct run *r = arg;
    const char *name = file_of(r->what);
    ouro_stat st;
    uint64_t start = bench_now();
    for (; bench_now() < start + bench_round_time(SMALL); r->n++)
        bench_check(ouro_await(ouro_path_stat(name, &st, NULL)), "ouro_path_stat");
    r->each = bench_per(start, (double)r->n) / 1000.0;
    return 0;
}

static double stats(const void *arg)
{
    struct run r = {.what = arg, .each = NAN};
    bench_run(stat_all, &r, 0);
    return r.each;
}

static double plain_stats(const void *arg)
{
    const char *name = file_of(arg);
    struct stat st;
    uint64_t n = 0, start = bench_now();
    for (; bench_now() < start + bench_round_time(SMALL); n++)
        bench_check(stat(name, &st), "stat");
    return bench_per(start, (double)n) / 1000.0;
}

static void small_name(char name[300], unsigned i)
{
    snprintf(name, 300, "%s/%u", folder, i);
}

static void make_small_files(void)
{
    const char *disk = getenv("BENCH_DIR");
    char name[300];
    if (folder[0])
        return;
    snprintf(folder, sizeof(folder), "%s/ouro-bench-files-%d", disk ? disk : "/var/tmp",
             (int)getpid());
    bench_check(mkdir(folder, 0700), folder);
    for (unsigned i = 0; i < FILES; i++) {
        small_name(name, i);
        int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        bench_check(write(fd, name, sizeof(name)), name);
        close(fd);
    }
}

static int64_t small_reader(void *arg)
{
    unsigned *next = arg;
    char name[300], buf[4096];
    while (*next < FILES) {
        small_name(name, (*next)++);
        int64_t rc;
        ouro_file *f = ouro_await_ptr(ouro_file_open(name, O_RDONLY, NULL), &rc);
        bench_check(rc, name);
        bench_check(ouro_await(ouro_file_read(f, buf, sizeof(buf), 0)), name);
        bench_check(ouro_await(ouro_file_close(f)), name);
        ouro_file_free(f);
    }
    return 0;
}

static int64_t read_small_files(void *arg)
{
    ouro_future *readers[DEPTH_MAX];
    unsigned next = 0;
    uint64_t start = bench_now();
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        readers[i] = ouro_spawn(small_reader, &next);
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        bench_check(ouro_await(readers[i]), "reader");
    *(double *)arg = bench_per(start, FILES) / 1000.0;
    return 0;
}

static double small_files(const void *arg)
{
    double each = NAN;
    (void)arg;
    make_small_files();
    bench_run(read_small_files, &each, 0);
    return each;
}

static double plain_small_files(const void *arg)
{
    char name[300], buf[4096];
    (void)arg;
    make_small_files();
    uint64_t start = bench_now();
    for (unsigned i = 0; i < FILES; i++) {
        small_name(name, i);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        bench_check(pread(fd, buf, sizeof(buf), 0), name);
        close(fd);
    }
    return bench_per(start, FILES) / 1000.0;
}

#define FIO(many, is_direct) .fio = {"fio.py", {(many), (is_direct)}, "fio: fio, python3"}

int main(int argc, char **argv)
{
    static const struct what one = {.size = 4096, .depth = 1, FIO("1", "0")};
    static const struct what many = {.size = 4096, .depth = 32, FIO("32", "0")};
    static const struct what direct = {.size = 4096, .depth = 1, .direct = true, FIO("1", "1")};
    static const struct what many_direct = {
        .size = 4096, .depth = 32, .direct = true, FIO("32", "1")};
    static const struct what cold = {.cached = false}, warm = {.cached = true};
    static const struct what small = {.size = 4096}, larger = {.size = 64 << 10},
                             tiny = {.size = 128}, in_memory = {.size = 4096, .memory = true};
    /* What is to be cached comes before the cold case, which empties the cache. */
    static const struct bench_case cases[] = {
        {"file.write128", "us", writes, "pwrite(2)", plain_writes, .arg = &tiny},
        {"file.write4k", "us", writes, "pwrite(2)", plain_writes, .arg = &small},
        {"file.write64k", "us", writes, "pwrite(2)", plain_writes, .arg = &larger},
        {"file.write4k_memory", "us", writes, "pwrite(2)", plain_writes, .arg = &in_memory,
         .note = "buffered writes at random places; the goal is 1.3 times pwrite(2)"},
        {"file.stat", "us", stats, "stat(2)", plain_stats, .arg = &small},
        {"file.stat_memory", "us", stats, "stat(2)", plain_stats, .arg = &in_memory},
        {"file.small", "us", small_files, "open, pread, close", plain_small_files,
         .note = "open, read and close a file of 300 bytes, 32 at once"},
        {"file.warm64m", "ms", whole, "pread(2) of 1 MiB", plain_whole, .arg = &warm},
        {"file.read4k", "us", reads, "fio io_uring", fio_reads, .arg = &one,
         .more = {{"pread(2)", plain_reads, NULL, NULL}}},
        {"file.read4k_32", "us", reads, "fio io_uring", fio_reads, .arg = &many},
        {"file.cold64m", "ms", whole, "pread(2) of 1 MiB", plain_whole, .arg = &cold,
         .note = "64 MiB in one read, of a file that is in the cache, or is not"},
        {"file.direct4k", "us", reads, "fio io_uring", fio_reads, .arg = &direct},
        {"file.direct4k_32", "us", reads, "fio io_uring", fio_reads, .arg = &many_direct,
         .note = "reads at random places of 256 MiB; the goal is 1 / 0.95 times fio's time"},
    };
    int rc = bench_main(argc, argv, "Files", cases, BENCH_COUNT(cases));
    remove_files();
    return rc;
}
