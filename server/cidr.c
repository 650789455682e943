/* SPDX-License-Identifier: MIT */
#include "cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORLD_4 = 4, WORLD_6 = 6 };

/* Both kinds of address take 16 bytes after the world's; an IPv4 one is mapped. */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct cidr_key key_of_4(const void *address)
{
    struct cidr_key key = {.bytes = {WORLD_4}};

    memcpy(key.bytes + 1, mapped, sizeof mapped);
    memcpy(key.bytes + 1 + sizeof mapped, address, 4);
    return key;
}

static struct cidr_key key_of_6(const void *address)
{
    struct cidr_key key = {.bytes = {WORLD_6}};

    memcpy(key.bytes + 1, address, 16);
    return key;
}

static bool is_mapped(const void *address)
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

static int compare_keys(const struct cidr_key *a, const struct cidr_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* ---- reading ---- */

/* Decimal digits and no more: 0 to 999, or -1. */
static int read_prefix(const char *text)
{
    int value = 0;

    if (!*text || strlen(text) > 3 || (text[0] == '0' && text[1]))
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value;
}

/* The first and the last address of those that share `length` bits with `key`. */
static struct cidr range_of(struct cidr_key key, int length)
{
    struct cidr range = {key, key};

    for (int bit = length; bit < 128; bit++) {
        const uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        range.first.bytes[1 + bit / 8] &= (uint8_t)~mask;
        range.last.bytes[1 + bit / 8] |= mask;
    }
    return range;
}

static void write_address(const struct cidr_key *key, char text[static INET6_ADDRSTRLEN])
{
    const bool is_4 = key->bytes[0] == WORLD_4;

    inet_ntop(is_4 ? AF_INET : AF_INET6, key->bytes + (is_4 ? 13 : 1), text, INET6_ADDRSTRLEN);
}

static int refuse(char *why, size_t why_size, const char *reason)
{
    snprintf(why, why_size, "%s", reason);
    return -EINVAL;
}

/* Reads the address; `ret_bits` is how many bits a prefix of it may have. */
static int parse_address(const char *text, struct cidr_key *ret, int *ret_bits)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, text, address) == 1) {
        *ret = key_of_4(address);
        *ret_bits = 32;
        return 0;
    }
    if (inet_pton(AF_INET6, text, address) != 1)
        return -EINVAL;
    *ret = key_of_6(address);
    *ret_bits = 128;
    return 0;
}

int cidr_parse(const char *text, struct cidr *ret, char *why, size_t why_size)
{
    char address[INET6_ADDRSTRLEN], first[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    const size_t length = slash ? (size_t)(slash - text) : strlen(text);
    struct cidr_key key;
    int bits;

    if (length >= sizeof address)
        return refuse(why, why_size, "that is no IPv4 or IPv6 address");
    memcpy(address, text, length);
    address[length] = '\0';
    if (parse_address(address, &key, &bits) < 0)
        return refuse(why, why_size,
                      length ? "that is no IPv4 or IPv6 address" : "there is no address");
    const int prefix = slash ? read_prefix(slash + 1) : bits;
    if (prefix < 0 || prefix > bits) {
        snprintf(why, why_size, "the prefix of an %s network is a number from 0 to %d",
                 bits == 32 ? "IPv4" : "IPv6", bits);
        return -EINVAL;
    }
    const struct cidr range = range_of(key, prefix + 128 - bits);
    if (compare_keys(&range.first, &key) != 0) {
        write_address(&range.first, first);
        snprintf(why, why_size, "it has bits set after its prefix; %s/%d is the network, %s a host",
                 first, prefix, address);
        return -EINVAL;
    }
    *ret = range;
    if (bits == 128 && prefix >= 96 && is_mapped(key.bytes + 1))
        ret->first.bytes[0] = ret->last.bytes[0] = WORLD_4;
    return 0;
}

/* ---- sets ---- */

int cidr_set_add(struct cidr_set *set, const struct cidr *network)
{
    if (set->count == set->room) {
        const size_t room = set->room ? set->room * 2 : 8;
        struct cidr *ranges = reallocarray(set->ranges, room, sizeof *ranges);
        if (!ranges)
            return -ENOMEM;
        set->ranges = ranges;
        set->room = room;
    }
    set->ranges[set->count++] = *network;
    return 0;
}

static int compare_first(const void *a, const void *b)
{
    return compare_keys(&((const struct cidr *)a)->first, &((const struct cidr *)b)->first);
}

void cidr_set_seal(struct cidr_set *set)
{
    size_t kept = 0;

    if (set->count)
        qsort(set->ranges, set->count, sizeof *set->ranges, compare_first);
    for (size_t i = 0; i < set->count; i++) {
        const struct cidr *range = &set->ranges[i];
        if (kept && compare_keys(&range->first, &set->ranges[kept - 1].last) <= 0) {
            if (compare_keys(&range->last, &set->ranges[kept - 1].last) > 0)
                set->ranges[kept - 1].last = range->last;
            continue;
        }
        set->ranges[kept++] = *range;
    }
    set->count = kept;
}

static bool key_of_peer(const struct sockaddr *peer, struct cidr_key *ret)
{
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        *ret = key_of_4(&in.sin_addr);
        return true;
    }
    if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        const uint8_t *address = in6.sin6_addr.s6_addr;
        *ret = is_mapped(address) ? key_of_4(address + sizeof mapped) : key_of_6(address);
        return true;
    }
    return false;
}

static int compare_to_range(const void *key, const void *range)
{
    const struct cidr *network = range;

    if (compare_keys(key, &network->first) < 0)
        return -1;
    return compare_keys(key, &network->last) > 0;
}

bool cidr_set_has(const struct cidr_set *set, const struct sockaddr *address)
{
    struct cidr_key key;

    return set->count && key_of_peer(address, &key) &&
           bsearch(&key, set->ranges, set->count, sizeof *set->ranges, compare_to_range);
}

void cidr_set_free(struct cidr_set *set)
{
    free(set->ranges);
    *set = (struct cidr_set){0};
}

/* ---- who is let in ---- */

int access_add(struct cidr_set *list, const char *text, char *why, size_t why_size)
{
    struct cidr network;
    int error = cidr_parse(text, &network, why, why_size);

    if (error == 0 && (error = cidr_set_add(list, &network)) < 0)
        refuse(why, why_size, "there is not enough memory");
    return error;
}

bool access_admits(const struct access_lists *lists, const struct sockaddr *peer)
{
    if (peer->sa_family != AF_INET && peer->sa_family != AF_INET6)
        return true;
    if (cidr_set_has(&lists->deny, peer))
        return false;
    return lists->allow.count == 0 || cidr_set_has(&lists->allow, peer);
}

void access_free(struct access_lists *lists)
{
    cidr_set_free(&lists->allow);
    cidr_set_free(&lists->deny);
}
