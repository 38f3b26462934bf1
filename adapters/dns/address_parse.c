/* SPDX-License-Identifier: MIT */
/*
 * Reading addresses, and taking "host:port" apart.
 *
 * Each part has a reader of its own that takes all of its text or fails, so that nothing behind the
 * end goes unseen. Numbers are read in the one form in which they are printed: what other readers
 * take for octal, hexadecimal or short is an error here, never another address.
 */
#include "address_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define UNIX_HEAD     offsetof(struct sockaddr_un, sun_path)
#define UNIX_NAME_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define HOST_MAX      253 /* without the dot at its end */
#define LABEL_MAX     63  /* RFC 1035 */

/* Longest number of a host: an IPv6 address, a percent sign, an interface. */
#define IP_TEXT (INET6_ADDRSTRLEN + 1 + IF_NAMESIZE)

/* ---- Characters: those of ASCII, whatever the locale ----------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* All digits, and no zero before others. */
static bool is_number(const char *text)
{
    size_t digits = 0;
    while (is_digit(text[digits]))
        digits++;
    return digits && text[digits] == '\0' && (digits == 1 || text[0] != '0');
}

/* A number up to @max: -EINVAL, or -ERANGE beyond it. */
static int64_t read_number(const char *text, uint32_t max)
{
    if (!is_number(text))
        return -EINVAL;
    int64_t n = 0;
    for (; *text && n <= max; text++)
        n = n * 10 + (*text - '0');
    return n <= max ? n : -ERANGE;
}

/* An interface by its name or number. */
static int read_zone(const char *text, uint32_t *ret_index)
{
    int64_t number = read_number(text, UINT32_MAX);
    if (number == 0)
        return -EINVAL;
    if (number < 0) {
        errno = 0;
        number = *text ? if_nametoindex(text) : 0;
        if (number == 0)
            return errno == EMFILE || errno == ENFILE ? -errno : *text ? -ENODEV : -EINVAL;
    }
    *ret_index = (uint32_t)number;
    return 0;
}

static int read_ip6(const char *text, uint16_t port, ouro_address *ret)
{
    char ip[INET6_ADDRSTRLEN];
    const char *percent = strchrnul(text, '%');
    size_t size = (size_t)(percent - text);
    if (size >= sizeof ip)
        return -EINVAL;
    memcpy(ip, text, size);
    ip[size] = '\0';
    ouro_address a = {.size = sizeof(a.as.ip6)};
    a.as.ip6.sin6_family = AF_INET6;
    a.as.ip6.sin6_port = htons(port);
    if (inet_pton(AF_INET6, ip, &a.as.ip6.sin6_addr) != 1)
        return -EINVAL;
    int rc = *percent ? read_zone(percent + 1, &a.as.ip6.sin6_scope_id) : 0;
    if (rc == 0)
        *ret = a;
    return rc;
}

static int read_ip4(const char *text, uint16_t port, ouro_address *ret)
{
    ouro_address a = {.size = sizeof(a.as.ip4)};
    a.as.ip4.sin_family = AF_INET;
    a.as.ip4.sin_port = htons(port);
    if (inet_pton(AF_INET, text, &a.as.ip4.sin_addr) != 1)
        return -EINVAL;
    *ret = a;
    return 0;
}

int ouro_address_of_ip(const char *ip, int port, ouro_address *ret_address)
{
    if (!ip || !ret_address)
        return -EINVAL;
    if (port < 0 || port > UINT16_MAX)
        return -ERANGE;
    return strchr(ip, ':') ? read_ip6(ip, (uint16_t)port, ret_address)
                           : read_ip4(ip, (uint16_t)port, ret_address);
}

/* ---- Unix sockets ---------------------------------------------------------------------------- */

static void set_unix(ouro_address *ret, bool abstract, const char *name, size_t size)
{
    *ret = (ouro_address){.size = (socklen_t)(UNIX_HEAD + size + 1)};
    ret->as.local.sun_family = AF_UNIX;
    memcpy(ret->as.local.sun_path + abstract, name, size);
}

int ouro_address_of_unix(const char *name, ouro_address *ret_address)
{
    if (!name || !ret_address)
        return -EINVAL;
    bool abstract = name[0] == '@';
    size_t size = strlen(name + abstract);
    if (size == 0)
        return -EINVAL;
    if (size > UNIX_NAME_MAX)
        return -ENAMETOOLONG;
    set_unix(ret_address, abstract, name + abstract, size);
    return 0;
}

/* One byte of a name, which may be written as a number. How many were read; 0: malformed. */
static size_t read_byte(const char *text, char *ret)
{
    *ret = text[0];
    if (text[0] != '\\')
        return (unsigned char)text[0] >= ' ' && text[0] != 0x7f ? 1 : 0;
    if (text[1] != 'x' || hex_value(text[2]) < 0 || hex_value(text[3]) < 0)
        return 0;
    *ret = (char)(hex_value(text[2]) << 4 | hex_value(text[3]));
    return 4;
}

