/* SPDX-License-Identifier: MIT */
/*
 * Which ports answer: a thousand connects at once, each with a deadline of its own.
 *
 *     port_check HOST FIRST LAST
 *
 * Without arguments it looks at places of this machine, of which it has opened some itself.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define AT_ONCE 1000
#define LIMIT   OURO_MS(500)

struct counts {
    int open, closed, silent;
};

/* What one of them came to. */
static void count(struct counts *c, const ouro_address *at, int64_t n, int show)
{
    char text[OURO_ADDRESS_TEXT];
    ouro_address_print(at, text, sizeof text);
    if (n >= 0) {
        close((int)n);
        c->open++;
    } else if (n == -ETIMEDOUT) {
        c->silent++;
    } else if (n == -ECONNREFUSED) {
        c->closed++;
    } else {
        printf("%s: %s\n", text, ouro_strerror(n));
    }
    if (n >= 0 && show)
        printf("%s is open\n", text);
}

/* Try all of them at once. */
static int64_t check_some(const ouro_address *at, size_t n, int show, struct counts *c)
{
    static ouro_future *tries[AT_ONCE];
    static ouro_result results[AT_ONCE];
    for (size_t i = 0; i < n; i++)
        tries[i] = ouro_timeout(ouro_connect_to(&at[i], 1, NULL), LIMIT);
    int64_t rc = ouro_await(ouro_gather(tries, n, OURO_GATHER_COLLECT, results));
    for (size_t i = 0; i < n && rc == 0; i++)
        count(c, &at[i], results[i].n, show);
    return rc;
}

static void report(const struct counts *c)
{
    printf("%d open, %d closed, %d silent\n", c->open, c->closed, c->silent);
}

/* ---- The ports of a host --------------------------------------------------------------------- */

struct range {
    const char *host;
    int first, last;
};

static int64_t check_range(void *arg)
{
    static ouro_address at[AT_ONCE];
    const struct range *range = arg;
    struct counts counts = {0, 0, 0};
    int64_t rc;
    ouro_future *f = ouro_resolve(range->host, NULL, NULL);
    ouro_addresses *host = ouro_await_ptr(ouro_ref(f), &rc);
    if (!host)
        fprintf(stderr, "%s: %s\n", ouro_future_detail(f), ouro_strerror(rc));
    ouro_unref(f);
    for (int port = range->first; port <= range->last && rc >= 0;) {
        size_t n = 0;
        for (; n < AT_ONCE && port <= range->last; n++) {
            at[n] = host->items[0];
            ouro_address_set_port(&at[n], port++);
        }
        rc = check_some(at, n, 1, &counts);
    }
    ouro_addresses_free(host);
    if (rc >= 0)
        report(&counts);
    return rc;
}

/* ---- Places of this machine ------------------------------------------------------------------ */

#define OPEN 10

/* Listen at @at, whose port is chosen if it is 0. A backlog of 0 is full with one that waits. */
static int listen_at(ouro_address *at, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &at->as.any, at->size) < 0 || listen(fd, backlog) < 0) {
        perror("cannot listen");
        exit(1);
    }
    ouro_sockopt_address(fd, at);
    return fd;
}

/* 127.0.i.1 for each i below 200, then 127.1.i.1, and so on: all of them are this machine. */
static ouro_address place(int i, int port)
{
    char ip[32];
    ouro_address at;
    snprintf(ip, sizeof ip, "127.%d.%d.1", i / 200, i % 200);
    if (ouro_address_of_ip(ip, port, &at) < 0)
        abort();
    return at;
}

static int64_t check_own(void *arg)
{
    static ouro_address at[AT_ONCE];
    int fds[OPEN + 1];
    struct counts counts = {0, 0, 0};
    (void)arg;
    at[0] = place(0, 0);
    fds[0] = listen_at(&at[0], AT_ONCE);
    for (int i = 1; i < AT_ONCE; i++) {
        at[i] = place(i, ouro_address_port(&at[0]));
        if (i <= OPEN)
            fds[i] = listen_at(&at[i], i < OPEN ? AT_ONCE : 0);
    }
    int64_t waiting = ouro_await(ouro_connect_to(&at[OPEN], 1, NULL));
    int64_t rc = waiting < 0 ? waiting : check_some(at, AT_ONCE, 0, &counts);
    if (rc >= 0)
        report(&counts);
    if (waiting >= 0)
        close((int)waiting);
    for (int i = 0; i <= OPEN; i++)
        close(fds[i]);
    return rc;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static int port_of(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *text && !*end && port > 0 && port < 65536 ? (int)port : -1;
}

/* As many descriptors as we may have: the usual 1 024 are too few. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    allow_descriptors();
    if (argc == 1)
        return ouro_exit_code(ouro_run(check_own, NULL, NULL));
    struct range range = {argv[1], argc == 4 ? port_of(argv[2]) : -1,
                          argc == 4 ? port_of(argv[3]) : -1};
    if (range.first < 0 || range.last < range.first) {
        fprintf(stderr, "usage: %s [HOST FIRST LAST]\n", argv[0]);
        return 2;
    }
    return ouro_exit_code(ouro_run(check_range, &range, NULL));
}
