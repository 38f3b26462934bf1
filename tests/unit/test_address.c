/* SPDX-License-Identifier: MIT */
/*
 * Addresses: what is read, what is refused and why, and that print and parse are each other's
 * opposites.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

TestSuite(address, .timeout = 30);

static ouro_address parsed(const char *text)
{
    ouro_address a;
    check_eq(ouro_address_parse(text, &a), 0);
    return a;
}

static const char *printed(const ouro_address *a)
{
    static char text[OURO_ADDRESS_TEXT];
    size_t length = ouro_address_print(a, text, sizeof text);
    check_eq(length, strlen(text));
    return text;
}

/* ---- Reading and printing -------------------------------------------------------------------- */

Test(address, what_is_read_is_printed_the_same)
{
    static const char *const texts[] = {
        "127.0.0.1:80",
        "0.0.0.0:0",
        "255.255.255.255:65535",
        "[::1]:80",
        "[::]:0",
        "[2001:db8::8:800:200c:417a]:443",
        "[::ffff:192.0.2.1]:7",
        "[fe80::1%lo]:80",
        "[ff02::1%lo]:5353",
        "[fe80::1%4294967295]:1",
        "unix:/run/door",
        "unix:door",
        "unix:@abstract",
        "unix:@a",
        "unix:/with:colons:80",
        "unix:/\xc3\xa4\xc3\xb6",
        "unix:/back\\x5cslash\\x0a",
        "unix:@zero\\x00inside",
        "unix:\\x40at",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ouro_address a = parsed(texts[i]);
        check_text(printed(&a), texts[i]);
        ouro_address again = parsed(printed(&a));
        check_eq(ouro_address_compare(&a, &again), 0);
        check_eq(a.size, again.size);
    }
}

Test(address, other_spellings_are_printed_in_the_usual_one)
{
    ouro_address a = parsed("[0:0:0:0:0:0:0:1]:80");
    check_text(printed(&a), "[::1]:80");
    a = parsed("[2001:DB8::1]:80");
    check_text(printed(&a), "[2001:db8::1]:80");
    a = parsed("unix:@\\x61b");
    check_text(printed(&a), "unix:@ab");
    char zone[64];
    snprintf(zone, sizeof zone, "[fe80::1%%%u]:80", if_nametoindex("lo"));
    a = parsed(zone);
    check_text(printed(&a), "[fe80::1%lo]:80");
}

