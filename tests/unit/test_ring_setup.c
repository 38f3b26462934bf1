/* SPDX-License-Identifier: MIT */
/*
 * How a ring is had, what it is like, and what is said when there is none. First on kernels that
 * exist only here, then on the real one, which a seccomp filter makes refuse. A filter stays until
 * the process ends, and every test is a process of its own.
 */
#define _GNU_SOURCE 1

#include "descriptors.h"
#include "setup.h"

#include "driver.h"
#include "explain.h"
#include "probe.h"
#include "refuse.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ALL_FLAGS                                                                          \
    (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | \
     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |            \
     IORING_SETUP_CQSIZE)

/* ---- The ladder, on kernels that exist only here --------------------------------------------- */

/* A kernel is what it refuses. */
static struct {
    unsigned flags;       /* -EINVAL for any of these */
    unsigned max_entries; /* -ENOMEM above */
    int always;           /* this, if not 0 */
} kernel;

static struct {
    unsigned entries;
    unsigned flags;
    unsigned cq_entries;
} tried[32];
static unsigned tries;

static int scripted_init(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
    (void)ring;
    cr_assert_lt(tries, 32);
    tried[tries].entries = entries;
    tried[tries].flags = p->flags;
    tried[tries++].cq_entries = p->cq_entries;
    if (kernel.always)
        return kernel.always;
    if (p->flags & kernel.flags)
        return -EINVAL;
    if (entries > kernel.max_entries)
        return -ENOMEM;
    p->sq_entries = entries;
    if (!(p->flags & IORING_SETUP_CQSIZE))
        p->cq_entries = 2 * entries;
    p->features = IORING_FEAT_NODROP;
    return 0;
}

static struct ouro__ring_report report;

static int climb(unsigned entries)
{
    struct io_uring ring;
    tries = 0;
    return ouro__ring_ladder(scripted_init, entries, &ring, &report);
}

Test(ring_setup, first_try_asks_for_everything)
{
    kernel.max_entries = 32768;
    cr_assert_eq(climb(256), 0);
    cr_assert_eq(tries, 1);
    cr_assert_eq(tried[0].flags, ALL_FLAGS);
    cr_assert_eq(tried[0].cq_entries, 2048);
    cr_assert_eq(report.asked, 256);
    cr_assert_eq(report.sq_entries, 256);
    cr_assert_eq(report.cq_entries, 2048);
    cr_assert_eq(report.flags, ALL_FLAGS);
    cr_assert_eq(report.dropped, 0);
    cr_assert_eq(report.features, IORING_FEAT_NODROP);
}

Test(ring_setup, completions_are_four_to_eight_times_the_entries)
{
    kernel.max_entries = 32768;
    for (unsigned entries = 8; entries <= 32768; entries *= 2) {
        cr_assert_eq(climb(entries), 0);
        cr_assert_geq(report.cq_entries, 4 * entries);
        cr_assert_leq(report.cq_entries, 8 * entries);
    }
}

Test(ring_setup, einval_drops_one_group_of_flags_at_a_time)
{
    static const unsigned groups[] = {
        IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SINGLE_ISSUER,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_CLAMP,
        IORING_SETUP_CQSIZE,
    };
    kernel.max_entries = 32768;
    unsigned dropped = 0;
    for (unsigned i = 0; i < 6; i++) {
        kernel.flags = groups[i];
        dropped |= groups[i];
        cr_assert_eq(climb(64), 0);
        cr_assert_eq(tries, i + 2);
        cr_assert_eq(report.dropped, dropped);
        cr_assert_eq(report.flags, ALL_FLAGS & ~dropped);
        cr_assert_eq(report.flags, tried[i + 1].flags);
        cr_assert_eq(report.sq_entries, 64);
    }
    cr_assert_eq(report.flags, 0);
    cr_assert_eq(tried[6].cq_entries, 0, "a size without the flag for it");
}

Test(ring_setup, flags_that_need_another_never_go_without)
{
    kernel.always = -EINVAL;
    cr_assert_eq(climb(64), -EINVAL);
    cr_assert_eq(tries, 7);
    for (unsigned i = 0; i < tries; i++) {
        unsigned f = tried[i].flags;
        if (f & IORING_SETUP_DEFER_TASKRUN)
            cr_assert(f & IORING_SETUP_SINGLE_ISSUER);
        if (f & IORING_SETUP_TASKRUN_FLAG)
            cr_assert(f & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN));
        cr_assert_eq(!(f & IORING_SETUP_CQSIZE), !tried[i].cq_entries);
    }
}

