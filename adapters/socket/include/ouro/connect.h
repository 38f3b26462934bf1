/* SPDX-License-Identifier: MIT */
#ifndef OURO_CONNECT_H
#define OURO_CONNECT_H

#include <ouro/address.h>
#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/resolve.h>
#include <ouro/sockopt.h>

/**
 * @file connect.h
 * Connected descriptors: the lower half of what makes streams.
 *
 *     int64_t fd = ouro_await(ouro_timeout(ouro_connect("example.org:443", NULL), OURO_SEC(5)));
 *
 * A host often has several addresses, and some of them do not answer. So they are raced (RFC 8305):
 * the families take turns, beginning with that of the preferred address; the next one is tried as
 * soon as one fails, and after 250 ms at the latest; the first that is connected wins, and the
 * others are cancelled and closed before the future settles. When all fail, the detail of the error
 * tells of each.
 *
 * A cancel, at any time, leaves no descriptor behind.
 */

/** Options of connecting. Zero is the default of every field. */
typedef struct ouro_connect_options {
    int type;                   /**< SOCK_STREAM or, for unix sockets, SOCK_SEQPACKET. Default:
                                     SOCK_STREAM */
    ouro_resolve_options names; /**< how names are resolved, and which family is wanted */
    const ouro_address *bind; /**< where to connect from; addresses of other families are not tried.
                                     Borrowed for the call. Default: the kernel chooses */
    ouro_ns stagger;          /**< head start of an address before the next one is tried as well,
                                     10 ms at least. Default: 250 ms (RFC 8305, section 5);
                                     OURO_FOREVER: one after the other */
    int fast_open;            /**< not 0: TCP fast open: it is connected at once, the first bytes go
                                     with the SYN, and only then is it known whether somebody
                                     is there */
    ouro_socket_options socket; /**< set before connecting. Strings in it are borrowed until the
                                     future settles */
} ouro_connect_options;

OURO_BEGIN_DECLS

/**
 * Connect to a place in words.
 *
 * @param where  "example.org:443", "example.org:https", "127.0.0.1:80", "[fe80::1%eth0]:80",
 *               "unix:/path", "unix:@abstract". Borrowed until the future settles.
 * @param opts   Copied; NULL for defaults.
 * @return A future, never NULL.   @owns the caller; a descriptor nobody takes is closed. An error's
 *         detail names the place and each address that was tried.
 *   - n >= 0         a connected descriptor, close-on-exec and blocking; yours to close
 *   - -ECONNREFUSED  nobody listens there; also for a socket that was connected to itself
 *   - -ETIMEDOUT     the kernel gave up, after about two minutes: bound it with ouro_timeout()
 *   - -ENETUNREACH, -EHOSTUNREACH, -EADDRNOTAVAIL   there is no way there from here
 *   - -ENOENT, -EACCES, -EPROTOTYPE   of unix sockets
 *   - -EAFNOSUPPORT  no address of a family that is wanted
 *   - -EMFILE, -ENFILE   no descriptor was to be had
 *   - -ECANCELED     cancelled on request
 *   - -EINVAL        a malformed place, no port or port 0, an option beyond its limits; NULL
 *   - what ouro_resolve() says of the name, and the codes of the options in <ouro/sockopt.h>
 *   - -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN (the loop is closing)
 *   - other < 0      of several errors, that of the first address that says more than "no way"
 * @thread Loop thread only.
 */
ouro_future *ouro_connect(const char *where, const ouro_connect_options *opts) OURO_NODISCARD;

/**
 * Connect to one of several addresses: the caller's, in their order of preference.
 *
 * @param addresses  Copied.
 * @param count      How many, 1 to 1 024.
 * @param opts       Copied; NULL for defaults.
 * @return See ouro_connect(); -EINVAL also for no address, one without a family, or a unix socket
 *         without a name.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_connect_to(const ouro_address *addresses, size_t count,
                             const ouro_connect_options *opts) OURO_NODISCARD;

OURO_END_DECLS

#endif
