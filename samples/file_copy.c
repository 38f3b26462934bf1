/* SPDX-License-Identifier: MIT */
/*
 * Copy a file: file_copy FROM TO. A terminal sees a bar, anybody else a line for each quarter.
 * Interrupted, it leaves the target as it was.
 *
 * Without arguments it copies a file that it makes itself.
 */
#include <ouro/ouro.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 50

struct view {
    int is_terminal;
    unsigned quarters; /* that have been told */
};

static void draw_bar(uint64_t percent)
{
    char bar[WIDTH + 1];
    size_t full = percent * WIDTH / 100;
    memset(bar, '.', WIDTH);
    memset(bar, '#', full);
    bar[WIDTH] = '\0';
    printf("\r[%s] %3u %%%s", bar, (unsigned)percent, percent == 100 ? "\n" : "");
    fflush(stdout);
}

static void show(uint64_t done, uint64_t total, void *arg)
{
    struct view *view = arg;
    uint64_t percent = done < total ? done * 100 / total : 100;
    if (view->is_terminal)
        draw_bar(percent);
    else
        while (view->quarters < percent / 25)
            printf("%u %%\n", ++view->quarters * 25);
}

/* What it comes to; an error has been told then. */
static int64_t copy(const char *from, const char *to)
{
    struct view view = {.is_terminal = isatty(STDOUT_FILENO)};
    ouro_future *f = ouro_file_copy(from, to, &(ouro_copy_options){.progress = show, .arg = &view});
    int64_t n = ouro_await(ouro_ref(f));
    if (n < 0) {
        const char *detail = ouro_future_detail(f);
        fprintf(stderr, "%s: %s\n", detail ? detail : "file_copy", ouro_strerror(n));
    }
    ouro_unref(f);
    return n;
}

/* ---- By itself ------------------------------------------------------------------------------- */

#define SIZE ((size_t)32 << 20)

static int64_t make_and_copy(const char *folder)
{
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/from", folder);
    snprintf(to, sizeof to, "%s/to", folder);
    char *bytes = malloc(SIZE);
    if (!bytes)
        return -1;
    memset(bytes, 'x', SIZE);
    int64_t n = ouro_await(ouro_file_write_atomic(from, bytes, SIZE, NULL));
    if (n >= 0)
        n = copy(from, to);
    int64_t size = 0;
    char *copied = n < 0 ? NULL : ouro_await_ptr(ouro_file_read_all(to, NULL), &size);
    if (copied)
        printf("%lld bytes, %s\n", (long long)n,
               size == n && memcmp(copied, bytes, SIZE) == 0 ? "the same" : "not the same");
    ouro_file_bytes_free(copied);
    free(bytes);
    return n < 0 ? n : size;
}

static int64_t demonstrate(void)
{
    int64_t rc;
    ouro_temp *t = ouro_await_ptr(ouro_temp_open(&(ouro_temp_options){.kind = OURO_TEMP_FOLDER}),
                                  &rc);
    if (!t)
        return rc;
    rc = make_and_copy(ouro_temp_path(t));
    ouro_temp_free(t); /* with all that is in it */
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

static int64_t run(void *arg)
{
    char **argv = arg;
    return argv[1] ? copy(argv[1], argv[2]) : demonstrate();
}

int main(int argc, char **argv)
{
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: file_copy [FROM TO]\n");
        return 2;
    }
    return ouro_run(run, argv, NULL) < 0;
}
