/* SPDX-License-Identifier: MIT */
/*
 * The findings for people: a section a matter, a line a fact, what it means behind it.
 */
#define _GNU_SOURCE 1

#include "doctor.h"

#include "driver.h"
#include "names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS 90u

static void section(const char *name)
{
    printf("\n%s\n", name);
}

/* The beginning of a line; the value follows. */
static void label(const char *name)
{
    printf("  %-18s ", name);
}

/* ---- Kernel and libraries -------------------------------------------------------------------- */

static void print_switch(const struct ouro__machine *m)
{
    label("io_uring_disabled");
    if (m->uring_disabled == 0)
        puts("0, io_uring is for everybody");
    else if (m->uring_disabled == 2)
        puts("2, io_uring is for nobody");
    else if (m->uring_disabled != 1)
        puts("not there: Linux 6.6 has it, before that io_uring is for everybody");
    else if (m->uring_group < 0)
        puts("1, io_uring is for CAP_SYS_ADMIN; io_uring_group is none");
    else
        printf("1, io_uring is for CAP_SYS_ADMIN and for group %lld, io_uring_group\n",
               m->uring_group);
}

static const char *describe_seccomp(int value)
{
    switch (value) {
    case 0:
        return "none";
    case 1:
        return "strict";
    case 2:
        return "a filter";
    default:
        return "unknown, /proc is not there";
    }
}

static void print_machine(const struct ouro__findings *f)
{
    puts("kernel");
    label("release");
    puts(f->machine.release);
    print_switch(&f->machine);
    label("seccomp");
    puts(describe_seccomp(f->machine.seccomp));
    label("container");
    puts(*f->around.container ? f->around.container : "no sign of one");

    section("libraries");
    label("ouro");
    puts(OURO__VERSION_TEXT);
    label("liburing");
    printf("%s when built, %s\n", OURO__LIBURING_TEXT,
           *f->liburing ? f->liburing : "part of this program");
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void print_number(uint64_t value, const char *unit)
{
    if (value == OURO__UNLIMITED)
        printf("unlimited");
    else if (value == 0)
        printf("unknown");
    else
        printf("%" PRIu64 "%s", value, unit);
}

static void print_bytes(uint64_t value)
{
    bool small = value < (uint64_t)16 << 20;
    if (value == OURO__UNLIMITED)
        print_number(value, "");
    else
        print_number(value >> (small ? 10 : 20), small ? " KiB" : " MiB");
}

static void print_limits(const struct ouro__findings *f)
{
    const struct ouro__machine *m = &f->machine;
    const struct ouro__surroundings *s = &f->around;
    section("limits");
    label("processors");
    printf("%u\n", m->processors);
    label("descriptors");
    print_number(m->descriptors, "");
    printf(", the program may raise it to ");
    print_number(s->descriptors_most, "");
    puts("; one for each file and connection");
    label("locked memory");
    print_bytes(m->memlock);
    puts(", for lent buffers, zero-copy sends, on some kernels rings");
    label("memory maps");
    print_number(m->memory_maps, "");
    uint64_t tasks = ouro__doctor_tasks(f);
    if (f->rc < 0)
        putchar('\n');
    else if (tasks == OURO__UNLIMITED)
        puts(", which do not bound the tasks");
    else
        printf(", which do for about %" PRIu64 " tasks at once\n", tasks);
    label("threads");
    print_number(s->processes, "");
    printf(" of the user, ");
    print_number(s->threads_of_group, "");
    printf(" of the control group, ");
    print_number(s->threads_of_system, "");
    puts(" of the system");
    label("memory");
    print_bytes(s->memory_of_group);
    puts(" of the control group");
    label("listen queue");
    print_number(s->listen_queue, " connections");
    putchar('\n');
}

/* ---- The ring -------------------------------------------------------------------------------- */

static void print_flags(const char *name, unsigned flags)
{
    label(name);
    if (!flags)
        printf("none");
    const char *comma = "";
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(flags & 1u << bit))
            continue;
        printf("%s%s", comma, ouro__setup_flag_name(bit) ? ouro__setup_flag_name(bit) : "?");
        comma = ", ";
    }
    putchar('\n');
}

