/* SPDX-License-Identifier: MIT */
#ifndef OURO_DESCRIPTORS_H
#define OURO_DESCRIPTORS_H

/*
 * Descriptors, for tests of every kind. What cannot fail on a sound machine aborts if it does.
 */

#include <stdbool.h>

/* Whether this process may have so many open: its limit is raised as far as it goes. Who logs in has
 * 1024 to begin with. */
bool may_open(unsigned n);

/* How many are open in this process; the one used to look is among them each time. */
int open_fds(void);

/* Two sockets that are connected over TCP by the loopback device: who connected, who accepted. */
void tcp_ends(int ends[2]);

#endif
