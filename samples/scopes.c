/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a deadline for all of several attempts, a shorter one for each, a part that may be left
 * out, and one that must not be interrupted.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

/* A server that answers at the third attempt. */
static int64_t ask(int attempt)
{
    return ouro_await(ouro_sleep(attempt < 3 ? OURO_SEC(10) : OURO_MS(1)));
}

/* Each attempt has 200 ms. What ends it may also be a scope around it: then it is -ECANCELED, and
 * not a reason to try again. */
static int64_t ask_until_it_answers(void)
{
    for (int attempt = 1;; attempt++) {
        ouro_scope limit;
        int64_t rc = ouro_scope_enter(&limit, &(ouro_scope_options){.timeout = OURO_MS(200)});
        if (rc < 0)
            return rc;
        rc = ouro_scope_exit(&limit, ask(attempt));
        printf("attempt %d: %s\n", attempt, ouro_strerror(rc));
        if (rc != -ETIMEDOUT)
            return rc;
    }
}

static int64_t within(const char *what, ouro_ns limit)
{
    ouro_scope scope;
    int64_t rc = ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = limit});
    if (rc < 0)
        return rc;
    rc = ouro_scope_exit(&scope, ask_until_it_answers());
    printf("%s: %s\n", what, ouro_strerror(rc));
    return rc;
}

/* What takes too long is left out: that is no error. */
static int64_t decorate(void)
{
    ouro_scope scope;
    ouro_scope_options opts = {.timeout = OURO_MS(20), .move_on = 1};
    int64_t rc = ouro_scope_enter(&scope, &opts);
    if (rc < 0)
        return rc;
    rc = ouro_scope_exit(&scope, ouro_await(ouro_sleep(OURO_SEC(10))));
    printf("decoration: %s\n", ouro_scope_cancelled(&scope) ? "left out" : "there");
    return rc;
}

static int64_t save(void)
{
    ouro_scope shield;
    int64_t rc = ouro_scope_enter(&shield, &(ouro_scope_options){.shield = 1});
    if (rc < 0)
        return rc;
    rc = ouro_await(ouro_sleep(OURO_MS(40)));
    printf("saving: %s\n", ouro_strerror(rc));
    return ouro_scope_exit(&shield, rc);
}

/* The deadline passes while it is held back, and is seen at the next wait. */
static int64_t save_then_tidy(void)
{
    int64_t rc = save();
    if (rc == 0)
        rc = ouro_await(ouro_sleep(OURO_SEC(10)));
    printf("tidying: %s, %s\n", ouro_strerror(rc), ouro_cancel_reason());
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    within("ten seconds for all of it", OURO_SEC(10));
    within("300 ms for all of it", OURO_MS(300));
    int64_t rc = decorate();
    if (rc < 0)
        return rc;

    ouro_scope scope;
    rc = ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_MS(20)});
    if (rc < 0)
        return rc;
    rc = ouro_scope_exit(&scope, save_then_tidy());
    printf("both of them: %s\n", ouro_strerror(rc));
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
