/* SPDX-License-Identifier: MIT */
/*
 * Options of TCP, UDP, IP and of multicast.
 *
 * Where IPv4 and IPv6 have options of their own for the same thing, the socket's family decides.
 */
#include "sockopt_int.h"

#include <errno.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PROBE_SECONDS_MAX 32767 /* MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL */
#define PROBES_MAX        127   /* MAX_TCP_KEEPCNT */
#define MSS_MIN           88    /* TCP_MIN_MSS */
#define MSS_MAX           32767 /* MAX_TCP_WINDOW */

/* Of <linux/udp.h>, which the C library's header of the same name shuts out. */
#define OPT_UDP_SEGMENT 103
#define OPT_UDP_GRO     104

static ouro_ns round_up(ouro_ns time, ouro_ns unit)
{
    return time / unit + (time % unit != 0);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

int ouro_sockopt_set_nodelay(int fd, int on)
{
    return ouro__opt_set_flag(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

int ouro_sockopt_nodelay(int fd)
{
    return ouro__opt_flag(fd, IPPROTO_TCP, TCP_NODELAY);
}

int ouro_sockopt_set_cork(int fd, int on)
{
    return ouro__opt_set_flag(fd, IPPROTO_TCP, TCP_CORK, on);
}

int ouro_sockopt_cork(int fd)
{
    return ouro__opt_flag(fd, IPPROTO_TCP, TCP_CORK);
}

/* 0 leaves the system's. */
static int set_probe_time(int fd, int name, ouro_ns time)
{
    if (time == 0)
        return 0;
    ouro_ns seconds = round_up(time, OURO_SEC(1));
    return seconds > PROBE_SECONDS_MAX
               ? -EINVAL
               : ouro__opt_set_int(fd, IPPROTO_TCP, name, (int64_t)seconds, 1, PROBE_SECONDS_MAX);
}

int ouro_sockopt_set_keepalive(int fd, const ouro_keepalive *how)
{
    if (!how)
        return ouro__opt_set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    int rc = set_probe_time(fd, TCP_KEEPIDLE, how->idle);
    if (rc == 0)
        rc = set_probe_time(fd, TCP_KEEPINTVL, how->interval);
    if (rc == 0 && how->count)
        rc = ouro__opt_set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, how->count, 1, PROBES_MAX);
    return rc < 0 ? rc : ouro__opt_set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int ouro_sockopt_keepalive(int fd, ouro_keepalive *ret_how)
{
    int idle = ouro__opt_int(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    int interval = idle < 0 ? idle : ouro__opt_int(fd, IPPROTO_TCP, TCP_KEEPINTVL);
    int count = interval < 0 ? interval : ouro__opt_int(fd, IPPROTO_TCP, TCP_KEEPCNT);
    if (count < 0)
        return count;
    if (ret_how)
        *ret_how = (ouro_keepalive){OURO_SEC(idle), OURO_SEC(interval), count};
    return ouro__opt_flag(fd, SOL_SOCKET, SO_KEEPALIVE);
}

int ouro_sockopt_set_user_timeout(int fd, ouro_ns limit)
{
    ouro_ns ms = round_up(limit, OURO_MS(1));
    return ms > INT32_MAX
               ? -EINVAL
               : ouro__opt_set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int64_t)ms, 0, INT32_MAX);
}

int ouro_sockopt_user_timeout(int fd, ouro_ns *ret_limit)
{
    int ms = ret_limit ? ouro__opt_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) : -EINVAL;
    if (ms < 0)
        return ms;
    *ret_limit = OURO_MS(ms);
    return 0;
}

int ouro_sockopt_set_congestion(int fd, const char *name)
{
    return name && name[0] ? ouro__opt_set_text(fd, IPPROTO_TCP, TCP_CONGESTION, name) : -EINVAL;
}

int ouro_sockopt_congestion(int fd, char *buf, size_t size)
{
    return ouro__opt_text(fd, IPPROTO_TCP, TCP_CONGESTION, buf, size);
}

int ouro_sockopt_set_mss(int fd, int bytes)
{
    return ouro__opt_set_int(fd, IPPROTO_TCP, TCP_MAXSEG, bytes, MSS_MIN, MSS_MAX);
}

int ouro_sockopt_mss(int fd)
{
    return ouro__opt_int(fd, IPPROTO_TCP, TCP_MAXSEG);
}

/* What an older kernel does not fill stays 0. */
int ouro_sockopt_tcp_info(int fd, ouro_tcp_info *ret_info)
{
    struct tcp_info info;
    size_t size = sizeof info;
    memset(&info, 0, sizeof info);
    int rc = ret_info ? ouro__opt_get(fd, IPPROTO_TCP, TCP_INFO, &info, &size) : -EINVAL;
    if (rc < 0)
        return rc;
    *ret_info = (ouro_tcp_info){
        .rtt = OURO_US(info.tcpi_rtt),
        .rtt_variation = OURO_US(info.tcpi_rttvar),
        .rtt_min = OURO_US(info.tcpi_min_rtt),
        .rto = OURO_US(info.tcpi_rto),
        .state = info.tcpi_state,
        .retransmits = info.tcpi_total_retrans,
        .unacknowledged = info.tcpi_unacked,
        .lost = info.tcpi_lost,
        .window_segments = info.tcpi_snd_cwnd,
        .send_mss = info.tcpi_snd_mss,
        .receive_mss = info.tcpi_rcv_mss,
        .unsent = info.tcpi_notsent_bytes,
        .delivery_rate = info.tcpi_delivery_rate,
        .acknowledged = info.tcpi_bytes_acked,
        .received = info.tcpi_bytes_received,
    };
    return 0;
}

/* ---- IP -------------------------------------------------------------------------------------- */

int ouro__opt_ip(int fd, int name4, int name6, struct ouro__opt_ip *ret)
{
    int family = ouro__opt_family(fd);
    if (family < 0)
        return family;
    if (family != AF_INET && family != AF_INET6)
        return -EOPNOTSUPP;
    *ret = family == AF_INET ? (struct ouro__opt_ip){IPPROTO_IP, name4}
                             : (struct ouro__opt_ip){IPPROTO_IPV6, name6};
    return 0;
}

static int set_ip(int fd, int name4, int name6, int64_t value, int64_t min, int64_t max)
{
    struct ouro__opt_ip opt;
    int rc = ouro__opt_ip(fd, name4, name6, &opt);
    return rc < 0 ? rc : ouro__opt_set_int(fd, opt.level, opt.name, value, min, max);
}

static int get_ip(int fd, int name4, int name6)
{
    struct ouro__opt_ip opt;
    int rc = ouro__opt_ip(fd, name4, name6, &opt);
    return rc < 0 ? rc : ouro__opt_int(fd, opt.level, opt.name);
}

int ouro_sockopt_set_v6only(int fd, int on)
{
    return ouro__opt_set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
}

int ouro_sockopt_v6only(int fd)
{
    return ouro__opt_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
}

int ouro_sockopt_set_tos(int fd, int tos)
{
    return set_ip(fd, IP_TOS, IPV6_TCLASS, tos, 0, UINT8_MAX);
}

int ouro_sockopt_tos(int fd)
{
    return get_ip(fd, IP_TOS, IPV6_TCLASS);
}

int ouro_sockopt_set_ttl(int fd, int ttl)
{
    if (ttl == 0)
        ttl = -1; /* the kernel's own word for its default */
    else if (ttl < 0)
        return -EINVAL;
    return set_ip(fd, IP_TTL, IPV6_UNICAST_HOPS, ttl, -1, UINT8_MAX);
}

int ouro_sockopt_ttl(int fd)
{
    return get_ip(fd, IP_TTL, IPV6_UNICAST_HOPS);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

int ouro_sockopt_set_broadcast(int fd, int on)
{
    return ouro__opt_set_flag(fd, SOL_SOCKET, SO_BROADCAST, on);
}

int ouro_sockopt_broadcast(int fd)
{
    return ouro__opt_flag(fd, SOL_SOCKET, SO_BROADCAST);
}

int ouro_sockopt_set_gso(int fd, int bytes)
{
    return ouro__opt_set_int(fd, IPPROTO_UDP, OPT_UDP_SEGMENT, bytes, 0, UINT16_MAX);
}

int ouro_sockopt_gso(int fd)
{
    return ouro__opt_int(fd, IPPROTO_UDP, OPT_UDP_SEGMENT);
}

int ouro_sockopt_set_gro(int fd, int on)
{
    return ouro__opt_set_flag(fd, IPPROTO_UDP, OPT_UDP_GRO, on);
}

int ouro_sockopt_gro(int fd)
{
    return ouro__opt_flag(fd, IPPROTO_UDP, OPT_UDP_GRO);
}

/* ---- Multicast ------------------------------------------------------------------------------- */

static bool is_group(const ouro_address *a)
{
    if (a->as.any.sa_family == AF_INET)
        return IN_MULTICAST(ntohl(a->as.ip4.sin_addr.s_addr));
    return a->as.any.sa_family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&a->as.ip6.sin6_addr);
}

/* The number of an interface; 0 for none. */
static int interface_of(const char *name, unsigned *ret_index)
{
    *ret_index = 0;
    if (!name || !name[0])
        return 0;
    *ret_index = if_nametoindex(name);
    return *ret_index ? 0 : -ENODEV;
}

struct membership {
    struct ouro__opt_ip opt;
    unsigned interface;
};

static int check_membership(int fd, const ouro_address *group, const ouro_address *source,
                            const char *device, struct membership *ret)
{
    int family = ouro__opt_family(fd);
    if (family < 0)
        return family;
    if (!group || !is_group(group) || group->as.any.sa_family != family)
        return -EINVAL;
    if (source && source->as.any.sa_family != family)
        return -EINVAL;
    ret->opt.level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    int rc = interface_of(device, &ret->interface);
    if (rc == 0 && !ret->interface && family == AF_INET6)
        ret->interface = group->as.ip6.sin6_scope_id;
    return rc;
}

static int change_membership(int fd, const ouro_address *group, const ouro_address *source,
                             const char *device, int name, int source_name)
{
    struct membership m;
    int rc = check_membership(fd, group, source, device, &m);
    if (rc < 0)
        return rc;
    if (source) {
        struct group_source_req of = {.gsr_interface = m.interface};
        memcpy(&of.gsr_group, &group->as, group->size);
        memcpy(&of.gsr_source, &source->as, source->size);
        return ouro__opt_set(fd, m.opt.level, source_name, &of, sizeof of);
    }
    struct group_req all = {.gr_interface = m.interface};
    memcpy(&all.gr_group, &group->as, group->size);
    return ouro__opt_set(fd, m.opt.level, name, &all, sizeof all);
}

int ouro_sockopt_join(int fd, const ouro_address *group, const ouro_address *source,
                      const char *device)
{
    return change_membership(fd, group, source, device, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP);
}

int ouro_sockopt_leave(int fd, const ouro_address *group, const ouro_address *source,
                       const char *device)
{
    return change_membership(fd, group, source, device, MCAST_LEAVE_GROUP,
                             MCAST_LEAVE_SOURCE_GROUP);
}

int ouro_sockopt_set_multicast_device(int fd, const char *name)
{
    unsigned index;
    struct ouro__opt_ip opt;
    int rc = ouro__opt_ip(fd, IP_MULTICAST_IF, IPV6_MULTICAST_IF, &opt);
    if (rc == 0)
        rc = interface_of(name, &index);
    if (rc < 0)
        return rc;
    if (opt.level == IPPROTO_IPV6)
        return ouro__opt_set_int(fd, opt.level, opt.name, index, 0, INT32_MAX);
    struct ip_mreqn request = {.imr_ifindex = (int)index};
    return ouro__opt_set(fd, opt.level, opt.name, &request, sizeof request);
}

int ouro_sockopt_set_multicast_ttl(int fd, int ttl)
{
    return set_ip(fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl, 0, UINT8_MAX);
}

int ouro_sockopt_multicast_ttl(int fd)
{
    return get_ip(fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS);
}

int ouro_sockopt_set_multicast_loop(int fd, int on)
{
    return set_ip(fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on != 0, 0, 1);
}

int ouro_sockopt_multicast_loop(int fd)
{
    return get_ip(fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP);
}
