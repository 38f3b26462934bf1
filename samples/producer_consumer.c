/* SPDX-License-Identifier: MIT */
/*
 * A queue between one producer and two consumers. When every item has been dealt with, the queue is
 * shut down: that is how the consumers learn that there is no more to do.
 */
#include <ouro/ouro.h>

#include <stdio.h>

#define ITEMS 6

struct consumer {
    const char *name;
    ouro_queue *queue;
};

static int64_t produce(void *arg)
{
    static int items[ITEMS];
    ouro_queue *queue = arg;
    int64_t rc = 0;
    for (int i = 0; i < ITEMS && rc == 0; i++) {
        items[i] = i + 1;
        rc = ouro_await(ouro_sleep(OURO_MS(5)));
        if (rc == 0)
            rc = ouro_queue_put(queue, &items[i]);
    }
    return rc;
}

static int64_t consume(void *arg)
{
    const struct consumer *self = arg;
    int64_t count = 0;
    void *item;
    while (ouro_queue_get(self->queue, &item) == 0) {
        printf("%s has item %d\n", self->name, *(int *)item);
        ouro_queue_task_done(self->queue);
        count++;
    }
    return count;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    ouro_queue *queue;
    int64_t rc = ouro_queue_new(10, NULL, &queue);
    if (rc < 0)
        return rc;
    struct consumer alice = {"Alice", queue}, bob = {"Bob", queue};
    ouro_future *consumers[2] = {ouro_spawn(consume, &alice), ouro_spawn(consume, &bob)};
    rc = ouro_await(ouro_spawn(produce, queue));
    if (rc == 0)
        rc = ouro_queue_join(queue);
    ouro_queue_shutdown(queue, OURO_SHUTDOWN_DRAIN);

    ouro_result counts[2];
    int64_t ended = ouro_await(ouro_gather(consumers, 2, OURO_GATHER_ALL, counts));
    if (rc == 0 && ended == 0)
        printf("all done: Alice had %lld, Bob %lld\n", (long long)counts[0].n,
               (long long)counts[1].n);
    ouro_queue_free(queue);
    return rc < 0 ? rc : ended;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
