/* SPDX-License-Identifier: MIT */
#ifndef OURO_DATAGRAM_H
#define OURO_DATAGRAM_H

#include <ouro/address.h>
#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/sockopt.h>

/**
 * @file datagram.h
 * Sockets whose messages have boundaries: UDP, Unix datagrams, Unix sequenced packets.
 *
 *     ouro_datagram *d;
 *     ouro_message m;
 *     int rc = ouro_udp_open("0.0.0.0:9999", NULL, NULL, &d);
 *     while (ouro_await(ouro_datagram_next(d, &m, 1)) == 1)
 *         ouro_await(ouro_datagram_send_to(d, m.bytes, m.size, &m.from));
 *     ouro_datagram_free(d);
 *
 * Receiving: one call at a time, a second is -EBUSY. A socket has a few buffers of its own, see
 * ouro_datagram_options, and begins to receive into them with the first call that receives, so a
 * call that is cancelled, or times out, loses nothing: the next one finds what has come. When all
 * buffers are full, nothing is thrown away here: the rest stays with the kernel, up to the socket's
 * receive buffer. What does not fit in there the kernel drops, and counts: see
 * ouro_datagram_stats.
 *
 * Sending: any number at a time. Each message goes whole or not at all.
 *
 * Errors that came back for a connected UDP socket (-ECONNREFUSED, -EHOSTUNREACH, ...: ICMP) are
 * told to one call, be it a receive or a send, and that is all: the socket goes on.
 *
 * Closing: whatever is pending then fails with -EBADF, as do later calls. The handle stays valid
 * until it is freed.
 */

/** A socket of messages. Belongs to the loop of the thread that made it. */
typedef struct ouro_datagram ouro_datagram;

/** Options of such sockets. Zero is the default of every field. */
typedef struct ouro_datagram_options {
    ouro_socket_options socket; /**< set before it is bound or connected. Strings in it are borrowed
                                     for the call; ouro_datagram_new() leaves it out */
    int broadcast;              /**< not 0: may send to broadcast addresses */
    size_t message_size;        /**< longest message that is received whole; more of one is cut off,
                                     which is told. 1 to 65 535; for Unix sockets, whose messages
                                     may be longer, to 1 MiB. Default: 65 535 */
    unsigned buffers;           /**< how many messages may wait here, or be lent; rounded up to a
                                     power of two, 1 024 at most. Only those in use cost memory.
                                     Default: 16 */
    int no_gro;      /**< not 0: never receive datagrams of one sender in one piece (UDP).
                                     Default: where the kernel can, and message_size is its default;
                                     each is handed out on its own all the same */
    int timestamps;  /**< not 0: tell when each was received */
    int credentials; /**< not 0: tell who sent each (Unix sockets) */
} ouro_datagram_options;

/** A message as it was received. */
typedef struct ouro_message {
    const void *bytes; /**< the message; lent, until when is said with each call */
    size_t size;       /**< bytes there are; 0 is a message too */
    size_t full_size;  /**< bytes it had; more than size: it was cut off */
    ouro_address from; /**< who sent it; none if the sender has no name, or only one peer */
    ouro_ns time;      /**< when it came, since 1970 (CLOCK_REALTIME); 0: unknown, not asked for */
    ouro_peer sender;  /**< with has_sender: whose it is */
    int has_sender;    /**< not 0: sender is known */
    int *fds;          /**< descriptors that came with it, close-on-exec. Keep one by writing -1 in
                             its place; what is left there is closed when the message goes */
    size_t fd_count;   /**< how many */
    int fds_cut;       /**< not 0: more were sent than could be had, as no more may be open here */
} ouro_message;

/** A message to be sent with others. */
typedef struct ouro_outgoing {
    const void *bytes;      /**< the message */
    size_t size;            /**< bytes; 0 is a message too */
    const ouro_address *to; /**< receiver; NULL: the peer of a connected socket */
    int64_t result;         /**< written when the call settles: size, or why it did not go; -EAGAIN:
                                 one before it failed, -ECANCELED: the call was cancelled before */
} ouro_outgoing;

