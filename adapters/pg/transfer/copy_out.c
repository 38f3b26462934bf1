/* SPDX-License-Identifier: MIT */
/*
 * COPY ... TO STDOUT.
 *
 * One row at a time is asked of libpq when somebody asks us; what has come and was not asked for
 * stays in its buffer, and nothing more is read meanwhile.
 */
#include <errno.h>

#include "copy_int.h"

/* The next row, if it is there: its size; 0: it is not; < 0: there is none any more. */
static int take(ouro_pg_copy *k, PGconn *db)
{
    PQfreemem(k->row);
    k->row = NULL;
    return PQgetCopyData(db, &k->row, 1);
}

/* Nobody wants them. */
static int drop(PGconn *db)
{
    char *row = NULL;
    int n = PQgetCopyData(db, &row, 1);
    PQfreemem(row);
    return n;
}

bool ouro__pg_copy_out_move(struct copying *q, PGconn *db)
{
    struct pg_command *c = &q->c;
    ouro_pg_copy *k = q->copy;
    if (k && q->opened && !c->promise && !c->cancelled) {
        c->held = true;
        return false;
    }
    bool wanted = k && q->opened && c->promise;
    int n = wanted ? take(k, db) : drop(db);
    if (n < 0)
        c->copying = false; /* libpq has the reason, or the end */
    if (n <= 0 || !wanted)
        return n != 0;
    *k->ret_data = k->row;
    ouro__pg_command_give(c, (ouro_result){n, NULL}, NULL);
    c->held = true;
    return false;
}

ouro_future *ouro_pg_copy_next(ouro_pg_copy *k, const void **ret_data)
{
    ouro_future *f;
    int rc = ret_data ? ouro__pg_copy_check(k, false) : -EINVAL;
    if (rc < 0)
        return ouro_ready(rc);
    if (!k->from)
        return ouro__pg_outcome_future(&k->outcome, 0);
    struct pg_command *c = &k->from->c;
    int n = take(k, c->session->db);
    if (n > 0) {
        *ret_data = k->row;
        return ouro_ready(n);
    }
    c->copying = n == 0;
    rc = ouro__pg_command_promise(c, &f);
    if (rc < 0)
        return ouro_ready(rc);
    k->ret_data = ret_data;
    ouro__pg_command_resume(c);
    return f;
}
