/* SPDX-License-Identifier: MIT */
/*
 * Process pools: how workers end, by whose hand, what they have when they begin, and that nothing
 * of them is left.
 */
#define _GNU_SOURCE
#include "procpool_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "procpool_int.h"

TestSuite(procpool, .timeout = 60);

/* ---- Workers that die with a job ------------------------------------------------------------- */

PoolTest(a_worker_that_is_killed_fails_its_job_with_the_signal_and_is_replaced, 1)
{
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    pid_t pid = await_running();
    kill(pid, SIGKILL);
    check_eq(ouro_await(f), -OURO_ESIGNALED(SIGKILL));
    check_eq(ouro_procpool_replaced(pool), 1);
    int64_t next = await_job(pool, tell_pid);
    check(next > 0);
    check(next != pid);
    return 0;
}

/* As the kernel would raise it; sanitizers have handlers for these. */
JOB(crash)
{
    int number = *(const int *)input;
    signal(number, SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    raise(number);
    return 0;
}

PoolTest(a_crash_fails_just_the_job_that_crashed, 2)
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPIPE};
    for (int i = 0; i < 6; i++) {
        ouro_result r[2];
        ouro_future *f[2] = {
            ouro_procpool_submit(pool, tell_pid, NULL, 0),
            ouro_procpool_submit(pool, crash, &signals[i], sizeof signals[i]),
        };
        check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_COLLECT, r)), 0);
        check(r[0].n > 0);
        check_eq(r[1].n, -OURO_ESIGNALED(signals[i]));
        check_eq(ouro_signal_of(r[1].n), signals[i]);
        check_eq(ouro_procpool_replaced(pool), i + 1);
        ouro_bytes_free(r[0].ptr);
    }
    return 0;
}

JOB(leave)
{
    _exit(*(const int *)input);
}

PoolTest(a_worker_that_exits_without_an_answer_fails_its_job, 1)
{
    int status = 3;
    check_eq(ouro_await(ouro_procpool_submit(pool, leave, &status, sizeof status)),
             -OURO_EWORKEREXIT);
    status = 0;
    check_eq(ouro_await(ouro_procpool_submit(pool, leave, &status, sizeof status)),
             -OURO_EWORKEREXIT);
    check_eq(ouro_procpool_replaced(pool), 2);
    check(await_job(pool, tell_pid) > 0);
    return 0;
}

PoolTest(jobs_that_wait_are_not_touched_by_the_death_of_a_worker, 1)
{
    ouro_future *first = ouro_procpool_submit(pool, hang, NULL, 0);
    ouro_future *second = ouro_procpool_submit(pool, tell_pid, NULL, 0);
    kill(await_running(), SIGKILL);
    check_eq(ouro_await(first), -OURO_ESIGNALED(SIGKILL));
    check(ouro_await(second) > 0);
    return 0;
}

/* ---- Workers that die in between ------------------------------------------------------------- */

PoolTest(a_worker_that_dies_idle_is_replaced_before_the_next_job, 1)
{
    for (int i = 0; i < 3; i++) {
        pid_t pid = (pid_t)await_job(pool, tell_pid);
        kill(pid, SIGKILL);
        wait_dead(pid);
        check(await_job(pool, tell_pid) > 0);
        check_eq(ouro_procpool_replaced(pool), i + 1);
    }
    return 0;
}

PoolTest(a_job_goes_to_a_worker_that_lives, 2)
{
    pid_t pid = (pid_t)await_job(pool, tell_pid);
    kill(pid, SIGKILL);
    wait_dead(pid);
    int64_t other = await_job(pool, tell_pid);
    check(other > 0);
    check(other != pid);
    check_eq(ouro_procpool_replaced(pool), 0);
    return 0;
}

PoolTest(a_job_cancelled_while_its_worker_is_replaced_never_runs, 1)
{
    pid_t pid = (pid_t)await_job(pool, tell_pid);
    kill(pid, SIGKILL);
    wait_dead(pid);
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(board->pid, 0);
    check_eq(ouro_procpool_replaced(pool), 1);
    return 0;
}

/* ---- Workers out of their mind --------------------------------------------------------------- */

/* The descriptor that a worker has beside the standard ones. */
static int own_socket(void)
{
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return fd;
    return -1;
}

JOB(write_noise)
{
    send(own_socket(), input, size, 0);
    return 0;
}

static void check_noise(ouro_procpool *pool, const struct ouro__answer *noise, int64_t rc)
{
    int64_t before = ouro_procpool_replaced(pool);
    check_eq(ouro_await(ouro_procpool_submit(pool, write_noise, noise, sizeof *noise)), rc);
    check_eq(ouro_procpool_replaced(pool), before + 1);
    check(await_job(pool, tell_pid) > 0);
}

