/* SPDX-License-Identifier: MIT */
#ifndef OURO_RESTART_INT_H
#define OURO_RESTART_INT_H

/* What the two processes of a restart have to agree about, and what systemd is told. */

#include <ouro/restart.h>

#include <stdbool.h>
#include <sys/types.h>

#define OURO__READY_NAME "OURO_READY" /* FD:INODE */
#define OURO__PATH_NAME  "OURO_PATH"  /* DEVICE:INODE, of a unix socket's path */
#define OURO__COUNT_NAME "LISTEN_FDS"
#define OURO__PID_NAME   "LISTEN_PID"
#define OURO__NAMES_NAME "LISTEN_FDNAMES"

/* A unix socket's path, to be known again. */
struct ouro__path {
    bool known;
    dev_t device;
    ino_t inode;
};

/* ouro_restart(), and the path is the new process's to remove, once it is ready. @path is copied. */
ouro_future *ouro__restart(const int *fds, size_t n, const ouro_restart_options *opts,
                           const struct ouro__path *path);

/* The path that came along with the sockets. */
struct ouro__path ouro__path_taken(void);

/* Whether the process that this one is to take over from has still to hear that it is ready: until
 * then all that it has given is its own. */
bool ouro__ready_is_awaited(void);

/* Tell systemd, as sd_notify(3) does. 1; 0: it has not asked for that; or why not. */
int ouro__notify_manager(const char *text);

#endif
