/* SPDX-License-Identifier: MIT */
#ifndef OURO_SIGNALS_INT_H
#define OURO_SIGNALS_INT_H

#include "loop_int.h"

/* Block a signal in this thread, as often as somebody asks, until all have unblocked it: then what
 * has come meanwhile is dropped, and the mask is as it was before the first. */
void ouro__signal_block(int number);
void ouro__signal_unblock(int number);

/* @loop is about to be closed: end what it still watches. */
void ouro__signals_stop_all(ouro_loop *loop);

#endif
