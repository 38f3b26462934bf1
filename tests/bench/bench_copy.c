/* SPDX-License-Identifier: MIT */

/*
 * Copies of a whole file, beside cp(1): within one file system, source in the cache. The target is
 * written back and removed after each, outside the time that is taken.
 *
 * The files are in BENCH_DIR, or /var/tmp. That cp is a process that must be started is in its
 * figure, some milliseconds of a copy of 64 MiB.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peers.h"

#define MIB ((size_t)1 << 20)

static char from[256], to[256];
static size_t made; /* bytes of the source that is there */

static void remove_files(void)
{
    unlink(from);
    unlink(to);
}

static void make_source(size_t size)
{
    if (made == size)
        return;
    unsigned char *block = bench_alloc(MIB);
    for (size_t i = 0; i < MIB; i++)
        block[i] = (unsigned char)(i * 7 + i / 251);
    int fd = open(from, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    bench_check(fd < 0 ? -errno : 0, from);
    for (size_t at = 0; at < size; at += MIB)
        bench_check(write(fd, block, MIB) == (ssize_t)MIB ? 0 : -EIO, from);
    bench_check(fsync(fd) < 0 ? -errno : 0, "fsync");
    close(fd);
    free(block);
    made = size;
}

/* Check, write back and remove what was copied. */
static void end_round(size_t size)
{
    int fd = open(to, O_RDONLY | O_CLOEXEC);
    bench_check(fd < 0 || lseek(fd, 0, SEEK_END) != (off_t)size ? -EIO : 0, to);
    bench_check(fsync(fd) < 0 ? -errno : 0, "fsync");
    close(fd);
    unlink(to);
}

static int64_t copy(void *arg)
{
    uint64_t *took = arg;
    uint64_t start = bench_now();
    int64_t n = ouro_await(ouro_file_copy(from, to, NULL));
    *took = bench_now() - start;
    return n < 0 ? n : 0;
}

static double by_ouro(const void *arg)
{
    const size_t *size = arg;
    uint64_t took;
    make_source(*size);
    bench_run(copy, &took, 0);
    end_round(*size);
    return (double)took / 1e6;
}

static double by_cp(const void *arg)
{
    const size_t *size = arg;
    char text[8];
    make_source(*size);
    uint64_t start = bench_now();
    int status = bench_program((const char *[]){"cp", from, to, NULL}, text, sizeof text);
    double took = (double)(bench_now() - start) / 1e6;
    bench_check(status == 0 ? 0 : -EIO, "cp");
    end_round(*size);
    return took;
}

int main(int argc, char **argv)
{
    static const size_t small = 64 * MIB, large = 1024 * MIB;
    static const struct bench_case cases[] = {
        {"copy.64M", "ms", by_ouro, "cp", .rival = by_cp, .arg = &small},
        {"copy.1G", "ms", by_ouro, "cp", .rival = by_cp, .arg = &large,
         .note = "source in the cache, a new target in the same folder; not synced"},
    };
    const char *folder = getenv("BENCH_DIR");
    snprintf(from, sizeof(from), "%s/ouro-bench-from-%d", folder ? folder : "/var/tmp",
             (int)getpid());
    snprintf(to, sizeof(to), "%s/ouro-bench-to-%d", folder ? folder : "/var/tmp", (int)getpid());
    atexit(remove_files);
    return bench_main(argc, argv, "Copies of a whole file", cases, BENCH_COUNT(cases));
}
