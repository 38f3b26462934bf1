/* SPDX-License-Identifier: MIT */
/*
 * What to change: each piece of advice names what was found, what it costs, and the command.
 *
 * Serious is what makes the exit status 1: a feature that ouro would use and does without, a limit
 * that ordinary programs run into. The rest is worth knowing.
 */
#define _GNU_SOURCE 1

#include "doctor.h"

#include "driver.h"
#include "explain.h"
#include "names.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Limits below the first are run into by ordinary programs, below the second by servers. */
#define DESCRIPTORS_FEW  256u
#define DESCRIPTORS_SOME 4096u
#define DESCRIPTORS_MANY 65536u

/* The lanes of a process have 12 threads and one a processor, and the kernel makes up to 64 and two
 * a processor for a ring. */
#define THREADS_FEW 128u

#define LOCKED_FEW  ((uint64_t)1 << 20)
#define LISTEN_FEW  1024u /* a listener asks for 4096 */
#define MAPS_A_TASK 2u    /* where guard pages split them */

static void __attribute__((format(printf, 3, 4)))
advise(struct ouro__findings *f, bool serious, const char *format, ...)
{
    if (f->advices == OURO__ADVICE_MAX)
        return;
    struct ouro__advice *advice = &f->advice[f->advices++];
    va_list args;
    va_start(args, format);
    vsnprintf(advice->text, sizeof advice->text, format, args);
    va_end(args);
    advice->serious = serious;
}

bool ouro__doctor_has(const struct ouro__findings *f, const char *name)
{
    for (size_t i = 0; i < OURO__FEATURES; i++)
        if (strcmp(ouro__features[i].name, name) == 0)
            return f->probe.has[i];
    return false;
}

uint64_t ouro__doctor_tasks(const struct ouro__findings *f)
{
    if (ouro__doctor_has(f, "guard_install") || !f->machine.memory_maps)
        return OURO__UNLIMITED;
    return f->machine.memory_maps / MAPS_A_TASK;
}

/* ---- No ring --------------------------------------------------------------------------------- */

static void advise_refused(struct ouro__findings *f)
{
    char why[1024];
    ouro__ring_explain_on(&f->machine, f->rc, why, sizeof why);
    advise(f, true, "%s", why);
    const char *container = f->around.container;
    if (f->machine.seccomp <= 0 || f->machine.uring_disabled > 0)
        return;
    if (strcmp(container, "docker") == 0 || strcmp(container, "podman") == 0)
        advise(f, true,
               "To see whether it is the profile: %s run --security-opt seccomp=unconfined IMAGE"
               " ouro-doctor.",
               container);
    else if (strcmp(container, "kubernetes") == 0)
        advise(f, true,
               "To see whether it is the profile: securityContext.seccompProfile.type: Unconfined"
               " in the pod.");
}

/* ---- The ring, and what the kernel has ------------------------------------------------------- */

static void advise_ring(struct ouro__findings *f)
{
    const struct ouro__ring_report *r = &f->probe.ring;
    if (r->sq_entries < r->asked)
        advise(f, true,
               "Memory was too short for the whole ring: raise the memory limit of the control"
               " group (memory.max; docker and podman: --memory).");
    if (r->dropped & IORING_SETUP_DEFER_TASKRUN)
        advise(f, true,
               "The kernel refuses defer_taskrun, so completions interrupt the program, which is"
               " slower. Linux 6.1 has it: this one is made to forbid it.");
    if (!r->fd_registered)
        advise(f, false,
               "The ring's descriptor cannot be registered: each call costs a little more.");
}

static void advise_operations(struct ouro__findings *f)
{
    char missing[512] = "";
    for (size_t i = 0; i < OURO__USED_OPS; i++) {
        size_t length = strlen(missing);
        if (!f->probe.ops[ouro__used_ops[i]])
            snprintf(missing + length, sizeof missing - length, "%s%s", length ? ", " : "",
                     ouro__op_name(ouro__used_ops[i]));
    }
    if (*missing)
        advise(f, true, "Operations that Linux 6.1 has are missing, and what needs them fails: %s.",
               missing);
}

