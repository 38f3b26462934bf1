/* SPDX-License-Identifier: MIT */

/*
 * PostgreSQL: what a query costs through pool and coroutine, beside libpq driven by hand in an
 * epoll loop, beside pgbench and asyncpg.
 *
 * The program and its rivals run on one processor, the server on another. Each case is measured
 * twice: by the clock, and by the processor time that the client takes, since the server is most of
 * the former. A query is a prepared one that returns its parameter; a batch has 100 of them.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ouro/pg.h>

#include "bench.h"
#include "peers.h"
#include "pg.h"

#define QUERIES   12000u
#define BATCH     100u
#define BATCHES   300u
#define ROWS      300000
#define CONNS_MAX 64u

static const char query[] = "SELECT $1::int4";
static const char row_query[] =
    "SELECT i, 'name ' || i, i * 0.5::float8 FROM generate_series(1, 300000) i";

enum what { BY_CLOCK, BY_CPU };

struct job {
    enum what what;
    unsigned connections;
    double figure;
};

/* ---- Measuring ------------------------------------------------------------------------------- */

static uint64_t begin(enum what what)
{
    return what == BY_CLOCK ? bench_now() : bench_cpu();
}

static double end(enum what what, uint64_t start, double n)
{
    return what == BY_CLOCK ? bench_per(start, n) : bench_cpu_per(start, n);
}

/* A loop that looks at the ring before it sleeps saves time for processor time, which its rivals do
 * not: it does not do so where the latter is what is measured. */
static ouro_ns spin_for(const struct job *job)
{
    return job->what == BY_CPU ? OURO_FOREVER : 0;
}

/* The server's processes have the other processor: the postmaster is the parent of any. */
static void move_server_away(void)
{
    static int done;
    char path[64], text[256] = "";
    int parent = 0, cpu = bench_other_cpu();
    if (done++ || cpu < 0)
        return;
    PGconn *db = PQconnectdb(pg_conninfo());
    snprintf(path, sizeof path, "/proc/%d/stat", PQbackendPID(db));
    FILE *f = fopen(path, "r");
    if (f && fgets(text, sizeof text, f) && strrchr(text, ')'))
        sscanf(strrchr(text, ')') + 1, " %*c %d", &parent);
    if (f)
        fclose(f);
    PQfinish(db);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (parent <= 1 || sched_setaffinity(parent, sizeof set, &set) < 0)
        bench_skip("the server shares the client's processor");
}

/* ---- ouro ------------------------------------------------------------------------------------ */

struct asker {
    ouro_pg_pool *pool;
    unsigned queries;
};

static int64_t ask(void *arg)
{
    struct asker *a = arg;
    for (unsigned i = 0; i < a->queries; i++) {
        int64_t rc;
        ouro_pg_value v = ouro_pg_int(i);
        ouro_pg_result *r = ouro_await_ptr(ouro_pg_pool_query(a->pool, query, &v, 1, NULL), &rc);
        bench_check(rc, query);
        ouro_pg_result_free(r);
    }
    return 0;
}

static void ask_all(ouro_pg_pool *pool, unsigned tasks, unsigned queries)
{
    struct asker a = {pool, queries / tasks};
    ouro_future *f[CONNS_MAX];
    for (unsigned i = 0; i < tasks; i++)
        f[i] = ouro_spawn(ask, &a);
    bench_check(ouro_await(ouro_gather(f, tasks, OURO_GATHER_ALL, NULL)), "queries");
}

static ouro_pg_pool *pool_of(unsigned connections)
{
    ouro_pg_pool *pool;
    ouro_pg_pool_options opts = {.min = (int)connections, .max = (int)connections};
    bench_check(ouro_pg_pool_new(pg_conninfo(), &opts, &pool), "pool");
    bench_check(ouro_await(ouro_pg_pool_ready(pool)), "connections");
    return pool;
}

static void drop(ouro_pg_pool *pool)
{
    bench_check(ouro_await(ouro_pg_pool_close(pool, OURO_SEC(5))), "close");
    ouro_pg_pool_free(pool);
}

