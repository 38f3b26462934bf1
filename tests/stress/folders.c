/* SPDX-License-Identifier: MIT */
/*
 * Whole files, walks and notification on several loops at once, all of it cancelled at any moment:
 * what the loops' threads and those of the disk lane share.
 *
 * How it fails: a report of ThreadSanitizer, a result that cannot be, a file that is left over, a
 * hang.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ouro/ouro.h>

#define LOOPS  2
#define ROUNDS 150
#define SIZE   ((size_t)3 << 20)

static char folder[] = "/tmp/ouro-XXXXXX";

static void expect(bool holds, const char *what, int64_t n)
{
    if (holds)
        return;
    fprintf(stderr, "%s came to %lld\n", what, (long long)n);
    exit(1);
}

static void count(uint64_t done, uint64_t total, void *arg)
{
    uint64_t *calls = arg;
    expect(done <= total, "progress", (int64_t)done);
    ++*calls;
}

static int64_t copy(unsigned i, int loop)
{
    char from[64], to[64];
    uint64_t calls = 0;
    snprintf(from, sizeof from, "%s/file", folder);
    snprintf(to, sizeof to, "%s/copy-%d", folder, loop);
    ouro_future *f = ouro_file_copy(from, to,
                                    &(ouro_copy_options){.progress = count, .arg = &calls});
    int64_t n = ouro_await(ouro_timeout(f, OURO_US(37 * (i % 80))));
    expect(n == (int64_t)SIZE || n == -ETIMEDOUT, "a copy", n);
    expect(n < 0 || calls > 0, "calls of progress", (int64_t)calls);
    return 0;
}

static int64_t walk(unsigned i)
{
    int64_t n;
    ouro_walk *w = ouro_await_ptr(ouro_walk_open("/usr/include", NULL), &n);
    expect(w != NULL, "a walk", n);
    for (unsigned j = 0; j < 40 * (i % 20); j++) {
        n = ouro_await(ouro_timeout(ouro_walk_next(w), OURO_US(11 * (j % 7))));
        expect(n == 1 || n == 0 || n == -ETIMEDOUT, "next of a walk", n);
    }
    ouro_walk_free(w);
    return 0;
}

static int64_t watch(unsigned i)
{
    ouro_notify *n;
    int rc = ouro_notify_open(NULL, &n);
    expect(rc == 0, "open", rc);
    ouro_future *adding = ouro_notify_add(n, folder, IN_CREATE | IN_MODIFY);
    int64_t next = ouro_await(ouro_timeout(ouro_notify_next(n), OURO_US(23 * (i % 50))));
    expect(next > 0 || next == -ETIMEDOUT, "next of a queue", next);
    ouro_notify_free(n);
    int64_t watch = ouro_await(adding);
    expect(watch == 1 || watch == -EBADF, "a watch", watch);
    return 0;
}

static int64_t run(void *arg)
{
    int loop = *(int *)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        copy(i, loop);
        walk(i);
        watch(i);
    }
    return 0;
}

static void *thread(void *arg)
{
    int64_t rc = ouro_run(run, arg, NULL);
    expect(rc == 0, "a loop", rc);
    return NULL;
}

int main(void)
{
    char command[128];
    pthread_t threads[LOOPS];
    int numbers[LOOPS];
    if (!mkdtemp(folder))
        return 1;
    snprintf(command, sizeof command, "head -c %zu /dev/urandom > %s/file", SIZE, folder);
    expect(system(command) == 0, "head", 0);
    for (int i = 0; i < LOOPS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, thread, &numbers[i]);
    }
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    snprintf(command, sizeof command, "test $(ls -A %s | wc -l) -le %d && rm -rf %s", folder,
             LOOPS + 1, folder);
    expect(system(command) == 0, "what is left over", 0);
    return 0;
}
