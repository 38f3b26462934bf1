/* SPDX-License-Identifier: MIT */
/*
 * Servers for tests, all by way of postgres.sh, whose folders these are.
 *
 * Criterion runs each test in a process that begins with main() again and inherits the environment.
 * So whoever comes first starts the server of the run and says so in the environment, and whoever
 * comes later finds it there: a server for a program, not for a test. Its owner, as postgres.sh has
 * it, is that first process, so nobody needs to stop it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "pg.h"

enum { SKIPPED = 77, LINE = 512 };

struct pg_private {
    char folder[64];
    char conninfo[LINE];
};

static void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- The script ------------------------------------------------------------------------------ */

/* Run postgres.sh with these words, up to a NULL. Gives its exit status. What it prints goes to
 * standard error, and it inherits no descriptor that a test has opened. */
static int script(const char *command, const char *folder, const char *first, const char *second,
                  const char *third)
{
    pid_t child = fork();
    if (child < 0)
        give_up("fork: %s", strerror(errno));
    if (child == 0) {
        dup2(2, 1);
        close_range(3, ~0U, 0);
        execl("/bin/sh", "sh", OURO_POSTGRES_SH, command, folder, first, second, third, NULL);
        _exit(126);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void must(const char *command, const char *folder)
{
    int status = script(command, folder, NULL, NULL, NULL);
    if (status != 0)
        give_up("postgres.sh %s %s: exit status %d", command, folder, status);
}

/* Start a server in a folder that is made for it; it ends with this process. Gives the script's
 * exit status. */
static int start(char *folder, const char *third)
{
    char owner[24];
    snprintf(owner, sizeof owner, "%d", (int)getpid());
    if (!mkdtemp(folder))
        give_up("%s: %s", folder, strerror(errno));

    char like[LINE] = "--tls";
    if (third)
        snprintf(like, sizeof like, "--like=%s", third);
    int status = script("start", folder, "--owner", owner, like);
    if (status != 0)
        rmdir(folder);
    return status;
}

/* The first line of a file, without its end; 0 if it cannot be read. */
static int read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int there = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (there)
        line[strcspn(line, "\n")] = '\0';
    return there;
}

/* ---- The server of the run ------------------------------------------------------------------- */

static void start_by_hand(void)
{
    char folder[] = "/tmp/ouro-test-pg.XXXXXX";
    int status = start(folder, NULL);
    if (status == SKIPPED)
        exit(SKIPPED);
    if (status != 0)
        give_up("no server could be started");

    char path[sizeof folder + 16];
    snprintf(path, sizeof path, "%s/conninfo", folder);
    setenv("OURO_TEST_PG", path, 1);
    snprintf(path, sizeof path, "%s/conninfo.tls", folder);
    setenv("OURO_TEST_PG_TLS", path, 1);
}

__attribute__((constructor)) static void have_server(void)
{
    const char *path = getenv("OURO_TEST_PG");
    if (!path) {
        start_by_hand();
    } else if (access(path, R_OK) != 0) {
        fprintf(stderr, "skipped: there is no PostgreSQL, or pg.start has failed: no %s\n", path);
        exit(SKIPPED);
    }
}

static const char *conninfo_in(const char *variable, char *line)
{
    const char *path = getenv(variable);
    if (!path || !read_line(path, line, LINE))
        give_up("%s, which %s names, cannot be read", path ? path : "nothing", variable);
    return line;
}

const char *pg_conninfo(void)
{
    static char line[LINE];
    return line[0] ? line : conninfo_in("OURO_TEST_PG", line);
}

const char *pg_conninfo_tls(void)
{
    static char line[LINE];
    return line[0] ? line : conninfo_in("OURO_TEST_PG_TLS", line);
}

int64_t pg_admin_at(const char *conninfo, const char *sql)
{
    PGconn *connection = PQconnectdb(conninfo);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        give_up("%s: %s", sql, PQerrorMessage(connection));

    const char *value = "0";
    if (PQntuples(result) > 0 && PQnfields(result) > 0)
        value = PQgetvalue(result, 0, 0);
    int64_t number = strcmp(value, "t") == 0 ? 1 : strtoll(value, NULL, 10);
    PQclear(result);
    PQfinish(connection);
    return number;
}

int64_t pg_admin(const char *sql)
{
    return pg_admin_at(pg_conninfo(), sql);
}

/* ---- Servers of a test's own ----------------------------------------------------------------- */

struct pg_private *pg_private_start(void)
{
    struct pg_private *server = calloc(1, sizeof *server);
    if (!server)
        give_up("no memory");

    char like[LINE];
    snprintf(like, sizeof like, "%s", getenv("OURO_TEST_PG"));
    *strrchr(like, '/') = '\0';
    strcpy(server->folder, "/tmp/ouro-test-pg.XXXXXX");
    if (start(server->folder, like) != 0)
        give_up("no private server could be started");

    char path[sizeof server->folder + 16];
    snprintf(path, sizeof path, "%s/conninfo", server->folder);
    if (!read_line(path, server->conninfo, sizeof server->conninfo))
        give_up("%s cannot be read", path);
    return server;
}

const char *pg_private_conninfo(const struct pg_private *server)
{
    return server->conninfo;
}

void pg_private_halt(struct pg_private *server)
{
    must("halt", server->folder);
}

void pg_private_restart(struct pg_private *server)
{
    must("restart", server->folder);
}

void pg_private_stop(struct pg_private *server)
{
    if (!server)
        return;
    must("stop", server->folder);
    free(server);
}
