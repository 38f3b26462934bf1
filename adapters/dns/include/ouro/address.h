/* SPDX-License-Identifier: MIT */
#ifndef OURO_ADDRESS_H
#define OURO_ADDRESS_H

#include <ouro/base.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/**
 * @file address.h
 * Where a socket is: IPv4, IPv6, and names of unix sockets. Values, to be copied freely.
 *
 *     127.0.0.1:80   [::1]:80   [fe80::1%eth0]:80   unix:/run/door   unix:@abstract
 *
 * What is printed can be read again, and gives the same. Reading is strict: no short forms
 * (127.1), no octal or hexadecimal numbers, no blanks, nothing behind the end. Nothing here waits,
 * or asks anybody about a name; that is <ouro/resolve.h>.
 *
 * In the name of a unix socket, a byte below the blank, a backslash and a delete are written as
 * \\xNN, two hexadecimal digits, and read so.
 */

/** An address. All zero is none: family AF_UNSPEC, and no call takes it for more than that. */
typedef struct ouro_address {
    union {
        struct sockaddr any;      /**< the family: as.any.sa_family */
        struct sockaddr_in ip4;   /**< AF_INET */
        struct sockaddr_in6 ip6;  /**< AF_INET6 */
        struct sockaddr_un local; /**< AF_UNIX */
    } as;                         /**< what a system call takes is &a.as.any */
    socklen_t size;               /**< bytes of it, as system calls want to know */
} ouro_address;

/** Capacity that ouro_address_print() needs at most: "unix:" and 108 bytes, each written as four,
 *  and the zero, rounded up. */
#define OURO_ADDRESS_TEXT 448

/** Longest name of a host: 253 bytes (RFC 1035, 255 with the lengths of its labels), a dot behind
 *  them, and the zero. */
#define OURO_HOST_TEXT 255

/** Longest name of a service or number of a port: 32 bytes, where the longest that is registered
 *  has 15 (RFC 6335), and the zero. */
#define OURO_SERVICE_TEXT 33

/** A host and a port in words, as "example.org:443" has them. */
typedef struct ouro_host_port {
    char host[OURO_HOST_TEXT];       /**< a name or a number, without brackets */
    char service[OURO_SERVICE_TEXT]; /**< a number or a name such as "https"; empty: none */
} ouro_host_port;

OURO_BEGIN_DECLS

/* ---- Reading --------------------------------------------------------------------------------- */

/**
 * Read an address with numbers: one of the five forms above.
 *
 * @param text         Borrowed for the call.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0, or
 *   - -EINVAL        no address: malformed, no port, a name where numbers are needed, NULL
 *   - -ERANGE        the port is beyond 65535
 *   - -ENODEV        no interface has the zone's name; -EMFILE, -ENFILE: it could not be asked for
 *   - -ENAMETOOLONG  the name of the unix socket has more than 107 bytes
 * @thread Any.
 */
int ouro_address_parse(const char *text, ouro_address *ret_address) OURO_NODISCARD;

/**
 * An address of numbers: "127.0.0.1", "::1" or "fe80::1%eth0", and a port.
 *
 * @param ip           Borrowed for the call; without brackets.
 * @param port         0 to 65535.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0, -EINVAL (malformed, or a name; NULL), -ERANGE (the port), -ENODEV,
 *         -EMFILE, -ENFILE (the zone).   @thread Any.
 */
int ouro_address_of_ip(const char *ip, int port, ouro_address *ret_address) OURO_NODISCARD;

/**
 * The address of a unix socket.
 *
 * @param name         Borrowed for the call: a path, or "@" and an abstract name; taken as it is,
 *                     without \\xNN.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0, -EINVAL (empty, "@" alone, NULL), -ENAMETOOLONG (more than 107 bytes).
 * @thread Any.
 */
int ouro_address_of_unix(const char *name, ouro_address *ret_address) OURO_NODISCARD;

/**
 * An address from a system call.
 *
 * @param from         Borrowed for the call.
 * @param size         Bytes of it.
 * @param ret_address  Receives a copy. Untouched on failure.
 * @return 0, -EINVAL (NULL, or fewer bytes than its family has), -EAFNOSUPPORT (another family).
 *           @thread Any.
 */
int ouro_address_of_sockaddr(const struct sockaddr *from, size_t size,
                             ouro_address *ret_address) OURO_NODISCARD;

/**
 * Take "host:port" apart: "example.org:443", "example.org:https", "example.org", "[::1]:80",
 * "[::1]", "127.0.0.1:80".
 *
 * The host is looked at for its form alone: letters, digits, hyphens and underscores in labels of
 * 63 bytes at most, or numbers; other bytes than ASCII pass. A name that ends in a label of digits
 * is a malformed number, as in 127.0.0.256.
 *
 * @param text      Borrowed for the call.
 * @param ret_split Receives both parts. Untouched on failure.
 * @return 0, -EINVAL (malformed, an empty host or port, several colons without brackets, NULL),
 *         -ERANGE (the port is beyond 65535), -ENAMETOOLONG (the host or the port's name), -ENODEV
 *         (the zone).
 * @thread Any.
 */
int ouro_host_port_split(const char *text, ouro_host_port *ret_split) OURO_NODISCARD;

/* ---- Writing and comparing ------------------------------------------------------------------- */

/**
 * Write an address.
 *
 * A unix socket without a name, as that of most clients, is "unix:", and none at all "none"; these
 * two cannot be read again.
 *
 * @param address  Borrowed; NULL is none.
 * @param buf      Receives the text, always terminated when @p size > 0. Yours.
 * @param size     Capacity of @p buf in bytes; OURO_ADDRESS_TEXT is enough.
 * @return Length of the whole text in bytes, like snprintf(3).   @thread Any.
 */
size_t ouro_address_print(const ouro_address *address, char *buf, size_t size);

/**
 * Order addresses: by family, then by number or name, then by port, then by zone.
 *
 * @param a  Borrowed; NULL is none, which comes first.
 * @param b  Likewise.
 * @return < 0, 0 (the same), > 0.   @thread Any.
 */
int ouro_address_compare(const ouro_address *a, const ouro_address *b);

/**
 * Whether what is sent there stays on this machine for sure: 127.0.0.0/8, ::1, the same mapped
 * into IPv6, and every unix socket.
 *
 * @param address  Borrowed; NULL is not.
 * @return 1 or 0.   @thread Any.
 */
int ouro_address_is_loopback(const ouro_address *address);

/**
 * The port.
 *
 * @param address  Borrowed.
 * @return 0 to 65535, -EAFNOSUPPORT (it has none), -EINVAL (NULL).   @thread Any.
 */
int ouro_address_port(const ouro_address *address);

/**
 * Change the port.
 *
 * @param address  Changed.
 * @param port     0 to 65535.
 * @return 0, -ERANGE, -EAFNOSUPPORT (it has none), -EINVAL (NULL).   @thread Any.
 */
int ouro_address_set_port(ouro_address *address, int port);

OURO_END_DECLS

#endif
