/* SPDX-License-Identifier: MIT */
/*
 * A UDP server that sends everything back: udp_echo 0.0.0.0:7777, until Control-C.
 *
 * Without an address it is its own client: it asks itself a few things and prints the answers.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH 32

/* Whatever has come goes back in one go, from the buffers it lies in. */
static int64_t serve(void *socket)
{
    ouro_message in[BATCH];
    ouro_outgoing out[BATCH];
    for (;;) {
        int64_t n = ouro_await(ouro_datagram_next(socket, in, BATCH));
        if (n < 0)
            return n;
        for (int64_t i = 0; i < n; i++)
            out[i] = (ouro_outgoing){.bytes = in[i].bytes, .size = in[i].size, .to = &in[i].from};
        ouro_await(ouro_datagram_send_many(socket, out, (size_t)n));
    }
}

static int64_t serve_at(void *address)
{
    ouro_datagram *socket;
    int64_t rc = ouro_udp_open(address, NULL, NULL, &socket);
    if (rc < 0)
        return rc;
    rc = serve(socket);
    ouro_datagram_free(socket);
    return rc;
}

static int64_t ask(ouro_datagram *client, const char *question)
{
    char answer[64];
    int64_t rc = ouro_await(ouro_datagram_send(client, question, strlen(question)));
    if (rc < 0)
        return rc;
    rc = ouro_await(
        ouro_timeout(ouro_datagram_receive(client, answer, sizeof answer, NULL), OURO_SEC(5)));
    if (rc >= 0)
        printf("echo of %lld bytes: \"%.*s\"\n", (long long)rc, (int)rc, answer);
    return rc;
}

/* A thousand at once, which the kernel carries in a few pieces. */
static int64_t flood(ouro_datagram *client)
{
    enum { COUNT = 1000 };
    static ouro_outgoing out[COUNT];
    ouro_message in[BATCH];
    int64_t answers = 0;
    for (int i = 0; i < COUNT; i++)
        out[i] = (ouro_outgoing){.bytes = "0123456789abcdef", .size = 16};
    for (int sent = 0; sent < COUNT; sent += 100) {
        int64_t n = ouro_await(ouro_datagram_send_many(client, &out[sent], 100));
        for (int64_t got = 0; n > 0 && got < 100; got += n, answers += n)
            n = ouro_await(ouro_timeout(ouro_datagram_next(client, in, BATCH), OURO_SEC(5)));
        if (n < 0)
            return n;
    }
    printf("echoes of a thousand: %lld\n", (long long)answers);
    return 0;
}

static int64_t self_test(void *unused)
{
    (void)unused;
    ouro_datagram *server, *client = NULL;
    ouro_address here;
    int64_t rc = ouro_udp_open("127.0.0.1:0", NULL, NULL, &server);
    if (rc < 0)
        return rc;
    rc = ouro_sockopt_address(ouro_datagram_fd(server), &here);
    if (rc == 0)
        rc = ouro_datagram_open(NULL, &here, NULL, &client);
    ouro_future *serving = ouro_spawn(serve, server);
    if (rc == 0)
        rc = ask(client, "hello");
    if (rc >= 0)
        rc = ask(client, "");
    if (rc >= 0)
        rc = flood(client);
    ouro_await(ouro_datagram_close(server)); /* which ends who serves it */
    printf("the server ended: %s\n", ouro_strerror(ouro_await(serving)));
    ouro_datagram_free(client);
    ouro_datagram_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    int64_t rc = argc > 1 ? ouro_run(serve_at, argv[1], NULL) : ouro_run(self_test, NULL, NULL);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "udp_echo: %s\n", ouro_strerror(rc));
    return rc == -EINTR ? 0 : ouro_exit_code(rc);
}