Test(ring_setup, enomem_halves_the_ring)
{
    kernel.max_entries = 40;
    cr_assert_eq(climb(256), 0);
    cr_assert_eq(tries, 4);
    cr_assert_eq(report.asked, 256);
    cr_assert_eq(report.sq_entries, 32);
    cr_assert_eq(report.cq_entries, 256);
    cr_assert_eq(report.dropped, 0);
}

Test(ring_setup, enomem_gives_up_at_eight_entries)
{
    kernel.max_entries = 7;
    cr_assert_eq(climb(100), -ENOMEM);
    static const unsigned sizes[] = {100, 50, 25, 12, 8};
    cr_assert_eq(tries, 5);
    for (unsigned i = 0; i < 5; i++)
        cr_assert_eq(tried[i].entries, sizes[i]);
}

Test(ring_setup, flags_and_entries_are_given_up_independently)
{
    kernel.flags = IORING_SETUP_SINGLE_ISSUER;
    kernel.max_entries = 16;
    cr_assert_eq(climb(64), 0);
    cr_assert_eq(report.sq_entries, 16);
    cr_assert_eq(report.dropped, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
}

Test(ring_setup, any_other_answer_is_final)
{
    static const int codes[] = {-EPERM, -EACCES, -ENOSYS, -EMFILE, -ENFILE, -EFAULT};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        kernel.always = codes[i];
        cr_assert_eq(climb(64), codes[i]);
        cr_assert_eq(tries, 1);
    }
}

Test(ring_setup, sizes_out_of_range_are_brought_into_it)
{
    kernel.max_entries = UINT32_MAX;
    cr_assert_eq(climb(0), 0);
    cr_assert_eq(report.sq_entries, 8);
    cr_assert_eq(climb(UINT32_MAX), 0);
    cr_assert_eq(report.sq_entries, 32768);
    cr_assert_eq(report.asked, UINT32_MAX);
}

/* ---- The real kernel ------------------------------------------------------------------------- */

