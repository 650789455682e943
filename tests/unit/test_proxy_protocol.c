/* SPDX-License-Identifier: MIT */
/* PROXY headers: which are taken, which are refused and at which byte, and what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/proxy_protocol.h"

#define SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* "1.2.3.4:80", "[::1]:80", "unix", "-" */
static const char *show(const struct peer *peer, char text[static 64])
{
    char host[INET6_ADDRSTRLEN];

    switch (peer->length ? peer->address.any.sa_family : AF_UNSPEC) {
    case AF_INET:
        inet_ntop(AF_INET, &peer->address.in.sin_addr, host, sizeof host);
        snprintf(text, 64, "%s:%u", host, ntohs(peer->address.in.sin_port));
        return text;
    case AF_INET6:
        inet_ntop(AF_INET6, &peer->address.in6.sin6_addr, host, sizeof host);
        snprintf(text, 64, "[%s]:%u", host, ntohs(peer->address.in6.sin6_port));
        return text;
    case AF_UNIX:
        return "unix";
    default:
        return "-";
    }
}

static void expect_addresses(const struct proxy_header *header, const char *from, const char *to)
{
    char text[64];

    assert_string_equal(show(&header->source, text), from);
    assert_string_equal(show(&header->destination, text), to);
}

#define V6           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define LONGEST_LINE "PROXY UNKNOWN " V6 " " V6 " 65535 65535\r\n"
_Static_assert(sizeof LONGEST_LINE - 1 == PROXY_LINE_MAX, "the longest line that there can be");

static const struct {
    const uint8_t *data;
    size_t length;
    const char *from, *to;
    bool local, datagram;
} taken[] = {
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 51514 443\r\n"), "192.0.2.1:51514",
     "198.51.100.2:443"},
    {BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), "0.0.0.0:0", "255.255.255.255:65535"},
    {BYTES("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1", "[::1]:2"},
    {BYTES("PROXY TCP6 " V6 " " V6 " 65535 65535\r\n"), "[" V6 "]:65535", "[" V6 "]:65535"},
    {BYTES("PROXY UNKNOWN\r\n"), "-", "-"},
    {BYTES("PROXY UNKNOWN who knows\r\n"), "-", "-"},
    {BYTES(LONGEST_LINE), "-", "-"},
    {BYTES(SIGNATURE "\x20\x00\x00\x00"), "-", "-", .local = true},
    {BYTES(SIGNATURE "\x20\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"), "-", "-",
     .local = true},
    {BYTES(SIGNATURE "\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"),
     "1.2.3.4:80", "5.6.7.8:443"},
    {BYTES(SIGNATURE "\x21\x12\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"),
     "1.2.3.4:80", "5.6.7.8:443", .datagram = true},
    {BYTES(SIGNATURE "\x21\x21\x00\x24"
                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"
                     "\x00\x50\x01\xbb"),
     "[::1]:80", "[::2]:443"},
    {BYTES(SIGNATURE "\x21\x00\x00\x00"), "-", "-"},
    {BYTES(SIGNATURE "\x21\x00\x00\x04\x04\x00\x01\xff"), "-", "-"},
};

static void what_is_a_header_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct proxy_header header, untouched;
        const char *why = "?";
        memset(&header, 0x5a, sizeof header);
        untouched = header;
        for (size_t some = 0; some < taken[i].length; some++) {
            if (proxy_parse(taken[i].data, some, &header, &why) != 0)
                fail_msg("header %zu: %zu bytes were not enough to say: %s", i, some, why);
            assert_memory_equal(&header, &untouched, sizeof header);
        }
        /* What comes behind is not looked at. */
        uint8_t data[512];
        memset(data, 0xa5, sizeof data);
        memcpy(data, taken[i].data, taken[i].length);
        assert_int_equal(proxy_parse(data, sizeof data, &header, &why), taken[i].length);
        assert_int_equal(header.local, taken[i].local);
        assert_int_equal(header.datagram, taken[i].datagram);
        expect_addresses(&header, taken[i].from, taken[i].to);
    }
}

