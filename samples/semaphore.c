/* SPDX-License-Identifier: MIT */
/*
 * A semaphore: ten tasks want to work, and three may at a time.
 */
#include <ouro/ouro.h>

#include <stdio.h>

enum { TASKS = 10, AT_A_TIME = 3 };

static ouro_sem seats;
static int seated, most;

static int64_t worker(void *arg)
{
    const int *id = arg;
    int64_t rc = ouro_sem_acquire(&seats, 1);
    if (rc < 0)
        return rc;
    printf("worker %d takes a seat\n", *id);
    if (++seated > most)
        most = seated;
    rc = ouro_await(ouro_sleep(OURO_MS(20)));
    seated--;
    ouro_sem_release(&seats, 1);
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int ids[TASKS];
    ouro_future *workers[TASKS];
    int64_t rc = ouro_sem_init(&seats, AT_A_TIME, AT_A_TIME);
    if (rc < 0)
        return rc;
    for (int i = 0; i < TASKS; i++) {
        ids[i] = i + 1;
        workers[i] = ouro_spawn(worker, &ids[i]);
    }
    rc = ouro_await(ouro_gather(workers, TASKS, OURO_GATHER_ALL, NULL));
    printf("never more than %d at a time\n", most);
    return rc;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