static int64_t point_queries(void *arg)
{
    struct job *job = arg;
    ouro_pg_pool *pool = pool_of(job->connections);
    ask_all(pool, job->connections, 20 * job->connections);
    uint64_t start = begin(job->what);
    ask_all(pool, job->connections, QUERIES);
    job->figure = end(job->what, start, QUERIES);
    drop(pool);
    return 0;
}

static double ouro_points(const void *arg)
{
    struct job job = *(const struct job *)arg;
    move_server_away();
    bench_run(point_queries, &job, spin_for(&job));
    return job.figure;
}

static void one_batch(ouro_pg *pg)
{
    ouro_pg_statement statements[BATCH];
    ouro_pg_value values[BATCH];
    ouro_result results[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        values[i] = ouro_pg_int(i);
        statements[i] = (ouro_pg_statement){query, &values[i], 1};
    }
    bench_check(ouro_await(ouro_pg_batch(pg, statements, BATCH, results, NULL)), "batch");
    for (unsigned i = 0; i < BATCH; i++)
        ouro_pg_result_free(results[i].ptr);
}

static int64_t batches(void *arg)
{
    struct job *job = arg;
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(pg_conninfo(), NULL), &rc);
    bench_check(rc, "connect");
    for (unsigned i = 0; i < 5; i++)
        one_batch(pg);
    uint64_t start = begin(job->what);
    for (unsigned i = 0; i < BATCHES; i++)
        one_batch(pg);
    job->figure = end(job->what, start, BATCHES * BATCH);
    ouro_pg_free(pg);
    return 0;
}

static double ouro_batches(const void *arg)
{
    struct job job = *(const struct job *)arg;
    move_server_away();
    bench_run(batches, &job, spin_for(&job));
    return job.figure;
}

static int64_t look_at(const ouro_pg_result *some, int64_t rows)
{
    int64_t sum = 0, value;
    for (int64_t row = 0; row < rows; row++) {
        bench_check(ouro_pg_int_at(some, row, 0, &value), "value");
        sum += value;
    }
    return sum;
}

static int64_t stream(void *arg)
{
    struct job *job = arg;
    int64_t rc, sum = 0;
    ouro_pg_result *some;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(pg_conninfo(), NULL), &rc);
    bench_check(rc, "connect");
    uint64_t start = begin(job->what);
    ouro_pg_stream *s = ouro_await_ptr(ouro_pg_stream_open(pg, row_query, NULL, 0, NULL), &rc);
    bench_check(rc, row_query);
    while ((some = ouro_await_ptr(ouro_pg_stream_next(s), &rc))) {
        sum += look_at(some, rc);
        ouro_pg_result_free(some);
    }
    job->figure = end(job->what, start, ROWS);
    bench_check(sum == (int64_t)ROWS * (ROWS + 1) / 2 ? 0 : -EIO, "rows");
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

static double ouro_rows(const void *arg)
{
    struct job job = *(const struct job *)arg;
    move_server_away();
    bench_run(stream, &job, spin_for(&job));
    return job.figure;
}

/* ---- libpq by hand --------------------------------------------------------------------------- */

static PGconn *bare_connect(void)
{
    PGconn *db = PQconnectdb(pg_conninfo());
    bench_check(PQstatus(db) == CONNECTION_OK ? 0 : -ECONNREFUSED, "libpq");
    PQclear(PQprepare(db, "q", query, 0, NULL));
    PQsetnonblocking(db, 1);
    return db;
}

static void bare_send(PGconn *db, unsigned i)
{
    char text[16];
    const char *values[] = {text};
    snprintf(text, sizeof text, "%u", i);
    bench_check(PQsendQueryPrepared(db, "q", 1, values, NULL, NULL, 0) ? 0 : -EIO, "libpq");
}

static void bare_ask(PGconn *db, unsigned i)
{
    bare_send(db, i);
    PQflush(db);
}

/* Whether the answer is whole: taken, and nothing runs any more. */
static int bare_take(PGconn *db)
{
    PGresult *r;
    PQconsumeInput(db);
    while (!PQisBusy(db)) {
        r = PQgetResult(db);
        if (!r)
            return 1;
        bench_check(PQresultStatus(r) == PGRES_TUPLES_OK ? 0 : -EIO, "libpq");
        PQclear(r);
    }
    return 0;
}

