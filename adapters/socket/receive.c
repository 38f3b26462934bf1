/* SPDX-License-Identifier: MIT */
/*
 * What comes in.
 */
#include "stream_int.h"

int ouro__incoming_init(ouro_stream *s)
{
    (void)s;
    return 0;
}

void ouro__incoming_stop(ouro_stream *s, int rc)
{
    (void)s;
    (void)rc;
}

bool ouro__incoming_is_quiet(const ouro_stream *s)
{
    return !ouro__op_live(&s->in.op);
}

void ouro__incoming_drop(ouro_stream *s)
{
    (void)s;
}

size_t ouro__incoming_unread(const ouro_stream *s)
{
    (void)s;
    return 0;
}

void ouro__incoming_shut(ouro_stream *s)
{
    (void)s;
}
