/* SPDX-License-Identifier: MIT */
/* Networks as they are written, and who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cidr.h"

static struct sockaddr_storage peer_of(const char *text)
{
    struct sockaddr_storage peer = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&peer;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer;

    if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
        peer.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
        peer.ss_family = AF_INET6;
    else
        fail_msg("'%s' is no address", text);
    return peer;
}

static bool has(const struct cidr_set *set, const char *text)
{
    const struct sockaddr_storage peer = peer_of(text);

    return cidr_set_has(set, (const struct sockaddr *)&peer);
}

static void add(struct cidr_set *set, const char *network)
{
    char why[128] = "";

    if (access_add(set, network, why, sizeof why) < 0)
        fail_msg("'%s': %s", network, why);
}

/* A network, who is just in it, and who is just not. */
static const struct {
    const char *network, *in[4], *out[4];
} networks[] = {
    {"10.0.0.0/8", {"10.0.0.0", "10.255.255.255"}, {"9.255.255.255", "11.0.0.0", "a00::"}},
    {"192.0.2.7", {"192.0.2.7", "::ffff:192.0.2.7"}, {"192.0.2.6", "192.0.2.8"}},
    {"192.0.2.7/32", {"192.0.2.7"}, {"192.0.2.6", "192.0.2.8"}},
    {"192.0.2.6/31", {"192.0.2.6", "192.0.2.7"}, {"192.0.2.5", "192.0.2.8"}},
    {"172.16.0.0/12", {"172.16.0.0", "172.31.255.255"}, {"172.15.255.255", "172.32.0.0"}},
    {"128.0.0.0/1", {"128.0.0.0", "255.255.255.255"}, {"127.255.255.255"}},
    {"0.0.0.0/0", {"0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"}, {"::", "2001:db8::1"}},
    {"::/0", {"::", "ffff::1", "2001:db8::1"}, {"1.2.3.4", "::ffff:1.2.3.4"}},
    {"::1", {"::1"}, {"::", "::2", "127.0.0.1"}},
    {"2001:db8::/32",
     {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
     {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"}},
    {"fe80::/10", {"fe80::1", "febf::1"}, {"fe7f::1", "fec0::1"}},
    {"2001:db8::8/127", {"2001:db8::8", "2001:db8::9"}, {"2001:db8::7", "2001:db8::a"}},
    /* written as mapped: an IPv4 network */
    {"::ffff:10.0.0.0/104", {"10.1.2.3", "::ffff:10.1.2.3"}, {"11.0.0.0", "::ffff:11.0.0.0"}},
    {"::ffff:0:0/96", {"0.0.0.0", "255.255.255.255"}, {"::", "::1"}},
    {"::ffff:192.0.2.7", {"192.0.2.7"}, {"192.0.2.8"}},
    /* wider than what is mapped: IPv6 alone */
    {"::/80", {"::1", "::fffe:0:0"}, {"1.2.3.4", "::ffff:1.2.3.4"}},
};

static void edges_of_networks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        struct cidr_set set = {0};
        add(&set, networks[i].network);
        cidr_set_seal(&set);
        for (size_t k = 0; k < 4 && networks[i].in[k]; k++)
            if (!has(&set, networks[i].in[k]))
                fail_msg("%s should have %s", networks[i].network, networks[i].in[k]);
        for (size_t k = 0; k < 4 && networks[i].out[k]; k++)
            if (has(&set, networks[i].out[k]))
                fail_msg("%s should not have %s", networks[i].network, networks[i].out[k]);
        cidr_set_free(&set);
    }
}

static const struct {
    const char *text, *why;
} malformed[] = {
    {"", "there is no address"},
    {"/8", "there is no address"},
    {"localhost", "no IPv4 or IPv6 address"},
    {"10.0.0.0.0/8", "no IPv4 or IPv6 address"},
    {"10.0.0/8", "no IPv4 or IPv6 address"},
    {"010.0.0.0/8", "no IPv4 or IPv6 address"},
    {"0x0a.0.0.0/8", "no IPv4 or IPv6 address"},
    {"256.0.0.0/8", "no IPv4 or IPv6 address"},
    {" 10.0.0.0/8", "no IPv4 or IPv6 address"},
    {"10.0.0.0 /8", "no IPv4 or IPv6 address"},
    {"[::1]", "no IPv4 or IPv6 address"},
    {"fe80::1%lo", "no IPv4 or IPv6 address"},
    {"1:2:3:4:5:6:7:8:9/64", "no IPv4 or IPv6 address"},
    {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1", "no IPv4 or IPv6 address"},
    {"10.0.0.0/", "a number from 0 to 32"},
    {"10.0.0.0/33", "a number from 0 to 32"},
    {"10.0.0.0/-1", "a number from 0 to 32"},
    {"10.0.0.0/+8", "a number from 0 to 32"},
    {"10.0.0.0/08", "a number from 0 to 32"},
    {"10.0.0.0/8 ", "a number from 0 to 32"},
    {"10.0.0.0/8/8", "a number from 0 to 32"},
    {"10.0.0.0/4294967304", "a number from 0 to 32"},
    {"10.0.0.0/255.0.0.0", "a number from 0 to 32"},
    {"::/129", "a number from 0 to 128"},
    {"::/8x", "a number from 0 to 128"},
    {"10.0.0.1/8", "10.0.0.0/8 is the network, 10.0.0.1 a host"},
    {"1.2.3.4/0", "0.0.0.0/0 is the network, 1.2.3.4 a host"},
    {"2001:db8::1/64", "2001:db8::/64 is the network, 2001:db8::1 a host"},
};

static void what_is_malformed_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct cidr network;
        char why[128] = "";
        memset(&network, 0x5a, sizeof network);
        const struct cidr before = network;
        if (cidr_parse(malformed[i].text, &network, why, sizeof why) != -EINVAL)
            fail_msg("'%s' was taken", malformed[i].text);
        if (!strstr(why, malformed[i].why))
            fail_msg("'%s': %s", malformed[i].text, why);
        assert_memory_equal(&network, &before, sizeof network);
    }
}