/** What a socket has done. */
typedef struct ouro_datagram_stats {
    uint64_t received;  /**< messages handed out */
    uint64_t bytes_in;  /**< bytes of them */
    uint64_t sent;      /**< messages the kernel took */
    uint64_t bytes_out; /**< bytes of them */
    uint64_t cut;       /**< messages handed out that were cut off */
    uint64_t dropped;   /**< messages the kernel threw away, for want of room or a wrong checksum;
                                UDP only */
    uint64_t paused;    /**< times that all buffers were full and the rest was left to the kernel */
    uint64_t receives;  /**< completions that brought messages; fewer than `received` with GRO */
    uint64_t sends;     /**< operations that took messages; fewer than `sent` with GSO */
    unsigned waiting;   /**< buffers that hold messages which nobody has asked for yet */
} ouro_datagram_stats;

/** Most descriptors that one message can carry (SCM_MAX_FD of Linux). */
#define OURO_FDS_MAX 253

OURO_BEGIN_DECLS

/* ---- Making ---------------------------------------------------------------------------------- */

/**
 * Open a UDP socket with addresses of numbers in words.
 *
 * @param local    Where to receive, as "0.0.0.0:9999" or "[::]:0"; NULL: the system chooses.
 *                 Borrowed for the call.
 * @param remote   The one peer to send to and receive from; NULL: anybody. Borrowed for the call.
 * @param opts     Copied; NULL for defaults.
 * @param ret      Receives it, yours until ouro_datagram_free().
 * @return See ouro_datagram_open(), and ouro_address_parse() for what words can be; -EINVAL for
 *         those of a unix socket.
 * @thread Loop thread only.
 */
int ouro_udp_open(const char *local, const char *remote, const ouro_datagram_options *opts,
                  ouro_datagram **ret) OURO_NODISCARD;

/**
 * Open a socket for datagrams: UDP or Unix, as its addresses are.
 *
 * A Unix name that is a path becomes a file, which stays when the socket is closed; one that begins
 * with "@" does not.
 *
 * @param local    Where to receive; NULL: the system chooses with the first message that is sent,
 *                 and a Unix socket has no name then, so nobody can answer. Borrowed for the call.
 * @param remote   The one peer to send to and receive from; NULL: anybody. Borrowed for the call.
 * @param opts     Copied; NULL for defaults.
 * @param ret      Receives it, yours until ouro_datagram_free(). With neither address it is for
 *                 IPv4.
 * @return 0; on failure nothing is written: -EINVAL (NULL, an option out of range, addresses of two
 *         families), -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOENT and -ECONNREFUSED (nobody has
 *         the Unix name), -ENETUNREACH, -EMFILE, -ENFILE, -ENOMEM, what <ouro/sockopt.h> says of
 *         options, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN.
 * @thread Loop thread only.
 */
int ouro_datagram_open(const ouro_address *local, const ouro_address *remote,
                       const ouro_datagram_options *opts, ouro_datagram **ret) OURO_NODISCARD;

/**
 * Make one of a descriptor that is there already: of datagrams or of sequenced packets, as from
 * socketpair(2).
 *
 * @param fd    Taken over on success: closed with the handle. Non-blocking mode does not matter.
 * @param opts  Copied; NULL for defaults.
 * @param ret   Receives it, yours until ouro_datagram_free().
 * @return 0; on failure nothing is written and @p fd stays yours: -EBADF, -ENOTSOCK, -EOPNOTSUPP (a
 *         stream: use ouro_stream_new()), -EINVAL, -ENOMEM, -EPERM (no loop on this thread),
 *         -ECHILD, -ESHUTDOWN.
 * @thread Loop thread only.
 */
int ouro_datagram_new(int fd, const ouro_datagram_options *opts,
                      ouro_datagram **ret) OURO_NODISCARD;

/**
 * Choose the one peer, or another, or none. What came from others before and has not been read is
 * still read.
 *
 * @param d       Borrowed. Of datagrams.
 * @param remote  NULL: none, any more. Borrowed for the call.
 * @return 0, -EINVAL, -EAFNOSUPPORT, -ENETUNREACH, -ECONNREFUSED, -ENOENT (Unix names), -EBADF,
 *         -EXDEV, -ECHILD, -ESHUTDOWN.   @thread Loop thread only.
 */
int ouro_datagram_connect(ouro_datagram *d, const ouro_address *remote) OURO_NODISCARD;

/* ---- Sequenced packets: connections of messages ---------------------------------------------- */

/**
 * Listen for connections whose messages have boundaries: Unix sockets of type SOCK_SEQPACKET.
 *
 * @param local    A Unix name. Borrowed for the call.
 * @param backlog  How many may wait to be accepted; 0: 4 096, or what the system allows.
 * @param opts     Copied, for the connections; NULL for defaults.
 * @param ret      Receives the listener, yours until ouro_datagram_free(). It can accept, be closed
 *                 and freed, and nothing else.
 * @return See ouro_datagram_open().   @thread Loop thread only.
 */
