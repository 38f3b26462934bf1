/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_H
#define OURO_BENCH_H

/*
 * What the benchmark programs share: a clock, interleaved rounds, and one way to show a row.
 *
 * A program is a table of cases. A case has one function for ouro and one for its rival; each call
 * is a round, sets up what it needs, measures, cleans up, and returns one figure in the case's
 * unit. Lower is better in every case.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <ouro/ouro.h>

/* One round: the figure, or NAN if this machine cannot give it (bench_skip() says why). */
typedef double bench_round(const void *arg);

struct bench_case {
    const char *name; /* what --case takes, "group.thing" */
    const char *unit;
    bench_round *ouro;
    const char *rival_name; /* NULL: nothing to compare with */
    bench_round *rival;     /* NULL: not built in */
    const void *arg;        /* passed to both */
    const char *package;    /* Debian package that the rival needs to be built in */
    const char *note;       /* a sentence below the table */
    double budget;          /* upper limit of the figure, if budgeted */
    int budgeted;
};

/* In a case: the figure's upper limit. */
#define BENCH_BUDGET(limit) .budgeted = 1, .budget = (limit)

/* In a case: a rival on libuv, which the build may lack. */
#ifdef BENCH_HAVE_UV
#    define BENCH_UV(fn) .rival = (fn), .package = "libuv1-dev"
#else
#    define BENCH_UV(fn) .rival = NULL, .package = "libuv1-dev"
#endif

#define BENCH_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Run the cases that the command line asks for and print the table. The program's exit status. */
int bench_main(int argc, char **argv, const char *title, const struct bench_case *cases, size_t n);

/* Print a message and exit with status 1: the measurement itself is broken. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Say on stderr, once for each text, why a figure cannot be had. Returns NAN. */
double bench_skip(const char *why);

/* Processor time that the program has taken, in nanoseconds: the clock of all work that does not
 * wait, since other programs do not make it run on. Reading it is a system call. */
uint64_t bench_cpu(void);

/* Processor time since @start, for each of @n. */
double bench_cpu_per(uint64_t start, double n);

/* The monotonic clock, for what waits, and the calling thread's own processor time. */
uint64_t bench_now(void);
uint64_t bench_thread_cpu(void);

/* Time since @start, for each of @n. */
double bench_per(uint64_t start, double n);

/* The value below which the part @q (0 to 1) of @n values lies. Sorts them. */
double bench_quantile(double *values, size_t n, double q);

/* A processor other than the one the program is pinned to, or -1. */
int bench_other_cpu(void);

/* Pin the calling thread. 0, or -1: it may not run there. */
int bench_pin(int cpu);

/* Pin the program, or say that it cannot be. bench_main() does. */
void bench_pin_process(int cpu);

/* Memory, or the end of the program. */
void *bench_alloc(size_t size);

/* Make a loop without debug mode, run a main task in it to the end, close it. */
void bench_run(ouro_task_fn *fn, void *arg, ouro_ns spin);

/* An io_uring operation that does nothing. */
ouro_future *bench_nop(void);

/* One round in a process of its own, where no earlier round has used memory. */
double bench_in_child(bench_round *round, const void *arg);

/* Bytes of memory that the process has in use now. */
double bench_resident(void);

/* End the program unless @rc is a success. */
void bench_check(int64_t rc, const char *what);

#endif