PoolTestWith(an_answer_that_makes_no_sense_costs_the_worker_its_life, 1, .result_limit = 1000)
{
    const uint64_t magic = OURO__ANSWER_MAGIC;
    check_noise(pool, &(struct ouro__answer){magic + 1, 0, 0}, -EBADMSG);
    check_noise(pool, &(struct ouro__answer){magic, 0, 1001}, -EBADMSG);
    check_noise(pool, &(struct ouro__answer){magic, 0, UINT64_MAX}, -EBADMSG);
    check_noise(pool, &(struct ouro__answer){magic, -1, 1}, -EBADMSG);
    return 0;
}

/* With one call, so that the second answer is there when the first is read. */
JOB(answer_twice)
{
    struct ouro__answer a[2] = {
        {.magic = OURO__ANSWER_MAGIC, .value = 1},
        {.magic = OURO__ANSWER_MAGIC, .value = 2},
    };
    send(own_socket(), a, sizeof a, 0);
    for (;;)
        pause();
    return 0;
}

PoolTest(a_worker_that_says_more_than_it_was_asked_is_not_used_again, 1)
{
    check_eq(await_job(pool, answer_twice), 1);
    check(await_job(pool, tell_pid) > 2);
    check_eq(ouro_procpool_replaced(pool), 1);
    return 0;
}

JOB(promise_much)
{
    struct ouro__answer a = {.magic = OURO__ANSWER_MAGIC, .value = 1, .size = 100};
    send(own_socket(), &a, sizeof a, 0);
    send(own_socket(), "part", 4, 0);
    _exit(0);
}

PoolTest(half_a_result_is_none, 1)
{
    check_eq(await_job(pool, promise_much), -OURO_EWORKEREXIT);
    check(await_job(pool, tell_pid) > 0);
    return 0;
}

JOB(hang_up)
{
    close(own_socket());
    for (;;)
        pause();
    return 0;
}

PoolTest(a_worker_that_closes_its_socket_is_killed, 1)
{
    check_eq(await_job(pool, hang_up), -OURO_ESIGNALED(SIGKILL));
    check(await_job(pool, tell_pid) > 0);
    return 0;
}

/* The child of the job has a copy of the worker's socket, and lives on. */
JOB(leave_a_child)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        pause();
    }
    atomic_store(&board->count, child);
    kill(getpid(), SIGKILL);
    return 0;
}

PoolTest(a_worker_whose_child_lives_on_is_dead_all_the_same, 1)
{
    check_eq(await_job(pool, leave_a_child), -OURO_ESIGNALED(SIGKILL));
    check_eq(kill(atomic_load(&board->count), SIGKILL), 0); /* it was still there */
    check(await_job(pool, tell_pid) > 0);
    return 0;
}

/* ---- The zygote ------------------------------------------------------------------------------ */

static pid_t zygote_of(pid_t worker)
{
    char path[64];
    int zygote = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)worker);
    FILE *stat = fopen(path, "r");
    check_eq(fscanf(stat, "%*d (%*[^)]) %*c %d", &zygote), 1);
    fclose(stat);
    return zygote;
}

static int64_t kill_zygote_of_busy(void *pool)
{
    pid_t idle = (pid_t)await_job(pool, tell_pid);
    ouro_future *f[3] = {
        ouro_procpool_submit(pool, hang, NULL, 0),
        ouro_procpool_submit(pool, hang, NULL, 0),
        ouro_procpool_submit(pool, tell_pid, NULL, 0),
    };
    pid_t busy = await_running();
    kill(zygote_of(busy), SIGKILL);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_await(f[i]), -EPIPE);
    check_eq(await_job(pool, tell_pid), -EPIPE);
    ouro_future *late = ouro_procpool_submit(pool, hang, NULL, 0);
    check_eq(ouro_cancel(late), 1);
    check_eq(ouro_await(late), -OURO_ECHILDCANCELLED);
    wait_dead(idle);
    wait_dead(busy);
    return 0;
}

static int64_t kill_zygote_of_idle(void *pool)
{
    pid_t zygote = (pid_t)await_job(pool, tell_parent);
    kill(zygote, SIGKILL);
    wait_dead(zygote);
    check_eq(await_job(pool, tell_pid), -EPIPE);
    check_eq(await_job(pool, tell_pid), -EPIPE);
    return 0;
}

/* The sockets of dead workers are closed when they are noticed, so there are fewer at the end than
 * before. The workers are orphans then, and ours to reap. */
