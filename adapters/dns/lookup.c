/* SPDX-License-Identifier: MIT */
/*
 * One question to the system's resolver, on a thread that may block.
 *
 * The answer is a list without doubles: the system gives an address once for each type of socket.
 * An error that tells of the name is an answer, too; one that tells of this process (no memory, no
 * descriptor) is not, and will not be kept.
 */
#include "resolve_int.h"

#include <string.h>
#include <time.h>

int (*ouro__getaddrinfo)(const char *host, const char *service, const struct addrinfo *hints,
                         struct addrinfo **ret_list) = getaddrinfo;

ouro_ns ouro__names_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (ouro_ns)now.tv_sec * OURO_SEC(1) + (ouro_ns)now.tv_nsec;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static int error_of(int eai, int system_error)
{
    switch (eai) {
    case 0:
        return 0;
    case EAI_NONAME:
        return -OURO_ENONAME;
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -OURO_ENOADDRESS;
    case EAI_SERVICE:
        return -OURO_ENOSERVICE;
    case EAI_AGAIN:
        return -OURO_ETRYAGAIN;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return system_error ? -system_error : -OURO_ERESOLVER;
    default:
        return -OURO_ERESOLVER;
    }
}

static bool is_of_the_name(int rc)
{
    switch (-rc) {
    case 0:
    case OURO_ENONAME:
    case OURO_ENOADDRESS:
    case OURO_ENOSERVICE:
    case OURO_ETRYAGAIN:
    case OURO_ERESOLVER:
        return true;
    default:
        return false;
    }
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void add(struct ouro__answer *answer, const struct addrinfo *info)
{
    ouro_address *a = &answer->items[answer->count];
    if (ouro_address_of_sockaddr(info->ai_addr, info->ai_addrlen, a) < 0)
        return;
    for (size_t i = 0; i < answer->count; i++)
        if (ouro_address_compare(&answer->items[i], a) == 0)
            return;
    answer->count++;
}

static struct ouro__answer *answer_new(int rc, const struct addrinfo *list)
{
    size_t room = 0;
    for (const struct addrinfo *info = list; info; info = info->ai_next)
        room++;
    struct ouro__answer *answer = ouro__alloc(sizeof(*answer) + room * sizeof(ouro_address));
    if (!answer)
        return NULL;
    atomic_init(&answer->refs, 1);
    answer->rc = rc;
    answer->count = 0;
    for (; list; list = list->ai_next)
        add(answer, list);
    if (rc == 0 && answer->count == 0)
        answer->rc = -OURO_ENOADDRESS;
    answer->born = ouro__names_now();
    return answer;
}

static int family_of(ouro_family family)
{
    switch (family) {
    case OURO_FAMILY_IP4:
        return AF_INET;
    case OURO_FAMILY_IP6:
        return AF_INET6;
    case OURO_FAMILY_ANY:
        break;
    }
    return AF_UNSPEC;
}

struct ouro__answer *ouro__lookup(const struct ouro__question *question, int *ret_rc)
{
    const char *service = question->service[0] ? question->service : NULL;
    /* Without a service, the type of socket is of no matter, and one of them is enough. */
    struct addrinfo hints = {.ai_family = family_of(question->family),
                             .ai_socktype = service ? 0 : SOCK_STREAM};
    struct addrinfo *list = NULL;
    errno = 0;
    int eai = ouro__getaddrinfo(question->host, service, &hints, &list);
    int rc = error_of(eai, errno);
    struct ouro__answer *answer = NULL;
    *ret_rc = rc;
    if (is_of_the_name(rc)) {
        answer = answer_new(rc, list);
        if (!answer)
            *ret_rc = -ENOMEM;
    }
    if (list)
        freeaddrinfo(list);
    return answer;
}
