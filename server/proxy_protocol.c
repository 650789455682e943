/* SPDX-License-Identifier: MIT */
#include "proxy_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINE_BEGINS "PROXY "

/* Version 2: signature, version and command, family and transport, the length of the rest. */
enum { V2_HEAD = 16 };
/* Then addresses, then extensions: each a type, a length in two bytes, and so many bytes. */
enum { EXTENSION_HEAD = 3, EXTENSION_CRC32C = 0x03 };
enum { CRC_LENGTH = 4 };
static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* Version 2's families, by their number: what two addresses and their ports take. */
static const struct {
    sa_family_t family;
    uint8_t address; /* one address */
    uint8_t block;   /* two, and two ports where there are ports */
} families[] = {
    {AF_UNSPEC, 0, 0},
    {AF_INET, 4, 12},
    {AF_INET6, 16, 36},
    {AF_UNIX, 108, 216},
};
#define FAMILIES (sizeof families / sizeof *families)

static ssize_t refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EPROTO;
}

/* ---- version 1: a line of text ---- */

/* The next word of a line; what follows it is left in *line, NULL after the last. Words are apart by
 * one blank. */
static bool take_word(char **line, char **ret)
{
    char *blank = *line ? strchr(*line, ' ') : NULL;

    if (!*line)
        return false;
    *ret = *line;
    *line = blank ? blank + 1 : NULL;
    if (blank)
        *blank = '\0';
    return **ret != '\0';
}

static bool parse_port(const char *word, in_port_t *ret)
{
    unsigned value = 0;

    if (!*word || strlen(word) > 5 || (word[0] == '0' && word[1]))
        return false;
    for (; *word; word++) {
        if (*word < '0' || *word > '9')
            return false;
        value = value * 10 + (unsigned)(*word - '0');
    }
    *ret = htons((uint16_t)value);
    return value <= UINT16_MAX;
}

static bool parse_endpoint(bool four, const char *address, const char *port, struct peer *ret)
{
    if (four) {
        ret->length = sizeof ret->address.in;
        ret->address.in.sin_family = AF_INET;
        return inet_pton(AF_INET, address, &ret->address.in.sin_addr) == 1 &&
               parse_port(port, &ret->address.in.sin_port);
    }
    ret->length = sizeof ret->address.in6;
    ret->address.in6.sin6_family = AF_INET6;
    return inet_pton(AF_INET6, address, &ret->address.in6.sin6_addr) == 1 &&
           parse_port(port, &ret->address.in6.sin6_port);
}

/* The line without its end. */
static ssize_t parse_words(char *line, struct proxy_header *header, const char **ret_why)
{
    char *protocol, *word[4];

    line += strlen(LINE_BEGINS);
    take_word(&line, &protocol);
    if (strcmp(protocol, "UNKNOWN") == 0)
        return 0; /* the rest, whatever it says, is to be ignored */
    const bool four = strcmp(protocol, "TCP4") == 0;
    if (!four && strcmp(protocol, "TCP6") != 0)
        return refuse(ret_why, "the protocol is none of TCP4, TCP6 and UNKNOWN");
    /* Source and destination address, source and destination port, and nothing after. */
    for (int i = 0; i < 4; i++)
        if (!take_word(&line, &word[i]))
            return refuse(ret_why, "two addresses and two ports are wanted");
    if (line)
        return refuse(ret_why, "there is something after the ports");
    if (!parse_endpoint(four, word[0], word[2], &header->source) ||
        !parse_endpoint(four, word[1], word[3], &header->destination))
        return refuse(ret_why, "an address or a port is malformed");
    return 0;
}

static ssize_t parse_line(const uint8_t *data, size_t length, struct proxy_header *ret,
                          const char **ret_why)
{
    struct proxy_header header = {.version = PROXY_V1};
    char line[PROXY_LINE_MAX + 1];
    const size_t last = PROXY_LINE_MAX - strlen("\r\n");
    size_t end = strlen(LINE_BEGINS);

    while (end < length && end < last && data[end] >= ' ' && data[end] <= '~')
        end++;
    if (end < length && data[end] != '\r')
        return refuse(ret_why, end == last ? "the line is longer than 107 bytes"
                                           : "a byte of the line is no printable ASCII");
    if (end + 1 >= length)
        return 0;
    if (data[end + 1] != '\n')
        return refuse(ret_why, "a carriage return without its line feed");
    memcpy(line, data, end);
    line[end] = '\0';
    const ssize_t error = parse_words(line, &header, ret_why);
    if (error < 0)
        return error;
    *ret = header;
    return (ssize_t)end + 2;
}

/* ---- version 2: a block of bytes ---- */

/* CRC-32C (Castagnoli), bit by bit: a header is short, and few carry one. */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1));
    }
    return crc;
}

/* Of a whole header, as if the checksum at `at` in it were zeros. */
static uint32_t checksum(const uint8_t *data, size_t length, size_t at)
{
    static const uint8_t zeros[CRC_LENGTH];
    uint32_t crc = crc32c(UINT32_MAX, data, at);

    crc = crc32c(crc, zeros, sizeof zeros);
    return ~crc32c(crc, data + at + CRC_LENGTH, length - at - CRC_LENGTH);
}

