/* SPDX-License-Identifier: MIT */
/*
 * Networks that drop what they carry without a word. Between the client and the server stands a
 * relay whose sockets can be made deaf: the kernel drops what comes, and acknowledges nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool_test.h"

#define LINKS 8

struct relay {
    ouro_listener *listener;
    ouro_stream *clients[LINKS], *servers[LINKS];
    ouro_future *relays[LINKS], *accepting;
    char conninfo[300], server[40];
    int n;
};

static int64_t accepts(void *arg)
{
    struct relay *r = arg;
    int64_t rc;
    ouro_stream *client;
    while ((client = ouro_await_ptr(ouro_listener_accept(r->listener), &rc))) {
        check(r->n < LINKS);
        ouro_stream *server = ouro_await_ptr(ouro_stream_connect(r->server, NULL), &rc);
        check_eq(rc, 0);
        r->clients[r->n] = client;
        r->servers[r->n] = server;
        r->relays[r->n++] = ouro_stream_relay(client, server);
    }
    return 0;
}

/* Some systems leave filters on sockets to the privileged. */
static int filter(int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog all = {1, &drop};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all) < 0 ? -errno : 0;
}

static bool may_filter(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = filter(fd);
    close(fd);
    return rc != -EPERM;
}

static void relay_begin(struct relay *r, const char *more)
{
    if (!may_filter())
        cr_skip_test("sockets may have no filters here, so nothing is lost");
    ouro_address at;
    const char *port = strstr(pg_conninfo(), "port=");
    *r = (struct relay){.n = 0};
    check(port != NULL);
    snprintf(r->server, sizeof r->server, "127.0.0.1:%d", atoi(port + 5));
    check_eq(ouro_listen("127.0.0.1:0", NULL, &r->listener), 0);
    check_eq(ouro_listener_address(r->listener, &at), 0);
    snprintf(r->conninfo, sizeof r->conninfo, "%s host=127.0.0.1 port=%d %s", pg_conninfo(),
             ouro_address_port(&at), more);
    r->accepting = ouro_spawn(accepts, r);
}

/* From now on what the clients send to the links that there are is dropped. What they have received
 * is acknowledged before, else it would be sent again and again, and that is not silence. */
static void relay_goes_deaf(struct relay *r)
{
    check_eq(ouro_await(ouro_sleep(OURO_MS(200))), 0);
    for (int i = 0; i < r->n; i++)
        check_eq(filter(ouro_stream_fd(r->clients[i])), 0);
}

static void relay_end(struct relay *r)
{
    check_eq(ouro_await(ouro_listener_close(r->listener)), 0);
    check_eq(ouro_await(r->accepting), 0);
    for (int i = 0; i < r->n; i++) {
        ouro_cancel(r->relays[i]);
        ouro_await(r->relays[i]);
        ouro_stream_free(r->clients[i]);
        ouro_stream_free(r->servers[i]);
    }
    ouro_listener_free(r->listener);
}

/* ---- What the sockets are told --------------------------------------------------------------- */

struct patience {
    int probed, idle, interval, limit;
};

/* That of the one TCP connection of this process. */
static struct patience patience_with(const char *more)
{
    char conninfo[400];
    struct patience p = {-1, -1, -1, -1};
    struct sockaddr_storage peer;
    int64_t rc;
    snprintf(conninfo, sizeof conninfo, "%s host=127.0.0.1 %s", pg_conninfo(), more);
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    check_eq(rc, 0);
    for (int fd = 3; fd < 200; fd++) {
        socklen_t size = sizeof peer, int_size = sizeof(int);
        if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0 || peer.ss_family != AF_INET)
            continue;
        check_eq(p.probed, -1);
        check_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &p.probed, &int_size), 0);
        check_eq(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &p.idle, &int_size), 0);
        check_eq(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &p.interval, &int_size), 0);
        check_eq(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &p.limit, &int_size), 0);
    }
    ouro_pg_free(pg);
    return p;
}

KernelTest(pg_silent, silence_is_asked_after)
{
    struct patience p = patience_with("");
    check_eq(p.probed, 1);
    check_eq(p.idle, 60);
    check_eq(p.interval, 15);
    check_eq(p.limit, 300000);
    return 0;
}

KernelTest(pg_silent, the_conninfo_has_the_last_word)
{
    struct patience p = patience_with("keepalives_idle=7 tcp_user_timeout=0");
    check_eq(p.idle, 7);
    check_eq(p.interval, 15);
    check_eq(p.limit, 0);
    check_eq(patience_with("keepalives=0").probed, 0);
    return 0;
}

KernelTest(pg_silent, so_has_a_service_file)
{
    char path[] = "/tmp/ouro_service_XXXXXX";
    int fd = mkstemp(path);
    check(fd >= 0);
    dprintf(fd, "[slow]\nkeepalives_interval=9\ntcp_user_timeout=1234\n");
    close(fd);
    setenv("PGSERVICEFILE", path, 1);
    struct patience p = patience_with("service=slow");
    check_eq(p.idle, 60);
    check_eq(p.interval, 9);
    check_eq(p.limit, 1234);
    unsetenv("PGSERVICEFILE");
    unlink(path);
    return 0;
}

/* ---- Silence --------------------------------------------------------------------------------- */

KernelTest(pg_silent, a_statement_that_does_not_get_through_fails)
{
    struct relay r;
    int64_t rc;
    relay_begin(&r, "tcp_user_timeout=500");
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(r.conninfo, NULL), &rc);
    check_eq(rc, 0);
    check_eq(number(pg, "SELECT 7"), 7);
    relay_goes_deaf(&r);
    ouro_ns before = ouro_now();
    check_eq(words_of(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL), "timed out"), -ECONNRESET);
    check(ouro_now() - before >= OURO_MS(400) && ouro_now() - before < OURO_SEC(10));
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    ouro_pg_free(pg);
    relay_end(&r);
    return 0;
}

KernelTest(pg_silent, a_statement_that_is_cancelled_does_not_wait_for_the_network)
{
    struct relay r;
    int64_t rc;
    ouro_pg_options opts = {.cancel_grace = OURO_MS(100)};
    relay_begin(&r, "");
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(r.conninfo, &opts), &rc);
    check_eq(rc, 0);
    relay_goes_deaf(&r);
    ouro_ns before = ouro_now();
    rc = ouro_await(ouro_timeout(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL), OURO_MS(30)));
    check_eq(rc, -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(2));
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    ouro_pg_free(pg);
    relay_end(&r);
    return 0;
}

KernelTest(pg_silent, a_pool_finds_out_and_heals)
{
    struct relay r;
    relay_begin(&r, "keepalives_idle=1 keepalives_interval=1 keepalives_count=1 "
                    "tcp_user_timeout=1000");
    ouro_pg_pool *pool = pool_at(r.conninfo, &(ouro_pg_pool_options){.max = 2});
    check_eq(pool_run(pool, "SELECT 1"), 1);
    check_eq(pool_stats(pool).idle, 1);
    relay_goes_deaf(&r);
    until(pool_stats(pool).total == 0); /* when its socket is closed; nobody has asked for it */
    check_eq(pool_stats(pool).lost, 1);
    check_eq(pool_run(pool, "SELECT 1"), 1); /* the network works again */
    check_eq(pool_stats(pool).made, 2);
    pool_over(pool);
    relay_end(&r);
    return 0;
}
