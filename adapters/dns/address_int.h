/* SPDX-License-Identifier: MIT */
#ifndef OURO_ADDRESS_INT_H
#define OURO_ADDRESS_INT_H

/*
 * The grammar of hosts and ports, for those who take either numbers or names.
 */

#include <ouro/address.h>

/* Whether @host could be a name: 0, -EINVAL (also for a malformed number), -ENAMETOOLONG. */
int ouro__host_check(const char *host);

/* The port that @service says, if it is a number; empty is 0. -ENOENT: it is a name, and has to be
 * looked up. -EINVAL, -ERANGE, -ENAMETOOLONG. */
int ouro__service_port(const char *service);

/* The bytes of a unix socket's name: after the zero of an abstract one, up to that of a path. */
size_t ouro__unix_name(const ouro_address *address, const char **ret_name);

/* Text that goes into a buffer as far as that goes, and is counted beyond. */
struct ouro__text {
    char *buf;
    size_t size;
    size_t length; /* of the whole */
};

void ouro__put(struct ouro__text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
