/* SPDX-License-Identifier: MIT */
#ifndef OURO_SOCKOPT_INT_H
#define OURO_SOCKOPT_INT_H

/*
 * The two system calls behind every option, with the codes that <ouro/sockopt.h> promises.
 */

#include <ouro/sockopt.h>

/* 0, or a negative errno; -EOPNOTSUPP for an option that the kernel or the socket does not have. */
int ouro__opt_set(int fd, int level, int name, const void *value, size_t size);
int ouro__opt_get(int fd, int level, int name, void *value, size_t *size);

/* An int: written after a check of its limits; read, as the result. */
int ouro__opt_set_int(int fd, int level, int name, int64_t value, int64_t min, int64_t max);
int ouro__opt_int(int fd, int level, int name);
int ouro__opt_set_flag(int fd, int level, int name, int on);
int ouro__opt_flag(int fd, int level, int name);

/* Text that ends within the kernel's 16 bytes. */
int ouro__opt_set_text(int fd, int level, int name, const char *text);
int ouro__opt_text(int fd, int level, int name, char *buf, size_t size);

/* AF_INET, AF_INET6 or another; or an error. */
int ouro__opt_family(int fd);

/* For options that IPv4 and IPv6 number differently. -EOPNOTSUPP: it is neither. */
struct ouro__opt_ip {
    int level;
    int name;
};
int ouro__opt_ip(int fd, int name4, int name6, struct ouro__opt_ip *ret);

#endif
