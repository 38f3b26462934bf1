/* SPDX-License-Identifier: MIT */
/*
 * COPY: a CSV goes into a table, and out again, piece by piece: neither the file nor the table has
 * to fit into memory. A terminal sees how far it is.
 *
 * db_copy FILE: that file, whose first line has the columns' names. Without arguments: one that it
 * makes itself.
 */
#define _GNU_SOURCE
#include <ouro/ouro.h>
#include <ouro/pg.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)
#define ROWS  50000

static void show(const char *what, int64_t bytes)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s: %lld KiB ", what, (long long)(bytes >> 10));
}

/* ---- In -------------------------------------------------------------------------------------- */

static int64_t send_file(ouro_pg_copy *copy, ouro_file *file)
{
    static char piece[PIECE];
    int64_t n = 1, sent = 0;
    while (n > 0) {
        n = ouro_await(ouro_file_read(file, piece, sizeof piece, sent));
        if (n > 0)
            n = ouro_await(ouro_pg_copy_write(copy, piece, (size_t)n));
        sent += n > 0 ? n : 0;
        show("in", sent);
    }
    return n < 0 ? n : ouro_await(ouro_pg_copy_end(copy));
}

static int64_t copy_in(ouro_pg *pg, const char *path)
{
    int64_t rc;
    ouro_file *file = ouro_await_ptr(ouro_file_open(path, O_RDONLY, NULL), &rc);
    if (!file)
        return rc;
    ouro_pg_copy *copy = ouro_await_ptr(
        ouro_pg_copy_open(pg, "COPY ouro_measures FROM STDIN (FORMAT csv, HEADER)", NULL), &rc);
    if (copy)
        rc = send_file(copy, file);
    ouro_pg_copy_free(copy);
    ouro_file_free(file);
    return rc;
}

/* ---- Out ------------------------------------------------------------------------------------- */

static int64_t copy_out(ouro_pg *pg)
{
    int64_t rc, bytes = 0;
    const void *row;
    ouro_pg_copy *copy = ouro_await_ptr(
        ouro_pg_copy_open(pg, "COPY ouro_measures TO STDOUT (FORMAT csv, HEADER)", NULL), &rc);
    if (!copy)
        return rc;
    while ((rc = ouro_await(ouro_pg_copy_next(copy, &row))) > 0)
        bytes += rc;
    show("out", bytes);
    printf("out: %lld rows, %lld bytes\n", (long long)ouro_pg_copy_rows(copy), (long long)bytes);
    ouro_pg_copy_free(copy);
    return rc;
}

/* ---- The demonstration ----------------------------------------------------------------------- */

static int64_t make_csv(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return -1;
    fprintf(f, "id,place,degrees\n");
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "%d,\"place \"\"%d\"\", here\",%d.5\n", i, i % 100, i % 40);
    return fclose(f) == 0 ? 0 : -1;
}

static int64_t both_ways(ouro_pg *pg, const char *path)
{
    int64_t rc = ouro_await(ouro_pg_script(
        pg, "CREATE TEMP TABLE ouro_measures (id int, place text, degrees numeric)", NULL));
    if (rc >= 0)
        rc = copy_in(pg, path);
    if (rc >= 0) {
        printf("in: %lld rows\n", (long long)rc);
        rc = copy_out(pg);
    }
    return rc;
}

static int64_t run(void *arg)
{
    char **argv = arg, path[] = "/tmp/ouro_db_copy_XXXXXX";
    int64_t rc;
    ouro_future *f = ouro_ref(ouro_pg_connect("", NULL));
    ouro_pg *pg = ouro_await_ptr(f, &rc);
    if (!pg)
        fprintf(stderr, "db_copy: %s\n", ouro_future_detail(f));
    ouro_unref(f);
    if (!pg)
        return rc;
    if (argv[1]) {
        rc = both_ways(pg, argv[1]);
    } else {
        int fd = mkstemp(path);
        rc = fd < 0 ? -1 : make_csv(path);
        if (rc >= 0)
            rc = both_ways(pg, path);
        unlink(path);
        close(fd);
    }
    ouro_pg_free(pg);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: db_copy [FILE]\n");
        return 2;
    }
    int64_t rc = ouro_run(run, argv, NULL);
    if (rc < 0)
        fprintf(stderr, "db_copy: %s\n", ouro_strerror(rc));
    return ouro_exit_code(rc);
}