static uint16_t load_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void store_16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store_32(uint8_t *at, uint32_t value)
{
    store_16(at, value >> 16);
    store_16(at + 2, value & 0xffff);
}

/* They fill their room exactly, and the checksum, if there is one, is right. */
static ssize_t check_extensions(const uint8_t *data, size_t at, size_t length, const char **ret_why)
{
    uint8_t right[CRC_LENGTH];
    size_t crc = 0;

    while (at < length) {
        const size_t left = length - at;
        const size_t size = left < EXTENSION_HEAD ? left : load_16(data + at + 1);
        if (left < EXTENSION_HEAD || size > left - EXTENSION_HEAD)
            return refuse(ret_why, "an extension is longer than the header");
        if (data[at] == EXTENSION_CRC32C) {
            if (size != CRC_LENGTH || crc)
                return refuse(ret_why, "the checksum is not of 4 bytes, or there are two");
            crc = at + EXTENSION_HEAD;
        }
        at += EXTENSION_HEAD + size;
    }
    if (!crc)
        return 0;
    store_32(right, checksum(data, length, crc));
    if (memcmp(right, data + crc, sizeof right) != 0)
        return refuse(ret_why, "the checksum is wrong");
    return 0;
}

/* Two addresses, then the ports. */
static void load_address(const uint8_t *block, sa_family_t family, size_t index, struct peer *ret)
{
    switch (family) {
    case AF_INET:
        ret->length = sizeof ret->address.in;
        memcpy(&ret->address.in.sin_addr, block + index * 4, 4);
        memcpy(&ret->address.in.sin_port, block + 8 + index * 2, 2);
        break;
    case AF_INET6:
        ret->length = sizeof ret->address.in6;
        memcpy(&ret->address.in6.sin6_addr, block + index * 16, 16);
        memcpy(&ret->address.in6.sin6_port, block + 32 + index * 2, 2);
        break;
    case AF_UNIX:
        ret->length = sizeof ret->address.un;
        memcpy(ret->address.un.sun_path, block + index * 108, 108);
        break;
    default:
        return;
    }
    ret->address.any.sa_family = family;
}

/* The first 16 bytes, as far as they are there. */
static ssize_t check_head(const uint8_t *data, size_t length, const char **ret_why)
{
    const size_t signed_length = length < sizeof signature ? length : sizeof signature;

    if (memcmp(data, signature, signed_length) != 0)
        return refuse(ret_why, "it does not begin as a header does");
    if (length > 12 && data[12] >> 4 != 2)
        return refuse(ret_why, "the version is not 2");
    if (length > 12 && (data[12] & 15) > 1)
        return refuse(ret_why, "the command is neither LOCAL nor PROXY");
    if (length > 13 && (data[13] >> 4 >= (int)FAMILIES || (data[13] & 15) > 2))
        return refuse(ret_why, "no such address family or transport");
    if (length < V2_HEAD)
        return 0;
    if (V2_HEAD + (size_t)load_16(data + 14) > PROXY_HEADER_MAX) {
        *ret_why = "it is longer than 4096 bytes";
        return -EMSGSIZE;
    }
    if ((data[12] & 15) == 1 && load_16(data + 14) < families[data[13] >> 4].block)
        return refuse(ret_why, "it is too short for its addresses");
    return 0;
}

static ssize_t parse_block(const uint8_t *data, size_t length, struct proxy_header *ret,
                           const char **ret_why)
{
    ssize_t error = check_head(data, length, ret_why);

    if (error < 0 || length < V2_HEAD)
        return error;
    const size_t whole = V2_HEAD + (size_t)load_16(data + 14);
    if (length < whole)
        return 0;
    struct proxy_header header = {.version = PROXY_V2, .local = (data[12] & 15) == 0};
    if (header.local) { /* what follows has no meaning */
        *ret = header;
        return (ssize_t)whole;
    }
    const size_t family = data[13] >> 4;
    /* A family without a transport, or the reverse, says as little as neither. */
    if (family && data[13] & 15) {
        header.datagram = (data[13] & 15) == 2;
        load_address(data + V2_HEAD, families[family].family, 0, &header.source);
        load_address(data + V2_HEAD, families[family].family, 1, &header.destination);
    }
    error = check_extensions(data, V2_HEAD + families[family].block, whole, ret_why);
    if (error < 0)
        return error;
    *ret = header;
    return (ssize_t)whole;
}

ssize_t proxy_parse(const uint8_t *data, size_t length, struct proxy_header *ret,
                    const char **ret_why)
{
    const size_t begun = length < strlen(LINE_BEGINS) ? length : strlen(LINE_BEGINS);

    if (length == 0)
        return 0;
    if (data[0] != LINE_BEGINS[0])
        return parse_block(data, length, ret, ret_why);
    if (memcmp(data, LINE_BEGINS, begun) != 0)
        return refuse(ret_why, "it does not begin as a header does");
    return begun < strlen(LINE_BEGINS) ? 0 : parse_line(data, length, ret, ret_why);
}