int ouro_seqpacket_listen(const ouro_address *local, int backlog, const ouro_datagram_options *opts,
                          ouro_datagram **ret) OURO_NODISCARD;

/**
 * Accept the next connection. Any number may wait.
 *
 * @param listener  Borrowed.
 * @return A future, never NULL; its ptr is an ouro_datagram, closed if nobody takes it. 0, or
 *   - -EMFILE, -ENFILE  no descriptor was to be had; the connection waits
 *   - -EINVAL           NULL, or not a listener
 *   - -EBADF            closed, or while this waited
 *   - -ECANCELED, -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_seqpacket_accept(ouro_datagram *listener) OURO_NODISCARD;

/**
 * Connect to such a listener.
 *
 * @param remote  A Unix name. Borrowed for the call.
 * @param opts    Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is an ouro_datagram, closed if nobody takes it. 0, or
 *   - -ECONNREFUSED, -ENOENT, -EACCES, -EPROTOTYPE (somebody listens, for something else)
 *   - -EINVAL, -EMFILE, -ENFILE, -ECANCELED, -ENOMEM, -EPERM (no loop on this thread), -ECHILD,
 *     -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_seqpacket_connect(const ouro_address *remote,
                                    const ouro_datagram_options *opts) OURO_NODISCARD;

/* ---- Receiving ------------------------------------------------------------------------------- */

/**
 * Borrow the next messages where they lie, without a copy: as many as are there, at least one.
 *
 * @param d         Borrowed.
 * @param messages  Receives them, oldest first; lent until the future settles. Their bytes and fds
 *                  are lent to you until the next call that receives, ouro_datagram_done(), or the
 *                  close.
 * @param max       Room in @p messages, 1 or more.
 * @return A future, never NULL:
 *   - n > 0          messages
 *   - 0              the peer of a sequenced-packet socket has closed, and all it sent was received
 *   - -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, ...  what came back for something that was sent
 *                    to the one peer; the socket goes on
 *   - -ECONNRESET    the peer closed without having read all it was sent (sequenced packets)
 *   - -ENOTCONN      a sequenced-packet socket that is not connected
 *   - -ECANCELED     nothing was taken
 *   - -EBUSY         another call receives
 *   - -EBADF         closed, or while this waited; or a listener
 *   - -EINVAL (NULL, no room), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_next(ouro_datagram *d, ouro_message *messages,
                                size_t max) OURO_NODISCARD;

/**
 * Give back what ouro_datagram_next() lent, before something that takes long: while all buffers are
 * lent, nothing is received. Descriptors that were not taken out are closed.
 *
 * @param d  Borrowed; without a loan there is no effect.   @thread Loop thread only.
 */
void ouro_datagram_done(ouro_datagram *d);

/**
 * Receive one message into a buffer of yours.
 *
 * @param d     Borrowed.
 * @param buf   Lent until the future settles. What does not fit is cut off.
 * @param size  Bytes of room; 0 takes a message and drops its bytes.
 * @param ret   Receives what else there is to know, with bytes pointing to @p buf; lent until the
 *              future settles. Its fds are lent as ouro_datagram_next() says. NULL: no matter, and
 *              descriptors are closed.
 * @return A future, never NULL: the bytes in @p buf, 0 for an empty message; -ENODATA the peer of a
 *         sequenced-packet socket has closed; else as ouro_datagram_next().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_receive(ouro_datagram *d, void *buf, size_t size,
                                   ouro_message *ret) OURO_NODISCARD;

/* ---- Sending --------------------------------------------------------------------------------- */

