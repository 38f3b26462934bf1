/* SPDX-License-Identifier: MIT */
/*
 * ouro-doctor: whether ouro can run here, how well, and what would help.
 *
 * It looks at the machine, makes a ring the way a loop would, tries the newer features, and prints
 * what it found. The line that starts with OURO_FEATURES= is for scripts; the rest is for people.
 * Exit status: 0 usable, 1 not, 2 wrong usage.
 */
#define _GNU_SOURCE 1

#include "probe.h"

#include "driver.h"
#include "explain.h"
#include "names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES 256u /* what a loop asks for by default */
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

static void print_limit(const char *name, uint64_t value, const char *unit)
{
    label(name);
    if (value == OURO__UNLIMITED)
        puts("unlimited");
    else
        printf("%" PRIu64 "%s\n", value, unit);
}

static const char *describe_switch(int value)
{
    switch (value) {
    case 0:
        return "0, io_uring is for everybody";
    case 1:
        return "1, io_uring is for CAP_SYS_ADMIN and for the group in kernel.io_uring_group";
    case 2:
        return "2, io_uring is for nobody";
    default:
        return "not there";
    }
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
        return "unknown";
    }
}

static void print_machine(const struct ouro__machine *m)
{
    puts("kernel");
    label("release");
    puts(m->release);
    label("io_uring_disabled");
    puts(describe_switch(m->uring_disabled));
    label("seccomp");
    puts(describe_seccomp(m->seccomp));

    section("limits");
    print_limit("processors", m->processors, "");
    print_limit("descriptors", m->descriptors, "");
    uint64_t memlock = m->memlock;
    print_limit("locked memory", memlock == OURO__UNLIMITED ? memlock : memlock / 1024, " KiB");
    print_limit("memory maps", m->memory_maps, "");
}

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

static void print_features(const struct ouro__probe *p)
{
    section("features, since which kernel, and what they are good for");
    for (size_t i = 0; i < OURO__FEATURES; i++) {
        const struct ouro__feature *f = &ouro__features[i];
        printf("  %-18s %-3s %5s  %s\n", f->name, p->has[i] ? "yes" : "no", f->since, f->what);
    }
    printf("OURO_FEATURES=");
    const char *comma = "";
    for (size_t i = 0; i < OURO__FEATURES; i++) {
        if (!p->has[i])
            continue;
        printf("%s%s", comma, ouro__features[i].name);
        comma = ",";
    }
    putchar('\n');
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
    section("operations");
    puts("  this kernel has");
    print_ops(p, true);
    puts("  and does not have");
    if (!print_ops(p, false))
        puts("    any that we have not heard of");
}

static bool has(const struct ouro__probe *p, const char *name)
{
    for (size_t i = 0; i < OURO__FEATURES; i++)
        if (strcmp(ouro__features[i].name, name) == 0)
            return p->has[i];
    return false;
}

static void print_advice(const struct ouro__machine *m, const struct ouro__probe *p)
{
    unsigned n = 0;
    section("advice");
    if (p->ring.sq_entries < p->ring.asked && ++n)
        puts("  Memory was too short for the whole ring: look at the limits of the control group.");
    if ((p->ring.dropped & IORING_SETUP_DEFER_TASKRUN) && ++n)
        puts("  The kernel refuses defer_taskrun: completions interrupt the program, slower.");
    if (m->uring_disabled == 1 && ++n)
        puts(
            "  It works for you; users outside of the group in kernel.io_uring_group are refused.");
    if (m->descriptors < 4096 && ++n)
        printf("  A server may want more than %" PRIu64 " descriptors: raise ulimit -n.\n",
               m->descriptors);
    if (!has(p, "guard_install") && m->memory_maps && ++n)
        printf("  A task's guard page splits a memory map: about %" PRIu64
               " tasks can live at once."
               " Raise vm.max_map_count,\n  or use Linux 6.13.\n",
               m->memory_maps / 2);
    if (!has(p, "no_iowait") && ++n)
        puts("  A sleeping loop looks like iowait in top(1). It is idle.");
    if (m->processors == 1 && ++n)
        puts("  With one processor loops never spin before they sleep.");
    if (!n)
        puts("  None: this is as good as it gets.");
}

static int examine(void)
{
    struct ouro__machine m;
    struct ouro__probe p;
    ouro__machine_look(&m);
    print_machine(&m);
    int rc = ouro__probe(ENTRIES, &p);
    if (rc < 0) {
        char why[1024];
        ouro__ring_explain_on(&m, rc, why, sizeof why);
        section("ring");
        printf("  none: ouro cannot run here\nOURO_FEATURES=\n");
        section("advice");
        printf("  %s\n", why);
        return 1;
    }
    print_ring(&p.ring);
    print_features(&p);
    print_operations(&p);
    print_advice(&m, &p);
    return 0;
}

static void usage(FILE *to)
{
    fputs("usage: ouro-doctor [--help]\n"
          "\n"
          "Says whether ouro can use io_uring on this machine, what this kernel offers, and what\n"
          "would help. Exit status: 0 usable, 1 not usable, 2 wrong usage.\n",
          to);
}

int main(int argc, char **argv)
{
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc > 1 && !help) {
        const char *wrong = strcmp(argv[1], "--help") == 0 ? argv[2] : argv[1];
        fprintf(stderr, "ouro-doctor: what is '%s'?\n", wrong);
        usage(stderr);
        return 2;
    }
    int status = 0;
    if (help)
        usage(stdout);
    else
        status = examine();
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("ouro-doctor: standard output");
        return 1;
    }
    return status;
}