Test(address, each_malformed_one_has_its_code)
{
    static const struct {
        const char *text;
        int code;
    } bad[] = {
        {NULL, -EINVAL},
        {"", -EINVAL},
        {":", -EINVAL},
        {":80", -EINVAL},
        {"127.0.0.1", -EINVAL},
        {"127.0.0.1:", -EINVAL},
        {"127.0.0.1:-1", -EINVAL},
        {"127.0.0.1:+1", -EINVAL},
        {"127.0.0.1: 80", -EINVAL},
        {" 127.0.0.1:80", -EINVAL},
        {"127.0.0.1:80 ", -EINVAL},
        {"127.0.0.1:80x", -EINVAL},
        {"127.0.0.1:0x50", -EINVAL},
        {"127.0.0.1:080", -EINVAL},
        {"127.0.0.1:80:80", -EINVAL},
        {"127.0.0.1:65536", -ERANGE},
        {"127.0.0.1:99999999999999999999999", -ERANGE},
        {"127.0.0.1:http", -EINVAL},
        {"127.1:80", -EINVAL},
        {"127.0.0.256:80", -EINVAL},
        {"127.0.0.01:80", -EINVAL},
        {"127.0.0.1.:80", -EINVAL},
        {"0x7f000001:80", -EINVAL},
        {"2130706433:80", -EINVAL},
        {"example.org:80", -EINVAL},
        {"::1:80", -EINVAL},
        {"::1", -EINVAL},
        {"[::1]", -EINVAL},
        {"[::1", -EINVAL},
        {"[::1]80", -EINVAL},
        {"[::1]:", -EINVAL},
        {"[::1]:65536", -ERANGE},
        {"[::1]:80]", -EINVAL},
        {"[[::1]]:80", -EINVAL},
        {"[]:80", -EINVAL},
        {"[127.0.0.1]:80", -EINVAL},
        {"[1::2::3]:80", -EINVAL},
        {"[12345::]:80", -EINVAL},
        {"[fe80::1%]:80", -EINVAL},
        {"[fe80::1%0]:80", -EINVAL},
        {"[fe80::1%nosuchinterface]:80", -ENODEV},
        {"[fe80::1%4294967296]:80", -ENODEV},
        {"[fe80::1%lo%lo]:80", -ENODEV},
        {"unix:", -EINVAL},
        {"unix:@", -EINVAL},
        {"unix:/a\\", -EINVAL},
        {"unix:/a\\n", -EINVAL},
        {"unix:/a\\x4", -EINVAL},
        {"unix:/a\\xg0", -EINVAL},
        {"unix:/a\\x00", -EINVAL},
        {"unix:/a\n", -EINVAL},
        {"UNIX:/a", -EINVAL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ouro_address a = parsed("192.0.2.7:7");
        int rc = ouro_address_parse(bad[i].text, &a);
        cr_assert_eq(rc, bad[i].code, "%s: %d", bad[i].text ? bad[i].text : "NULL", rc);
        check_text(printed(&a), "192.0.2.7:7"); /* untouched */
    }
    check_eq(ouro_address_parse("127.0.0.1:80", NULL), -EINVAL);
}

Test(address, names_of_unix_sockets_may_have_107_bytes)
{
    char text[128] = "unix:/", name[128];
    ouro_address a;
    memset(text + 6, 'x', 106);
    text[5 + 107] = '\0';
    check_eq(ouro_address_parse(text, &a), 0);
    check_text(printed(&a), text);
    text[5 + 107] = 'x';
    text[5 + 108] = '\0';
    check_eq(ouro_address_parse(text, &a), -ENAMETOOLONG);
    text[5] = '@';
    check_eq(ouro_address_parse(text, &a), 0);
    check_eq(a.size, sizeof(struct sockaddr_un));
    check_text(printed(&a), text);
    text[5 + 108] = 'x';
    text[5 + 109] = '\0';
    check_eq(ouro_address_parse(text, &a), -ENAMETOOLONG);

    memset(name, 'y', sizeof name);
    name[107] = '\0';
    check_eq(ouro_address_of_unix(name, &a), 0);
    name[107] = 'y';
    name[108] = '\0';
    check_eq(ouro_address_of_unix(name, &a), -ENAMETOOLONG);
    check_eq(ouro_address_of_unix("", &a), -EINVAL);
    check_eq(ouro_address_of_unix("@", &a), -EINVAL);
    check_eq(ouro_address_of_unix(NULL, &a), -EINVAL);
    check_eq(ouro_address_of_unix("a\\b", &a), 0);
    check_text(printed(&a), "unix:a\\x5cb");
}

Test(address, a_text_that_does_not_fit_is_cut_and_its_length_is_told)
{
    ouro_address a = parsed("[fe80::1%lo]:80");
    char text[8];
    check_eq(ouro_address_print(&a, text, sizeof text), strlen("[fe80::1%lo]:80"));
    check_text(text, "[fe80::");
    check_eq(ouro_address_print(&a, NULL, 0), strlen("[fe80::1%lo]:80"));
    check_eq(ouro_address_print(&a, text, 1), strlen("[fe80::1%lo]:80"));
    check_text(text, "");
}

Test(address, none_and_the_nameless_are_printed_too)
{
    ouro_address none = {.size = 0}, nameless;
    struct sockaddr_un from = {.sun_family = AF_UNIX};
    check_text(printed(NULL), "none");
    check_text(printed(&none), "none");
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&from, 2, &nameless), 0);
    check_text(printed(&nameless), "unix:");
}

/* ---- From numbers and system calls ----------------------------------------------------------- */

Test(address, of_ip_takes_numbers_alone)
{
    ouro_address a;
    check_eq(ouro_address_of_ip("::1", 80, &a), 0);
    check_text(printed(&a), "[::1]:80");
    check_eq(ouro_address_of_ip("fe80::1%lo", 80, &a), 0);
    check_text(printed(&a), "[fe80::1%lo]:80");
    check_eq(ouro_address_of_ip("192.0.2.1", 65535, &a), 0);
    check_text(printed(&a), "192.0.2.1:65535");
    check_eq(ouro_address_of_ip("192.0.2.1", 65536, &a), -ERANGE);
    check_eq(ouro_address_of_ip("192.0.2.1", -1, &a), -ERANGE);
    check_eq(ouro_address_of_ip("localhost", 1, &a), -EINVAL);
    check_eq(ouro_address_of_ip("[::1]", 1, &a), -EINVAL);
    check_eq(ouro_address_of_ip("127.0.0.1%lo", 1, &a), -EINVAL);
    check_eq(ouro_address_of_ip("", 1, &a), -EINVAL);
    check_eq(ouro_address_of_ip(NULL, 1, &a), -EINVAL);
    check_eq(ouro_address_of_ip("::1", 1, NULL), -EINVAL);
}

