/* SPDX-License-Identifier: MIT */
#ifndef OURO_CONTROL_H
#define OURO_CONTROL_H

/*
 * Control messages: what goes with a message and is not in it. Descriptors above all, which the
 * kernel has opened by the time they are seen, so that somebody has to close them.
 */

#include "loop_int.h"

#include <sys/socket.h>

/* The next control message, or the first after NULL; NULL: there is none. Of what the kernel wrote,
 * which is whole. */
static inline struct cmsghdr *ouro__control_next(const struct msghdr *msg, struct cmsghdr *c)
{
    return c ? CMSG_NXTHDR((struct msghdr *)msg, c) : CMSG_FIRSTHDR(msg);
}

/* The descriptors that came, inside the control messages; how many into *ret_count. */
int *ouro__control_fds(const struct msghdr *msg, size_t *ret_count);

/* Close those among them that nobody has taken out, which are not -1. */
void ouro__control_close_fds(ouro_loop *loop, const struct msghdr *msg);

/* Something to be sent with descriptors: one block, freed by ouro__release(). */
struct ouro__parcel {
    struct msghdr msg;
    struct iovec part;
};

/* NULL: no memory. @n <= OURO_FDS_MAX; with 0 there is no control message. */
struct ouro__parcel *ouro__parcel_new(const void *buf, size_t size, const int *fds, size_t n);

#endif
