/* SPDX-License-Identifier: MIT */
/*
 * Signals: a server that reloads on SIGUSR1 and stops in good order on SIGTERM. Here it signals
 * itself.
 */
#define _POSIX_C_SOURCE 200809L
#include <ouro/ouro.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int64_t serve(void *arg)
{
    (void)arg;
    puts("serving");
    int64_t rc = ouro_await(ouro_sleep(OURO_SEC(100)));
    if (rc < 0)
        printf("the server cleans up: %s\n", ouro_cancel_reason());
    return rc;
}

static int64_t operator(void *arg)
{
    (void)arg;
    static const int orders[] = {SIGUSR1, SIGUSR1, SIGTERM};
    for (size_t i = 0; i < 3; i++) {
        int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
        if (rc < 0)
            return rc;
        kill(getpid(), orders[i]);
    }
    return 0;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    ouro_signals *signals;
    int64_t number = ouro_signals_open((const int[]){SIGUSR1, SIGTERM}, 2, &signals);
    if (number < 0)
        return number;
    ouro_future *server = ouro_spawn(serve, NULL);
    ouro_detach(ouro_spawn(operator, NULL));
    while ((number = ouro_await(ouro_signals_next(signals))) == SIGUSR1)
        printf("SIGUSR1 from %s: reloading\n",
               ouro_signals_sender(signals) == getpid() ? "myself" : "somebody");
    if (number == SIGTERM)
        puts("SIGTERM: stopping");
    ouro_signals_close(signals);
    ouro_cancel(server);
    ouro_join(server);
    ouro_unref(server);
    return number < 0 ? number : 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
