/* SPDX-License-Identifier: MIT */
#ifndef OURO_RESOLVE_H
#define OURO_RESOLVE_H

#include <ouro/address.h>
#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file resolve.h
 * Names to addresses.
 *
 *     ouro_addresses *found = ouro_await_ptr(ouro_resolve("example.org", "443", NULL), &rc);
 *
 * The system's own resolver is asked, getaddrinfo(3), on a thread of OURO_LANE_DNS, so that
 * /etc/hosts and whatever else the system is configured for are honoured. Numbers need no thread.
 *
 * All loops of the process share what is known. Whoever asks for a name that is being asked for
 * waits for the same answer; an answer is good for 30 s, "no such name" for 1 s, and the 1 024
 * names used last are kept.
 *
 * A lookup cannot be stopped. One that is cancelled is abandoned: its future settles at once, the
 * thread goes on, and what it learns is kept for the next who asks. So neither closing a loop nor
 * its shutdown ever waits for a name server. Four names are asked for at a time, and others wait
 * for a thread; ouro_lane_set_threads() changes that.
 */

/** Which addresses are wanted. */
typedef enum ouro_family {
    OURO_FAMILY_ANY = 0, /**< both kinds, in the system's order of preference (RFC 6724) */
    OURO_FAMILY_IP4,     /**< IPv4 only */
    OURO_FAMILY_IP6      /**< IPv6 only */
} ouro_family;

/** What a name stands for. Freed by ouro_addresses_free(). */
typedef struct ouro_addresses {
    size_t count;        /**< 1 or more */
    ouro_address *items; /**< the preferred one first; none twice */
} ouro_addresses;

/** Options of ouro_resolve(). Zero is the default of every field. */
typedef struct ouro_resolve_options {
    ouro_family family;   /**< Default: any */
    int no_cache;         /**< not 0: what is known is not used, but for a lookup that is under way;
                               what is learnt is kept for others */
    ouro_ns ttl;          /**< how old a known answer may be. Default: 30 s */
    ouro_ns negative_ttl; /**< how old a known failure may be. Default: 1 s */
} ouro_resolve_options;

/** What was asked in this process so far, and what is kept. */
typedef struct ouro_resolve_stats {
    uint64_t lookups;   /**< names the system was asked for */
    uint64_t numeric;   /**< numbers, for which nobody was */
    uint64_t hits;      /**< answered with addresses that were known */
    uint64_t failures;  /**< answered with a failure that was known */
    uint64_t joined;    /**< that waited for a lookup which was under way */
    uint64_t abandoned; /**< cancelled while their lookup was under way */
    uint64_t evicted;   /**< answers that had to make room */
    size_t known;       /**< answers that are kept now */
    size_t under_way;   /**< lookups that are under way now, abandoned ones included */
} ouro_resolve_stats;

OURO_BEGIN_DECLS

/**
 * Find the addresses of a host.
 *
 * @param host     A name, or a number with or without zone, without brackets. Borrowed for the
 *                 call.
 * @param service  The port: a number, or a name the system knows such as "https"; NULL or empty is
 *                 0. Borrowed for the call.
 * @param opts     Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is an ouro_addresses, n how many there are. An error's
 *         detail names the host.
 *   - n > 0            addresses
 *   - -OURO_ENONAME    there is no such name
 *   - -OURO_ENOADDRESS it has no address of the family
 *   - -OURO_ENOSERVICE there is no such service
 *   - -OURO_ETRYAGAIN  no name server answered; it may do so later
 *   - -OURO_ERESOLVER  the name server failed, and will again
 *   - -ECANCELED       abandoned on request
 *   - -EINVAL          a malformed name, number or service; NULL; an unknown family
 *   - -ERANGE          a port beyond 65535
 *   - -ENAMETOOLONG    a name of more than 253 bytes, a label of more than 63
 *   - -ENODEV          no interface has the zone's name
 *   - -EAFNOSUPPORT    a number of the other family
 *   - -EAGAIN          not one thread could be started
 *   - -ENOMEM, -EMFILE, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN (the loop is closing)
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_resolve(const char *host, const char *service,
                          const ouro_resolve_options *opts) OURO_NODISCARD;

/**
 * Give addresses back.
 *
 * @param addresses  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_addresses *ouro_addresses_free(ouro_addresses *addresses);

/**
 * Forget what is known, as after a change of the network. Lookups that are under way still answer
 * those who wait for them, and nobody else.
 *
 * @return How many answers were forgotten.   @thread Any.
 */
size_t ouro_resolve_flush(void);

/**
 * Read the counters.
 *
 * @return A snapshot.   @thread Any.
 */
ouro_resolve_stats ouro_resolve_counts(void);

OURO_END_DECLS

#endif