static void advise_features(struct ouro__findings *f)
{
    for (size_t i = 0; i < OURO__FEATURES; i++) {
        const struct ouro__feature *feature = &ouro__features[i];
        if (!feature->without || f->probe.has[i])
            continue;
        advise(f, !feature->cosmetic,
               "No %s: %s. Linux %s has it, if no seccomp profile forbids it.", feature->name,
               feature->without, feature->since);
    }
    uint64_t tasks = ouro__doctor_tasks(f);
    if (tasks != OURO__UNLIMITED)
        advise(f, true,
               "About %" PRIu64 " tasks can live at once, by vm.max_map_count, of which each takes"
               " %u: sysctl -w vm.max_map_count=1048576.",
               tasks, MAPS_A_TASK);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void advise_descriptors(struct ouro__findings *f)
{
    uint64_t now = f->machine.descriptors;
    uint64_t most = f->around.descriptors_most;
    if (now >= DESCRIPTORS_SOME)
        return;
    bool serious = now < DESCRIPTORS_FEW;
    if (most >= DESCRIPTORS_SOME)
        advise(f, serious,
               "%" PRIu64 " descriptors are few for a server: ulimit -n %" PRIu64
               "; of a service, LimitNOFILE=%u; of a container, --ulimit nofile=%u.",
               now, most < DESCRIPTORS_MANY ? most : DESCRIPTORS_MANY, DESCRIPTORS_MANY,
               DESCRIPTORS_MANY);
    else
        advise(f, serious,
               "%" PRIu64 " descriptors are few for a server, and the hard limit is %" PRIu64
               ": raise nofile in /etc/security/limits.conf; of a service, LimitNOFILE=%u; of a"
               " container, --ulimit nofile=%u.",
               now, most, DESCRIPTORS_MANY, DESCRIPTORS_MANY);
}

static void advise_threads(struct ouro__findings *f)
{
    const struct ouro__surroundings *s = &f->around;
    if (s->threads_of_group && s->threads_of_group < THREADS_FEW)
        advise(f, true,
               "The control group allows %" PRIu64 " threads, of which pools and the kernel's own"
               " workers may want %u: raise pids.max; of a service, TasksMax=1024; of a container,"
               " --pids-limit 1024.",
               s->threads_of_group, THREADS_FEW);
    if (s->processes < THREADS_FEW)
        advise(f, true,
               "This user may have %" PRIu64 " processes and threads, of which pools and the"
               " kernel's own workers may want %u: ulimit -u 1024; of a service, LimitNPROC=1024.",
               s->processes, THREADS_FEW);
    if (s->threads_of_system && s->threads_of_system < 8 * THREADS_FEW)
        advise(f, true,
               "The whole system may have %" PRIu64 " threads: sysctl -w kernel.threads-max=32768.",
               s->threads_of_system);
}

static void advise_limits(struct ouro__findings *f)
{
    const struct ouro__machine *m = &f->machine;
    advise_descriptors(f);
    advise_threads(f);
    if (m->memlock < LOCKED_FEW)
        advise(
            f, false,
            "%" PRIu64 " KiB of locked memory: buffers that are lent to the ring count against"
            " it, and zero-copy sends, which are copies beyond it; on some kernels, of which"
            " 6.18 is one, also the rings of all programs of this user, about 50 KiB each. ulimit"
            " -l 65536; of a service, LimitMEMLOCK=64M; of a container, --ulimit"
            " memlock=67108864.",
            m->memlock / 1024);
    if (f->around.listen_queue && f->around.listen_queue < LISTEN_FEW)
        advise(f, false,
               "A listener keeps at most %" PRIu64 " connections that nobody has accepted yet:"
               " sysctl -w net.core.somaxconn=4096.",
               f->around.listen_queue);
    if (m->uring_disabled == 1)
        advise(f, false,
               "kernel.io_uring_disabled is 1. It works for you; who is neither in the group of"
               " kernel.io_uring_group nor has CAP_SYS_ADMIN is refused: sysctl -w"
               " kernel.io_uring_disabled=0.");
    if (m->processors == 1)
        advise(f, false, "With one processor loops never spin before they sleep.");
}

void ouro__doctor_advise(struct ouro__findings *f)
{
    f->advices = 0;
    if (f->rc < 0) {
        advise_refused(f);
        return;
    }
    advise_ring(f);
    advise_operations(f);
    advise_features(f);
    advise_limits(f);
}

int ouro__doctor_status(const struct ouro__findings *f)
{
    if (f->rc < 0)
        return OURO__DOCTOR_NONE;
    for (unsigned i = 0; i < f->advices; i++)
        if (f->advice[i].serious)
            return OURO__DOCTOR_LESS;
    return OURO__DOCTOR_ALL;
}
