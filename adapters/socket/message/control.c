/* SPDX-License-Identifier: MIT */
/*
 * Control messages that carry descriptors, both ways.
 *
 * The kernel puts all descriptors of a message into one control message. Those that did not fit, or
 * could not be opened, it has closed itself, and says so by MSG_CTRUNC.
 */
#include "control.h"

#include <string.h>

int *ouro__control_fds(const struct msghdr *msg, size_t *ret_count)
{
    *ret_count = 0;
    for (struct cmsghdr *c = ouro__control_next(msg, NULL); c; c = ouro__control_next(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *ret_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        return (int *)(void *)CMSG_DATA(c);
    }
    return NULL;
}

void ouro__control_close_fds(ouro_loop *loop, const struct msghdr *msg)
{
    size_t n;
    int *fds = ouro__control_fds(msg, &n);
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            loop->driver->ops->close_fd(loop->driver, fds[i]);
        fds[i] = -1;
    }
}

struct ouro__parcel *ouro__parcel_new(const void *buf, size_t size, const int *fds, size_t n)
{
    size_t control = n ? CMSG_SPACE(n * sizeof(int)) : 0;
    struct ouro__parcel *p = ouro__alloc(sizeof(*p) + control);
    if (!p)
        return NULL;
    memset(p, 0, sizeof(*p) + control);
    p->part = (struct iovec){.iov_base = (void *)(uintptr_t)buf, .iov_len = size};
    p->msg = (struct msghdr){.msg_iov = &p->part, .msg_iovlen = 1};
    if (n == 0)
        return p;
    struct cmsghdr *c = (struct cmsghdr *)(void *)(p + 1);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    p->msg.msg_control = c;
    p->msg.msg_controllen = control;
    return p;
}
