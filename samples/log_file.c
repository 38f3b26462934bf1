/* SPDX-License-Identifier: MIT */
/*
 * A log that three tasks write to: one file, opened for appending, so that no line of one cuts into
 * a line of another. Each line has settled in the call, or waits for the disk while the others go
 * on. At the end the log is synced, asked for its size, and read back.
 */
#include <ouro/ouro.h>

#include <fcntl.h>
#include <stdio.h>

#define LOG "ouro_sample.log"

static ouro_file *file;

static int64_t write_lines(void *arg)
{
    const char *who = arg;
    for (int i = 1; i <= 2; i++) {
        char line[64];
        int size = snprintf(line, sizeof(line), "%s: line %d\n", who, i);
        int64_t rc = ouro_await(ouro_file_append(file, line, (size_t)size));
        if (rc < 0)
            return rc;
        ouro_yield();
    }
    return 0;
}

static int64_t show(void)
{
    char text[256];
    ouro_stat st;
    int64_t rc = ouro_await(ouro_file_fsync(file));
    if (rc == 0)
        rc = ouro_await(ouro_file_stat(file, &st));
    if (rc < 0)
        return rc;
    int64_t n = ouro_await(ouro_file_read(file, text, sizeof(text), 0));
    if (n >= 0)
        printf("%llu bytes:\n%.*s", (unsigned long long)st.size, (int)n, text);
    return n < 0 ? n : 0;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc;
    file = ouro_await_ptr(ouro_file_open(LOG, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, NULL), &rc);
    if (!file)
        return rc;
    static char names[][8] = {"one", "two", "three"};
    ouro_future *writers[3];
    for (int i = 0; i < 3; i++)
        writers[i] = ouro_spawn(write_lines, names[i]);
    rc = ouro_await(ouro_gather(writers, 3, OURO_GATHER_ALL, NULL));
    if (rc == 0)
        rc = show();
    int64_t closed = ouro_await(
        ouro_file_close(file)); /* what the disk did not take, says so here */
    ouro_file_free(file);
    int64_t removed = ouro_await(ouro_path_unlink(LOG, NULL));
    return rc < 0 ? rc : closed < 0 ? closed : removed;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