/* At `at` bytes it is still possible, and refused with one more. */
static const struct {
    const uint8_t *data;
    size_t length, at;
    const char *why;
} refused[] = {
    {BYTES("GET / HTTP/1.1\r\n"), 0, "begin"},
    {BYTES("\0"), 0, "begin"},
    {BYTES("PROXY\tTCP4 1.2.3.4 1.2.3.4 1 1\r\n"), 5, "begin"},
    {BYTES("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"), 0, "begin"},
    {BYTES("POST / HTTP/1.1\r\n"), 1, "begin"},
    {BYTES("\r\n\r\n\r\n"), 4, "begin"},
    {BYTES("PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n"), 31, "protocol"},
    {BYTES("PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n"), 32, "protocol"},
    {BYTES("PROXY UNKNOWNS\r\n"), 15, "protocol"},
    {BYTES("PROXY \r\n"), 7, "protocol"},
    {BYTES("PROXY TCP4\r\n"), 11, "two addresses"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), 29, "two addresses"},
    {BYTES("PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n"), 32, "two addresses"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n"), 32, "after the ports"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n"), 33, "after the ports"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), 35, "malformed"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 4294967297\r\n"), 40, "malformed"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n"), 32, "malformed"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"), 32, "malformed"},
    {BYTES("PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n"), 33, "malformed"},
    {BYTES("PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n"), 32, "malformed"},
    {BYTES("PROXY TCP4 ::1 ::1 1 1\r\n"), 23, "malformed"},
    {BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n"), 31, "malformed"},
    {BYTES("PROXY TCP6 ::1%lo ::1 1 1\r\n"), 26, "malformed"},
    {BYTES("PROXY TCP6 [::1] ::1 1 1\r\n"), 25, "malformed"},
    {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n"), 30, "printable"},
    {BYTES("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n"), 18, "printable"},
    {BYTES("PROXY TCP4 1.2.3.4\xc3 1.2.3.4 1 1\r\n"), 18, "printable"},
    {BYTES("PROXY UNKNOWN\r\r\n"), 14, "line feed"},
    {BYTES("PROXY UNKNOWN " V6 " " V6 " 65535 65535 \r\n"), 105, "longer than 107"},
    {BYTES(SIGNATURE "\x11"), 12, "version"},
    {BYTES(SIGNATURE "\x31"), 12, "version"},
    {BYTES(SIGNATURE "\x22"), 12, "command"},
    {BYTES(SIGNATURE "\x2f"), 12, "command"},
    {BYTES(SIGNATURE "\x21\x41"), 13, "family"},
    {BYTES(SIGNATURE "\x21\x13"), 13, "family"},
    {BYTES(SIGNATURE "\x21\xff"), 13, "family"},
    {BYTES(SIGNATURE "\x21\x11\x00\x0b"), 15, "too short"},
    {BYTES(SIGNATURE "\x21\x21\x00\x23"), 15, "too short"},
    {BYTES(SIGNATURE "\x21\x31\x00\xd7"), 15, "too short"},
    {BYTES(SIGNATURE "\x21\x11\x0f\xf1"), 15, "longer than 4096"},
    {BYTES(SIGNATURE "\x20\x00\xff\xff"), 15, "longer than 4096"},
    {BYTES(SIGNATURE "\x21\x11\x00\x0d\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb\x04"), 28,
     "extension"},
    {BYTES(SIGNATURE
           "\x21\x11\x00\x0f\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb\x04\x00\x01"),
     30, "extension"},
    {BYTES(SIGNATURE
           "\x21\x11\x00\x0f\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb\x04\xff\xff"),
     30, "extension"},
    {BYTES(SIGNATURE "\x21\x00\x00\x06\x03\x00\x03\x01\x02\x03"), 21, "4 bytes"},
    {BYTES(SIGNATURE "\x21\x00\x00\x07\x03\x00\x04\x01\x02\x03\x04"), 22, "checksum is wrong"},
};

static void what_is_none_is_refused_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct proxy_header header;
        const char *why = "?";
        for (size_t some = 0; some <= refused[i].length; some++) {
            const ssize_t result = proxy_parse(refused[i].data, some, &header, &why);
            if (some <= refused[i].at && result != 0)
                fail_msg("header %zu: refused after %zu bytes: %s", i, some, why);
            if (some > refused[i].at && result != -EPROTO && result != -EMSGSIZE)
                fail_msg("header %zu: taken at %zu bytes", i, some);
        }
        if (!strstr(why, refused[i].why))
            fail_msg("header %zu: %s", i, why);
    }
}