/* ---- writing ---- */

/* An address as the protocol writes it: four bytes where four are enough, and its port. */
struct plain {
    sa_family_t family;
    uint8_t address[16];
    in_port_t port;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct plain plain_of(const struct peer *peer)
{
    struct plain plain = {.family = AF_UNSPEC};
    const sa_family_t family = peer->length ? peer->address.any.sa_family : (sa_family_t)AF_UNSPEC;

    if (family == AF_INET) {
        plain = (struct plain){.family = AF_INET, .port = peer->address.in.sin_port};
        memcpy(plain.address, &peer->address.in.sin_addr, 4);
    } else if (family == AF_INET6) {
        const uint8_t *bytes = peer->address.in6.sin6_addr.s6_addr;
        const bool four = memcmp(bytes, mapped, sizeof mapped) == 0;
        plain.family = four ? AF_INET : AF_INET6;
        plain.port = peer->address.in6.sin6_port;
        memcpy(plain.address, bytes + (four ? sizeof mapped : 0), four ? 4 : 16);
    }
    return plain;
}

static void widen(struct plain *plain)
{
    if (plain->family != AF_INET)
        return;
    memcpy(plain->address + sizeof mapped, plain->address, 4);
    memcpy(plain->address, mapped, sizeof mapped);
    plain->family = AF_INET6;
}

/* Both as one family; AF_UNSPEC if they have none in common. */
static sa_family_t plain_pair(const struct proxy_header *header, struct plain pair[2])
{
    pair[0] = plain_of(&header->source);
    pair[1] = plain_of(&header->destination);
    if (header->local || !pair[0].family || !pair[1].family)
        return AF_UNSPEC;
    if (pair[0].family != pair[1].family) {
        widen(&pair[0]);
        widen(&pair[1]);
    }
    return pair[0].family;
}

static ssize_t write_line(const struct proxy_header *header, uint8_t *data, size_t room)
{
    char line[2 * PROXY_LINE_MAX] = LINE_BEGINS "UNKNOWN\r\n";
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    struct plain pair[2];

    const sa_family_t family = plain_pair(header, pair);
    if (family) {
        inet_ntop(family, pair[0].address, from, sizeof from);
        inet_ntop(family, pair[1].address, to, sizeof to);
        snprintf(line, sizeof line, LINE_BEGINS "TCP%c %s %s %u %u\r\n",
                 family == AF_INET ? '4' : '6', from, to, ntohs(pair[0].port), ntohs(pair[1].port));
    }
    const size_t length = strlen(line);
    if (length > room)
        return -EMSGSIZE;
    memcpy(data, line, length);
    return (ssize_t)length;
}

static bool is_unix(const struct peer *peer)
{
    return peer->length && peer->address.any.sa_family == AF_UNIX;
}

/* The path or name as the kernel has it: what is behind its end are zeros. */
static void store_path(const struct peer *peer, uint8_t *block)
{
    const size_t before = offsetof(struct sockaddr_un, sun_path);
    const size_t most = sizeof peer->address.un.sun_path;
    const size_t length = peer->length > before ? peer->length - before : 0;

    memset(block, 0, most);
    memcpy(block, peer->address.un.sun_path, length < most ? length : most);
}

/* Returns the index of the family. */
static size_t store_addresses(const struct proxy_header *header, uint8_t *block)
{
    struct plain pair[2];
    const bool local = !header->local && is_unix(&header->source) && is_unix(&header->destination);
    const sa_family_t family = local ? (sa_family_t)AF_UNIX : plain_pair(header, pair);
    size_t index = 0;

    while (families[index].family != family)
        index++;
    const size_t size = families[index].address;
    if (local) {
        store_path(&header->source, block);
        store_path(&header->destination, block + size);
        return index;
    }
    for (size_t i = 0; family && i < 2; i++) {
        memcpy(block + i * size, pair[i].address, size);
        memcpy(block + 2 * size + i * 2, &pair[i].port, 2);
    }
    return index;
}

static ssize_t write_block(const struct proxy_header *header, uint8_t *data, size_t room)
{
    uint8_t block[PROXY_WRITE_MAX];
    const size_t family = store_addresses(header, block + V2_HEAD);
    const size_t length = V2_HEAD + families[family].block;

    memcpy(block, signature, sizeof signature);
    block[12] = header->local ? 0x20 : 0x21;
    block[13] = family ? (uint8_t)(family << 4 | (header->datagram ? 2 : 1)) : 0;
    store_16(block + 14, length - V2_HEAD);
    if (length > room)
        return -EMSGSIZE;
    memcpy(data, block, length);
    return (ssize_t)length;
}

ssize_t proxy_write(enum proxy_version version, const struct proxy_header *header, uint8_t *data,
                    size_t room)
{
    return version == PROXY_V1 ? write_line(header, data, room) : write_block(header, data, room);
}