static void bare_loop(PGconn **db, unsigned connections, int epoll, unsigned queries)
{
    struct epoll_event events[CONNS_MAX];
    unsigned sent = 0, done = 0;
    for (unsigned i = 0; i < connections; i++)
        bare_ask(db[i], sent++);
    while (done < queries) {
        int n = epoll_wait(epoll, events, (int)connections, -1);
        for (int i = 0; i < n; i++) {
            PGconn *one = events[i].data.ptr;
            if (!bare_take(one))
                continue;
            done++;
            if (sent < queries)
                bare_ask(one, sent++);
        }
    }
}

static double bare_points(const void *arg)
{
    const struct job *job = arg;
    PGconn *db[CONNS_MAX];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    move_server_away();
    for (unsigned i = 0; i < job->connections; i++) {
        db[i] = bare_connect();
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = db[i]};
        bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, PQsocket(db[i]), &e), "epoll");
    }
    bare_loop(db, job->connections, epoll, 20 * job->connections);
    uint64_t start = begin(job->what);
    bare_loop(db, job->connections, epoll, QUERIES);
    double figure = end(job->what, start, QUERIES);
    for (unsigned i = 0; i < job->connections; i++)
        PQfinish(db[i]);
    close(epoll);
    return figure;
}

static void bare_wait(PGconn *db, short events)
{
    struct pollfd p = {.fd = PQsocket(db), .events = events};
    poll(&p, 1, -1);
}

static void bare_batch(PGconn *db)
{
    for (unsigned i = 0; i < BATCH; i++)
        bare_send(db, i);
    PQpipelineSync(db);
    while (PQflush(db) == 1)
        bare_wait(db, POLLOUT);
    for (unsigned synced = 0; !synced;) {
        while (PQisBusy(db)) {
            bare_wait(db, POLLIN);
            PQconsumeInput(db);
        }
        PGresult *r = PQgetResult(db);
        synced = PQresultStatus(r) == PGRES_PIPELINE_SYNC;
        PQclear(r);
    }
}

static double bare_batches(const void *arg)
{
    const struct job *job = arg;
    move_server_away();
    PGconn *db = bare_connect();
    PQenterPipelineMode(db);
    bare_batch(db);
    uint64_t start = begin(job->what);
    for (unsigned i = 0; i < BATCHES; i++)
        bare_batch(db);
    double figure = end(job->what, start, BATCHES * BATCH);
    PQfinish(db);
    return figure;
}

static double bare_rows(const void *arg)
{
    const struct job *job = arg;
    int64_t sum = 0;
    move_server_away();
    PGconn *db = bare_connect();
    uint64_t start = begin(job->what);
    PQsendQueryParams(db, row_query, 0, NULL, NULL, NULL, NULL, 0);
    PQsetSingleRowMode(db);
    for (;;) {
        while (PQisBusy(db)) {
            bare_wait(db, POLLIN);
            PQconsumeInput(db);
        }
        PGresult *r = PQgetResult(db);
        if (!r)
            break;
        if (PQresultStatus(r) == PGRES_SINGLE_TUPLE)
            sum += strtoll(PQgetvalue(r, 0, 0), NULL, 10);
        PQclear(r);
    }
    double figure = end(job->what, start, ROWS);
    bench_check(sum == (int64_t)ROWS * (ROWS + 1) / 2 ? 0 : -EIO, "rows");
    PQfinish(db);
    return figure;
}

/* ---- pgbench --------------------------------------------------------------------------------- */

static const char *find_pgbench(void)
{
    static char path[128];
    for (int version = 20; version >= 10 && !*path; version--) {
        snprintf(path, sizeof path, "/usr/lib/postgresql/%d/bin/pgbench", version);
        if (access(path, X_OK) < 0)
            *path = '\0';
    }
    return *path ? path : NULL;
}

