/* SPDX-License-Identifier: MIT */
#include "loop_int.h"
void ouro__watch_close(ouro_loop *loop, bool quietly)
{
    (void)loop;
    (void)quietly;
}
