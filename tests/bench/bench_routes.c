/* SPDX-License-Identifier: MIT */

/*
 * What a file operation costs by each of the ways there are: the table from which
 * adapters/file/handle/route.c was made.
 *
 * Each case is one operation by one way, alone or 32 at once, on one file system; the rival is the
 * plain system call, on the same files. The ways are the ring, a thread of the disk lane, and an
 * attempt that does not wait (RWF_NOWAIT, RESOLVE_CACHED) where there is one. The folder on a disk
 * is BENCH_DIR, or /var/tmp.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ouro/uring.h>

#include "bench.h"

#define DEPTH_MAX 32u
#define FILE_SIZE ((size_t)64 << 20)
#define BLOCK_MAX ((size_t)1 << 20)
#define BUDGET    OURO_MS(60) /* of a round */

/* ---- The files ------------------------------------------------------------------------------- */

static int file = -1;
static int folder = -1;
static char *blocks;      /* one for each place */
static unsigned drawn;    /* for places in the file that are neither in order nor the same */
static size_t block_size; /* of the case */
static struct statx answers[DEPTH_MAX];
static char names[DEPTH_MAX][2][16];

static const char *place_of(bool memory)
{
    const char *disk = getenv("BENCH_DIR");
    return memory ? "/dev/shm" : disk ? disk : "/var/tmp";
}

static void set_up(bool memory)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/ouro-bench-XXXXXX", place_of(memory));
    if (!mkdtemp(path))
        bench_fail("%s: %s", path, strerror(errno));
    folder = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    file = openat(folder, "data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    blocks = bench_alloc(DEPTH_MAX * BLOCK_MAX);
    memset(blocks, 7, DEPTH_MAX * BLOCK_MAX);
    for (size_t at = 0; at < FILE_SIZE; at += BLOCK_MAX)
        bench_check(pwrite(file, blocks, BLOCK_MAX, (off_t)at), "pwrite");
    fsync(file);
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        snprintf(names[i][0], sizeof(names[i][0]), "a%u", i);
        snprintf(names[i][1], sizeof(names[i][1]), "b%u", i);
    }
}

static void tear_down(void)
{
    if (folder < 0)
        return;
    char link[64], path[256];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    unlinkat(folder, "data", 0);
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        for (int j = 0; j < 2; j++) {
            unlinkat(folder, names[i][j], 0);
            unlinkat(folder, names[i][j], AT_REMOVEDIR);
        }
    close(file);
    close(folder);
    if (n > 0) {
        path[n] = '\0';
        rmdir(path);
    }
    free(blocks);
    folder = -1;
}

/* Have the files on a disk, or in memory; made once for all the cases that follow each other. */
static void use(bool memory)
{
    static bool used;
    if (folder >= 0 && used == memory)
        return;
    tear_down();
    set_up(memory);
    used = memory;
}

static off_t somewhere(void)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (off_t)((drawn >> 8) % (FILE_SIZE / block_size) * block_size);
}

static char *block(unsigned i)
{
    return blocks + i * BLOCK_MAX;
}

/* ---- The operations: as an entry of the ring, plainly, and without waiting ------------------- */

static void ring_read(struct io_uring_sqe *sqe, unsigned i)
{
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_READ,
                                 .fd = file,
                                 .addr = (uintptr_t)block(i),
                                 .len = (uint32_t)block_size,
                                 .off = (uint64_t)somewhere()};
}

static void ring_read_async(struct io_uring_sqe *sqe, unsigned i)
{
    ring_read(sqe, i);
    sqe->flags = IOSQE_ASYNC;
}

static int64_t plain_read(unsigned i)
{
    return pread(file, block(i), block_size, somewhere());
}

static int64_t try_read(unsigned i)
{
    struct iovec iov = {block(i), block_size};
    return preadv2(file, &iov, 1, somewhere(), RWF_NOWAIT);
}

static void ring_write(struct io_uring_sqe *sqe, unsigned i)
{
    ring_read(sqe, i);
    sqe->opcode = IORING_OP_WRITE;
}

