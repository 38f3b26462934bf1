/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_SERVERS_H
#define OURO_BENCH_SERVERS_H

/*
 * Servers as child processes: programs that were built, sources in Go and Python, or others'.
 *
 * A server gets its listening socket as descriptor 3, so that it can be asked as soon as it is
 * started. It ends with the benchmark.
 */

#include <stdint.h>
#include <sys/types.h>

#include "peers.h"

enum { BENCH_LISTENER = 3 };

struct bench_server {
    const char *name;
    const char *file;    /* a program that was built, NAME.go, NAME.py, or a path */
    const char *args[6]; /* those after the last are NULL */
    const char *imports; /* Python: the modules that it needs, as after `import` */
    const char *missing; /* why it cannot be measured, if it is not there */
    char path[PATH_MAX]; /* of the program; empty: not there */
    pid_t pid;           /* 0: it does not run */
    int signal;          /* that ends it with its children; 0: SIGKILL */
    int port;            /* of its listening socket, if the program keeps that */
};

/* Look for the program of @s; Go is built. Whether it is there. */
int bench_server_find(struct bench_server *s, const char *programs, const char *sources);

/* A socket that listens where nobody else does, and the place as tcp:PORT or unix:NAME, an abstract
 * one. Loopback needs the cubic congestion control, since others pace what they send: accepted
 * sockets have it from this one. */
int bench_listen(int family, char *ret_place, size_t size);

/* Start a server on @cpu that accepts from @listener, which becomes its own. */
void bench_server_start(struct bench_server *s, int listener, int cpu);

void bench_server_stop(struct bench_server *s);

/* Resident bytes of a process and of its children, each at its peak. */
double bench_process_peak(pid_t pid);

/* Processor time of all threads of a process and of its children, nanoseconds. */
uint64_t bench_process_cpu(pid_t pid);

#endif
