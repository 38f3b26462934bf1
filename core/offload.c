/* SPDX-License-Identifier: MIT */
#include "procpool_int.h"

#include <ouro/pool.h>

int ouro_job_cancelled(void)
{
    return ouro__worker_asked;
}