static int64_t plain_write(unsigned i)
{
    return pwrite(file, block(i), block_size, somewhere());
}

static int64_t try_write(unsigned i)
{
    struct iovec iov = {block(i), block_size};
    return pwritev2(file, &iov, 1, somewhere(), RWF_NOWAIT);
}

static void ring_stat(struct io_uring_sqe *sqe, unsigned i)
{
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_STATX,
                                 .fd = folder,
                                 .addr = (uintptr_t) "data",
                                 .len = STATX_BASIC_STATS,
                                 .off = (uintptr_t)&answers[i]};
}

static int64_t plain_stat(unsigned i)
{
    return statx(folder, "data", 0, STATX_BASIC_STATS, &answers[i]);
}

static int64_t try_stat(unsigned i)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
    int fd = (int)syscall(SYS_openat2, folder, "data", &how, sizeof(how));
    if (fd < 0)
        return -1;
    int rc = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &answers[i]);
    close(fd);
    return rc;
}

static void ring_stat_fd(struct io_uring_sqe *sqe, unsigned i)
{
    ring_stat(sqe, i);
    sqe->fd = file;
    sqe->addr = (uintptr_t) "";
    sqe->statx_flags = AT_EMPTY_PATH;
}

static int64_t plain_stat_fd(unsigned i)
{
    return statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &answers[i]);
}

static int64_t try_stat_fd(unsigned i)
{
    return statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &answers[i]);
}

static void ring_truncate(struct io_uring_sqe *sqe, unsigned i)
{
    (void)i;
    *sqe = (struct io_uring_sqe){.opcode = 55, .fd = file, .off = FILE_SIZE};
}

static int64_t plain_truncate(unsigned i)
{
    (void)i;
    return ftruncate(file, (off_t)FILE_SIZE);
}

static void ring_allocate(struct io_uring_sqe *sqe, unsigned i)
{
    (void)i;
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_FALLOCATE, .fd = file, .addr = 4096};
}

static int64_t plain_allocate(unsigned i)
{
    (void)i;
    return fallocate(file, 0, 0, 4096);
}

static void ring_advise(struct io_uring_sqe *sqe, unsigned i)
{
    (void)i;
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_FADVISE,
                                 .fd = file,
                                 .len = 4096,
                                 .fadvise_advice = POSIX_FADV_WILLNEED};
}

static int64_t plain_advise(unsigned i)
{
    (void)i;
    return posix_fadvise(file, 0, 4096, POSIX_FADV_WILLNEED);
}

static void ring_open(struct io_uring_sqe *sqe, unsigned i)
{
    static const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    (void)i;
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT2,
                                 .fd = folder,
                                 .addr = (uintptr_t) "data",
                                 .len = sizeof(how),
                                 .off = (uintptr_t)&how};
}

static int64_t plain_open(unsigned i)
{
    (void)i;
    return openat(folder, "data", O_RDONLY | O_CLOEXEC);
}

static int64_t try_open(unsigned i)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_CACHED};
    (void)i;
    return syscall(SYS_openat2, folder, "data", &how, sizeof(how));
}

static void make_files(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unlinkat(folder, names[i][1], 0);
        close(openat(folder, names[i][0], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
}

static void make_folders(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        unlinkat(folder, names[i][0], AT_REMOVEDIR);
}

static void ring_rename(struct io_uring_sqe *sqe, unsigned i)
{
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_RENAMEAT,
                                 .fd = folder,
                                 .addr = (uintptr_t)names[i][0],
                                 .len = (uint32_t)folder,
                                 .off = (uintptr_t)names[i][1]};
}

static int64_t plain_rename(unsigned i)
{
    return renameat(folder, names[i][0], folder, names[i][1]);
}

static void ring_unlink(struct io_uring_sqe *sqe, unsigned i)
{
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_UNLINKAT, .fd = folder, .addr = (uintptr_t)names[i][0]};
}

