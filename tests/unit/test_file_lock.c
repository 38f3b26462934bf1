/* SPDX-License-Identifier: MIT */
/*
 * Locks on files: who keeps out whom, how they are waited for, and when they end.
 */
#define _GNU_SOURCE
#include "file_test.h"

#include <sys/file.h>

TestSuite(file_lock, .timeout = 60);

static const ouro_lock_options whole = {.flock = 1};
static const ouro_lock_options *const kinds[] = {NULL, &whole};

/* Two handles on one file. */
static void open_two(ouro_file **a, ouro_file **b)
{
    *a = file_with("f", "0123456789");
    *b = open_file("f", O_RDWR);
}

FileTest(file_lock, an_exclusive_lock_keeps_everybody_out_and_a_shared_one_does_not)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_await(ouro_file_lock(a, OURO_LOCK_EXCLUSIVE, kinds[i])), 0);
        check_eq(ouro_file_try_lock(b, OURO_LOCK_SHARED, kinds[i]), -EAGAIN);
        check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, kinds[i]), -EAGAIN);
        check_eq(ouro_await(ouro_file_lock(a, OURO_LOCK_SHARED, kinds[i])), 0);
        check_eq(ouro_file_try_lock(b, OURO_LOCK_SHARED, kinds[i]), 0);
        check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, kinds[i]), -EAGAIN);
        check_eq(ouro_file_unlock(a, kinds[i]), 0);
        check_eq(ouro_file_unlock(a, kinds[i]), 0);
        check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, kinds[i]), 0);
        check_eq(ouro_file_unlock(b, kinds[i]), 0);
    }
    close_file(a);
    close_file(b);
    return 0;
}

FileTest(file_lock, ranges_that_do_not_meet_do_not_matter_to_each_other)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    ouro_lock_options head = {.length = 5}, tail = {.offset = 5},
                      middle = {.offset = 4, .length = 2};
    check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, &head), 0);
    check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, &tail), 0);
    check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, &middle), -EAGAIN);
    check_eq(ouro_file_unlock(a, &middle), 0);
    check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, &middle), 0);
    close_file(a);
    close_file(b);
    return 0;
}

FileTest(file_lock, who_waits_gets_it_when_it_is_given_back)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, kinds[i]), 0);
        ouro_future *l = ouro_file_lock(b, OURO_LOCK_EXCLUSIVE, kinds[i]);
        check_eq(ouro_await(ouro_sleep(OURO_MS(3))), 0);
        check_eq(ouro_future_state(l), OURO_PENDING);
        check_eq(ouro_file_unlock(a, kinds[i]), 0);
        check_eq(ouro_await(l), 0);
        check_eq(ouro_file_try_lock(a, OURO_LOCK_SHARED, kinds[i]), -EAGAIN);
        check_eq(ouro_file_unlock(b, kinds[i]), 0);
    }
    close_file(a);
    close_file(b);
    return 0;
}

/* In another process nobody tells us, so somebody has to look. */
FileTest(file_lock, a_lock_that_another_process_gives_back_is_seen)
{
    ouro_file_stats st;
    ouro_file *a = file_with("f", "x");
    int fd = open("f", O_RDWR | O_CLOEXEC); /* as good as another process's */
    check_eq(flock(fd, LOCK_EX), 0);
    ouro_future *l = ouro_file_lock(a, OURO_LOCK_EXCLUSIVE, &whole);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_eq(ouro_future_state(l), OURO_PENDING);
    close(fd);
    check_eq(ouro_await(ouro_timeout(l, OURO_SEC(5))), 0);
    check_eq(ouro_file_stats_get(&st), 0);
    check(st.lock_polls >= 2);
    close_file(a);
    return 0;
}

FileTest(file_lock, a_wait_that_is_cancelled_has_no_lock)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, NULL), 0);
    ouro_future *l = ouro_file_lock(b, OURO_LOCK_EXCLUSIVE, NULL);
    check_eq(ouro_await(ouro_timeout(l, OURO_MS(2))), -ETIMEDOUT);
    check_eq(ouro_file_unlock(a, NULL), 0);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, NULL), 0);
    close_file(a);
    close_file(b);
    return 0;
}

FileTest(file_lock, a_lock_that_nobody_takes_is_given_back)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    for (int i = 0; i < 2; i++) {
        ouro_detach(ouro_file_lock(a, OURO_LOCK_EXCLUSIVE, kinds[i]));
        ouro_yield();
        ouro_yield();
        check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, kinds[i]), 0);
        check_eq(ouro_file_unlock(b, kinds[i]), 0);
    }
    close_file(a);
    close_file(b);
    return 0;
}

FileTest(file_lock, a_lock_is_gone_when_its_handle_is_closed)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    int copy = dup(ouro_file_fd(a)); /* which would keep it */
    check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, NULL), 0);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, &whole), 0);
    ouro_future *waits = ouro_file_lock(b, OURO_LOCK_EXCLUSIVE, NULL);
    close_file(a);
    check_eq(ouro_await(waits), 0);
    check_eq(ouro_file_try_lock(b, OURO_LOCK_EXCLUSIVE, &whole), 0);
    close_file(b);
    close(copy);
    return 0;
}

FileTest(file_lock, a_wait_ends_when_its_handle_is_closed)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_EXCLUSIVE, NULL), 0);
    ouro_future *waits = ouro_file_lock(b, OURO_LOCK_EXCLUSIVE, NULL);
    close_file(b);
    check_eq(ouro_await(waits), -EBADF);
    close_file(a);
    return 0;
}

FileTest(file_lock, what_makes_no_sense_is_refused)
{
    ouro_file *a, *b;
    open_two(&a, &b);
    check_eq(ouro_file_try_lock(NULL, OURO_LOCK_SHARED, NULL), -EINVAL);
    check_eq(ouro_file_try_lock(a, (ouro_lock_mode)7, NULL), -EINVAL);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_SHARED, &(ouro_lock_options){.offset = -1}), -EINVAL);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_SHARED, &(ouro_lock_options){.length = -1}), -EINVAL);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_SHARED,
                                &(ouro_lock_options){.offset = INT64_MAX, .length = 1}),
             -EINVAL);
    check_eq(ouro_file_try_lock(a, OURO_LOCK_SHARED, &(ouro_lock_options){.flock = 1, .length = 1}),
             -EINVAL);
    check_eq(ouro_await(ouro_file_lock(a, (ouro_lock_mode)7, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_file_lock(NULL, OURO_LOCK_SHARED, NULL)), -EINVAL);
    check_eq(ouro_file_unlock(NULL, NULL), -EINVAL);
    close_file(b);
    b = open_file("f", O_RDONLY);
    check_eq(ouro_await(ouro_file_lock(b, OURO_LOCK_EXCLUSIVE, NULL)), -EBADF);
    check_eq(ouro_await(ouro_file_lock(b, OURO_LOCK_EXCLUSIVE, &whole)), 0);
    close_file(a);
    close_file(b);
    return 0;
}
