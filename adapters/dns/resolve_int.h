/* SPDX-License-Identifier: MIT */
#ifndef OURO_RESOLVE_INT_H
#define OURO_RESOLVE_INT_H

/*
 * Three parts: resolve.c makes futures of questions, names.c knows what all loops have asked and
 * who waits for it, lookup.c asks the system on a thread.
 */

#include "loop_int.h"

#include <ouro/resolve.h>

#include <netdb.h>

/* What is asked. The texts have been checked. */
struct ouro__question {
    const char *host;
    const char *service; /* a name; empty: none */
    ouro_family family;
};

/* How old an answer may be. 0: not to be used at all. */
struct ouro__ages {
    ouro_ns good;
    ouro_ns bad;
};

/* What was learnt. Never changed once it can be seen by two; counted, since loops read it on
 * threads of their own. */
struct ouro__answer {
    atomic_uint refs;
    int rc; /* 0, or why there are no addresses */
    ouro_ns born;
    size_t count;
    ouro_address items[];
};

/* Who waits for an answer. Belongs to its loop's thread, but for what the comments say. */
struct ouro__asker {
    struct ouro__post post; /* tells its loop that it is answered */
    struct ouro__link link; /* among those who wait for one lookup. Under the lock of the names */
    bool told;              /* it has left that line, and its post is on its way. Likewise */
    ouro_loop *loop;        /* a reference, which goes to whoever takes it out of the line */
    struct ouro__answer *answer; /* once told; a reference. NULL: rc says why */
    int rc;
    ouro_future *f;                 /* to settle */
    int port;                       /* -1: the answer has it */
    struct ouro__question question; /* its texts are behind the place */
    struct ouro__ages ages;
    char place[]; /* host and service, for words */
};

/* ---- names.c --------------------------------------------------------------------------------- */

/* The answer to the question of @asker, if it is known and young enough; a reference. NULL: @asker
 * waits for it from now on, and is told by its post in any case. */
struct ouro__answer *ouro__names_ask(struct ouro__asker *asker);

/* Whether @asker could still be taken out of the line; if not, it is being told. */
bool ouro__names_leave(struct ouro__asker *asker);

/* A number was asked for. */
void ouro__names_count_numeric(void);

/* ---- lookup.c -------------------------------------------------------------------------------- */

/* getaddrinfo(3). Tests put another in its place. */
extern int (*ouro__getaddrinfo)(const char *host, const char *service, const struct addrinfo *hints,
                                struct addrinfo **ret_list);

/* Ask the system; blocks. An answer with one reference; NULL: *ret_rc is an error that says nothing
 * of the name. Any thread. */
struct ouro__answer *ouro__lookup(const struct ouro__question *question, int *ret_rc);

/* The monotonic clock, on any thread. */
ouro_ns ouro__names_now(void);

static inline struct ouro__answer *ouro__answer_ref(struct ouro__answer *answer)
{
    if (answer)
        atomic_fetch_add_explicit(&answer->refs, 1, memory_order_relaxed);
    return answer;
}

static inline void ouro__answer_unref(struct ouro__answer *answer)
{
    if (answer && atomic_fetch_sub(&answer->refs, 1) == 1)
        ouro__release(answer);
}

#endif