/* What follows "unix:". */
static int read_unix(const char *text, ouro_address *ret)
{
    char name[UNIX_NAME_MAX];
    size_t size = 0;
    bool abstract = *text == '@';
    for (text += abstract; *text; size++) {
        char c;
        size_t n = read_byte(text, &c);
        if (n == 0 || (c == '\0' && !abstract))
            return -EINVAL;
        if (size == sizeof name)
            return -ENAMETOOLONG;
        name[size] = c;
        text += n;
    }
    if (size == 0)
        return -EINVAL;
    set_unix(ret, abstract, name, size);
    return 0;
}

/* ---- Hosts and ports ------------------------------------------------------------------------- */

/* What other readers would take for a part of an IPv4 address: decimal, octal or hexadecimal. */
static bool looks_like_a_number(const char *label, size_t size)
{
    bool hex = size >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x';
    for (size_t i = hex ? 2 : 0; i < size; i++)
        if (hex ? hex_value(label[i]) < 0 : !is_digit(label[i]))
            return false;
    return true;
}

static bool is_name_byte(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

int ouro__host_check(const char *host)
{
    size_t size = strlen(host);
    if (size && host[size - 1] == '.')
        size--;
    if (size == 0)
        return -EINVAL;
    if (size > HOST_MAX)
        return -ENAMETOOLONG;
    size_t label = 0; /* where it begins */
    for (size_t i = 0; i <= size; i++) {
        if (i < size && host[i] != '.') {
            if (!is_name_byte(host[i]))
                return -EINVAL;
            continue;
        }
        if (i == label)
            return -EINVAL;
        if (i - label > LABEL_MAX)
            return -ENAMETOOLONG;
        if (i == size && looks_like_a_number(host + label, i - label))
            return -EINVAL;
        label = i + 1;
    }
    return 0;
}

static bool is_service_byte(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '+' || c == '.';
}

int ouro__service_port(const char *service)
{
    bool letters = false;
    size_t size = 0;
    for (; service[size]; size++) {
        if (!is_service_byte(service[size]))
            return -EINVAL;
        letters |= !is_digit(service[size]);
    }
    if (!letters)
        return size ? (int)read_number(service, UINT16_MAX) : 0;
    return size < OURO_SERVICE_TEXT ? -ENOENT : -ENAMETOOLONG;
}

/* @text from @from to @to into a buffer. */
static int copy_part(char *buf, size_t size, const char *from, const char *to)
{
    size_t length = (size_t)(to - from);
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(buf, from, length);
    buf[length] = '\0';
    return 0;
}

/* What is behind the host: nothing, or a colon and a service. */
static int split_service(const char *text, char service[OURO_SERVICE_TEXT])
{
    service[0] = '\0';
    if (*text == '\0')
        return 0;
    if (text[0] != ':' || text[1] == '\0')
        return -EINVAL;
    int rc = ouro__service_port(text + 1);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    return copy_part(service, OURO_SERVICE_TEXT, text + 1, text + strlen(text));
}

/* "[::1]", and where it ends. */
static int split_brackets(const char *text, char host[OURO_HOST_TEXT], const char **ret_end)
{
    ouro_address a;
    const char *end = strchr(text, ']');
    if (!end || end - text > IP_TEXT)
        return -EINVAL;
    int rc = copy_part(host, OURO_HOST_TEXT, text + 1, end);
    if (rc == 0)
        rc = strchr(host, ':') ? ouro_address_of_ip(host, 0, &a) : -EINVAL;
    *ret_end = end + 1;
    return rc;
}

static int split_name(const char *text, char host[OURO_HOST_TEXT], const char **ret_end)
{
    ouro_address a;
    *ret_end = strchrnul(text, ':');
    int rc = copy_part(host, OURO_HOST_TEXT, text, *ret_end);
    if (rc < 0 || ouro_address_of_ip(host, 0, &a) == 0)
        return rc;
    return ouro__host_check(host);
}

int ouro_host_port_split(const char *text, ouro_host_port *ret_split)
{
    if (!text || !ret_split)
        return -EINVAL;
    ouro_host_port split;
    const char *end;
    int rc = text[0] == '[' ? split_brackets(text, split.host, &end)
                            : split_name(text, split.host, &end);
    if (rc == 0)
        rc = split_service(end, split.service);
    if (rc == 0)
        *ret_split = split;
    return rc;
}

int ouro_address_parse(const char *text, ouro_address *ret_address)
{
    ouro_host_port split;
    if (!text || !ret_address)
        return -EINVAL;
    if (strncmp(text, "unix:", 5) == 0)
        return read_unix(text + 5, ret_address);
    int rc = ouro_host_port_split(text, &split);
    if (rc < 0)
        return rc == -ENAMETOOLONG ? -EINVAL : rc;
    int port = split.service[0] ? ouro__service_port(split.service) : -EINVAL;
    if (port < 0)
        return port == -ENOENT ? -EINVAL : port;
    return ouro_address_of_ip(split.host, port, ret_address);
}
