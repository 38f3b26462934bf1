/* SPDX-License-Identifier: MIT */
/*
 * Why a ring could not be had, in words that end in something to do.
 *
 * The kernel has one number for many causes: -EPERM is a container's seccomp profile, a sysctl, or
 * a security module. The machine is looked at to tell which, and the sentence names what was seen,
 * so that a reader can judge the guess.
 */
#define _GNU_SOURCE 1

#include "explain.h"

#include "driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ERRNO_MAX 4095 /* the kernel's numbers end here */

struct text {
    char *buf;
    size_t size;
    size_t length; /* of the whole, also of what did not fit */
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
    bool fits = t->length < t->size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(fits ? t->buf + t->length : NULL, fits ? t->size - t->length : 0, format,
                      args);
    va_end(args);
    t->length += n > 0 ? (size_t)n : 0;
}

/* Whether the release says that it has what we need. */
static bool looks_new_enough(const struct ouro__machine *m)
{
    unsigned major = 0;
    unsigned minor = 0;
    sscanf(m->release, "%u.%u", &major, &minor);
    return major > 6 || (major == 6 && minor >= 1);
}

static void add_seccomp(struct text *t)
{
    add(t, " Allow io_uring_setup, io_uring_enter and io_uring_register in its profile (docker and"
           " podman: --security-opt seccomp=PROFILE.json).");
}

static void explain_refusal(struct text *t, const struct ouro__machine *m, int rc)
{
    add(t, "io_uring is refused to this process (%s): ", strerror(-rc));
    if (m->uring_disabled == 2) {
        add(t, "kernel.io_uring_disabled is 2, which refuses it to everybody. Set it to 0"
               " (sysctl -w kernel.io_uring_disabled=0).");
    } else if (m->uring_disabled == 1) {
        add(t, "kernel.io_uring_disabled is 1, which leaves it to CAP_SYS_ADMIN and to members of"
               " the group in kernel.io_uring_group, ");
        if (m->uring_group >= 0)
            add(t, "which is %lld. Join that group", m->uring_group);
        else
            add(t, "which is none. Set that to one of yours (sysctl -w kernel.io_uring_group=GID)");
        add(t, ", or the switch to 0 (sysctl -w kernel.io_uring_disabled=0).");
    } else if (m->seccomp > 0) {
        add(t, "a seccomp filter is in force, as in most containers.");
        add_seccomp(t);
    } else {
        add(t, "neither kernel.io_uring_disabled nor a seccomp filter forbids it, so look for a"
               " security module that does (SELinux, AppArmor, BPF).");
    }
}

static void explain_absence(struct text *t, const struct ouro__machine *m)
{
    if (m->seccomp > 0) {
        add(t, "There is no io_uring here (%s): most likely the seccomp filter in force says so.",
            strerror(ENOSYS));
        add_seccomp(t);
    } else {
        add(t,
            "Linux %s has no io_uring (%s): it was built without CONFIG_IO_URING, or is no Linux "
            "but"
            " imitates one. Run on a kernel that has it, 6.1 or newer.",
            m->release, strerror(ENOSYS));
    }
}

/* Rings counted as locked memory before Linux 5.12, and on 6.18 do again (measured) unless one has
 * CAP_IPC_LOCK: those of all programs of a user, and each a while longer than it lives. */
static void explain_memory(struct text *t, const struct ouro__machine *m)
{
    add(t, "There is no memory for a ring, not even for a small one.");
    if (m->memlock != OURO__UNLIMITED)
        add(t,
            " Linux before 5.12, and 6.18 again, counts the rings of a user as locked memory, of"
            " which %llu KiB are allowed: raise that (ulimit -l; of a service LimitMEMLOCK=64M; of "
            "a"
            " container --ulimit memlock=67108864). Or else",
            (unsigned long long)m->memlock / 1024);
    else
        add(t, " Most likely");
    add(t, " the memory of the machine or of the control group is exhausted.");
}

static void explain_age(struct text *t, const struct ouro__machine *m)
{
    if (looks_new_enough(m))
        add(t,
            "This kernel calls itself Linux %s but lacks io_uring operations that Linux 6.1 has,"
            " as a sandbox that imitates Linux would. Run outside of it.",
            m->release);
    else
        add(t, "Linux %s is too old: ouro needs 6.1 or newer.", m->release);
}

size_t ouro__ring_explain_on(const struct ouro__machine *m, int rc, char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    if (size)
        buf[0] = '\0';
    if (rc >= 0)
        add(&t, "io_uring can be used.");
    else if (rc == -EPERM || rc == -EACCES)
        explain_refusal(&t, m, rc);
    else if (rc == -ENOSYS)
        explain_absence(&t, m);
    else if (rc == -ENOMEM)
        explain_memory(&t, m);
    else if (rc == -EOPNOTSUPP)
        explain_age(&t, m);
    else if (rc == -EMFILE)
        add(&t, "This process has no descriptor left for a ring: its limit is %llu (ulimit -n).",
            (unsigned long long)m->descriptors);
    else if (rc == -ENFILE)
        add(&t, "The whole machine has no descriptor left for a ring (sysctl fs.file-max).");
    else if (rc >= -ERRNO_MAX)
        add(&t, "A ring could not be had: %s.", strerror(-rc));
    else
        add(&t, "A ring could not be had: error %d, which is not the kernel's.", rc);
    return t.length;
}

size_t ouro__ring_explain(int rc, char *buf, size_t size)
{
    struct ouro__machine m;
    ouro__machine_look(&m, "");
    size_t length = ouro__ring_explain_on(&m, rc, buf, size);
    struct text t = {buf, size, length};
    if (rc < 0)
        add(&t, " See ouro-doctor(1).");
    return t.length;
}
