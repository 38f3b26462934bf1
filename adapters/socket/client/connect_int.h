/* SPDX-License-Identifier: MIT */
#ifndef OURO_CONNECT_INT_H
#define OURO_CONNECT_INT_H

/*
 * A race of addresses: connect.c runs it, attempt.c is one runner.
 */

#include "loop_int.h"

#include <ouro/connect.h>

struct ouro__connect;

/* One address. */
struct ouro__attempt {
    struct ouro__job job; /* its operation has ended */
    struct ouro__connect *race;
    ouro_future *op;  /* under way; a reference. NULL: not, or no longer */
    int fd;           /* -1: none */
    int rc;           /* why it failed */
    const char *step; /* at which option; NULL: none in particular */
    ouro_address to;  /* lent to the kernel while it is under way */
};

/* Open a socket and have it connected. 0: under way, its job will run; or an error, and nothing is
 * left of it. */
int ouro__attempt_begin(struct ouro__attempt *a, const ouro_connect_options *opts);

/* Its operation has ended. 0: a->fd is connected; or an error, and it is closed. */
int ouro__attempt_end(struct ouro__attempt *a, ouro_loop *loop, int type);

/* Close what it has. */
void ouro__attempt_close(struct ouro__attempt *a, ouro_loop *loop);

#endif