Test(ring_setup, real_ring_has_what_linux_6_1_gives)
{
    int fds = open_fds();
    struct io_uring ring;
    cr_assert_eq(ouro__ring_open(64, &ring, &report), 0);
    cr_assert_eq(report.dropped, 0);
    cr_assert_eq(report.sq_entries, 64);
    cr_assert_eq(report.cq_entries, 512);
    cr_assert_eq(ring.sq.ring_entries, 64);
    cr_assert_eq(ring.cq.ring_entries, 512);
    cr_assert(report.features & IORING_FEAT_NODROP);
    cr_assert(report.features & IORING_FEAT_EXT_ARG);
    cr_assert(report.fd_registered);
    cr_assert(report.workers_capped);
    cr_assert(report.fork_safe);
    unsigned limits[2] = {0, 0}; /* asks without setting */
    cr_assert_eq(io_uring_register_iowq_max_workers(&ring, limits), 0);
    cr_assert_eq(limits[0], 2 * (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    cr_assert_eq(limits[1], 64);
    io_uring_queue_exit(&ring);
    cr_assert_eq(open_fds(), fds);
}

Test(ring_setup, real_ring_takes_messages_unless_they_are_refused)
{
    struct ouro__probe p;
    struct io_uring ring;
    cr_assert_eq(ouro__probe(8, &p), 0);
    for (size_t i = 0; i < OURO__FEATURES; i++)
        if (strcmp(ouro__features[i].name, "send_msg_ring") == 0)
            cr_assert_eq(p.ring.takes_messages, p.has[i]);
    refuse_messages();
    cr_assert_eq(ouro__ring_open(8, &ring, &report), 0);
    cr_assert_not(report.takes_messages);
    cr_assert_eq(io_uring_cq_ready(&ring), 0);
    io_uring_queue_exit(&ring);
}

Test(ring_setup, trying_messages_leaves_none)
{
    struct io_uring ring;
    cr_assert_eq(ouro__ring_open(8, &ring, &report), 0);
    io_uring_get_events(&ring);
    cr_assert_eq(io_uring_cq_ready(&ring), 0);
    io_uring_queue_exit(&ring);
}

Test(ring_setup, operations_are_those_the_kernel_lists)
{
    struct io_uring ring;
    bool ops[256];
    cr_assert_eq(ouro__ring_open(8, &ring, &report), 0);
    int known = ouro__ring_ops(&ring, ops);
    cr_assert_gt(known, IORING_OP_SENDMSG_ZC);
    cr_assert(ops[IORING_OP_NOP] && ops[IORING_OP_READ] && ops[IORING_OP_SENDMSG_ZC]);
    cr_assert_not(ops[255]);
    io_uring_queue_exit(&ring);
}

Test(ring_setup, probe_tells_features_and_leaves_nothing)
{
    int fds = open_fds();
    struct ouro__probe p;
    cr_assert_eq(ouro__probe(64, &p), 0);
    cr_assert_eq(p.ring.sq_entries, 64);
    for (size_t i = 0; i < OURO__FEATURES; i++) {
        const struct ouro__feature *f = &ouro__features[i];
        cr_assert(f->name && f->since && f->what);
        cr_assert_eq(!!f->feat + !!f->op + !!f->try_it, 1, "%s: one way to find it", f->name);
        cr_assert_null(strpbrk(f->name, ", =\n"));
        if (f->op)
            cr_assert_eq(p.has[i], p.ops[f->op]);
        if (strcmp(f->name, "msg_ring") == 0)
            cr_assert(p.has[i], "in every kernel that we run on");
    }
    cr_assert_eq(open_fds(), fds);
}

/* ---- Refusal, for real ----------------------------------------------------------------------- */

static struct ouro__driver *d;
static char why[1024];

/* A driver, or the reason in why[]. No descriptor may stay when it fails. */
static int open_driver(unsigned entries)
{
    struct ouro__kernel_options options = {.entries = entries, .alloc = malloc, .release = free};
    int fds = open_fds();
    int rc = ouro__kernel_driver_new(&options, &d);
    if (rc < 0)
        cr_assert_eq(open_fds(), fds);
    ouro__ring_explain(rc, why, sizeof why);
    return rc;
}

static void assert_says(const char *word)
{
    cr_assert_not_null(strstr(why, word), "no '%s' in: %s", word, why);
}

static void assert_silent(const char *word)
{
    cr_assert_null(strstr(why, word), "'%s' in: %s", word, why);
}

Test(ring_setup, eperm_by_seccomp_is_told_so)
{
    refuse(SYS_io_uring_setup, EPERM, 0);
    cr_assert_eq(open_driver(64), -EPERM);
    assert_says("seccomp");
    assert_says("io_uring_setup");
}

Test(ring_setup, enosys_by_seccomp_is_told_so)
{
    refuse(SYS_io_uring_setup, ENOSYS, 0);
    cr_assert_eq(open_driver(64), -ENOSYS);
    assert_says("seccomp");
}

Test(ring_setup, enomem_for_a_large_ring_gives_a_smaller_one)
{
    refuse(SYS_io_uring_setup, ENOMEM, 64);
    cr_assert_eq(open_driver(256), 0);
    cr_assert_eq(d->ops->sq_space(d), 31, "32, one of them the driver's");
    while (d->ops->get_sqe(d))
        ; /* zeroed: NOPs */
    cr_assert_eq(d->ops->submit(d, 0), 0);
    struct ouro__completion c[64];
    cr_assert_eq(d->ops->reap(d, c, 64), 31);
    d->ops->close(d);
    d->ops->free(d);
}

Test(ring_setup, enomem_for_any_ring_is_told_with_the_limit)
{
    refuse(SYS_io_uring_setup, ENOMEM, 0);
    cr_assert_eq(open_driver(256), -ENOMEM);
    assert_says("memory");
}

Test(ring_setup, a_kernel_that_cannot_list_its_operations_is_too_old)
{
    int fds = open_fds();
    struct io_uring ring;
    refuse(SYS_io_uring_register, EINVAL, 0);
    cr_assert_eq(ouro__ring_open(8, &ring, &report), -EOPNOTSUPP);
    cr_assert_eq(open_fds(), fds);
    cr_assert_eq(open_driver(64), -EOPNOTSUPP);
    assert_says("6.1");
}

Test(ring_setup, refused_registration_is_a_refusal)
{
    refuse(SYS_io_uring_register, EPERM, 0);
    cr_assert_eq(open_driver(64), -EPERM);
}

Test(ring_setup, refused_enter_is_fatal_and_what_the_kernel_holds_is_leaked)
{
    int fds = open_fds();
    cr_assert_eq(open_driver(8), 0);
    cr_assert_eq(d->ops->submit(d, 0), 0); /* the driver's READ is with the kernel now */
    refuse(SYS_io_uring_enter, EPERM, 0);
    cr_assert_not_null(d->ops->get_sqe(d));
    cr_assert_eq(d->ops->submit(d, 0), -EPERM);
    d->ops->close(d);
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds + 1, "the eventfd stays open: its READ did not come back");
    cr_assert_not_null(d->ops, "and the memory stays");
}

Test(ring_setup, refused_enter_from_the_first_leaves_nothing)
{
    int fds = open_fds();
    cr_assert_eq(open_driver(8), 0);
    refuse(SYS_io_uring_enter, EPERM, 0);
    cr_assert_eq(d->ops->submit(d, 0), -EPERM);
    d->ops->close(d);
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds, "the READ was queued, but the kernel has never seen it");
}