static int64_t plain_unlink(unsigned i)
{
    return unlinkat(folder, names[i][0], 0);
}

static void ring_mkdir(struct io_uring_sqe *sqe, unsigned i)
{
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_MKDIRAT, .fd = folder, .addr = (uintptr_t)names[i][0], .len = 0700};
}

static int64_t plain_mkdir(unsigned i)
{
    return mkdirat(folder, names[i][0], 0700);
}

static void remove_files(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        unlinkat(folder, names[i][0], 0);
}

static void ring_create(struct io_uring_sqe *sqe, unsigned i)
{
    static const struct open_how how = {.flags = O_WRONLY | O_CREAT | O_CLOEXEC, .mode = 0600};
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT2,
                                 .fd = folder,
                                 .addr = (uintptr_t)names[i][0],
                                 .len = sizeof(how),
                                 .off = (uintptr_t)&how};
}

static int64_t plain_create(unsigned i)
{
    return openat(folder, names[i][0], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

/* Dirty one page, which is not part of the time. */
static void dirty(unsigned n)
{
    block_size = 4096;
    for (unsigned i = 0; i < n; i++)
        bench_check(plain_write(i), "pwrite");
}

static void ring_fdatasync(struct io_uring_sqe *sqe, unsigned i)
{
    (void)i;
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_FSYNC, .fd = file, .fsync_flags = IORING_FSYNC_DATASYNC};
}

static int64_t plain_fdatasync(unsigned i)
{
    (void)i;
    return fdatasync(file);
}

struct op {
    const char *name;
    size_t block_size;
    void (*sqe)(struct io_uring_sqe *sqe, unsigned i);
    int64_t (*plain)(unsigned i);
    int64_t (*attempt)(unsigned i);
    void (*before)(unsigned n); /* each batch */
    bool opens;
};

/* ---- The ways -------------------------------------------------------------------------------- */

enum way { RING, LANE, TRY, PLAIN };

struct route {
    const struct op *op;
    enum way way;
    unsigned depth;
    bool memory;
};

static int64_t in_lane(void *arg)
{
    const struct route *r = ((void **)arg)[0];
    return r->op->plain((unsigned)(uintptr_t)((void **)arg)[1]);
}

static int64_t go_asynchronously(const struct route *r)
{
    ouro_future *fs[DEPTH_MAX];
    void *args[DEPTH_MAX][2];
    int64_t last = 0;
    for (unsigned i = 0; i < r->depth; i++) {
        struct io_uring_sqe sqe;
        if (r->way == RING) {
            r->op->sqe(&sqe, i);
            fs[i] = ouro_uring_op(&sqe, &(ouro_uring_options){.result_is_fd = r->op->opens});
        } else {
            args[i][0] = (void *)(uintptr_t)r;
            args[i][1] = (void *)(uintptr_t)i;
            fs[i] = ouro_offload_with(in_lane, args[i],
                                      &(ouro_offload_options){.lane = OURO_LANE_DISK});
        }
    }
    for (unsigned i = 0; i < r->depth; i++) {
        int64_t n = ouro_await(fs[i]);
        if (n < 0)
            last = n;
        if (r->op->opens && n >= 0)
            close((int)n);
    }
    return last;
}

static int64_t go_plainly(const struct route *r)
{
    int64_t (*call)(unsigned) = r->way == TRY ? r->op->attempt : r->op->plain;
    for (unsigned i = 0; i < r->depth; i++) {
        int64_t n = call(i);
        if (n < 0)
            return -errno;
        if (r->op->opens)
            close((int)n);
    }
    return 0;
}

struct run {
    const struct route *route;
    double each;
};

static int64_t go(void *arg)
{
    struct run *run = arg;
    const struct route *r = run->route;
    uint64_t spent = 0, n = 0;
    for (unsigned warm = 10; spent < bench_round_time(BUDGET) || warm; n += r->depth) {
        block_size = r->op->block_size;
        if (r->op->before)
            r->op->before(r->depth);
        uint64_t start = bench_now();
        int64_t rc = r->way == RING || r->way == LANE ? go_asynchronously(r) : go_plainly(r);
        spent += bench_now() - start;
        if (rc == -EOPNOTSUPP || rc == -EAGAIN || rc == -EINVAL) {
            run->each = NAN;
            return 0;
        }
        bench_check(rc, r->op->name);
        if (warm && --warm == 0)
            spent = n = 0;
    }
    run->each = (double)spent / (double)n / 1000.0;
    return 0;
}

static double by(const struct route *r, enum way way)
{
    struct route route = *r;
    struct run run = {.route = &route, .each = NAN};
    route.way = way;
    if (route.way == TRY && !route.op->attempt)
        return NAN;
    use(r->memory);
    bench_run(go, &run, 0);
    return run.each;
}

static double by_route(const void *arg)
{
    const struct route *r = arg;
    return by(r, r->way);
}

static double by_plain_call(const void *arg)
{
    return by(arg, PLAIN);
}

#define KIB(n) ((size_t)(n) << 10)

static const struct op ops[] = {
    {"read4k", KIB(4), ring_read, plain_read, try_read, NULL, false},
    {"read64k", KIB(64), ring_read, plain_read, try_read, NULL, false},
    {"read1m", KIB(1024), ring_read, plain_read, try_read, NULL, false},
    {"read1m_async", KIB(1024), ring_read_async, plain_read, NULL, NULL, false},
    {"write4k", KIB(4), ring_write, plain_write, try_write, NULL, false},
    {"write64k", KIB(64), ring_write, plain_write, try_write, NULL, false},
    {"write1m", KIB(1024), ring_write, plain_write, try_write, NULL, false},
    {"stat", KIB(4), ring_stat, plain_stat, try_stat, NULL, false},
    {"stat_fd", KIB(4), ring_stat_fd, plain_stat_fd, try_stat_fd, NULL, false},
    {"truncate", KIB(4), ring_truncate, plain_truncate, NULL, NULL, false},
    {"allocate", KIB(4), ring_allocate, plain_allocate, NULL, NULL, false},
    {"advise", KIB(4), ring_advise, plain_advise, NULL, NULL, false},
    {"open", KIB(4), ring_open, plain_open, try_open, NULL, true},
    {"create", KIB(4), ring_create, plain_create, NULL, remove_files, true},
    {"rename", KIB(4), ring_rename, plain_rename, NULL, make_files, false},
    {"unlink", KIB(4), ring_unlink, plain_unlink, NULL, make_files, false},
    {"mkdir", KIB(4), ring_mkdir, plain_mkdir, NULL, make_folders, false},
    {"fdatasync", KIB(4), ring_fdatasync, plain_fdatasync, NULL, dirty, false},
};

#define CASES (BENCH_COUNT(ops) * 3 * 2 * 2)

static struct route routes[CASES];
static char case_names[CASES][64];
static struct bench_case cases[CASES];

static void add(size_t at, const struct op *op, enum way way, unsigned depth, bool memory)
{
    static const char *const ways[] = {"ring", "lane", "try"};
    routes[at] = (struct route){op, way, depth, memory};
    snprintf(case_names[at], sizeof(case_names[at]), "route.%s.%s.%s.%u", memory ? "tmpfs" : "disk",
             op->name, ways[way], depth);
    cases[at] = (struct bench_case){
        .name = case_names[at],
        .unit = "us",
        .ouro = by_route,
        .rival_name = "plain call",
        .rival = by_plain_call,
        .arg = &routes[at],
    };
}

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int memory = 0; memory < 2; memory++)
        for (size_t i = 0; i < BENCH_COUNT(ops); i++)
            for (enum way way = RING; way <= TRY; way++)
                for (unsigned depth = 1; depth <= DEPTH_MAX; depth += DEPTH_MAX - 1)
                    if (way != TRY || ops[i].attempt)
                        add(n++, &ops[i], way, depth, memory);
    int rc = bench_main(argc, argv, "File operations by each way", cases, n);
    tear_down();
    return rc;
}
