/* SPDX-License-Identifier: MIT */
#ifndef OURO_SOCKOPT_H
#define OURO_SOCKOPT_H

#include <ouro/address.h>
#include <ouro/base.h>

/**
 * @file sockopt.h
 * Socket options as typed calls on descriptors, of whatever the library or you have opened.
 *
 * Setters return 0 or an error; getters that return an int return the value, 0 and up, or an error.
 * None of them waits. The errors that all of them share:
 *   - -EBADF         no descriptor
 *   - -ENOTSOCK      not of a socket
 *   - -EINVAL        the value is beyond its limits, or NULL is given
 *   - -EOPNOTSUPP    sockets of this kind do not have the option, or the kernel does not
 *   - -EPERM         a privilege is missing
 *   - other < 0      negative errno of setsockopt(2) or getsockopt(2)
 *
 * Flags are 0 or not 0. Durations are ouro_ns, and are rounded up to what the option counts in.
 */

/** When a connection that is idle is asked whether it still lives. Zero is the default of each
 *  field: the system's. */
typedef struct ouro_keepalive {
    ouro_ns idle;     /**< until the first probe; 32 767 s at most */
    ouro_ns interval; /**< between probes; 32 767 s at most */
    int count;        /**< unanswered probes until it is given up, 1 to 127 */
} ouro_keepalive;

/** What is set on a new socket before it is connected or bound. Zero is the default of every
 *  field, and leaves the option as the system has it, but for nagle. */
typedef struct ouro_socket_options {
    int nagle;      /**< not 0: small segments wait until what was sent is acknowledged. Default:
                            they are sent at once (TCP_NODELAY) */
    int keep_alive; /**< not 0: probe idle connections */
    ouro_keepalive keepalive; /**< how, if they are probed */
    int reuse_address;        /**< not 0: SO_REUSEADDR */
    int reuse_port;           /**< not 0: SO_REUSEPORT */
    int v6only;               /**< not 0: IPv6 sockets take no IPv4 */
    int send_buffer;          /**< bytes; see ouro_sockopt_set_send_buffer() */
    int receive_buffer;       /**< bytes; see ouro_sockopt_set_receive_buffer() */
    int tos;                  /**< type of service or traffic class, 1 to 255 */
    uint32_t mark;            /**< mark of its packets; needs CAP_NET_ADMIN */
    ouro_ns user_timeout;     /**< see ouro_sockopt_set_user_timeout() */
    const char *congestion;   /**< name of the congestion control. Borrowed */
    const char *device;       /**< name of the interface to be bound to. Borrowed */
} ouro_socket_options;

/** Who is at the other end of a unix socket, as of when it was connected. */
typedef struct ouro_peer {
    int64_t pid;  /**< process, 0: it is not visible from here */
    uint32_t uid; /**< user */
    uint32_t gid; /**< group */
} ouro_peer;

/** How a TCP connection fares. What the kernel is too old to tell is 0. */
typedef struct ouro_tcp_info {
    ouro_ns rtt;              /**< smoothed round trip time */
    ouro_ns rtt_variation;    /**< mean deviation of it */
    ouro_ns rtt_min;          /**< the least that was seen lately */
    ouro_ns rto;              /**< what a segment waits before it is sent again */
    uint32_t state;           /**< 1: established; see TCP_* in <netinet/tcp.h> */
    uint32_t retransmits;     /**< segments that were sent again, in all */
    uint32_t unacknowledged;  /**< segments on their way */
    uint32_t lost;            /**< of them, those believed lost */
    uint32_t window_segments; /**< congestion window */
    uint32_t send_mss;        /**< bytes of a segment, sending */
    uint32_t receive_mss;     /**< bytes of a segment, receiving */
    uint32_t unsent;          /**< bytes written and not sent yet */
    uint64_t delivery_rate;   /**< bytes a second, as last measured */
    uint64_t acknowledged;    /**< bytes of ours that the peer has */
    uint64_t received;        /**< bytes of the peer's that we have */
} ouro_tcp_info;

OURO_BEGIN_DECLS

/* ---- All sockets ----------------------------------------------------------------------------- */

