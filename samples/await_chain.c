/* SPDX-License-Identifier: MIT */
/*
 * Await: tasks that wait for tasks. Each line runs when the one it depends on has its result; no
 * callback is in sight.
 */
#include <ouro/ouro.h>

#include <stdio.h>

static int64_t fetch_user(void *arg)
{
    (void)arg;
    puts("fetching the user");
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    return rc < 0 ? rc : 42;
}

static int64_t count_posts(void *arg)
{
    const int64_t *user = arg;
    printf("counting the posts of user %lld\n", (long long)*user);
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    return rc < 0 ? rc : 3;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t user = ouro_await(ouro_spawn(fetch_user, NULL));
    if (user < 0)
        return user;
    int64_t posts = ouro_await(ouro_spawn(count_posts, &user));
    if (posts < 0)
        return posts;
    printf("user %lld has %lld posts\n", (long long)user, (long long)posts);
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
