/* SPDX-License-Identifier: MIT */
#ifndef OURO_LISTENER_INT_H
#define OURO_LISTENER_INT_H

/*
 * Sockets that listen: how they are made, which needs no loop, and what a listener on a loop is to
 * those beside it.
 */

#include "loop_int.h"

#include <ouro/listener.h>

#include <stdatomic.h>
#include <sys/types.h>

/* A socket that listens, and the path it was bound to, if that is to be removed again. */
struct ouro__listening {
    int fd; /* -1: none */
    ouro_address address;
    bool has_path;
    dev_t device; /* of the path, to be known again */
    ino_t inode;
    const atomic_bool *lives_on; /* true: another process has it, with its path and with who waits
                                    in it. NULL: none has. Outlives the listener */
};

static inline bool ouro__listening_lives_on(const struct ouro__listening *l)
{
    return l->lives_on && atomic_load(l->lives_on);
}

/* listener_socket.c: open one at a place in words, or at an address. 0, or why not. */
int ouro__listening_at(const char *where, const ouro_listener_options *opts,
                       struct ouro__listening *ret_listening);
int ouro__listening_on(const ouro_address *address, const ouro_listener_options *opts,
                       struct ouro__listening *ret_listening);

/* One that listens already. 0, or why @fd is none; it stays the caller's then. */
int ouro__listening_from(int fd, struct ouro__listening *ret_listening);

/* The path that it is bound to, if to any, is ours to remove: that file and no other. */
void ouro__listening_own_path(struct ouro__listening *listening, dev_t device, ino_t inode);

/* Remove its path, unless that is another's by now, or it lives on. Never fails. */
void ouro__listening_unlink(struct ouro__listening *listening);

/* listener.c: a listener on @loop for such a socket, which it has taken over on success. */
int ouro__listener_make(const struct ouro__listening *listening, const ouro_listener_options *opts,
                        ouro_listener **ret_listener);

/* 0, or why @l cannot be used: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN, -EBADF. */
int ouro__listener_check(const ouro_listener *l);

/* A reference: the record stays, listening or not. What has come when it closes, and what is in the
 * kernel's queue then, is kept meanwhile. */
void ouro__listener_keep(ouro_listener *l);
void ouro__listener_unkeep(ouro_listener *l);

/* The next of that. 0; -ENOENT: there is none; -ENOMEM: one has been dropped. */
int ouro__listener_left(ouro_listener *l, ouro_stream **ret_stream);

/* Take no more connections from the kernel until somebody asks for one. Allocates nothing. */
void ouro__listener_rest(ouro_listener *l);

/* A descriptor of ours has been closed: those that wait for one try again. Allocates nothing. */
void ouro__listeners_retry(ouro_loop *loop);

#endif
