/* SPDX-License-Identifier: MIT */
/*
 * What streams and copies have in common: their end is told as often as it is asked for, and each
 * call has a promise of its own, which the command carries while somebody waits.
 */
#include "taken.h"

#include <unistd.h>

struct pg_home ouro__pg_home_here(void)
{
    return (struct pg_home){.loop = ouro_loop_current(), .pid = getpid()};
}

bool ouro__pg_home_is_parents(const struct pg_home *home)
{
    return home->pid != getpid();
}

ouro_future *ouro__pg_outcome_future(const struct pg_outcome *o, int64_t n)
{
    if (o->code < 0 && *o->text)
        return ouro_failed(o->code, "%s", o->text);
    return ouro_ready(o->code < 0 ? o->code : n);
}

static void drop_promise(struct pg_command *c)
{
    ouro_promise_free(c->promise);
    c->promise = NULL;
}

void ouro__pg_command_give(struct pg_command *c, ouro_result value, ouro_free_fn *ptr_free)
{
    if (ouro_promise_resolve(c->promise, value, ptr_free) < 0 && ptr_free)
        ptr_free(value.ptr);
    drop_promise(c);
}

void ouro__pg_command_refuse(struct pg_command *c, int64_t rc)
{
    ouro_promise_fail(c->promise, rc);
    drop_promise(c);
}

void ouro__pg_command_report(struct pg_command *c, const struct pg_outcome *o, int64_t n)
{
    if (!c->promise)
        return;
    if (o->code == 0)
        ouro_promise_resolve(c->promise, (ouro_result){n, NULL}, NULL);
    else if (*o->text)
        ouro_promise_fail_with(c->promise, o->code, "%s", o->text);
    else
        ouro_promise_fail(c->promise, o->code);
    drop_promise(c);
}