static struct peer peer_of(const char *text, in_port_t port)
{
    struct peer peer = {0};

    if (inet_pton(AF_INET, text, &peer.address.in.sin_addr) == 1) {
        peer.length = sizeof peer.address.in;
        peer.address.in.sin_family = AF_INET;
        peer.address.in.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &peer.address.in6.sin6_addr) == 1) {
        peer.length = sizeof peer.address.in6;
        peer.address.in6.sin6_family = AF_INET6;
        peer.address.in6.sin6_port = htons(port);
    }
    return peer;
}

static struct proxy_header header_of(const char *from, const char *to)
{
    return (struct proxy_header){.source = peer_of(from, 1000), .destination = peer_of(to, 1001)};
}

static const struct {
    const char *from, *to, *line, *read_from, *read_to;
    uint8_t family;
} written[] = {
    {"1.2.3.4", "5.6.7.8", "PROXY TCP4 1.2.3.4 5.6.7.8 1000 1001\r\n", "1.2.3.4:1000",
     "5.6.7.8:1001", 0x11},
    {"::ffff:1.2.3.4", "::ffff:5.6.7.8", "PROXY TCP4 1.2.3.4 5.6.7.8 1000 1001\r\n", "1.2.3.4:1000",
     "5.6.7.8:1001", 0x11},
    {"2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 1000 1001\r\n", "[2001:db8::1]:1000",
     "[::1]:1001", 0x21},
    {"1.2.3.4", "::1", "PROXY TCP6 ::ffff:1.2.3.4 ::1 1000 1001\r\n", "[::ffff:1.2.3.4]:1000",
     "[::1]:1001", 0x21},
    {"", "", "PROXY UNKNOWN\r\n", "-", "-", 0},
    {"1.2.3.4", "", "PROXY UNKNOWN\r\n", "-", "-", 0},
};

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        const struct proxy_header out = header_of(written[i].from, written[i].to);
        struct proxy_header in;
        uint8_t data[PROXY_WRITE_MAX];
        const char *why;
        ssize_t length = proxy_write(PROXY_V1, &out, data, sizeof data);
        assert_int_equal(length, strlen(written[i].line));
        assert_memory_equal(data, written[i].line, (size_t)length);
        assert_int_equal(proxy_parse(data, (size_t)length, &in, &why), length);
        expect_addresses(&in, written[i].read_from, written[i].read_to);
        assert_int_equal(proxy_write(PROXY_V1, &out, data, (size_t)length - 1), -EMSGSIZE);

        length = proxy_write(PROXY_V2, &out, data, sizeof data);
        assert_true(length >= 16);
        assert_int_equal(data[13], written[i].family);
        assert_int_equal(proxy_parse(data, (size_t)length, &in, &why), length);
        expect_addresses(&in, written[i].read_from, written[i].read_to);
        assert_int_equal(proxy_write(PROXY_V2, &out, data, (size_t)length - 1), -EMSGSIZE);
    }
}

