/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_PEERS_H
#define OURO_BENCH_PEERS_H

/*
 * Rivals in other languages: programs in tests/bench/peers that print one figure and end.
 *
 *     static const struct bench_peer go = {"queue.go", {"bounded"}, "the Go queue: golang-go"};
 *     {"queue.bounded-go", "ns", ours, "Go channel", .rival = bench_peer, .arg = &go}
 *
 * The figure is in the unit of the case. A program that lacks what it imports ends with status 77.
 */

#include <limits.h>

#include "bench.h"

#define BENCH_PYTHON "/usr/bin/python3"

/* What a program ends with that lacks what it imports, and what stands for one that is not
 * there. */
enum { BENCH_MISSING = 77, BENCH_NO_PROGRAM = 127 };

struct bench_peer {
    const char *source;  /* in peers/: NAME.go, built once, or NAME.py */
    const char *args[5]; /* those after the last are NULL */
    const char *missing; /* what cannot be measured, and the Debian packages it needs */
};

/* A round: run the program that the case's argument names. */
double bench_peer(const void *peer);

/* Run a program to its end. Its exit status; what it printed goes to @text, what it used to the
 * round (bench_process()). */
int bench_program(const char *const *argv, char *text, size_t size);

/* The program built from @source into @path. 0, or the status of what went wrong. */
int bench_build_go(const char *source, char path[PATH_MAX]);

#endif