/**
 * Set what differs from the defaults, for a socket that is neither bound nor connected.
 *
 * Options of TCP are set on TCP sockets, those of IP on IP sockets; others are left out where they
 * mean nothing, so that one set of options can be for all kinds of addresses.
 *
 * @param fd          A socket.
 * @param opts        Borrowed for the call; NULL for defaults.
 * @param ret_failed  Receives the name of the option that failed, a static string; NULL: no matter.
 *                    Untouched on success.
 * @return 0 or the first error.   @thread Any.
 */
int ouro_sockopt_apply(int fd, const ouro_socket_options *opts, const char **ret_failed);

/**
 * Let a port be bound again at once after its last owner has gone (SO_REUSEADDR).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_reuse_address(int fd, int on);

/**
 * Read SO_REUSEADDR back.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_reuse_address(int fd);

/**
 * Let several sockets be bound to one address, and share what comes (SO_REUSEPORT).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_reuse_port(int fd, int on);

/**
 * Read SO_REUSEPORT back.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_reuse_port(int fd);

/**
 * Bytes the kernel keeps of what was sent; it doubles the number for its own needs, and caps it
 * at net.core.wmem_max. 1 to 2^30. Ends TCP's own tuning.
 *
 * @param fd     A socket.
 * @param bytes  How many.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_send_buffer(int fd, int bytes);

/**
 * Size of the buffer, the kernel's own needs included.
 *
 * @param fd  A socket.
 * @return Bytes, or an error.   @thread Any.
 */
int ouro_sockopt_send_buffer(int fd);

/**
 * Bytes the kernel keeps of what has come; doubled, and capped at net.core.rmem_max. 1 to 2^30.
 * Ends TCP's own tuning.
 *
 * @param fd     A socket.
 * @param bytes  How many.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_receive_buffer(int fd, int bytes);

/**
 * Size of the buffer, the kernel's own needs included.
 *
 * @param fd  A socket.
 * @return Bytes, or an error.   @thread Any.
 */
int ouro_sockopt_receive_buffer(int fd);

/**
 * What a close does with bytes that were not sent yet.
 *
 * @param fd     A socket.
 * @param limit  OURO_FOREVER: the kernel goes on sending behind the scenes, the default. 0: they
 *               are thrown away and the connection is reset. Else close waits, at most so long; as
 *               a close that waits stops the loop, use that with blocking programs only.
 * @return 0 or an error; -EINVAL for more than 32 767 s.   @thread Any.
 */
int ouro_sockopt_set_linger(int fd, ouro_ns limit);

/**
 * Read back what a close does.
 *
 * @param fd         A socket.
 * @param ret_limit  Receives it. Untouched on failure.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_linger(int fd, ouro_ns *ret_limit);

/**
 * Queue of its packets, 0 to 6; more needs CAP_NET_ADMIN (SO_PRIORITY).
 *
 * @param fd        A socket.
 * @param priority  0 to 6; more needs CAP_NET_ADMIN.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_priority(int fd, int priority);

/**
 * Read the priority back.
 *
 * @param fd  A socket.
 * @return The priority, or an error.   @thread Any.
 */
int ouro_sockopt_priority(int fd);

/**
 * Mark of its packets, for routing and filters; needs CAP_NET_ADMIN (SO_MARK).
 *
 * @param fd    A socket.
 * @param mark  Any number.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_mark(int fd, uint32_t mark);

/**
 * Read the mark back.
 *
 * @param fd        A socket.
 * @param ret_mark  Receives it. Untouched on failure.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_mark(int fd, uint32_t *ret_mark);

/**
 * Use one interface and no other; NULL or empty: any. -EINVAL: the name is too long, -ENODEV:
 * there is none of the name (SO_BINDTODEVICE).
 *
 * @param fd    A socket.
 * @param name  Borrowed for the call.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_device(int fd, const char *name);

/**
 * The interface it is bound to.
 *
 * @param fd    A socket.
 * @param buf   Receives the name, terminated. Yours.
 * @param size  Capacity of @p buf in bytes.
 * @return 0 or an error; -EINVAL: the buffer is too small, IF_NAMESIZE (16) is enough. Empty:
 *         any.   @thread Any.
 */
int ouro_sockopt_device(int fd, char *buf, size_t size);

