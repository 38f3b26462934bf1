/* SPDX-License-Identifier: MIT */
/*
 * A group of tasks ends together: when one fails, the others are cancelled, and leaving the group
 * returns the first error when the last of them has gone. The list has every error, those of
 * cleaning up too.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

struct page {
    const char *name;
    ouro_ns takes;
    int64_t outcome;
    int64_t cleanup; /* what comes of stopping early */
};

static int64_t fetch(void *arg)
{
    const struct page *page = arg;
    int64_t rc = ouro_await(ouro_sleep(page->takes));
    if (rc < 0) {
        printf("%s: cancelled, %s\n", page->name, ouro_cancel_reason());
        return page->cleanup < 0 ? page->cleanup : rc;
    }
    printf("%s: %s\n", page->name, ouro_strerror(page->outcome));
    return page->outcome;
}

static int64_t fetch_all(struct page *pages, int n)
{
    ouro_group group;
    int64_t rc = ouro_group_enter(&group, NULL);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < n; i++) {
        ouro_spawn_options opts = {.name = pages[i].name};
        rc = ouro_group_spawn_with(&group, fetch, &pages[i], &opts, NULL);
    }
    if (rc == 0)
        rc = ouro_group_join(&group);
    const ouro_group_error *error;
    for (int64_t i = 0; (error = ouro_group_error_at(&group, i)); i++)
        printf("error %lld is of %s: %s\n", (long long)i + 1, error->name,
               ouro_strerror(error->error));
    return ouro_group_exit(&group, rc);
}

static int64_t main_task(void *arg)
{
    (void)arg;
    struct page pages[3] = {{.name = "news", .takes = OURO_SEC(10)},
                            {.name = "weather", .takes = OURO_MS(20), .outcome = -EHOSTUNREACH},
                            {.name = "mail", .takes = OURO_SEC(10), .cleanup = -ENOSPC}};
    printf("all of them: %s\n", ouro_strerror(fetch_all(pages, 3)));
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
