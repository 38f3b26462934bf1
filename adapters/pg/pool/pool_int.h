/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_POOL_INT_H
#define OURO_PG_POOL_INT_H

#include "session.h"

/* The user of a lease has done with it: the connection goes back, tidied up, and the handle is kept
 * a while, so that who uses it all the same is told -EBADF. */
void ouro__pg_lease_end(ouro_pg *lease);

#endif
