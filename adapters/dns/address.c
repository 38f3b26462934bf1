/* SPDX-License-Identifier: MIT */
/*
 * Addresses as values: taken from system calls, printed, compared.
 *
 * An address is always as long as its size says, and as its family needs: what makes one sees to
 * that, so that what reads one need not look. Printing writes into the caller's buffer as far as it
 * goes, and counts on.
 */
#include "address_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define UNIX_HEAD offsetof(struct sockaddr_un, sun_path)

/* ---- From system calls ----------------------------------------------------------------------- */

/* A path may fill its field without a zero behind it, and the kernel then counts one all the
 * same. */
static int of_unix(const struct sockaddr *from, size_t size, ouro_address *ret)
{
    if (size > sizeof(struct sockaddr_un) + 1)
        return -EINVAL;
    if (size > sizeof(struct sockaddr_un))
        size = sizeof(struct sockaddr_un);
    ouro_address a = {.size = (socklen_t)size};
    memcpy(&a.as.local, from, size);
    if (size > UNIX_HEAD && a.as.local.sun_path[0]) {
        size = UNIX_HEAD + strnlen(a.as.local.sun_path, size - UNIX_HEAD) + 1;
        a.size = (socklen_t)(size > sizeof(a.as.local) ? sizeof(a.as.local) : size);
    }
    *ret = a;
    return 0;
}

int ouro_address_of_sockaddr(const struct sockaddr *from, size_t size, ouro_address *ret_address)
{
    if (!from || !ret_address || size < sizeof(from->sa_family))
        return -EINVAL;
    if (from->sa_family == AF_UNIX)
        return of_unix(from, size, ret_address);
    size_t full = from->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                  : from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                : 0;
    if (!full)
        return -EAFNOSUPPORT;
    if (size < full)
        return -EINVAL;
    ouro_address a = {.size = (socklen_t)full};
    memcpy(&a.as, from, full);
    *ret_address = a;
    return 0;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static int family(const ouro_address *a)
{
    return a ? a->as.any.sa_family : AF_UNSPEC;
}

/* Where its port is, in the order of the network; NULL: it has none. */
static in_port_t *port_of(ouro_address *a)
{
    switch (family(a)) {
    case AF_INET:
        return &a->as.ip4.sin_port;
    case AF_INET6:
        return &a->as.ip6.sin6_port;
    default:
        return NULL;
    }
}

int ouro_address_port(const ouro_address *address)
{
    if (!address)
        return -EINVAL;
    ouro_address copy = *address;
    const in_port_t *port = port_of(&copy);
    return port ? ntohs(*port) : -EAFNOSUPPORT;
}

int ouro_address_set_port(ouro_address *address, int port)
{
    if (!address)
        return -EINVAL;
    in_port_t *place = port_of(address);
    if (!place)
        return -EAFNOSUPPORT;
    if (port < 0 || port > UINT16_MAX)
        return -ERANGE;
    *place = htons((uint16_t)port);
    return 0;
}

static bool is_abstract(const ouro_address *a)
{
    return a->size > UNIX_HEAD && a->as.local.sun_path[0] == '\0';
}

size_t ouro__unix_name(const ouro_address *address, const char **ret_name)
{
    size_t size = address->size > UNIX_HEAD ? address->size - UNIX_HEAD : 0;
    *ret_name = address->as.local.sun_path;
    if (!is_abstract(address))
        return strnlen(*ret_name, size);
    ++*ret_name;
    return size - 1;
}

int ouro_address_is_loopback(const ouro_address *address)
{
    switch (family(address)) {
    case AF_INET:
        return ntohl(address->as.ip4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6: {
        const struct in6_addr *ip = &address->as.ip6.sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(ip) ||
               (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == IN_LOOPBACKNET);
    }
    default:
        return family(address) == AF_UNIX;
    }
}

/* ---- Order ----------------------------------------------------------------------------------- */

static int compare_numbers(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare_ip6(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
    int order = memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr));
    if (order == 0)
        order = compare_numbers(ntohs(a->sin6_port), ntohs(b->sin6_port));
    return order ? order : compare_numbers(a->sin6_scope_id, b->sin6_scope_id);
}

static int compare_ip4(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    int order = compare_numbers(ntohl(a->sin_addr.s_addr), ntohl(b->sin_addr.s_addr));
    return order ? order : compare_numbers(ntohs(a->sin_port), ntohs(b->sin_port));
}

/* Those without a name first, then paths, then abstract names. */
static int compare_unix(const ouro_address *a, const ouro_address *b)
{
    if (is_abstract(a) != is_abstract(b))
        return is_abstract(a) ? 1 : -1;
    const char *name_a, *name_b;
    size_t size_a = ouro__unix_name(a, &name_a);
    size_t size_b = ouro__unix_name(b, &name_b);
    int order = memcmp(name_a, name_b, size_a < size_b ? size_a : size_b);
    return order ? order : (size_a > size_b) - (size_a < size_b);
}

int ouro_address_compare(const ouro_address *a, const ouro_address *b)
{
    if (family(a) != family(b))
        return family(a) < family(b) ? -1 : 1;
    switch (family(a)) {
    case AF_INET:
        return compare_ip4(&a->as.ip4, &b->as.ip4);
    case AF_INET6:
        return compare_ip6(&a->as.ip6, &b->as.ip6);
    case AF_UNIX:
        return compare_unix(a, b);
    default:
        return 0;
    }
}

/* ---- In words -------------------------------------------------------------------------------- */

void ouro__put(struct ouro__text *t, const char *format, ...)
{
    bool room = t->length < t->size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room ? t->buf + t->length : NULL, room ? t->size - t->length : 0, format,
                      args);
    va_end(args);
    t->length += n > 0 ? (size_t)n : 0;
}

static void put_zone(struct ouro__text *t, uint32_t index)
{
    char name[IF_NAMESIZE];
    if (index && if_indextoname(index, name))
        ouro__put(t, "%%%s", name);
    else if (index)
        ouro__put(t, "%%%u", index);
}

static void put_ip6(struct ouro__text *t, const struct sockaddr_in6 *a)
{
    char ip[INET6_ADDRSTRLEN];
    ouro__put(t, "[%s", inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip));
    put_zone(t, a->sin6_scope_id);
    ouro__put(t, "]:%u", ntohs(a->sin6_port));
}

static void put_ip4(struct ouro__text *t, const struct sockaddr_in *a)
{
    char ip[INET_ADDRSTRLEN];
    ouro__put(t, "%s:%u", inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip), ntohs(a->sin_port));
}

/* What would be taken for the beginning of an abstract name is written as a number, too. */
static void put_unix(struct ouro__text *t, const ouro_address *a)
{
    const char *name;
    size_t size = ouro__unix_name(a, &name);
    ouro__put(t, is_abstract(a) ? "unix:@" : "unix:");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name[i];
        bool path_at = c == '@' && i == 0 && !is_abstract(a);
        ouro__put(t, c < ' ' || c == '\\' || c == 0x7f || path_at ? "\\x%02x" : "%c", c);
    }
}

size_t ouro_address_print(const ouro_address *address, char *buf, size_t size)
{
    struct ouro__text t = {buf, buf ? size : 0, 0};
    switch (family(address)) {
    case AF_INET:
        put_ip4(&t, &address->as.ip4);
        break;
    case AF_INET6:
        put_ip6(&t, &address->as.ip6);
        break;
    case AF_UNIX:
        put_unix(&t, address);
        break;
    default:
        ouro__put(&t, "none");
    }
    return t.length;
}
