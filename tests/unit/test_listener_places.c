/* SPDX-License-Identifier: MIT */
/*
 * Listeners: where they listen, by name, by path, or by a descriptor that is there already.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include <fcntl.h>
#include <sys/stat.h>

TestSuite(listener, .timeout = 60);

/* ---- Places ---------------------------------------------------------------------------------- */

static void check_place(const char *where, const char *seen_as)
{
    char text[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_with(where, (ouro_listener_options){.unlink_stale = 1});
    ouro_address a = address_of(l);
    if (a.as.any.sa_family != AF_UNIX) {
        check(ouro_address_port(&a) > 0);
        check_eq(ouro_address_set_port(&a, 1), 0);
    }
    ouro_address_print(&a, text, sizeof text);
    check_text(text, seen_as);
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
}

KernelTest(listener, all_kinds_of_places_can_be_listened_at)
{
    check_place("127.0.0.1:0", "127.0.0.1:1");
    check_place("0.0.0.0:0", "0.0.0.0:1");
    check_place("[::1]:0", "[::1]:1");
    check_place("unix:@ouro-test-place", "unix:@ouro-test-place");
    check_place("unix:test_listener.sock", "unix:test_listener.sock");
    return 0;
}

static int dial_port(const char *ip, int port)
{
    ouro_address a;
    check_eq(ouro_address_of_ip(ip, port, &a), 0);
    return try_dial(&a);
}

KernelTest(listener, without_a_host_both_families_are_taken)
{
    ouro_listener *l = listen_at(":0");
    ouro_address a = address_of(l);
    int port = ouro_address_port(&a);
    int by4 = dial_port("127.0.0.1", port);
    int by6 = dial_port("::1", port);
    check(by4 >= 0);
    check(by6 >= 0);
    ouro_stream_free(accept_now(l));
    ouro_stream_free(accept_now(l));
    close(by4);
    close(by6);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, ip6_alone_is_an_option)
{
    ouro_listener *l = listen_with("[::]:0", (ouro_listener_options){.socket.v6only = 1});
    ouro_address a = address_of(l);
    int port = ouro_address_port(&a);
    check_eq(dial_port("127.0.0.1", port), -ECONNREFUSED);
    int by6 = dial_port("::1", port);
    check(by6 >= 0);
    close(by6);
    ouro_listener_free(l);
    return 0;
}

static int listen_rc(const char *where, const ouro_listener_options *opts)
{
    ouro_listener *l = NULL;
    int rc = ouro_listen(where, opts, &l);
    check_eq(rc < 0, l == NULL);
    ouro_listener_free(l);
    return rc;
}

KernelTest(listener, bad_places_have_clear_codes)
{
    char long_path[200] = "unix:/tmp/";
    memset(long_path + 10, 'x', sizeof long_path - 11);
    check_eq(listen_rc(NULL, NULL), -EINVAL);
    check_eq(listen_rc("", NULL), -EINVAL);
    check_eq(listen_rc("127.0.0.1", NULL), -EINVAL);
    check_eq(listen_rc("localhost:80", NULL), -EINVAL);
    check_eq(listen_rc(":", NULL), -EINVAL);
    check_eq(listen_rc(":http", NULL), -EINVAL);
    check_eq(listen_rc(":-1", NULL), -EINVAL);
    check_eq(listen_rc(":80 ", NULL), -EINVAL);
    check_eq(listen_rc(":000000000000000000000000000000000080", NULL), -EINVAL);
    check_eq(listen_rc(":65536", NULL), -ERANGE);
    check_eq(listen_rc("127.0.0.1:65536", NULL), -ERANGE);
    check_eq(listen_rc("192.0.2.1:0", NULL), -EADDRNOTAVAIL); /* for documentation: nobody's */
    check_eq(listen_rc(long_path, NULL), -ENAMETOOLONG);
    check_eq(listen_rc("unix:/no/such/folder/socket", NULL), -ENOENT);
    check_eq(ouro_listen("127.0.0.1:0", NULL, NULL), -EINVAL);
    ouro_address none = {0};
    ouro_listener *l = NULL;
    check_eq(ouro_listener_open(&none, NULL, &l), -EAFNOSUPPORT);
    check_eq(ouro_listener_open(NULL, NULL, &l), -EINVAL);
    check(l == NULL);
    return 0;
}

KernelTest(listener, bad_options_have_clear_codes)
{
    const char *here = "127.0.0.1:0";
    check_eq(listen_rc(here, &(ouro_listener_options){.backlog = -1}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.fast_open = -1}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.defer = OURO_FOREVER}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.mode = 07777}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.stream = {.low_water = 2, .high_water = 1}}),
             -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.backlog = 1, .defer = 1, .fast_open = 16}),
             0);
    return 0;
}

KernelTest(listener, a_place_that_is_taken_is_refused_unless_it_is_shared)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    ouro_address a = address_of(l);
    ouro_address_print(&a, where, sizeof where);
    check_eq(listen_rc(where, NULL), -EADDRINUSE);
    check_eq(listen_rc(where, &(ouro_listener_options){.socket.reuse_port = 1}), -EADDRINUSE);
    ouro_listener_free(l);

    l = listen_with("127.0.0.1:0", (ouro_listener_options){.socket.reuse_port = 1});
    a = address_of(l);
    ouro_address_print(&a, where, sizeof where);
    check_eq(listen_rc(where, &(ouro_listener_options){.socket.reuse_port = 1}), 0);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_port_can_be_bound_again_at_once)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    ouro_address a = address_of(l);
    ouro_address_print(&a, where, sizeof where);
    check_eq(ouro_await(ouro_stream_close(s)), 0); /* who closes first has to wait: this end */
    ouro_stream_free(s);
    close(client);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    ouro_listener_free(l);
    check_eq(listen_rc(where, &(ouro_listener_options){.no_reuse_address = 1}), -EADDRINUSE);
    check_eq(listen_rc(where, NULL), 0);
    return 0;
}