/**
 * Send a message to the one peer.
 *
 * @param d     Borrowed.
 * @param buf   Lent until the future settles; NULL with no bytes.
 * @param size  Bytes; 0 sends an empty message.
 * @return A future, never NULL:
 *   - n == size      the kernel has it
 *   - -EMSGSIZE      more than such a message can have: 65 507 bytes of UDP over IPv4, 65 527 over
 *                    IPv6, the send buffer of a Unix socket
 *   - -ECONNREFUSED, -EHOSTUNREACH, ...  what came back for an earlier one, and this one was not
 *                    sent; or nobody has the Unix name any more
 *   - -EDESTADDRREQ, -ENOTCONN  there is no one peer
 *   - -EPIPE, -ECONNRESET  the peer of a sequenced-packet socket has closed
 *   - -EACCES        to a broadcast address, without the option
 *   - -ENOBUFS, -EPERM (a filter), -ENETUNREACH, ...  the kernel could not
 *   - -ECANCELED     it was not sent
 *   - -EBADF         closed, or while this waited; or a listener
 *   - -EINVAL (NULL; size above INT_MAX), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_send(ouro_datagram *d, const void *buf, size_t size) OURO_NODISCARD;

/**
 * Send a message to somebody.
 *
 * @param d     Borrowed.
 * @param buf   Lent until the future settles; NULL with no bytes.
 * @param size  Bytes; 0 sends an empty message.
 * @param to    Receiver. Lent until the future settles.
 * @return See ouro_datagram_send(); -EINVAL and -EAFNOSUPPORT also for addresses that do not suit,
 *         -EISCONN a Unix socket that has one peer, -ENOENT nobody has the Unix name.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_send_to(ouro_datagram *d, const void *buf, size_t size,
                                   const ouro_address *to) OURO_NODISCARD;

/**
 * Send several messages, in one go where the kernel can: those that follow each other with the same
 * receiver and size, the last may be shorter, become one operation (GSO of UDP).
 *
 * UDP messages are all tried, whatever becomes of one; those of Unix sockets, which keep their
 * order, up to the first that fails.
 *
 * @param d         Borrowed.
 * @param messages  Lent until the future settles, and so are their bytes and receivers. The result
 *                  of each is written.
 * @param n         How many.
 * @return A future, never NULL: how many went, which is told of each by its result; if none did,
 *         why the first did not: see ouro_datagram_send(). -ECANCELED: those not yet sent stay so,
 *         as the results tell. -EINVAL (NULL, a size above INT_MAX): nothing is written.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_send_many(ouro_datagram *d, ouro_outgoing *messages,
                                     size_t n) OURO_NODISCARD;

/**
 * Send a message with descriptors, over a Unix socket.
 *
 * @param d      Borrowed.
 * @param buf    Lent until the future settles.
 * @param size   Bytes; 0 sends an empty message, with the descriptors.
 * @param fds    Copied: the numbers. What is behind them must stay open until the future settles,
 *               and is still yours then.
 * @param n      How many, OURO_FDS_MAX at most; 0 is an ordinary message.
 * @param to     Receiver; NULL: the one peer. Lent until the future settles.
 * @return See ouro_datagram_send() and ouro_datagram_send_to(); -EBADF also for a descriptor that
 *         is not open, -EINVAL for too many or one of a ring of io_uring, -ETOOMANYREFS more are on
 *         their way than may be open here, -EOPNOTSUPP not a Unix socket.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_send_fds(ouro_datagram *d, const void *buf, size_t size, const int *fds,
                                    size_t n, const ouro_address *to) OURO_NODISCARD;

/* ---- The end --------------------------------------------------------------------------------- */

/**
 * Close: what is pending ends with -EBADF, and when the kernel has let go of its buffers, the
 * descriptor is closed. Messages that were not read are gone, and descriptors in them closed.
 *
 * @param d  Borrowed, and valid until ouro_datagram_free(). Any number may wait, also later.
 * @return A future, never NULL: 0 it is closed; -ECANCELED (it is being closed all the same),
 *         -ENOMEM (likewise), -EINVAL, -EXDEV, -ECHILD.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_datagram_close(ouro_datagram *d) OURO_NODISCARD;

/**
 * Give a socket back; it is closed if it was not.
 *
 * @param d  Consumed; NULL is allowed. Futures of its calls may still be awaited.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_datagram *ouro_datagram_free(ouro_datagram *d);

/* ---- Looking --------------------------------------------------------------------------------- */

/**
 * The descriptor, for the options in <ouro/sockopt.h>: groups of multicast, addresses, the peer of
 * a Unix connection. Do not read from it, write to it or close it.
 *
 * @param d  Borrowed.
 * @return The descriptor, still the socket's; -EBADF (closed), -EINVAL.   @thread Loop thread only.
 */
int ouro_datagram_fd(const ouro_datagram *d);

/**
 * What it has done.
 *
 * @param d          Borrowed.
 * @param ret_stats  Filled.
 * @return 0, -EINVAL.   @thread Loop thread only.
 */
int ouro_datagram_stats_get(const ouro_datagram *d, ouro_datagram_stats *ret_stats);

OURO_END_DECLS

#endif