static int zygote_killed(ouro_task_fn *body)
{
    ouro_procpool *pool;
    int fd = free_fd();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    begin_board();
    begin_memory();
    check_eq(ouro_procpool_new(2, NULL, &pool), 0);
    check(ouro_run(body, pool, NULL) == 0);
    check_eq(ouro_procpool_replaced(pool), 0);
    check_eq(ouro_procpool_free(pool), 0);
    while (wait(NULL) > 0)
        ;
    check_eq(free_fd(), fd);
    check_eq(memory.live, 0);
    return 0;
}

static int zygote_killed_busy(void)
{
    return zygote_killed(kill_zygote_of_busy);
}

static int zygote_killed_idle(void)
{
    return zygote_killed(kill_zygote_of_idle);
}

ProcessTest(without_the_zygote_jobs_fail_and_nothing_hangs, zygote_killed_busy)
    ProcessTest(a_zygote_that_died_in_between_is_noticed_by_the_next_job, zygote_killed_idle)

    /* ---- When the program ends --------------------------------------------------------------- */

    enum {
        BUSY,
        IDLE,
        ZYGOTE,
        CHILD,
        PIDS
    };

static int report_fd; /* where a program to be killed tells the process ids of its pool */
static pid_t child;   /* that it has forked for itself; 0: none */

static int64_t tell_pids(void *pool)
{
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    pid_t pids[PIDS] = {
        [BUSY] = await_running(),
        [IDLE] = (pid_t)await_job(pool, tell_pid),
        [ZYGOTE] = (pid_t)await_job(pool, tell_parent),
        [CHILD] = child,
    };
    check_eq(write(report_fd, pids, sizeof pids), sizeof pids);
    return ouro_await(f);
}

static void be_a_program(bool has_child)
{
    ouro_procpool *pool;
    check_eq(ouro_procpool_new(2, NULL, &pool), 0);
    begin_kernel();
    child = has_child ? fork() : 0;
    if (has_child && child == 0)
        for (;;)
            pause();
    run_main(tell_pids, pool);
    _exit(1);
}

/* Kill a program with a busy worker, and wait until all of its pool are gone. Orphans are ours to
 * reap. */
static int program_killed(bool has_child)
{
    int ends[2];
    pid_t pids[PIDS];
    begin_board();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    check_eq(pipe(ends), 0);
    pid_t program = fork();
    if (program == 0) {
        report_fd = ends[1];
        be_a_program(has_child);
    }
    check_eq(read(ends[0], pids, sizeof pids), sizeof pids);
    kill(program, SIGKILL);
    wait_dead(pids[BUSY]);
    wait_dead(pids[IDLE]);
    wait_dead(pids[ZYGOTE]);
    if (has_child) {
        check(!is_dead(pids[CHILD]));
        kill(pids[CHILD], SIGKILL);
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}

static int plain_program_killed(void)
{
    return program_killed(false);
}

static int forking_program_killed(void)
{
    return program_killed(true);
}

ProcessTest(a_program_that_is_killed_leaves_no_process, plain_program_killed)
    ProcessTest(nor_does_one_whose_children_have_copies_of_its_descriptors, forking_program_killed)

        static int64_t tell_three_pids(void *arg)
{
    ouro_procpool *pool = arg;
    board->order[0] = (int)await_job(pool, tell_parent);
    board->order[1] = (int)await_job(pool, tell_pid);
    return 0;
}

static int freed(void)
{
    ouro_procpool *pool;
    begin_board();
    check_eq(ouro_procpool_new(1, NULL, &pool), 0);
    begin_kernel();
    check_eq(run_main(tell_three_pids, pool), 0);
    end();
    child = fork(); /* has copies of the sockets, and does not keep anybody alive */
    if (child == 0) {
        check_eq(ouro_procpool_free(pool), -ECHILD);
        pause();
    }
    check_eq(ouro_procpool_free(pool), 0);
    check(is_dead(board->order[0]));
    check(is_dead(board->order[1]));
    kill(child, SIGKILL);
    check_eq(waitpid(child, NULL, 0), child);
    check_no_child();
    return 0;
}

ProcessTest(freeing_a_pool_waits_for_its_processes_to_end, freed)

    static int64_t submit_in_child(void *pool)
{
    return ouro_await(ouro_procpool_submit(pool, tell_pid, NULL, 0));
}

static int used_in_child(void)
{
    ouro_procpool *pool;
    check_eq(ouro_procpool_new(1, NULL, &pool), 0);
    child = fork();
    if (child == 0)
        _exit(ouro_run(submit_in_child, pool, NULL) == -ECHILD ? 0 : 1);
    int status = 1;
    check_eq(waitpid(child, &status, 0), child);
    check_eq(status, 0);
    check_eq(ouro_procpool_free(pool), 0);
    return 0;
}

ProcessTest(a_child_of_the_program_cannot_use_its_pool, used_in_child)

    static int children_ignored(void)
{
    ouro_procpool *pool;
    signal(SIGCHLD, SIG_IGN);
    begin_board();
    check_eq(ouro_procpool_new(2, NULL, &pool), 0);
    begin_kernel();
    check_eq(run_main(tell_three_pids, pool), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    check(is_dead(board->order[0]));
    return 0;
}

ProcessTest(a_program_that_ignores_its_children_can_have_a_pool, children_ignored)

    /* ---- When a pool cannot be made ---------------------------------------------------------- */

    static void *wait_for_mutex(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

static int made_too_late(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    ouro_procpool *pool = NULL;
    pthread_t thread;
    int fd = free_fd();
    pthread_mutex_lock(&mutex);
    check_eq(pthread_create(&thread, NULL, wait_for_mutex, &mutex), 0);
    check_eq(ouro_procpool_new(1, NULL, &pool), -EBUSY);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    begin_kernel();
    check_eq(ouro_procpool_new(1, NULL, &pool), -EBUSY);
    end();
    check(pool == NULL);
    check_eq(free_fd(), fd);
    check_no_child();
    return 0;
}

ProcessTest(a_pool_made_with_a_thread_or_a_loop_running_is_refused, made_too_late)

    static int without_descriptors(void)
{
    ouro_procpool *pool = NULL;
    int fd = free_fd();
    begin_memory();
    for (unsigned n = 0; n < 14; n++) {
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){(unsigned)fd + n, 1024});
        int rc = ouro_procpool_new(3, NULL, &pool);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1024});
        if (rc == 0)
            check_eq(ouro_procpool_free(pool), 0);
        else
            check_eq(rc, -EMFILE);
        check_eq(rc == 0, n >= 10); /* for 3 workers, 10 descriptors at the most at once */
        check_no_child();
        check_eq(free_fd(), fd);
        check_eq(memory.live, 0);
    }
    return 0;
}