static bool admits(const struct access_lists *lists, const char *text)
{
    const struct sockaddr_storage peer = peer_of(text);

    return access_admits(lists, (const struct sockaddr *)&peer);
}

static void deny_goes_before_allow(void **state)
{
    struct access_lists lists = {0};
    const struct sockaddr local = {.sa_family = AF_UNIX};

    (void)state;
    assert_true(admits(&lists, "192.0.2.1"));
    assert_true(admits(&lists, "2001:db8::1"));
    add(&lists.deny, "10.9.0.0/16");
    cidr_set_seal(&lists.deny);
    assert_false(admits(&lists, "10.9.1.1"));
    assert_false(admits(&lists, "::ffff:10.9.1.1"));
    assert_true(admits(&lists, "10.8.1.1"));
    add(&lists.allow, "10.0.0.0/8");
    cidr_set_seal(&lists.allow);
    assert_true(admits(&lists, "10.8.1.1"));
    assert_false(admits(&lists, "10.9.1.1"));
    assert_false(admits(&lists, "192.0.2.1"));
    assert_false(admits(&lists, "2001:db8::1"));
    assert_true(access_admits(&lists, &local));
    access_free(&lists);
}

/* Many networks, nested, overlapping and equal, against a list that is looked through one by one. */
static void many_networks_as_one_by_one(void **state)
{
    enum { NETWORKS = 400, PEERS = 20000 };
    static struct cidr_set apart[NETWORKS];
    struct cidr_set all = {0};

    (void)state;
    srandom(1);
    for (int i = 0; i < NETWORKS; i++) {
        const unsigned prefix = 12 + (unsigned)random() % 21;
        const uint32_t mask = UINT32_MAX << (32 - prefix);
        /* in a narrow part of the world, so that many meet */
        const uint32_t where = (uint32_t)random() & 0x03ffffff & mask;
        char text[64];
        snprintf(text, sizeof text, "%u.%u.%u.%u/%u", where >> 24, where >> 16 & 255,
                 where >> 8 & 255, where & 255, prefix);
        if (i % 16 == 0)
            snprintf(text, sizeof text, "1.0.0.0/%u", 8 + i % 25);
        apart[i] = (struct cidr_set){0};
        add(&apart[i], text);
        cidr_set_seal(&apart[i]);
        add(&all, text);
    }
    cidr_set_seal(&all);
    assert_true(all.count < NETWORKS);
    unsigned found = 0;
    for (int i = 0; i < PEERS; i++) {
        struct sockaddr_in peer = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl((uint32_t)random() & 0x07ffffff)};
        bool in_one = false;
        for (int k = 0; k < NETWORKS && !in_one; k++)
            in_one = cidr_set_has(&apart[k], (const struct sockaddr *)&peer);
        assert_int_equal(cidr_set_has(&all, (const struct sockaddr *)&peer), in_one);
        found += in_one;
    }
    assert_true(found > 0 && found < PEERS);
    for (int i = 0; i < NETWORKS; i++)
        cidr_set_free(&apart[i]);
    cidr_set_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_of_networks),
        cmocka_unit_test(what_is_malformed_is_named),
        cmocka_unit_test(deny_goes_before_allow),
        cmocka_unit_test(many_networks_as_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
