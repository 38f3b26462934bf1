/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_PLACE_INT_H
#define OURO_HTTP_PLACE_INT_H

#include "client_int.h"

/* Work out what the key of a new place says. 0, -ENOMEM, -EINVAL. */
int ouro__http_place_read(struct http_place *p, const struct http_proxies *proxies,
                          const char **ret_why);

#endif
