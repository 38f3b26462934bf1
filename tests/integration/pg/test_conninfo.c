/* SPDX-License-Identifier: MIT */
/*
 * What a conninfo says: it has the last word, what is wrong in it is the caller's mistake, and
 * what is secret in it is told to nobody.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "pg_test.h"

/* The details of a conninfo that is refused: never with a part of the password "secret". */
static int64_t discreet(const char *conninfo)
{
    ouro_future *f = ouro_ref(ouro_pg_connect(conninfo, NULL));
    int64_t rc = ouro_await(f);
    const char *words = ouro_future_detail(f);
    check(words != NULL);
    if (words && strstr(words, "secret"))
        check_text(words, "(nothing of the password)");
    ouro_unref(f);
    return rc;
}

KernelTest(pg_conninfo, a_password_is_in_no_error)
{
    check_eq(discreet("postgresql://app:secret@[::1]x/db"), -EINVAL);
    check_eq(discreet("postgresql://app:secret@[::1/db"), -EINVAL);
    check_eq(discreet("postgresql://app:secret%zz@host/db"), -EINVAL);
    check_eq(discreet("postgres://host/db?password=secret&nonsense=1"), -EINVAL);
    check_eq(discreet("postgres://host/db?password=secret%zz"), -EINVAL);
    check_eq(discreet("postgres://host/db?password=a&secret"), -EINVAL);
    check_eq(discreet("host=localhost password=my secret word"), -EINVAL);
    check_eq(discreet("host=localhost password=a secret=1"), -EINVAL);
    check_eq(discreet("host=localhost password='secret"), -EINVAL);
    return 0;
}

static int64_t with(const char *more)
{
    char conninfo[600];
    snprintf(conninfo, sizeof conninfo, "%s %s", pg_conninfo(), more);
    return words_of(ouro_pg_connect(conninfo, NULL), "");
}

KernelTest(pg_conninfo, values_that_make_no_sense_are_refused)
{
    check_eq(with("sslmode=bogus"), -EINVAL);
    check_eq(with("gssencmode=bogus"), -EINVAL);
    check_eq(with("channel_binding=bogus"), -EINVAL);
    check_eq(with("target_session_attrs=bogus"), -EINVAL);
    check_eq(with("ssl_min_protocol_version=bogus"), -EINVAL);
    check_eq(with("port=bogus"), -EINVAL);
    check_eq(with("port=70000"), -EINVAL);
    check_eq(with("hostaddr=bogus"), -EINVAL);
    check_eq(with("connect_timeout=bogus"), -EINVAL);
    check_eq(with("connect_timeout=99999999999"), -EINVAL);
    return 0;
}

static char *encoding_with(const char *more, char *text)
{
    char conninfo[600];
    int64_t rc;
    snprintf(conninfo, sizeof conninfo, "%s %s", pg_conninfo(), more);
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    check_eq(rc, 0);
    snprintf(text, 20, "%s", ouro_pg_parameter(pg, "client_encoding"));
    ouro_pg_free(pg);
    return text;
}

KernelTest(pg_conninfo, has_the_last_word_about_the_encoding)
{
    char text[20];
    check_text(encoding_with("", text), "UTF8");
    check_text(encoding_with("client_encoding=LATIN1", text), "LATIN1");
    setenv("PGCLIENTENCODING", "LATIN2", 1);
    check_text(encoding_with("", text), "LATIN2");
    unsetenv("PGCLIENTENCODING");
    return 0;
}

KernelTest(pg_conninfo, sockets_and_addresses_may_be_mixed)
{
    char conninfo[600], host[64], port[16];
    int64_t rc;
    check_eq(sscanf(pg_conninfo(), "host=%63s port=%15s", host, port), 2);
    const char *lists[] = {"/nowhere/at/all,localhost",
                           "@nowhere,localhost",
                           "[no],localhost",
                           "no.such.invalid,localhost",
                           "::1,/nowhere/at/all,127.0.0.1",
                           "fe80::1%lo,127.0.0.1"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        snprintf(conninfo, sizeof conninfo, "%s host=%s port=%s", pg_conninfo(), lists[i], port);
        ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
        check_eq(rc, 0);
        ouro_pg_free(pg);
    }
    return 0;
}

KernelTest(pg_conninfo, a_limit_beyond_what_the_server_counts_is_the_longest)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statement_limit = OURO_SEC(3600) * 24 * 40});
    check_eq(number(pg, "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"),
             2147483647);
    ouro_pg_free(pg);
    return 0;
}

static void keep_notice(const ouro_pg_error *notice, void *arg)
{
    snprintf(arg, 300, "%s", notice->message);
}

/* The server may have something to say at once; it is for the hook, and not for standard error. */
KernelTest(pg_conninfo, what_the_server_remarks_at_once_is_told)
{
    char conninfo[600], text[300] = "", said[100] = "";
    int64_t rc;
    pg_admin("CREATE DATABASE remarked");
    pg_admin("UPDATE pg_database SET datcollversion = 'old' WHERE datname = 'remarked'");
    snprintf(conninfo, sizeof conninfo, "%s dbname=remarked", pg_conninfo());
    ouro_pg_options opts = {.on_notice = keep_notice, .notice_arg = text};
    int ends[2], before = dup(STDERR_FILENO);
    check_eq(pipe(ends), 0);
    check(dup2(ends[1], STDERR_FILENO) >= 0);
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, &opts), &rc);
    check(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    close(ends[1]);
    check(read(ends[0], said, sizeof said - 1) == 0);
    close(ends[0]);
    check_text(said, "");
    check_eq(rc, 0);
    ouro_yield();
    check(strstr(text, "collation version") != NULL);
    ouro_pg_free(pg);
    pg_admin("DROP DATABASE remarked WITH (FORCE)");
    return 0;
}
