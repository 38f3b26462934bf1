/* SPDX-License-Identifier: MIT */
/*
 * LISTEN and NOTIFY: a table is a queue of jobs, a trigger rings when one comes in, and workers on
 * connections of their own take them, each job once.
 */
#include <ouro/ouro.h>
#include <ouro/pg.h>

#include <stdio.h>

#define WORKERS 2
#define JOBS    6

static const char schema[] =
    "DROP TABLE IF EXISTS ouro_jobs;"
    "CREATE TABLE ouro_jobs (id serial PRIMARY KEY, what text NOT NULL);"
    "CREATE OR REPLACE FUNCTION ouro_ring() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_notify('ouro_jobs', NEW.what); RETURN NEW; END $$;"
    "CREATE TRIGGER ring AFTER INSERT ON ouro_jobs FOR EACH ROW EXECUTE FUNCTION ouro_ring()";

static int done; /* jobs, by all workers */

static ouro_pg *sign_in(int64_t *rc)
{
    ouro_future *f = ouro_ref(ouro_pg_connect("", NULL));
    ouro_pg *pg = ouro_await_ptr(f, rc);
    if (!pg)
        fprintf(stderr, "db_listen: %s\n", ouro_future_detail(f));
    ouro_unref(f);
    return pg;
}

/* Take jobs until there are none. Two workers never get the same: what one has locked is skipped by
 * the others. */
static int64_t work(ouro_pg *pg)
{
    int64_t n;
    while ((n = ouro_await(ouro_pg_query(
                pg,
                "DELETE FROM ouro_jobs WHERE id = (SELECT id FROM ouro_jobs ORDER BY id"
                " LIMIT 1 FOR UPDATE SKIP LOCKED)",
                NULL, 0, NULL))) > 0)
        done++;
    return n;
}

static int64_t listen_for_jobs(ouro_pg *pg)
{
    int64_t rc = ouro_await(ouro_pg_listen(pg, "ouro_jobs"));
    while (rc >= 0) {
        rc = work(pg); /* first: what came before anybody listened rang for nobody */
        if (rc >= 0)
            ouro_pg_notification_free(ouro_await_ptr(ouro_pg_notified(pg), &rc));
    }
    return rc;
}

static int64_t worker(void *arg)
{
    int64_t rc;
    (void)arg;
    ouro_pg *pg = sign_in(&rc);
    if (!pg)
        return rc;
    rc = listen_for_jobs(pg);
    ouro_pg_free(pg);
    return rc;
}

static int64_t put_jobs(ouro_pg *pg)
{
    char what[32];
    int64_t rc = 0;
    for (int i = 0; i < JOBS && rc >= 0; i++) {
        snprintf(what, sizeof what, "job %d", i);
        rc = ouro_await(ouro_pg_query(pg, "INSERT INTO ouro_jobs (what) VALUES ($1)",
                                      OURO_PG_PARAMS(ouro_pg_text(what)), NULL));
    }
    while (rc >= 0 && done < JOBS)
        rc = ouro_await(ouro_sleep(OURO_MS(5)));
    return rc;
}

/* The workers live as long as this region; leaving it cancels them. */
static int64_t with_workers(void *pg)
{
    ouro_group group;
    int64_t rc = ouro_group_enter(&group, NULL);
    if (rc < 0)
        return rc;
    for (int i = 0; i < WORKERS && rc >= 0; i++)
        rc = ouro_group_spawn(&group, worker, NULL);
    if (rc >= 0)
        rc = put_jobs(pg);
    ouro_group_cancel(&group, "all jobs are done");
    int64_t ended = ouro_group_exit(&group, rc);
    return rc < 0 ? ended : rc;
}

static int64_t run(void *arg)
{
    int64_t rc;
    (void)arg;
    ouro_pg *pg = sign_in(&rc);
    if (!pg)
        return rc;
    rc = ouro_await(ouro_pg_script(pg, schema, NULL));
    if (rc >= 0)
        rc = ouro_await(ouro_timeout(ouro_spawn(with_workers, pg), OURO_SEC(20)));
    if (rc >= 0)
        printf("%d jobs were done by %d workers, each once\n", done, WORKERS);
    if (rc >= 0)
        rc = ouro_await(
            ouro_pg_script(pg, "DROP TABLE ouro_jobs; DROP FUNCTION ouro_ring()", NULL));
    ouro_pg_free(pg);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    int64_t rc = ouro_run(run, NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "db_listen: %s\n", ouro_strerror(rc));
    return ouro_exit_code(rc);
}
