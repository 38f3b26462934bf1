/* SPDX-License-Identifier: MIT */
/*
 * Connecting: what it comes to with servers that are there, servers that are not, and conninfos
 * that make no sense.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pg_test.h"

static int64_t try(const char *conninfo, const char *part)
{
    return words_of(ouro_pg_connect(conninfo, NULL), part);
}

KernelTest(pg_connect, gives_a_connection)
{
    ouro_pg *pg = connected();
    check_eq(ouro_pg_state_get(pg), OURO_PG_READY);
    check(ouro_pg_backend(pg) > 0);
    check_eq(number(pg, "SELECT pg_backend_pid()"), ouro_pg_backend(pg));
    check(ouro_pg_parameter(pg, "server_version") != NULL);
    check_text(ouro_pg_parameter(pg, "client_encoding"), "UTF8");
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_connect, nobody_takes_it_and_it_is_closed)
{
    ouro_detach(ouro_pg_connect(pg_conninfo(), NULL));
    return ouro_await(ouro_sleep(OURO_MS(100)));
}

KernelTest(pg_connect, by_tls_with_a_password)
{
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(pg_conninfo_tls(), NULL), &rc);
    check_eq(rc, 0);
    check_eq(number(pg, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_connect, a_wrong_password_is_told_by_its_code)
{
    char conninfo[600];
    snprintf(conninfo, sizeof conninfo, "%s password=wrong", pg_conninfo_tls());
    check_eq(try(conninfo, "password authentication failed"), -OURO_ESQL_INVALID_PASSWORD);
    return 0;
}

KernelTest(pg_connect, an_unknown_database_is_told_by_its_code)
{
    char conninfo[600];
    snprintf(conninfo, sizeof conninfo, "%s dbname=nowhere", pg_conninfo());
    check_eq(try(conninfo, "\"nowhere\" does not exist"), -OURO_ESQL_UNKNOWN_DATABASE);
    return 0;
}

/* A port that nobody listens at. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&a, size) == 0);
    check(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

KernelTest(pg_connect, nobody_there_is_told_with_the_address)
{
    char conninfo[100], address[40];
    int port = free_port();
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=x", port);
    snprintf(address, sizeof address, "port %d", port);
    check_eq(try(conninfo, address), -ECONNREFUSED);
    check_eq(try("host=/nowhere/at/all user=x", "/nowhere/at/all"), -ENOENT);
    return 0;
}

KernelTest(pg_connect, a_name_without_an_address_is_told)
{
    check_eq(try("host=there.is.no.such.invalid user=x", "there.is.no.such.invalid"),
             -OURO_ENONAME);
    return 0;
}

KernelTest(pg_connect, a_malformed_conninfo_is_told)
{
    check_eq(try("nonsense=1", "nonsense"), -EINVAL);
    check_eq(try("host='unterminated", "unterminated"), -EINVAL);
    check_eq(try("service=no_such_service_here", "no_such_service_here"), -EINVAL);
    check_eq(try("host=a,b hostaddr=1.2.3.4", "2 host names to 1"), -EINVAL);
    ouro_pg_options opts = {.statements = -2};
    check_eq(ouro_await(ouro_pg_connect("", &opts)), -EINVAL);
    return 0;
}

/* The host and port of the test's server. */
static void place_of(char *host, char *port)
{
    check_eq(sscanf(pg_conninfo(), "host=%63s port=%15s", host, port), 2);
}

KernelTest(pg_connect, of_several_hosts_the_first_that_is_there)
{
    char conninfo[400], host[64], port[16];
    int64_t rc;
    place_of(host, port);
    snprintf(conninfo, sizeof conninfo,
             "%s host=127.0.0.1,no.such.invalid,localhost,%s port=%d,1,%s,%s", pg_conninfo(), host,
             free_port(), port, port);
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    check_eq(rc, 0);
    ouro_pg_free(pg);
    return 0;
}

