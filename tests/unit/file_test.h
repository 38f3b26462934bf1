/* SPDX-License-Identifier: MIT */
#ifndef OURO_FILE_TEST_H
#define OURO_FILE_TEST_H

/*
 * What the tests of files share: folders on a disk and in memory, and calls that wait.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "harness.h"

/* A test that runs in a folder of its own: on a disk, in memory. */
#define FileTest(suite, name)                                  \
    static int64_t suite##_##name(void *unused);               \
    Test(suite, name)                                          \
    {                                                          \
        const char *const places[] = {"/var/tmp", "/dev/shm"}; \
        for (int i = 0; i < 2; i++) {                          \
            go_to_folder(places[i]);                           \
            begin_kernel();                                    \
            check_eq(run_main(suite##_##name, NULL), 0);       \
            end();                                             \
            leave_folder();                                    \
        }                                                      \
    }                                                          \
    static int64_t suite##_##name(void *unused __attribute__((unused)))

static inline ouro_file *open_file(const char *path, int flags)
{
    int64_t rc;
    ouro_file *f = ouro_await_ptr(ouro_file_open(path, flags, NULL), &rc);
    check_eq(rc, 0);
    check(f);
    return f;
}

/* A file with that in it, open for both. */
static inline ouro_file *file_with(const char *path, const char *text)
{
    ouro_file *f = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
    check_eq(ouro_await(ouro_file_write(f, text, strlen(text), 0)), (int64_t)strlen(text));
    return f;
}

static inline void close_file(ouro_file *f)
{
    check_eq(ouro_await(ouro_file_close(f)), 0);
    check(!ouro_file_free(f));
}

/* What a file has in it, by the plain way. */
static inline size_t contents(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    check(fd >= 0);
    ssize_t n = read(fd, buf, size - 1);
    check(n >= 0);
    buf[n] = '\0';
    close(fd);
    return (size_t)n;
}

#define check_contents(path, text)                            \
    do {                                                      \
        char contents_buf[256];                               \
        contents((path), contents_buf, sizeof(contents_buf)); \
        check_text(contents_buf, (text));                     \
    } while (0)

/* Bytes that differ from place to place. */
static inline void fill(char *buf, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf[i] = (char)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

#endif
