/* SPDX-License-Identifier: MIT */
/*
 * Callbacks without coroutines: there is no task in this program, and no stack but main's. Futures
 * are chained, watched, and settled by hand.
 */
#include <ouro/ouro.h>

#include <stdio.h>

/* ---- A chain: each link is called when the one before has settled ---------------------------- */

static ouro_future *count_posts(ouro_future *user, void *arg)
{
    (void)arg;
    int64_t id = ouro_future_result(user).n;
    if (id < 0)
        return NULL; /* an error is passed on as it is */
    printf("counting the posts of user %lld\n", (long long)id);
    return ouro_ready(3);
}

static ouro_future *find_user(ouro_future *slept, void *arg)
{
    (void)arg;
    if (ouro_future_result(slept).n < 0)
        return NULL;
    puts("the user is found");
    return ouro_ready(42);
}

static void print_posts(ouro_future *posts, void *arg)
{
    (void)arg;
    printf("posts: %lld\n", (long long)ouro_future_result(posts).n);
}

static int64_t start_chain(void)
{
    ouro_future *user = ouro_then(ouro_sleep(OURO_MS(20)), find_user, NULL);
    ouro_future *posts = ouro_then(user, count_posts, NULL);
    int64_t rc = ouro_on_done(posts, print_posts, NULL);
    ouro_detach(posts);
    return rc;
}

/* ---- A promise: what some other code calls back for becomes a future ------------------------- */

/* A library of the old kind: it calls back, later. */
static void old_library_answers(void *arg)
{
    ouro_promise *promise = arg;
    ouro_promise_resolve(promise, (ouro_result){.n = 7}, NULL);
    ouro_promise_free(promise);
}

static ouro_future *ask_old_library(void)
{
    ouro_promise *promise;
    ouro_future *answer;
    int rc = ouro_promise_new(&promise, &answer);
    if (rc < 0)
        return ouro_ready(rc); /* a future that has failed: callers have one channel for errors */
    rc = ouro_call_later(OURO_MS(200), old_library_answers, promise, NULL, NULL);
    if (rc < 0) {
        ouro_promise_fail(promise, rc);
        ouro_promise_free(promise);
    }
    return answer;
}

static void print_answer(ouro_future *answer, void *arg)
{
    (void)arg;
    printf("the old library says %lld\n", (long long)ouro_future_result(answer).n);
}

/* ---------------------------------------------------------------------------------------------- */

static int64_t run(ouro_loop *loop)
{
    int64_t rc = start_chain();
    if (rc < 0)
        return rc;
    ouro_future *answer = ouro_timeout(ask_old_library(), OURO_SEC(5));
    rc = ouro_on_done(answer, print_answer, NULL);
    ouro_detach(answer);
    puts("nothing has been called yet");
    return rc < 0 ? rc : ouro_loop_run(loop); /* until nothing is left to wait for */
}

/* [no-loop] */
static int cannot_run(int rc)
{
    char why[1024];
    ouro_explain(rc, why, sizeof why);
    fprintf(stderr, "no event loop: %s\n", why);
    return 1;
}
/* [no-loop] */

int main(void)
{
    ouro_loop *loop;
    int failed = ouro_loop_new(NULL, &loop);
    if (failed < 0)
        return cannot_run(failed);
    int64_t rc = run(loop);
    ouro_loop_shutdown(loop, OURO_SEC(1));
    ouro_loop_close(loop);
    return ouro_exit_code(rc);
}
