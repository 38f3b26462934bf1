/* SPDX-License-Identifier: MIT */
/*
 * The findings for scripts: one JSON object. A number is null when it is not known, and -1 for no
 * limit.
 */
#define _GNU_SOURCE 1

#include "doctor.h"

#include "driver.h"
#include "names.h"

#include <inttypes.h>
#include <stdio.h>

static const char *comma = "";

/* The beginning of a member, or of an item when @name is NULL. */
static void begin(const char *name)
{
    printf("%s", comma);
    if (name)
        printf("\"%s\":", name);
    comma = ",";
}

static void open_with(const char *name, char bracket)
{
    begin(name);
    putchar(bracket);
    comma = "";
}

static void close_with(char bracket)
{
    putchar(bracket);
    comma = ",";
}

static void string(const char *name, const char *text)
{
    begin(name);
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < ' ' || *c > '~')
            printf("\\u%04x", *c); /* bytes that are no ASCII are nobody's we name */
        else
            printf("%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    }
    putchar('"');
}

static void truth(const char *name, bool value)
{
    begin(name);
    printf("%s", value ? "true" : "false");
}

static void limit(const char *name, uint64_t value)
{
    begin(name);
    if (value == OURO__UNLIMITED)
        printf("-1");
    else if (value == 0)
        printf("null");
    else
        printf("%" PRIu64, value);
}

static void number(const char *name, long long value)
{
    begin(name);
    printf("%lld", value);
}

static void state(const char *name, int value)
{
    if (value == OURO__UNKNOWN) {
        begin(name);
        printf("null");
    } else {
        number(name, value);
    }
}

static void flags(const char *name, unsigned value)
{
    open_with(name, '[');
    for (unsigned bit = 0; bit < 32; bit++)
        if ((value & 1u << bit) && ouro__setup_flag_name(bit))
            string(NULL, ouro__setup_flag_name(bit));
    close_with(']');
}

static void limits(const struct ouro__findings *f)
{
    open_with("limits", '{');
    limit("processors", f->machine.processors);
    limit("descriptors", f->machine.descriptors);
    limit("descriptors_most", f->around.descriptors_most);
    limit("locked_memory", f->machine.memlock);
    limit("memory_maps", f->machine.memory_maps);
    if (f->rc == 0)
        limit("tasks", ouro__doctor_tasks(f));
    limit("threads_of_user", f->around.processes);
    limit("threads_of_group", f->around.threads_of_group);
    limit("threads_of_system", f->around.threads_of_system);
    limit("memory_of_group", f->around.memory_of_group);
    limit("listen_queue", f->around.listen_queue);
    close_with('}');
}

static void ring(const struct ouro__probe *p)
{
    open_with("ring", '{');
    number("entries", p->ring.sq_entries);
    number("completions", p->ring.cq_entries);
    flags("flags", p->ring.flags);
    flags("refused", p->ring.dropped);
    close_with('}');
    open_with("features", '{');
    for (size_t i = 0; i < OURO__FEATURES; i++)
        truth(ouro__features[i].name, p->has[i]);
    close_with('}');
    open_with("missing_operations", '[');
    for (size_t i = 0; i < OURO__USED_OPS; i++)
        if (!p->ops[ouro__used_ops[i]])
            string(NULL, ouro__op_name(ouro__used_ops[i]));
    close_with(']');
}

void ouro__doctor_print_json(const struct ouro__findings *f)
{
    comma = "";
    open_with(NULL, '{');
    number("status", ouro__doctor_status(f));
    string("ouro", OURO__VERSION_TEXT);
    string("kernel", f->machine.release);
    state("io_uring_disabled", f->machine.uring_disabled);
    number("io_uring_group", f->machine.uring_group);
    state("seccomp", f->machine.seccomp);
    string("container", f->around.container);
    string("liburing", OURO__LIBURING_TEXT);
    number("error", f->rc);
    limits(f);
    if (f->rc == 0)
        ring(&f->probe);
    open_with("advice", '[');
    for (unsigned i = 0; i < f->advices; i++)
        string(NULL, f->advice[i].text);
    close_with(']');
    close_with('}');
    putchar('\n');
}