static void unix_addresses_are_kept_whole(void **state)
{
    struct proxy_header out = {0}, in;
    struct peer *path = &out.source, *name = &out.destination;
    uint8_t data[PROXY_WRITE_MAX];
    const char *why;

    (void)state;
    path->address.un.sun_family = name->address.un.sun_family = AF_UNIX;
    path->length = sizeof path->address.un;
    memset(path->address.un.sun_path, 'x',
           sizeof path->address.un.sun_path); /* no NUL at its end */
    name->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 9);
    memcpy(name->address.un.sun_path, "\0abstract, and what is not meant", 33);
    assert_int_equal(proxy_write(PROXY_V2, &out, data, sizeof data), sizeof data);
    assert_int_equal(proxy_parse(data, sizeof data, &in, &why), sizeof data);
    assert_memory_equal(&in.source, path, sizeof *path);
    assert_memory_equal(in.destination.address.un.sun_path, "\0abstract\0\0", 11);
    assert_int_equal(proxy_write(PROXY_V1, &out, data, sizeof data), 15);
    assert_memory_equal(data, "PROXY UNKNOWN\r\n", 15);
    path->length = sizeof(sa_family_t); /* as getpeername(2) has it for a socket without a name */
    assert_int_equal(proxy_write(PROXY_V2, &out, data, sizeof data), sizeof data);
    assert_int_equal(proxy_parse(data, sizeof data, &in, &why), sizeof data);
    assert_int_equal(in.source.address.un.sun_path[0], 0);
    out.local = true;
    assert_int_equal(proxy_write(PROXY_V2, &out, data, sizeof data), 16);
    assert_int_equal(data[12], 0x20);
}

/* CRC-32C in another way than the code's: long division, the most significant bit first. */
static void store_crc32c(const uint8_t *data, size_t length, uint8_t *ret)
{
    uint32_t crc = UINT32_MAX, reflected = 0;

    for (size_t i = 0; i < length; i++)
        for (int bit = 0; bit < 8; bit++) {
            const uint32_t in = data[i] >> bit & 1;
            crc = crc << 1 ^ ((crc >> 31 ^ in) ? 0x1edc6f41 : 0);
        }
    for (int bit = 0; bit < 32; bit++)
        reflected |= (~crc >> bit & 1) << (31 - bit);
    for (int i = 0; i < 4; i++)
        ret[i] = (uint8_t)(reflected >> (24 - 8 * i));
}

static void checksum_is_crc32c(void **state)
{
    uint8_t sum[4];

    (void)state;
    store_crc32c((const uint8_t *)"123456789", 9, sum);
    assert_memory_equal(sum, "\xe3\x06\x92\x83", 4); /* its known sum: the test itself is right */
}

/* A header with extensions that are skipped and a checksum: each bit of it that is turned over is
 * noticed. */
static void checksum_covers_every_bit(void **state)
{
    uint8_t data[] = SIGNATURE "\x21\x11\x00\x22\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"
                               "\x04\x00\x02\x09\x09\x02\x00\x03"
                               "abc\x03\x00\x04\x00\x00\x00\x00\xe0\x00\x01\xff";
    const size_t length = sizeof data - 1, crc = length - 8;
    struct proxy_header header;
    const char *why = "?";

    (void)state;
    store_crc32c(data, length, data + crc);
    if (proxy_parse(data, length, &header, &why) != (ssize_t)length)
        fail_msg("%s", why);
    expect_addresses(&header, "1.2.3.4:80", "5.6.7.8:443");
    for (size_t bit = 0; bit < length * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const bool was_taken = proxy_parse(data, length, &header, &why) == (ssize_t)length;
        /* LOCAL has no extensions; and the checksum's type may become another's */
        if (was_taken && !header.local && bit / 8 != crc - 3)
            fail_msg("bit %zu", bit);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_header_is_taken),
        cmocka_unit_test(what_is_none_is_refused_at_once),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(unix_addresses_are_kept_whole),
        cmocka_unit_test(checksum_is_crc32c),
        cmocka_unit_test(checksum_covers_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