/* A listener that takes connections and says nothing. */
static int silent_listener(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&a, size) == 0 && listen(fd, 8) == 0);
    check(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

KernelTest(pg_connect, a_silent_server_can_be_timed_out)
{
    char conninfo[200];
    int port, fd = silent_listener(&port);
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=x", port);
    check_eq(ouro_await(ouro_timeout(ouro_pg_connect(conninfo, NULL), OURO_MS(100))), -ETIMEDOUT);
    close(fd);
    return 0;
}

KernelTest(pg_connect, connect_timeout_counts_for_each_host)
{
    char conninfo[400], host[64], port[16];
    int64_t rc;
    int silent, fd = silent_listener(&silent);
    place_of(host, port);
    snprintf(conninfo, sizeof conninfo, "%s host=127.0.0.1,%s port=%d,%s connect_timeout=2",
             pg_conninfo(), host, silent, port);
    ouro_ns before = ouro_now();
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    check_eq(rc, 0);
    check(ouro_now() - before >= OURO_SEC(2));
    ouro_pg_free(pg);

    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=x connect_timeout=1", silent);
    check_eq(try(conninfo, "not answered in time"), -ETIMEDOUT);
    close(fd);
    return 0;
}

/* Cancelled after each of so many turns: at whatever point it is, nothing may be left. */
KernelTest(pg_connect, can_be_cancelled_at_any_point)
{
    for (unsigned turns_before = 0; turns_before < 60; turns_before++) {
        ouro_future *f = ouro_pg_connect(pg_conninfo(), NULL);
        for (unsigned i = 0; i < turns_before && ouro_future_state(f) == OURO_PENDING; i++)
            check_eq(ouro_await(ouro_sleep(OURO_US(50))), 0);
        ouro_cancel(f);
        int64_t rc = ouro_await(f);
        check(rc == 0 || rc == -OURO_ECHILDCANCELLED);
    }
    return 0;
}

KernelTest(pg_connect, a_service_file_names_a_host_by_its_name)
{
    char path[] = "/tmp/ouro_service_XXXXXX", host[64], port[16];
    int64_t rc;
    int fd = mkstemp(path);
    place_of(host, port);
    check(fd >= 0);
    dprintf(fd, "[here]\nhost=localhost\nport=%s\n", port);
    close(fd);
    setenv("PGSERVICEFILE", path, 1);
    char conninfo[400];
    snprintf(conninfo, sizeof conninfo, "service=here %s", strstr(pg_conninfo(), "user="));
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    unlink(path);
    check_eq(rc, 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_connect, the_server_limits_statements_if_it_is_told_to)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statement_limit = OURO_MS(50)});
    check_eq(run(pg, "SELECT pg_sleep(5)"), -OURO_ESQL_QUERY_CANCELED);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

static void count_notice(const ouro_pg_error *notice, void *arg)
{
    int *count = arg;
    check_text(notice->severity, "NOTICE");
    check_text(notice->message, "look here");
    check_eq(notice->code, 0);
    (*count)++;
}

KernelTest(pg_connect, notices_are_told)
{
    int count = 0;
    ouro_pg *pg = connect_with(&(ouro_pg_options){.on_notice = count_notice, .notice_arg = &count});
    check_eq(run(pg, "DO $$ BEGIN RAISE NOTICE 'look here'; RAISE NOTICE 'look here'; END $$"), 0);
    ouro_yield();
    check_eq(count, 2);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_connect, close_tells_when_it_is_closed)
{
    ouro_pg *pg = connected();
    int64_t backend = ouro_pg_backend(pg);
    check_eq(ouro_await(ouro_pg_close(pg)), 0);
    check_eq(ouro_await(ouro_pg_close(pg)), 0);
    check_eq(ouro_pg_state_get(pg), OURO_PG_CLOSED);
    check_eq(run(pg, "SELECT 1"), -EBADF);
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
             (long long)backend);
    for (int i = 0; i < 100 && pg_admin(sql) > 0; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(10))), 0);
    check_eq(pg_admin(sql), 0);
    ouro_pg_free(pg);
    return 0;
}

static int64_t slow(void *pg)
{
    return run(pg, "SELECT pg_sleep(10)");
}

KernelTest(pg_connect, close_tells_what_is_under_way)
{
    ouro_pg *pg = connected();
    ouro_future *a = ouro_spawn(slow, pg), *b = ouro_spawn(slow, pg);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(ouro_await(ouro_pg_close(pg)), 0);
    check_eq(ouro_await(a), -EBADF);
    check_eq(ouro_await(b), -EBADF);
    ouro_pg_free(pg);
    return 0;
}

/* An idle connection does not keep the loop; its end does away with the connection. */
Test(pg_connect, outlives_its_loop)
{
    ouro_loop *loop;
    int64_t rc;
    check_eq(ouro_loop_new(NULL, &loop), 0);
    ouro_future *f = ouro_ref(ouro_pg_connect(pg_conninfo(), NULL));
    check_eq(ouro_loop_run_until(loop, f), 0);
    ouro_pg *pg = ouro_future_take(f).ptr;
    ouro_unref(f);
    check(pg != NULL);
    check_eq(ouro_loop_run(loop), 0); /* returns, since nothing is left to do */
    rc = ouro_loop_shutdown(loop, OURO_SEC(1));
    check_eq(rc, 0);
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    check_eq(ouro_loop_close(loop), 0);
    ouro_pg_free(pg);
}

Test(pg_connect, needs_a_loop)
{
    ouro_future *f = ouro_pg_connect(pg_conninfo(), NULL);
    check_eq(ouro_future_result(f).n, -EPERM);
    ouro_unref(f);
    check(ouro_pg_free(NULL) == NULL);
}