Test(address, of_sockaddr_wants_as_many_bytes_as_the_family_has)
{
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_storage big = {.ss_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_NETLINK};
    ouro_address a;
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&ip4, sizeof ip4, &a), 0);
    check_text(printed(&a), "0.0.0.0:80");
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&ip4, sizeof ip4 - 1, &a), -EINVAL);
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&big, sizeof big, &a), 0);
    check_eq(a.size, sizeof(struct sockaddr_in6));
    check_eq(ouro_address_of_sockaddr(&other, sizeof other, &a), -EAFNOSUPPORT);
    check_eq(ouro_address_of_sockaddr(&other, 1, &a), -EINVAL);
    check_eq(ouro_address_of_sockaddr(NULL, 16, &a), -EINVAL);
}

Test(address, a_path_from_the_kernel_may_fill_its_field)
{
    struct sockaddr_un from = {.sun_family = AF_UNIX};
    ouro_address a, b;
    memset(from.sun_path, 'p', sizeof from.sun_path);
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&from, sizeof from + 1, &a), 0);
    check_eq(strlen(printed(&a)), 5 + sizeof from.sun_path);
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&from, sizeof from + 2, &a), -EINVAL);
    memset(from.sun_path, 0, sizeof from.sun_path);
    memcpy(from.sun_path, "/d", 2);
    check_eq(ouro_address_of_sockaddr((struct sockaddr *)&from, sizeof from, &a), 0);
    check_eq(ouro_address_of_unix("/d", &b), 0);
    check_eq(ouro_address_compare(&a, &b), 0);
    check_eq(a.size, b.size);
}

/* ---- Parts and order ------------------------------------------------------------------------- */

Test(address, the_port_is_read_and_changed)
{
    ouro_address ip4 = parsed("192.0.2.1:80"), ip6 = parsed("[::1]:443"), local = parsed("unix:@a");
    check_eq(ouro_address_port(&ip4), 80);
    check_eq(ouro_address_port(&ip6), 443);
    check_eq(ouro_address_port(&local), -EAFNOSUPPORT);
    check_eq(ouro_address_port(NULL), -EINVAL);
    check_eq(ouro_address_set_port(&ip4, 65535), 0);
    check_text(printed(&ip4), "192.0.2.1:65535");
    check_eq(ouro_address_set_port(&ip6, 0), 0);
    check_text(printed(&ip6), "[::1]:0");
    check_eq(ouro_address_set_port(&ip6, 65536), -ERANGE);
    check_eq(ouro_address_set_port(&ip6, -1), -ERANGE);
    check_eq(ouro_address_set_port(&local, 1), -EAFNOSUPPORT);
    check_eq(ouro_address_set_port(NULL, 1), -EINVAL);
}

Test(address, the_order_is_total)
{
    static const char *const sorted[] = {
        "unix:/a",  "unix:/ab",      "unix:/b",       "unix:@a",
        "unix:@b",  "10.0.0.1:80",   "10.0.0.1:443",  "127.0.0.1:1",
        "[::1]:80", "[fe80::1%1]:1", "[fe80::1%2]:1", "[fe80::1%1]:2",
    };
    size_t n = sizeof sorted / sizeof *sorted;
    for (size_t i = 0; i < n; i++) {
        ouro_address a = parsed(sorted[i]);
        check(ouro_address_compare(NULL, &a) < 0);
        check(ouro_address_compare(&a, NULL) > 0);
        for (size_t j = 0; j < n; j++) {
            ouro_address b = parsed(sorted[j]);
            int order = ouro_address_compare(&a, &b);
            cr_assert((order > 0) - (order < 0) == (i > j) - (i < j), "%s %s", sorted[i],
                      sorted[j]);
        }
    }
    check_eq(ouro_address_compare(NULL, NULL), 0);
}