/**
 * Take packets that came in on one processor: of sockets that share a port, this one is for
 * those (SO_INCOMING_CPU).
 *
 * @param fd   A socket.
 * @param cpu  Its number, from 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_incoming_cpu(int fd, int cpu);

/**
 * The processor that handled the last packet.
 *
 * @param fd  A socket.
 * @return Its number; -EAGAIN: there was none; or another error.   @thread Any.
 */
int ouro_sockopt_incoming_cpu(int fd);

/**
 * Take the error that is pending on a socket (SO_ERROR); it is gone afterwards.
 *
 * @param fd  A socket.
 * @return 0: there was none; else that error, negative.   @thread Any.
 */
int ouro_sockopt_take_error(int fd);

/**
 * Its own address.
 *
 * @param fd           A socket.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0 or an error; -EAFNOSUPPORT: one that is no ouro_address.   @thread Any.
 */
int ouro_sockopt_address(int fd, ouro_address *ret_address);

/**
 * The address it is connected to.
 *
 * @param fd           A socket.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0 or an error; -ENOTCONN; -EAFNOSUPPORT: one that is no ouro_address.   @thread Any.
 */
int ouro_sockopt_peer_address(int fd, ouro_address *ret_address);

/**
 * Who is at the other end of a unix socket, as of when it was connected.
 *
 * @param fd        A socket.
 * @param ret_peer  Receives it. Untouched on failure.
 * @return 0 or an error; -EOPNOTSUPP: not a unix socket; -ENOTCONN.   @thread Any.
 */
int ouro_sockopt_peer(int fd, ouro_peer *ret_peer);

/* ---- TCP ------------------------------------------------------------------------------------- */

/**
 * Send small segments at once (TCP_NODELAY).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_nodelay(int fd, int on);

/**
 * Whether small segments are sent at once.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_nodelay(int fd);

/**
 * Send only full segments, until it is off again or 200 ms have passed (TCP_CORK).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_cork(int fd, int on);

/**
 * Whether only full segments are sent.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_cork(int fd);

/**
 * Probe it when it is idle, as @p how says; NULL: do not.
 *
 * @param fd   A socket.
 * @param how  Borrowed for the call; NULL: do not probe.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_keepalive(int fd, const ouro_keepalive *how);

/**
 * Whether it is probed when it is idle, and how.
 *
 * @param fd       A socket.
 * @param ret_how  Receives how; NULL: no matter. Untouched on failure.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_keepalive(int fd, ouro_keepalive *ret_how);

/**
 * How long what was sent may stay unacknowledged before the connection is given up; 0: the
 * system's default; 2^31 - 1 ms at most (TCP_USER_TIMEOUT).
 *
 * @param fd     A socket.
 * @param limit  Nanoseconds.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_user_timeout(int fd, ouro_ns limit);

/**
 * Read the limit back.
 *
 * @param fd         A socket.
 * @param ret_limit  Receives it. Untouched on failure.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_user_timeout(int fd, ouro_ns *ret_limit);

/**
 * Congestion control by name, such as "cubic". -ENOENT: the kernel has none of the name, -EPERM:
 * not for everybody (TCP_CONGESTION).
 *
 * @param fd    A socket.
 * @param name  Borrowed for the call.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_congestion(int fd, const char *name);

/**
 * Read the name back.
 *
 * @param fd    A socket.
 * @param buf   Receives the name, terminated. Yours.
 * @param size  Capacity of @p buf in bytes.
 * @return 0 or an error; -EINVAL: the buffer is too small, 16 bytes are enough.   @thread Any.
 */
int ouro_sockopt_congestion(int fd, char *buf, size_t size);

/**
 * Most bytes of a segment, 88 to 32 767; before connecting (TCP_MAXSEG).
 *
 * @param fd     A socket.
 * @param bytes  How many.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_mss(int fd, int bytes);

/**
 * Bytes of a segment as they are now.
 *
 * @param fd  A socket.
 * @return Bytes, or an error.   @thread Any.
 */
int ouro_sockopt_mss(int fd);

/**
 * How a TCP connection fares.
 *
 * @param fd        A socket.
 * @param ret_info  Receives it. Untouched on failure.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_tcp_info(int fd, ouro_tcp_info *ret_info);

/* ---- IP -------------------------------------------------------------------------------------- */

