/* SPDX-License-Identifier: MIT */
#ifndef OURO_LISTENER_H
#define OURO_LISTENER_H

#include <ouro/address.h>
#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/sockopt.h>
#include <ouro/stream.h>

/**
 * @file listener.h
 * Sockets that are connected to: TCP and unix, one connection after the other as a stream.
 *
 *     ouro_listener *l;
 *     int rc = ouro_listen(":8080", NULL, &l);
 *     while (rc == 0) {
 *         int64_t n;
 *         ouro_stream *s = ouro_await_ptr(ouro_listener_accept(l), &n);
 *         ...
 *     }
 *
 * For a task a connection, see <ouro/serve.h>.
 *
 * Connections are taken from the kernel while somebody waits for one, several at a time when they
 * come in crowds; the rest waits in the kernel's queue, so a program that does not accept is a full
 * queue and nothing worse. None gets lost on the way: one that came for a wait which was cancelled,
 * timed out or lost a select goes to the next who waits.
 *
 * When the process is out of descriptors or the kernel out of memory, accepting pauses: until a
 * stream or listener of this loop is closed, and else for 10 ms, twice as long every time up to
 * 1 s. Those who wait go on waiting, those who connect wait in the kernel's queue, no connection is
 * dropped to make room, and no processor is kept busy. OURO_REPORT_OVERLOAD says so once.
 */

/** A listener. Belongs to the loop of the thread that made it. */
typedef struct ouro_listener ouro_listener;

/** Options of listening. Zero is the default of every field. */
typedef struct ouro_listener_options {
    int backlog;          /**< connections the kernel keeps until they are accepted; the system
                                   may allow fewer. Default: 4096, the net.core.somaxconn of Linux
                                   since 5.4, which is the most it allows unless told otherwise */
    int no_reuse_address; /**< not 0: a port stays taken until the last connection of its former
                                   owner is forgotten, about a minute. Default: it can be bound at
                                   once (SO_REUSEADDR), as a server that is restarted needs */
    int unlink_stale;     /**< not 0: a unix socket that nobody listens at is replaced, as it is
                                   left behind by a crash. Default: -EADDRINUSE */
    unsigned mode;        /**< permissions of a unix socket with a path, such as 0660. Default:
                                   0777 without the umask */
    ouro_ns defer;        /**< accept a TCP connection when its first bytes are there, or after
                                   so long without; rounded up to seconds (TCP_DEFER_ACCEPT), at
                                   most 32767 s. Only for protocols where the client speaks first.
                                   Default: at once */
    int fast_open;        /**< connections that may send their first bytes with the SYN, at once
                                   (TCP_FASTOPEN); where the system allows that. Default: none */
    ouro_socket_options socket; /**< set before binding, and inherited by what is accepted. As
                                   elsewhere, small writes are sent at once (TCP_NODELAY) unless
                                   socket.nagle: with a library that writes whole messages,
                                   waiting for an acknowledgement only delays the last part of
                                   each. reuse_address is of no matter, see no_reuse_address.
                                   Strings are borrowed for the call */
    ouro_stream_options stream; /**< of what is accepted */
} ouro_listener_options;

/** What a listener has done. */
typedef struct ouro_listener_stats {
    uint64_t accepted; /**< connections that came from the kernel */
    uint64_t returned; /**< that nobody took, and went to the next who waited */
    uint64_t skipped;  /**< that had broken off again before they could be accepted */
    uint64_t pauses;   /**< times accepting paused for want of descriptors or memory */
    uint64_t dropped;  /**< accepted ones that were closed: came after everybody who waited had been
                            cancelled, and there was no memory to keep them; or at the close */
    size_t ready;      /**< accepted, and waiting for somebody to ask */
    size_t waiting;    /**< ouro_listener_accept() that are pending */
    int paused;        /**< accepting has paused now */
} ouro_listener_stats;

OURO_BEGIN_DECLS

/* ---- Making ---------------------------------------------------------------------------------- */

/**
 * Listen at a place in words.
 *
 * @param where         Borrowed for the call:
 *   - "127.0.0.1:8080", "[::1]:8080", "[::]:80"   one address; "[::]" takes IPv4 too, unless
 *     opts->socket.v6only
 *   - ":8080"        all addresses of this machine, IPv6 and IPv4; IPv4 alone where there is no
 *     IPv6
 *   - "unix:/path"   a path; it is removed again when the listener is closed
 *   - "unix:@name"   an abstract name, which goes with the listener
 *   - Port 0 is a free one: see ouro_listener_address(). No names of hosts, which would have to be
 *     waited for: ouro_resolve() and ouro_listener_open().
 * @param opts          Copied; NULL for defaults.
 * @param ret_listener  Receives it, yours until ouro_listener_free().
 * @return 0, or
 *   - -EADDRINUSE     somebody listens there, or the path exists
 *   - -EADDRNOTAVAIL  the address is not this machine's
 *   - -EACCES         a privileged port, or a folder that may not be written to
 *   - -EINVAL         malformed, a name; a negative backlog or one of the options; NULL
 *   - -ERANGE         the port is beyond 65535
 *   - -ENAMETOOLONG   the path has more than 107 bytes
 *   - -ENOENT, -ENOTDIR, -EROFS   the path's folder
 *   - -ENODEV         no interface has the zone's name
 *   - -EAFNOSUPPORT   no such family in this kernel
 *   - -EMFILE, -ENFILE, -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN
 *   - other < 0       negative errno of an option, see <ouro/sockopt.h>. Nothing is written then.
 * @thread Loop thread only.
 */
