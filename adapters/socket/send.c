/* SPDX-License-Identifier: MIT */
/*
 * What goes out.
 */
#include "stream_int.h"

int ouro__outgoing_init(ouro_stream *s)
{
    (void)s;
    return 0;
}

void ouro__outgoing_stop(ouro_stream *s, int rc)
{
    (void)s;
    (void)rc;
}

bool ouro__outgoing_is_quiet(const ouro_stream *s)
{
    return !ouro__op_live(&s->out.op);
}

void ouro__outgoing_drop(ouro_stream *s)
{
    (void)s;
}

size_t ouro__outgoing_unsent(const ouro_stream *s)
{
    (void)s;
    return 0;
}
