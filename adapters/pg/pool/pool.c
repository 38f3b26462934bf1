/* SPDX-License-Identifier: MIT */
#include "pool_int.h"

void ouro__pg_lease_end(ouro_pg *lease)
{
    (void)lease;
}