int ouro_listen(const char *where, const ouro_listener_options *opts,
                ouro_listener **ret_listener) OURO_NODISCARD;

/**
 * Listen at an address.
 *
 * @param address       Borrowed for the call.
 * @param opts          Copied; NULL for defaults.
 * @param ret_listener  Receives it, yours until ouro_listener_free().
 * @return As ouro_listen(); -EAFNOSUPPORT also for an address without a family.
 * @thread Loop thread only.
 */
int ouro_listener_open(const ouro_address *address, const ouro_listener_options *opts,
                       ouro_listener **ret_listener) OURO_NODISCARD;

/**
 * Make a listener of a descriptor that listens already, such as one inherited from systemd
 * (sd_listen_fds(3): the first is 3).
 *
 * @param fd            Taken over on success: closed with the listener. A path it is bound to is
 *                      left alone.
 * @param opts          Copied; NULL for defaults. Only the options of streams matter: the rest was
 *                      decided by who opened it.
 * @param ret_listener  Receives it, yours until ouro_listener_free().
 * @return 0; on failure @p fd stays yours: -EBADF (not open), -ENOTSOCK, -EOPNOTSUPP (not a stream
 *         socket), -EINVAL (it does not listen; NULL), -ENOMEM, -EPERM, -ECHILD, -ESHUTDOWN.
 * @thread Loop thread only.
 */
int ouro_listener_from_fd(int fd, const ouro_listener_options *opts,
                          ouro_listener **ret_listener) OURO_NODISCARD;

/* ---- Accepting ------------------------------------------------------------------------------- */

/**
 * Accept a connection.
 *
 * Any number may wait; they are served in their order. Connections that broke off before they could
 * be accepted are skipped.
 *
 * @param l  Borrowed; the future keeps what it needs of it.
 * @return A future, never NULL; its ptr is the connection, an ouro_stream, n is 0. One that nobody
 *         takes goes to the next who waits, or stays until there is somebody: so ouro_await(),
 *         which takes no object, leaves it there. ouro_stream_peer() tells who it is.
 *   - 0
 *   - -ECANCELED   nothing was taken
 *   - -EBADF       the listener is closed, or was while this waited
 *   - -EINVAL      it listens no more: somebody has shut the socket down; or NULL
 *   - -ENOMEM      for the stream; the connection stays for the next who asks
 *   - -EXDEV, -ECHILD, -ESHUTDOWN
 *   - other < 0    negative errno of accept(2) that more waiting would not mend
 * @owns the caller: take the stream with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_listener_accept(ouro_listener *l) OURO_NODISCARD;

/* ---- The end --------------------------------------------------------------------------------- */

/**
 * Close: whoever waits to accept is told -EBADF, connections that nobody has asked for are closed,
 * the path of a unix socket that was bound here is removed, and when the kernel has let go of it
 * the descriptor is closed.
 *
 * @param l  Borrowed, and valid until ouro_listener_free(). Any number may wait, also later.
 * @return A future, never NULL: 0 it is closed; -ECANCELED (it is being closed all the same),
 *         -ENOMEM (likewise), -EINVAL, -EXDEV, -ECHILD.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_listener_close(ouro_listener *l) OURO_NODISCARD;

/**
 * Give a listener back; it is closed if it was not.
 *
 * @param l  Consumed; NULL is allowed. Futures of its calls may still be awaited.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_listener *ouro_listener_free(ouro_listener *l);

/* ---- Looking --------------------------------------------------------------------------------- */

/**
 * Where it listens; with port 0, which port it got.
 *
 * @param l            Borrowed.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0, -EBADF (closed), -EINVAL (NULL).   @thread Loop thread only.
 */
int ouro_listener_address(const ouro_listener *l, ouro_address *ret_address);

/**
 * The descriptor, for options of sockets and the like. Do not accept from it or close it.
 *
 * @param l  Borrowed.
 * @return The descriptor, still the listener's; -EBADF (closed), -EINVAL.   @thread Loop thread
 *         only.
 */
int ouro_listener_fd(const ouro_listener *l);

/**
 * What it has done.
 *
 * @param l          Borrowed.
 * @param ret_stats  Filled.
 * @return 0, -EINVAL.   @thread Loop thread only.
 */
int ouro_listener_stats_get(const ouro_listener *l, ouro_listener_stats *ret_stats);

OURO_END_DECLS

#endif