Test(ring_setup, machine_is_seen_as_it_is)
{
    struct ouro__machine m;
    ouro__machine_look(&m, "");
    struct utsname name;
    uname(&name);
    cr_assert_str_eq(m.release, name.release);
    cr_assert_eq(m.processors, (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    cr_assert_eq(m.descriptors, (uint64_t)sysconf(_SC_OPEN_MAX));
    cr_assert_gt(m.memory_maps, 0);
    refuse(SYS_io_uring_setup, EPERM, 0);
    ouro__machine_look(&m, "");
    cr_assert_eq(m.seccomp, 2);
}

/* ---- Explanations, of machines that exist only here ------------------------------------------ */

static const struct ouro__machine plain = {
    .release = "6.8.0-test",
    .uring_disabled = 0,
    .uring_group = -1,
    .seccomp = 0,
    .processors = 4,
    .memlock = 65536,
    .descriptors = 1024,
    .memory_maps = 65530,
};

static void explain(const struct ouro__machine *m, int rc)
{
    size_t n = ouro__ring_explain_on(m, rc, why, sizeof why);
    cr_assert_eq(n, strlen(why));
    cr_assert_lt(n, 400);
    cr_assert_eq(why[n - 1], '.');
}

Test(explain, refusal_names_the_sysctl_and_what_its_value_means)
{
    struct ouro__machine m = plain;
    m.seccomp = 2; /* the sysctl alone is enough */
    m.uring_disabled = 2;
    explain(&m, -EPERM);
    assert_says("kernel.io_uring_disabled is 2");
    assert_says("everybody");
    m.uring_disabled = 1;
    explain(&m, -EPERM);
    assert_says("kernel.io_uring_disabled is 1");
    assert_says("kernel.io_uring_group=GID");
    assert_says("CAP_SYS_ADMIN");
    m.uring_group = 1234;
    explain(&m, -EPERM);
    assert_says("io_uring_group, which is 1234");
}

Test(explain, refusal_names_seccomp_or_else_a_security_module)
{
    struct ouro__machine m = plain;
    m.uring_disabled = OURO__UNKNOWN;
    m.seccomp = 2;
    explain(&m, -EACCES);
    assert_says("Permission denied");
    assert_says("seccomp");
    explain(&plain, -EPERM);
    assert_says("Operation not permitted");
    assert_says("SELinux");
}

Test(explain, absence_is_the_kernels_unless_seccomp_is_in_force)
{
    explain(&plain, -ENOSYS);
    assert_says("CONFIG_IO_URING");
    assert_says("6.8.0-test");
    assert_silent("seccomp");
    struct ouro__machine m = plain;
    m.seccomp = 2;
    explain(&m, -ENOSYS);
    assert_says("seccomp");
}

Test(explain, memory_tells_the_limit_and_when_it_matters)
{
    explain(&plain, -ENOMEM);
    assert_says("64 KiB");
    assert_says("5.12");
    assert_says("ulimit -l");
    struct ouro__machine m = plain;
    m.memlock = OURO__UNLIMITED;
    explain(&m, -ENOMEM);
    assert_silent("5.12");
    assert_says("control group");
}

Test(explain, age_names_release_and_floor)
{
    struct ouro__machine m = plain;
    static const char *const old[] = {"5.15.0-91-generic", "6.0.19", "4.4.0"};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        strcpy(m.release, old[i]);
        explain(&m, -EOPNOTSUPP);
        assert_says(old[i]);
        assert_says("too old");
        assert_says("6.1");
    }
    explain(&plain, -EOPNOTSUPP);
    assert_silent("too old");
    strcpy(m.release, "7.0");
    explain(&m, -EOPNOTSUPP);
    assert_silent("too old");
}

Test(explain, descriptors_and_the_rest)
{
    explain(&plain, -EMFILE);
    assert_says("1024");
    explain(&plain, -ENFILE);
    assert_says("fs.file-max");
    explain(&plain, -EIO);
    assert_says(strerror(EIO));
    explain(&plain, -5001);
    explain(&plain, 0);
    explain(&plain, INT32_MIN);
}

Test(explain, text_is_cut_like_snprintf_cuts)
{
    explain(&plain, -EPERM);
    size_t whole = strlen(why);
    cr_assert_eq(ouro__ring_explain_on(&plain, -EPERM, NULL, 0), whole);
    for (size_t size = 1; size <= whole + 2; size++) {
        char cut[1024];
        memset(cut, 'x', sizeof cut);
        cr_assert_eq(ouro__ring_explain_on(&plain, -EPERM, cut, size), whole);
        cr_assert_eq(strlen(cut), size <= whole ? size - 1 : whole);
        cr_assert_eq(strncmp(cut, why, strlen(cut)), 0);
        cr_assert_eq(cut[size], 'x');
    }
}
