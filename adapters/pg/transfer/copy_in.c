/* SPDX-License-Identifier: MIT */
/*
 * COPY ... FROM STDIN.
 *
 * libpq takes whatever it is given, and its buffer grows; so it is given a slice at a time, and the
 * next one when it has sent that. What it cannot send waits for room in the socket, which the
 * session sees to, and with it the write. Small writes are gathered in libpq's buffer, and sent
 * when there are some kilobytes of them, or at the end.
 *
 * How it fails: in mid-copy libpq does not look at what the server says but for remarks. So a
 * refusal is looked for in the socket, before libpq reads: it saves the rest of the data the way.
 * Where that cannot be (TLS), or it is overlooked, the end of the copy tells.
 */
#include <errno.h>
#include <stdbool.h>

#include "copy_int.h"

#define SLICE    ((size_t)64 * 1024) /* bytes */
#define GATHERED 8192                /* bytes; as many as libpq sends at a time */

/* ---- Writing --------------------------------------------------------------------------------- */

bool ouro__pg_copy_in_feed(struct pg_command *c, PGconn *db)
{
    ouro_pg_copy *k = ((struct copying *)c)->copy;
    ouro__pg_copy_in_look(c, db); /* since libpq may read when it sends */
    if (((struct copying *)c)->refused || PQflush(db) == 1)
        return false;
    size_t n = k->left < SLICE ? k->left : SLICE;
    int rc = PQputCopyData(db, k->data, (int)n);
    if (rc == 0)
        return false;
    k->unflushed = 0;
    k->data += n;
    k->left -= n;
    if (rc > 0 && k->left > 0)
        return true;
    c->feeding = false;
    if (rc < 0) {
        k->spoiled = true;
        ouro__pg_command_refuse(c, ouro__pg_command_refused(c));
    } else {
        ouro__pg_command_give(c, (ouro_result){(int64_t)k->size, NULL}, NULL);
    }
    return false;
}

/* A little that needs not be sent by itself. */
static bool gather(ouro_pg_copy *k, const void *data, size_t size)
{
    struct pg_session *s = k->from->c.session;
    if (s->out.poll || k->unflushed + size > GATHERED)
        return false;
    if (PQputCopyData(s->db, data, (int)size) != 1)
        return false;
    k->unflushed += size;
    return true;
}

/* A future of why there is nothing to be sent; NULL: there is no reason. */
static ouro_future *refusal(ouro_pg_copy *k, const void *data, size_t size)
{
    int rc = ouro__pg_copy_check(k, true);
    if (rc == 0 && size && !data)
        rc = -EINVAL;
    if (rc < 0)
        return ouro_ready(rc);
    if (!k->from)
        return ouro__pg_outcome_future(&k->outcome, -EPIPE);
    return k->ending ? ouro_ready(-EPIPE) : NULL;
}

ouro_future *ouro_pg_copy_write(ouro_pg_copy *k, const void *data, size_t size)
{
    ouro_future *f = refusal(k, data, size);
    if (f)
        return f;
    if (size == 0 || gather(k, data, size))
        return ouro_ready((int64_t)size);
    struct pg_command *c = &k->from->c;
    int rc = ouro__pg_command_promise(c, &f);
    if (rc < 0)
        return ouro_ready(rc);
    k->data = data;
    k->left = k->size = size;
    c->feeding = c->copying; /* else it is over, and how is on its way */
    ouro__pg_session_pump(c->session);
    return f;
}

ouro_future *ouro_pg_copy_end(ouro_pg_copy *k)
{
    ouro_future *f = refusal(k, NULL, 0);
    if (f)
        return f;
    struct pg_command *c = &k->from->c;
    int rc = ouro__pg_command_promise(c, &f);
    if (rc < 0)
        return ouro_ready(rc);
    k->ending = true;
    c->copying = false;
    PQputCopyEnd(c->session->db, NULL); /* an error shows when the answer is read */
    ouro__pg_session_pump(c->session);
    return f;
}

/* ---- Refusals -------------------------------------------------------------------------------- */

void ouro__pg_copy_in_look(struct pg_command *c, PGconn *db)
{
    struct copying *q = (void *)c;
    if (q->in && !q->refused)
        q->refused = ouro__pg_copy_peek(db);
}