/* It counts in transactions a second, and its own connections not. */
static double pgbench_points(const void *arg)
{
    const struct job *job = arg;
    char script[] = "/tmp/ouro_pgbench_XXXXXX", clients[16], each[16], text[4096];
    double per_second = NAN;
    const char *pgbench = find_pgbench();
    if (!pgbench)
        return bench_skip("pgbench: postgresql");
    move_server_away();
    int fd = mkstemp(script);
    if (fd < 0 || dprintf(fd, "\\set i random(1, 1000)\nSELECT :i::int4;\n") < 0)
        bench_fail("cannot write %s", script);
    close(fd);
    snprintf(clients, sizeof clients, "%u", job->connections);
    snprintf(each, sizeof each, "%u", QUERIES / job->connections);
    const char *argv[] = {pgbench, "-n", "-M", "prepared", "-c",   clients,       "-j",
                          "1",     "-t", each, "-f",       script, pg_conninfo(), NULL};
    int status = bench_program(argv, text, sizeof text);
    unlink(script);
    const char *tps = strstr(text, "tps = ");
    if (status != 0 || !tps || sscanf(tps, "tps = %lf", &per_second) != 1)
        bench_fail("pgbench ended with status %d and printed \"%s\"", status, text);
    return 1e9 / per_second;
}

/* ---- asyncpg --------------------------------------------------------------------------------- */

static double asyncpg(const struct job *job, const char *what)
{
    struct bench_peer peer = {
        "pg.py",
        {what, job->what == BY_CLOCK ? "clock" : "cpu", pg_conninfo()},
        "asyncpg: python3-asyncpg, python3-uvloop",
    };
    move_server_away();
    return bench_peer(&peer);
}

static double asyncpg_points(const void *arg)
{
    const struct job *job = arg;
    char connections[16];
    snprintf(connections, sizeof connections, "%u", job->connections);
    return asyncpg(job, connections);
}

static double asyncpg_rows(const void *arg)
{
    return asyncpg(arg, "rows");
}

/* ---------------------------------------------------------------------------------------------- */

static const struct job one_clock = {BY_CLOCK, 1, 0}, one_cpu = {BY_CPU, 1, 0};
static const struct job ten_clock = {BY_CLOCK, 10, 0}, ten_cpu = {BY_CPU, 10, 0};

#define LIBPQ(peer_name, peer) \
    .unit = "ns", .rival_name = (peer_name), .rival = (peer), .package = "postgresql"
#define PGBENCH                                           \
    {                                                     \
        "pgbench -M prepared", pgbench_points, NULL, NULL \
    }
#define ASYNCPG(peer)                         \
    {                                         \
        "asyncpg, uvloop", (peer), NULL, NULL \
    }

/* Goals are ratios, and so cannot be budgets. */
static const struct bench_case cases[] = {
    {"pg.one.time", .ouro = ouro_points, LIBPQ("libpq in an epoll loop", bare_points),
     .arg = &one_clock, .note = "one connection, a query; goal: at most 1.0 of pgbench",
     .more = {PGBENCH}},
    {"pg.one.cpu", .ouro = ouro_points, LIBPQ("libpq in an epoll loop", bare_points),
     .arg = &one_cpu, .note = "goal: at most 1.2 of libpq"},
    {"pg.ten.time", .ouro = ouro_points, LIBPQ("libpq in an epoll loop", bare_points),
     .arg = &ten_clock, .note = "a pool of ten, a query; goal: at most 1.0 of pgbench",
     .more = {PGBENCH, ASYNCPG(asyncpg_points)}},
    {"pg.ten.cpu", .ouro = ouro_points, LIBPQ("libpq in an epoll loop", bare_points),
     .arg = &ten_cpu, .note = "goal: at most 1.2 of libpq and 0.5 of asyncpg",
     .more = {ASYNCPG(asyncpg_points)}},
    {"pg.batch.time", .ouro = ouro_batches, LIBPQ("libpq, 100 to a sync", bare_batches),
     .arg = &one_clock, .note = "batches of 100, a query; goal: at most 1.1 of libpq"},
    {"pg.batch.cpu", .ouro = ouro_batches, LIBPQ("libpq, 100 to a sync", bare_batches),
     .arg = &one_cpu},
    {"pg.row.time", .ouro = ouro_rows, LIBPQ("libpq, row by row", bare_rows), .arg = &one_clock,
     .note = "a row of 300 000; goal: at most 1.05 of libpq"},
    {"pg.row.cpu", .ouro = ouro_rows, LIBPQ("libpq, row by row", bare_rows), .arg = &one_cpu,
     .note = "goal: less than asyncpg", .more = {ASYNCPG(asyncpg_rows)}},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "PostgreSQL: nanoseconds a query, or a row", cases,
                      BENCH_COUNT(cases));
}
