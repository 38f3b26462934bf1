/* SPDX-License-Identifier: MIT */
/*
 * Looking in: what every task waits for, and reports of what nobody could be told. Here they go to
 * a handler of the program's; without one they are lines on standard error.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

static ouro_queue *orders;
static ouro_mutex till;

static int64_t cook(void *arg)
{
    (void)arg;
    void *order;
    return ouro_queue_get(orders, &order);
}

static int64_t pay(void *arg)
{
    (void)arg;
    int64_t rc = ouro_mutex_lock(&till);
    if (rc < 0)
        return rc;
    rc = ouro_await(ouro_sleep(OURO_FOREVER));
    ouro_mutex_unlock(&till);
    return rc;
}

static int64_t deliver(void *arg)
{
    (void)arg;
    return ouro_task_fail(-EHOSTUNREACH, "no way to number 7");
}

static ouro_future *start(ouro_task_fn *fn, const char *name)
{
    return ouro_spawn_with(fn, NULL, &(ouro_spawn_options){.name = name});
}

static void note(const ouro_report *report, void *arg)
{
    (void)arg;
    printf("reported: %s '%s': %s\n", report->what, report->name, report->message);
}

static int64_t look(void)
{
    ouro_future *tasks[] = {start(cook, "cook"), start(pay, "Ann"), start(pay, "Bob")};
    ouro_detach(start(deliver, "driver")); /* it will fail, and nobody asks */
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    if (rc == 0)
        ouro_tasks_print(stdout);
    for (int i = 0; i < 3; i++)
        ouro_cancel(tasks[i]);
    ouro_await(ouro_gather(tasks, 3, OURO_GATHER_COLLECT, NULL));
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = ouro_queue_new(10, &(ouro_queue_options){.name = "orders"}, &orders);
    if (rc < 0)
        return rc;
    rc = ouro_report_set_handler(note, NULL);
    if (rc == 0)
        rc = look();
    ouro_queue_free(orders);
    return rc;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