static void print_ring(const struct ouro__ring_report *r)
{
    section("ring");
    label("entries");
    printf("%u of %u asked for, %u completions\n", r->sq_entries, r->asked, r->cq_entries);
    print_flags("flags", r->flags);
    print_flags("refused", r->dropped);
    label("descriptor");
    puts(r->fd_registered ? "registered" : "not registered, each call costs a little more");
    label("kernel workers");
    puts(r->workers_capped ? "bounded" : "not bounded");
    label("woken by");
    puts(r->takes_messages ? "messages to the ring" : "an eventfd that the ring reads");
    label("fork");
    puts(r->fork_safe ? "the ring's memory stays with the parent"
                      : "the child inherits the ring's memory");
}

/* ---- Features and operations ----------------------------------------------------------------- */

static void print_features(const struct ouro__probe *p, bool used)
{
    for (size_t i = 0; i < OURO__FEATURES; i++) {
        const struct ouro__feature *f = &ouro__features[i];
        if (used != (f->without != NULL))
            continue;
        printf("  %-18s %-3s %5s  %s\n", f->name, p->has[i] ? "yes" : "no", f->since, f->what);
        if (used && !p->has[i])
            printf("  %-18s            without: %s\n", "", f->without);
    }
}

/* The operations of which ops[] says @wanted, in lines. */
static unsigned print_ops(const struct ouro__probe *p, bool wanted)
{
    size_t column = 0;
    unsigned n = 0;
    for (unsigned op = 0; op < 256 && (ouro__op_name(op) || (int)op < p->ops_known); op++) {
        char number[16];
        const char *name = ouro__op_name(op);
        if (p->ops[op] != wanted)
            continue;
        snprintf(number, sizeof number, "%u", op);
        name = name ? name : number;
        if (n++ == 0 || column + strlen(name) >= COLUMNS)
            column = (size_t)printf("%s   ", n == 1 ? "" : "\n") - 1;
        column += (size_t)printf(" %s", name);
    }
    if (n)
        putchar('\n');
    return n;
}

static void print_operations(const struct ouro__probe *p)
{
    unsigned there = 0;
    for (size_t i = 0; i < OURO__USED_OPS; i++)
        there += p->ops[ouro__used_ops[i]];
    section("operations");
    printf("  of %u that ouro uses, %u are there; in all, this kernel has\n", OURO__USED_OPS,
           there);
    print_ops(p, true);
    puts("  and does not have");
    if (!print_ops(p, false))
        puts("    any that we have not heard of");
}

/* ---- What follows ---------------------------------------------------------------------------- */

static void print_advice(const struct ouro__findings *f)
{
    section("advice");
    if (!f->advices)
        puts("  None.");
    for (unsigned i = 0; i < f->advices; i++) {
        size_t column = (size_t)printf("  %c", f->advice[i].serious ? '!' : '-');
        for (const char *word = f->advice[i].text; *word;) {
            size_t length = strcspn(word, " ");
            if (column + 1 + length > COLUMNS)
                column = (size_t)printf("\n   ") - 1;
            column += (size_t)printf(" %.*s", (int)length, word);
            word += length + strspn(word + length, " ");
        }
        putchar('\n');
    }
}

static const char *describe_status(int status)
{
    switch (status) {
    case OURO__DOCTOR_ALL:
        return "ouro runs here, with all that it can use.";
    case OURO__DOCTOR_LESS:
        return "ouro runs here, with less than it could use: see what is marked with !.";
    default:
        return "ouro cannot run here.";
    }
}

void ouro__doctor_print(const struct ouro__findings *f)
{
    print_machine(f);
    print_limits(f);
    if (f->rc < 0) {
        section("ring");
        puts("  none");
    } else {
        print_ring(&f->probe.ring);
        section("what ouro uses if it is there: since which kernel, what for");
        print_features(&f->probe, true);
        section("what it does not use, but programs may, by ouro_uring_op()");
        print_features(&f->probe, false);
        print_operations(&f->probe);
    }
    print_advice(f);
    printf("\n%s\n", describe_status(ouro__doctor_status(f)));
}
