/* SPDX-License-Identifier: MIT */
#ifndef OURO_TEST_NGINX_H
#define OURO_TEST_NGINX_H

/*
 * A web server of somebody else's, for what ours might get wrong in the same way as our client.
 *
 *     /         "hello\n"
 *     /echo     the method, the field X-Test and the query
 *     /moved    302 to /
 *     /insecure 302 to / by http, whatever it was asked by
 *     /cookie   sets a cookie, and says which one it was sent
 *     /big      10 MB of text
 *     /text     100 kB of text, compressed
 *
 * It ends with the process. What fails here is not what is being tested: it is said on standard
 * error, and abort() follows.
 */

struct nginx;

#define NGINX_BIG  10000000
#define NGINX_TEXT 100000

/* Start one on the loopback device, on a processor, or -1. NULL: it is not installed. */
struct nginx *nginx_start(int cpu);

int nginx_port(const struct nginx *n);

/* By TLS, with HTTP/2 and without; 0: openssl(1) is not installed. The certificate is for
 * localhost. */
int nginx_tls_port(const struct nginx *n);
int nginx_tls_1_port(const struct nginx *n);
const char *nginx_certificate(const struct nginx *n);

/* Write the URL of a path. Returns @buf, of 256 bytes. */
char *nginx_url(const struct nginx *n, const char *path, char *buf);

void nginx_stop(struct nginx *n);

#endif