ProcessTest(a_pool_without_descriptors_fails_and_leaves_nothing, without_descriptors)

    static int without_memory(void)
{
    ouro_procpool *pool = NULL;
    begin_memory();
    memory.fail_at = 1;
    check_eq(ouro_procpool_new(3, NULL, &pool), -ENOMEM);
    check(pool == NULL);
    check_no_child();
    return 0;
}

ProcessTest(a_pool_without_memory_fails_and_leaves_nothing, without_memory)

    /* ---- What a worker begins with ----------------------------------------------------------- */

    /* How many there are, and a hundred for each that is not a standard stream. */
    JOB(count_descriptors)
{
    int n = 0;
    struct dirent *d;
    DIR *dir = opendir("/proc/self/fd");
    while ((d = readdir(dir)))
        if (d->d_name[0] != '.' && atoi(d->d_name) != dirfd(dir))
            n += atoi(d->d_name) > STDERR_FILENO ? 101 : 1;
    closedir(dir);
    return n;
}

static int64_t check_own_alone(void *pool)
{
    check_eq(await_job(pool, count_descriptors), 104);
    return 0;
}

static int64_t check_own_and_error(void *pool)
{
    check_eq(await_job(pool, count_descriptors), 102);
    return 0;
}

static int descriptors_open(void)
{
    ouro_procpool *pool, *another;
    for (int i = 0; i < 20; i++)
        check(open("/dev/null", O_RDONLY) >= 0);
    for (int i = 5; i < 15; i += 2)
        close(i);
    check_eq(ouro_procpool_new(3, NULL, &pool), 0);
    check_eq(ouro_procpool_new(3, NULL, &another), 0);
    begin_kernel();
    check_eq(run_main(check_own_alone, pool), 0);
    check_eq(run_main(check_own_alone, another), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    check_eq(ouro_procpool_free(another), 0);
    return 0;
}

ProcessTest(a_worker_has_no_descriptor_but_its_own, descriptors_open)

    static int no_standard_streams(void)
{
    ouro_procpool *pool;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    check_eq(ouro_procpool_new(3, NULL, &pool), 0);
    begin_kernel();
    check_eq(run_main(check_own_and_error, pool), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    return 0;
}

ProcessTest(sockets_never_take_the_place_of_standard_streams, no_standard_streams)

    static void never(int number)
{
    (void)number;
    abort();
}

JOB(check_signals)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < SIGRTMIN; number++) {
        struct sigaction now;
        if (number >= 32 || sigaction(number, NULL, &now) < 0)
            continue;
        check_eq(sigismember(&blocked, number), 0);
        if (number == SIGTERM)
            continue;
        check(now.sa_handler == (number == SIGINT ? SIG_IGN : SIG_DFL));
    }
    return 0;
}

