/* SPDX-License-Identifier: MIT */
#ifndef OURO_TREE_TEST_H
#define OURO_TREE_TEST_H

/*
 * What tests of whole files and folders share.
 */

#include "folder.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A task on the kernel whose working directory is a new folder. */
#define FolderTest(suite, name)       \
    static int64_t body_##name(void); \
    KernelTest(suite, name)           \
    {                                 \
        go_to_folder("/tmp");         \
        int64_t rc = body_##name();   \
        leave_folder();               \
        return rc;                    \
    }                                 \
    static int64_t body_##name(void)

/* A file of @size bytes that are told apart by where they are. */
static inline void make_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "w");
    check(f != NULL);
    for (size_t i = 0; i < size; i++)
        fputc((int)(i * 7 + i / 251 + i / 65521), f);
    check_eq(fclose(f), 0);
}

static inline void make_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    check(f != NULL);
    fputs(text, f);
    check_eq(fclose(f), 0);
}

static inline bool same_content(const char *a, const char *b)
{
    FILE *fa = fopen(a, "r"), *fb = fopen(b, "r");
    check(fa && fb);
    static char bytes_a[65536], bytes_b[65536];
    size_t n;
    bool same = true;
    do {
        n = fread(bytes_a, 1, sizeof bytes_a, fa);
        same = fread(bytes_b, 1, sizeof bytes_b, fb) == n && memcmp(bytes_a, bytes_b, n) == 0;
    } while (same && n > 0);
    fclose(fa);
    fclose(fb);
    return same;
}

static inline bool has_text(const char *path, const char *text)
{
    char bytes[256] = "";
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(bytes, 1, sizeof bytes - 1, f);
    fclose(f);
    return n == strlen(text) && strcmp(bytes, text) == 0;
}

static inline bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline mode_t mode_of(const char *path)
{
    struct stat st;
    check_eq(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* How many names there are in the working directory. */
static inline unsigned count_names(void)
{
    FILE *f = popen("ls -A | wc -l", "r");
    unsigned n = 0;
    check(f && fscanf(f, "%u", &n) == 1);
    check_eq(pclose(f), 0);
    return n;
}

/* Wait for @f, which fails with @rc, and with words that have @part in them. */
static inline void check_fails(ouro_future *f, int64_t rc, const char *part)
{
    check_eq(ouro_await(ouro_ref(f)), rc);
    const char *words = ouro_future_detail(f);
    check(!part || (words && strstr(words, part)));
    ouro_unref(f);
}

/* From now on threads that are started see a file system without files that have no name. */
static inline void refuse_unnamed_files(void)
{
    const unsigned unnamed = O_TMPFILE & ~O_DIRECTORY;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, unnamed, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    check_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    check_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* From now on there can be no descriptor more; the limit of before. */
static inline struct rlimit no_more_descriptors(void)
{
    struct rlimit before;
    check_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    check(next >= 0);
    close(next);
    struct rlimit now = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    check_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
    return before;
}

#endif