Test(address, loopback_is_what_stays_on_the_machine)
{
    static const char *const yes[] = {"127.0.0.1:1", "127.255.1.2:1", "[::1]:1",
                                      "[::ffff:127.0.0.1]:1", "unix:@a"};
    static const char *const no[] = {"128.0.0.1:1", "0.0.0.0:1", "[::]:1", "[fe80::1%lo]:1",
                                     "[::ffff:10.0.0.1]:1"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        ouro_address a = parsed(yes[i]);
        cr_assert(ouro_address_is_loopback(&a), "%s", yes[i]);
        a = parsed(no[i]);
        cr_assert(!ouro_address_is_loopback(&a), "%s", no[i]);
    }
    check(!ouro_address_is_loopback(NULL));
}

/* ---- Hosts and ports ------------------------------------------------------------------------- */

Test(address, hosts_and_ports_are_taken_apart)
{
    static const char *const good[][3] = {
        {"example.org:443", "example.org", "443"},
        {"example.org:https", "example.org", "https"},
        {"example.org", "example.org", ""},
        {"example.org.:1", "example.org.", "1"},
        {"localhost:0", "localhost", "0"},
        {"a_b-c:65535", "a_b-c", "65535"},
        {"3com.example:80", "3com.example", "80"},
        {"127.0.0.1:80", "127.0.0.1", "80"},
        {"127.0.0.1", "127.0.0.1", ""},
        {"[::1]:80", "::1", "80"},
        {"[::1]", "::1", ""},
        {"[fe80::1%lo]:domain", "fe80::1%lo", "domain"},
        {"b\xc3\xbc"
         "cher.example:80",
         "b\xc3\xbc"
         "cher.example",
         "80"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ouro_host_port split;
        cr_assert_eq(ouro_host_port_split(good[i][0], &split), 0, "%s", good[i][0]);
        check_text(split.host, good[i][1]);
        check_text(split.service, good[i][2]);
    }
}

Test(address, malformed_hosts_and_ports_are_refused)
{
    static const struct {
        const char *text;
        int code;
    } bad[] = {
        {NULL, -EINVAL},
        {"", -EINVAL},
        {":80", -EINVAL},
        {"example.org:", -EINVAL},
        {"example.org:80:", -EINVAL},
        {"a:b:c", -EINVAL},
        {"::1", -EINVAL},
        {"[::1]x", -EINVAL},
        {"[::1]:", -EINVAL},
        {"[example.org]:80", -EINVAL},
        {"exa mple.org:80", -EINVAL},
        {"example..org:80", -EINVAL},
        {".example.org:80", -EINVAL},
        {".", -EINVAL},
        {"example.org/:80", -EINVAL},
        {"user@example.org:80", -EINVAL},
        {"http://example.org", -EINVAL},
        {"example.org:65536", -ERANGE},
        {"example.org:ht tp", -EINVAL},
        {"10.0.0.256:80", -EINVAL},
        {"1.2.3:80", -EINVAL},
        {"example.123:80", -EINVAL},
        {"example.0x1f:80", -EINVAL},
        {"[fe80::1%nosuchinterface]:80", -ENODEV},
        {"example.org:a-name-of-33-bytes-is-too-long-xx", -ENAMETOOLONG},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ouro_host_port split = {.host = "same"};
        int rc = ouro_host_port_split(bad[i].text, &split);
        cr_assert_eq(rc, bad[i].code, "%s: %d", bad[i].text ? bad[i].text : "NULL", rc);
        check_text(split.host, "same");
    }
    check_eq(ouro_host_port_split("example.org:80", NULL), -EINVAL);
}

Test(address, hosts_may_have_253_bytes_and_labels_63)
{
    char host[300];
    ouro_host_port split;
    memset(host, 'a', sizeof host);
    host[63] = '\0';
    check_eq(ouro_host_port_split(host, &split), 0);
    host[63] = 'a';
    host[64] = '\0';
    check_eq(ouro_host_port_split(host, &split), -ENAMETOOLONG);
    memset(host, 'a', sizeof host);
    for (size_t i = 9; i < sizeof host; i += 10)
        host[i] = '.';
    host[253] = '\0';
    check_eq(ouro_host_port_split(host, &split), 0);
    check_eq(strlen(split.host), 253);
    host[253] = '.';
    host[254] = '\0';
    check_eq(ouro_host_port_split(host, &split), 0);
    host[253] = 'a';
    check_eq(ouro_host_port_split(host, &split), -ENAMETOOLONG);
}
