/* SPDX-License-Identifier: MIT */
#ifndef OURO_RESTART_INT_H
#define OURO_RESTART_INT_H

/* What the two processes of a restart have to agree about, and what systemd is told. */

#define OURO__READY_NAME "OURO_READY" /* FD:INODE */
#define OURO__COUNT_NAME "LISTEN_FDS"
#define OURO__PID_NAME   "LISTEN_PID"
#define OURO__NAMES_NAME "LISTEN_FDNAMES"

/* Tell systemd, as sd_notify(3) does. 1; 0: it has not asked for that; or why not. */
int ouro__notify_manager(const char *text);

#endif