static int64_t check_worker_signals(void *pool)
{
    return await_job(pool, check_signals);
}

static int signals_in_use(void)
{
    ouro_procpool *pool;
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, NULL);
    signal(SIGUSR1, never);
    signal(SIGUSR2, never);
    signal(SIGHUP, SIG_IGN);
    check_eq(ouro_procpool_new(1, NULL, &pool), 0);
    sigset_t after;
    sigprocmask(SIG_SETMASK, NULL, &after);
    check_eq(sigismember(&after, SIGUSR1), 1);
    check_eq(sigismember(&after, SIGUSR2), 0);
    begin_kernel();
    check_eq(run_main(check_worker_signals, pool), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    return 0;
}

ProcessTest(a_worker_has_default_signals_whatever_the_program_does_with_them, signals_in_use)

    JOB(nap_and_tell_whether_cancelled)
{
    atomic_store(&board->pid, getpid());
    usleep(50 * 1000);
    return ouro_job_cancelled();
}

PoolTest(what_the_terminal_sends_to_all_processes_is_the_programs_affair, 1)
{
    pid_t zygote = (pid_t)await_job(pool, tell_parent);
    ouro_future *f = ouro_procpool_submit(pool, nap_and_tell_whether_cancelled, NULL, 0);
    pid_t worker = await_running();
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        kill(worker, signals[i]);
        kill(zygote, signals[i]);
    }
    kill(zygote, SIGHUP);
    kill(zygote, SIGQUIT);
    check_eq(ouro_await(f), 0);
    check_eq(await_job(pool, tell_pid), worker);
    check_eq(await_job(pool, tell_parent), zygote);
    return 0;
}

JOB(tell_name)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    return ouro_reply_write(reply, name, strlen(name));
}

static void check_name(ouro_procpool *pool, const char *want)
{
    ouro_bytes *name = ouro_await_ptr(ouro_procpool_submit(pool, tell_name, NULL, 0), NULL);
    check_text((char *)name->data, want);
    ouro_bytes_free(name);
}

PoolTest(workers_are_called_workers, 1)
{
    check_name(pool, "ouro-worker");
    return 0;
}

PoolTestWith(or_what_they_are_called, 1, .name = "a name that is rather long")
{
    check_name(pool, "a name that is ");
    return 0;
}

/* ---- Starting -------------------------------------------------------------------------------- */

static int started; /* in a worker */

static void start(void *arg)
{
    started += *(int *)arg;
    usleep(20 * 1000);
}

static int seven = 7;

JOB(tell_started)
{
    return started;
}

PoolTestWith(each_worker_is_started_once_before_its_first_job, 1, .start = start,
             .start_arg = &seven)
{
    check_eq(await_job(pool, tell_started), 7);
    check_eq(await_job(pool, tell_started), 7);
    pid_t pid = (pid_t)await_job(pool, tell_pid);
    kill(pid, SIGKILL);
    wait_dead(pid);
    check_eq(await_job(pool, tell_started), 7);
    return 0;
}

static void start_badly(void *unused)
{
    (void)unused;
    raise(SIGKILL);
}

PoolTestWith(workers_that_cannot_start_fail_jobs_and_do_not_keep_being_forked, 2,
             .start = start_badly)
{
    for (int i = 0; i < 5; i++)
        check_eq(await_job(pool, tell_pid), -OURO_ESIGNALED(SIGKILL));
    check(ouro_procpool_replaced(pool) <= 10);
    return 0;
}

JOB(print)
{
    printf("a job\n");
    return 0;
}

static int64_t print_in_job(void *pool)
{
    return await_job(pool, print);
}

static int printing(void)
{
    int ends[2];
    char text[64] = "";
    ouro_procpool *pool;
    check_eq(pipe(ends), 0);
    dup2(ends[1], STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    printf("the program\n");
    check_eq(ouro_procpool_new(1, NULL, &pool), 0);
    begin_kernel();
    check_eq(run_main(print_in_job, pool), 0);
    check_eq(run_main(print_in_job, pool), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    fflush(stdout);
    check(read(ends[0], text, sizeof text - 1) > 0);
    check_text(text, "the program\na job\na job\n");
    return 0;
}

ProcessTest(what_jobs_print_is_written_and_what_the_program_printed_only_once, printing)