/**
 * Take IPv6 alone, and leave the port of IPv4 to others; before it is bound (IPV6_V6ONLY).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_v6only(int fd, int on);

/**
 * Whether it takes IPv6 alone.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_v6only(int fd);

/**
 * Type of service (IPv4) or traffic class (IPv6) of its packets, 0 to 255.
 *
 * @param fd   A socket.
 * @param tos  0 to 255.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_tos(int fd, int tos);

/**
 * Read the type of service or traffic class back.
 *
 * @param fd  A socket.
 * @return 0 to 255, or an error.   @thread Any.
 */
int ouro_sockopt_tos(int fd);

/**
 * How many routers its packets may pass, 1 to 255; 0: the system's default.
 *
 * @param fd   A socket.
 * @param ttl  How many.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_ttl(int fd, int ttl);

/**
 * How many routers its packets may pass.
 *
 * @param fd  A socket.
 * @return 1 to 255, or an error.   @thread Any.
 */
int ouro_sockopt_ttl(int fd);

/* ---- UDP ------------------------------------------------------------------------------------- */

/**
 * Allow sending to broadcast addresses; without, that is -EACCES (SO_BROADCAST).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_broadcast(int fd, int on);

/**
 * Whether broadcasts are allowed.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_broadcast(int fd);

/**
 * Cut what is sent in one go into datagrams of so many bytes, 1 to 65 535; 0: do not
 * (UDP_SEGMENT).
 *
 * @param fd     A socket.
 * @param bytes  How many.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_gso(int fd, int bytes);

/**
 * Size of the datagrams that it cuts what is sent into.
 *
 * @param fd  A socket.
 * @return Bytes, 0: it is off; or an error.   @thread Any.
 */
int ouro_sockopt_gso(int fd);

/**
 * Have datagrams of one sender received in one piece, the size of each told beside it (UDP_GRO).
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_gro(int fd, int on);

/**
 * Whether datagrams are received together.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_gro(int fd);

/* ---- Multicast ------------------------------------------------------------------------------- */

/**
 * Receive what is sent to a group.
 *
 * @param fd      A socket of the group's family.
 * @param group   Address of the group; its port is of no matter. Borrowed for the call.
 * @param source  Only what this sender sends (source-specific); NULL: any. Borrowed for the call.
 * @param device  Name of the interface; NULL: that of the group's zone, else the system chooses.
 * @return 0 or an error; -EINVAL (not a group, or of another family), -ENODEV (no such interface),
 *         -EADDRINUSE (joined already), -ENOBUFS (too many groups; net.ipv4.igmp_max_memberships).
 * @thread Any.
 */
int ouro_sockopt_join(int fd, const ouro_address *group, const ouro_address *source,
                      const char *device);

/**
 * The opposite, with the same arguments.
 *
 * @param fd      See ouro_sockopt_join().
 * @param group   See ouro_sockopt_join().
 * @param source  See ouro_sockopt_join().
 * @param device  See ouro_sockopt_join().
 * @return 0 or an error; -EADDRNOTAVAIL (not joined).   @thread Any.
 */
int ouro_sockopt_leave(int fd, const ouro_address *group, const ouro_address *source,
                       const char *device);

/**
 * The interface that multicast is sent on; NULL or empty: the system chooses. -ENODEV: there is
 * none of the name.
 *
 * @param fd    A socket.
 * @param name  Borrowed for the call.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_multicast_device(int fd, const char *name);

/**
 * How many routers multicast may pass, 0 (none, and no other machine) to 255. Default: 1.
 *
 * @param fd   A socket.
 * @param ttl  How many.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_multicast_ttl(int fd, int ttl);

/**
 * How many routers multicast may pass.
 *
 * @param fd  A socket.
 * @return 0 to 255, or an error.   @thread Any.
 */
int ouro_sockopt_multicast_ttl(int fd);

/**
 * Whether this machine hears its own multicast, as it does by default.
 *
 * @param fd  A socket.
 * @param on  0 or not 0.
 * @return 0 or an error.   @thread Any.
 */
int ouro_sockopt_set_multicast_loop(int fd, int on);

/**
 * Whether this machine hears its own multicast.
 *
 * @param fd  A socket.
 * @return 0 or 1, or an error.   @thread Any.
 */
int ouro_sockopt_multicast_loop(int fd);

OURO_END_DECLS

#endif
