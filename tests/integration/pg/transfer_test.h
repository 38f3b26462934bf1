/* SPDX-License-Identifier: MIT */
#ifndef OURO_TRANSFER_TEST_H
#define OURO_TRANSFER_TEST_H

/* What the tests of streams, copies and batches share. */

#include "pg_test.h"

/* Memory of this process that is in use, in KiB. */
static inline long resident_kib(void)
{
    long pages = 0, unused;
    FILE *f = fopen("/proc/self/statm", "r");
    check(f && fscanf(f, "%ld %ld", &unused, &pages) == 2);
    fclose(f);
    return pages * 4;
}

/* What the server tells of the process that serves @pg, a column of pg_stat_activity or made of
 * them, as a number. */
static inline int64_t of_backend(const ouro_pg *pg, const char *what)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT (%s)::int FROM pg_stat_activity WHERE pid = %lld", what,
             (long long)ouro_pg_backend(pg));
    return pg_admin(sql);
}

static inline void kill_backend(const ouro_pg *pg)
{
    check_eq(of_backend(pg, "pg_terminate_backend(pid)"), 1);
}

static inline ouro_pg_stats stats_of(const ouro_pg *pg)
{
    ouro_pg_stats s;
    check_eq(ouro_pg_stats_get(pg, &s), 0);
    return s;
}

static inline void nap(unsigned ms)
{
    check_eq(ouro_await(ouro_sleep(OURO_MS(ms))), 0);
}

#endif
