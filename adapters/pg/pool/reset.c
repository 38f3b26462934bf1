/* SPDX-License-Identifier: MIT */
/*
 * What is undone between one lease and the next, and the question for a sign of life.
 *
 * Happy path: the tidying is one command of the session itself, which runs when the lease's last
 * statement has ended, and finds out then what there is to be done: an open transaction is rolled
 * back, listening is ended, settings are discarded. It is part of the member: giving back needs no
 * memory. The connection is handed out again when it is done: the statements of the next lease
 * would have to wait for it all the same, and so it gets no connection that is about to fail.
 *
 * How it fails: a connection that cannot be tidied up, or that gives no sign of life, is given up.
 */
#include "pg_pool_int.h"

#include <stddef.h>
#include <string.h>

enum step { ROLL_BACK, UNLISTEN, DISCARD, LIMIT, STEPS };

static struct pg_member *member_of(struct pg_command *c)
{
    return (void *)((char *)c - offsetof(struct pg_member, chore));
}

static const char *sql_of(const struct pg_member *m, int step, char *buf, size_t size)
{
    const struct pg_session *s = m->base->session;
    ouro_pg_reset reset = m->pool->opts.reset;
    switch (step) {
    case ROLL_BACK:
        return PQtransactionStatus(s->db) != PQTRANS_IDLE ? "ROLLBACK" : NULL;
    case UNLISTEN:
        return s->listening && reset == OURO_PG_RESET_SMART ? "UNLISTEN *" : NULL;
    case DISCARD:
        return reset == OURO_PG_RESET_ALL ? "DISCARD ALL" : NULL;
    default: /* which was discarded, too */
        return reset == OURO_PG_RESET_ALL ? ouro__pg_limit_sql(s->opts.statement_limit, buf, size)
                                          : NULL;
    }
}

static int tidy_send(struct pg_command *c, PGconn *db)
{
    char buf[OURO__PG_LIMIT_SQL];
    struct pg_member *m = member_of(c);
    for (; m->step < STEPS; m->step++) {
        const char *sql = sql_of(m, m->step, buf, sizeof buf);
        if (sql)
            return PQsendQuery(db, sql) ? 0 : ouro__pg_command_refused(c);
    }
    return 1;
}

static void plain_result(struct pg_command *c, PGresult *r)
{
    ouro__pg_command_check(c, r);
}

static enum pg_next tidy_done(struct pg_command *c)
{
    struct pg_member *m = member_of(c);
    struct pg_session *s = c->session;
    if (c->code)
        return PG_OVER;
    if (m->step == DISCARD)
        ouro__pg_cache_free(s);
    if (m->step == UNLISTEN || m->step == DISCARD) {
        s->listening = false;
        ouro__pg_notifications_drop(s);
    }
    m->step++;
    return PG_SEND;
}

static void chore_end(struct pg_command *c, int64_t rc, const char *why)
{
    (void)why;
    if (rc == 0 && c->code)
        ouro__pg_session_lose(c->session, c->code, "the connection could not be tidied up");
}

static const struct pg_command_kind tidying = {
    .name = "tidying",
    .send = tidy_send,
    .result = plain_result,
    .done = tidy_done,
    .end = chore_end,
};

static int ask_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, "") ? 0 : ouro__pg_command_refused(c);
}

static const struct pg_command_kind asking = {
    .name = "sign of life",
    .send = ask_send,
    .result = plain_result,
    .end = chore_end,
};

bool ouro__pg_is_tidy(const struct pg_member *m)
{
    const struct pg_session *s = m->base->session;
    ouro_pg_reset reset = m->pool->opts.reset;
    return ouro__pg_session_is_quiet(s) && PQtransactionStatus(s->db) == PQTRANS_IDLE &&
           reset != OURO_PG_RESET_ALL && !(s->listening && reset == OURO_PG_RESET_SMART);
}

static void do_chore(struct pg_member *m, const struct pg_command_kind *kind)
{
    m->chore = (struct pg_command){
        .kind = kind,
        .session = m->base->session,
        .embedded = true,
    };
    ouro__pg_command_queue(&m->chore);
}

void ouro__pg_tidy(struct pg_member *m)
{
    m->step = ROLL_BACK;
    do_chore(m, &tidying);
}

void ouro__pg_ask(struct pg_member *m)
{
    do_chore(m, &asking);
}