static int bind_low_port(void)
{
    if (setresuid(65534, 65534, 65534) < 0)
        return 1;
    ouro_loop *loop = NULL;
    child_check(ouro_loop_new(NULL, &loop) == 0);
    ouro_listener *l = NULL;
    int rc = ouro_listen("127.0.0.1:7", NULL, &l);
    child_check(rc == -EACCES);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(listener, a_privileged_port_is_eacces)
{
    char text[256];
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    check_child(bind_low_port, text, sizeof text);
}

/* ---- Unix paths ------------------------------------------------------------------------------ */

static const char *const path = "test_listener_path.sock";

static ouro_listener *listen_at_path(ouro_listener_options opts)
{
    char where[64];
    snprintf(where, sizeof where, "unix:%s", path);
    return listen_with(where, opts);
}

static int path_rc(int unlink_stale)
{
    char where[64];
    snprintf(where, sizeof where, "unix:%s", path);
    return listen_rc(where, &(ouro_listener_options){.unlink_stale = unlink_stale});
}

KernelTest(listener, a_path_that_it_bound_goes_with_it)
{
    unlink(path);
    ouro_listener *l = listen_at_path((ouro_listener_options){0});
    check_eq(access(path, F_OK), 0);
    ouro_listener_free(l);
    check(access(path, F_OK) < 0);
    return 0;
}

KernelTest(listener, a_path_that_is_anothers_by_now_stays)
{
    unlink(path);
    ouro_listener *l = listen_at_path((ouro_listener_options){0});
    check_eq(unlink(path), 0);
    ouro_listener *next = listen_at_path((ouro_listener_options){0});
    ouro_listener_free(l);
    check_eq(access(path, F_OK), 0);
    ouro_listener_free(next);
    check(access(path, F_OK) < 0);
    return 0;
}

KernelTest(listener, a_stale_path_is_replaced_on_demand)
{
    unlink(path);
    ouro_address a;
    check_eq(ouro_address_of_unix(path, &a), 0);
    int crashed = socket(AF_UNIX, SOCK_STREAM, 0);
    check_eq(bind(crashed, &a.as.any, a.size), 0);
    close(crashed);
    check_eq(path_rc(0), -EADDRINUSE);
    check_eq(path_rc(1), 0);
    check(access(path, F_OK) < 0);
    return 0;
}

KernelTest(listener, a_path_with_somebody_behind_it_is_not_replaced)
{
    unlink(path);
    ouro_listener *l = listen_at_path((ouro_listener_options){.unlink_stale = 1});
    check_eq(path_rc(1), -EADDRINUSE);
    int client = dial(l);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_file_is_never_replaced)
{
    unlink(path);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    check_eq(path_rc(1), -EADDRINUSE);
    check_eq(unlink(path), 0);
    return 0;
}

KernelTest(listener, a_path_has_the_permissions_that_were_asked_for)
{
    static const unsigned modes[] = {0600, 0660, 0777};
    mode_t before = umask(0027);
    unlink(path);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct stat st;
        ouro_listener *l = listen_at_path((ouro_listener_options){.mode = modes[i]});
        check_eq(stat(path, &st), 0);
        check_eq(st.st_mode & 0777, modes[i]);
        ouro_listener_free(l);
    }
    umask(before);
    return 0;
}

/* ---- Descriptors that listen already --------------------------------------------------------- */

KernelTest(listener, a_descriptor_that_listens_can_be_taken_over)
{
    ouro_address a;
    check_eq(ouro_address_parse("127.0.0.1:0", &a), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_eq(bind(fd, &a.as.any, a.size), 0);
    ouro_listener *l = NULL;
    check_eq(ouro_listener_from_fd(fd, NULL, &l), -EINVAL); /* not yet */
    check_eq(listen(fd, 8), 0);
    check_eq(ouro_listener_from_fd(fd, NULL, NULL), -EINVAL);
    check_eq(ouro_listener_from_fd(fd, NULL, &l), 0);
    check_eq(ouro_listener_fd(l), fd);
    int client = dial(l);
    expect_stream(accept_now(l), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, other_descriptors_are_refused)
{
    ouro_listener *l = NULL;
    int ends[2];
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_listener_from_fd(ends[0], NULL, &l), -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
    check_eq(ouro_listener_from_fd(ends[0], NULL, &l), -EBADF);
    check_eq(ouro_listener_from_fd(-1, NULL, &l), -EBADF);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check_eq(ouro_listener_from_fd(udp, NULL, &l), -EOPNOTSUPP);
    close(udp);
    check(l == NULL);
    return 0;
}

KernelTest(listener, a_socket_that_was_shut_down_listens_no_more)
{
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(1));
    check_eq(shutdown(ouro_listener_fd(l), SHUT_RDWR), 0);
    check_eq(ouro_await(f), -EINVAL);
    check_eq(ouro_await(ouro_listener_accept(l)), -EINVAL);
    ouro_listener_free(l);
    return 0;
}
