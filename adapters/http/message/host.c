/* SPDX-License-Identifier: MIT */
/*
 * A host and perhaps a port: RFC 3986, 3.2.2 and 3.2.3. Names of users are none of HTTP's (RFC 9110,
 * 4.2.4), nor are zones of addresses.
 */
#include "tables.h"

#include <arpa/inet.h>
#include <string.h>

/* How long the name is that @t begins with; -1: an escape in it is malformed. */
static int64_t name_length(struct http_text t)
{
    size_t i = 0;
    for (; i < t.size && ouro__http_is(t.at[i], HTTP_HOST); i++)
        if (t.at[i] == '%' &&
            (t.size - i < 3 || ouro__http_hex(t.at[i + 1]) < 0 || ouro__http_hex(t.at[i + 2]) < 0))
            return -1;
    return (int64_t)i;
}

/* The same of an address of IPv6 in brackets; -1: it is none. */
static int64_t address_length(struct http_text t)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *end = memchr(t.at, ']', t.size);
    size_t size = end ? (size_t)(end - t.at) - 1 : 0;
    if (size == 0 || size >= sizeof(text))
        return -1;
    memcpy(text, t.at + 1, size);
    text[size] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1 ? (int64_t)size + 2 : -1;
}

bool ouro__http_is_host(struct http_text t)
{
    int64_t host = t.size && t.at[0] == '[' ? address_length(t) : name_length(t);
    if (host <= 0)
        return false;
    size_t i = (size_t)host;
    if (i == t.size)
        return true;
    if (t.at[i++] != ':')
        return false;
    while (i < t.size && t.at[i] >= '0' && t.at[i] <= '9')
        i++;
    return i == t.size;
}
