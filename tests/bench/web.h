/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_WEB_H
#define OURO_BENCH_WEB_H

/*
 * HTTP servers under load: what the benchmarks of the server and of the aggregate endpoint share.
 *
 * Servers stay up between rounds, since some take a second to start. Where the
 * server's processor was busy for less than 0.9 of the time, it was not the server that was
 * measured.
 */

#include "race.h"

/* Whether wrk is there; else that is said, once. */
int web_has_wrk(void);

/* The figures of wrk with so many connections, kept open. Whole seconds, rounded up. */
void web_wrk(const struct bench_server *s, const char *path, unsigned connections,
             double *ret_figures);

/* Those of a load with a constant rate, whose requests are late when the server is, and count from
 * when they were due. */
void web_rate(const struct bench_server *s, const char *path, double rate, double *ret_figures);

/* Start a server, unless it runs. @prepare: called before, when its port is known; or NULL. */
void web_start(struct bench_server *s, int cpu, void (*prepare)(const struct bench_server *s));

#endif
