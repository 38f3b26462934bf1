/* SPDX-License-Identifier: MIT */
/*
 * A user's program in C99, linked with an installed ouro_pg. Where nobody listens nobody can be
 * connected to; exit status 0 says that libpq was asked and that this was its answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ouro/ouro.h>
#include <ouro/pg.h>

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect("host=127.0.0.1 port=1", NULL), &rc);
    ouro_pg_free(pg);
    return rc;
}

int main(void)
{
    int64_t rc = ouro_run(main_task, NULL, NULL);
    printf("PostgreSQL, ouro %s: %s\n", ouro_version(), ouro_strerror(rc));

    char name[16];
    ouro_pg_quote_name("a\"b", name, sizeof name);
    return rc != -ECONNREFUSED || strcmp(name, "\"a\"\"b\"") != 0;
}
