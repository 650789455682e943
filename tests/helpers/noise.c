/* SPDX-License-Identifier: MIT */
/*
 * Bytes without a pattern that can be told from their position, at memory speed.
 *
 *     noise SEED LENGTH [OFFSET]            writes LENGTH bytes of the stream, from OFFSET on
 *     noise --check SEED LENGTH [OFFSET]    reads standard input and compares it with the stream
 *
 * The word at position 8n of stream SEED is a mix of SEED and n, so any part of a stream can be
 * made or checked without what is before it, and a byte lost, doubled or moved cannot hide.
 * --check exits with 1 and names the first byte that is wrong.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 1 << 15, BYTES = WORDS * 8 };

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* Little-endian words, so that a stream is the same on every machine. */
static void fill(unsigned char *bytes, uint64_t seed, uint64_t first_word)
{
    for (uint64_t i = 0; i < WORDS; i++) {
        const uint64_t word = mix(seed * UINT64_C(0x9e3779b97f4a7c15) + first_word + i);
        for (unsigned byte = 0; byte < 8; byte++)
            bytes[8 * i + byte] = (unsigned char)(word >> (8 * byte));
    }
}

static bool write_all(const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Reads until length bytes or the end; what was read, or -1. */
static ssize_t read_all(unsigned char *bytes, size_t length)
{
    size_t got = 0;
    while (got < length) {
        const ssize_t more = read(STDIN_FILENO, bytes + got, length - got);
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return -1;
        if (more == 0)
            break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

static bool check(const unsigned char *wanted, size_t length, uint64_t position)
{
    static unsigned char found[BYTES];
    const ssize_t got = read_all(found, length);
    if (got < 0) {
        perror("noise: read");
        return false;
    }
    for (size_t i = 0; i < (size_t)got; i++) {
        if (found[i] != wanted[i]) {
            fprintf(stderr, "noise: byte %llu is 0x%02x, not 0x%02x\n",
                    (unsigned long long)(position + i), found[i], wanted[i]);
            return false;
        }
    }
    if ((size_t)got < length)
        fprintf(stderr, "noise: the stream ends at byte %llu\n",
                (unsigned long long)(position + (size_t)got));
    return (size_t)got == length;
}

static bool at_end(uint64_t position)
{
    unsigned char extra;
    if (read_all(&extra, 1) == 0)
        return true;
    fprintf(stderr, "noise: the stream goes on after byte %llu\n", (unsigned long long)position);
    return false;
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        fprintf(stderr, "noise: '%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    const bool checking = argc > 1 && strcmp(argv[1], "--check") == 0;
    argv += checking;
    argc -= checking;
    if (argc != 3 && argc != 4) {
        fputs("usage: noise [--check] SEED LENGTH [OFFSET]\n", stderr);
        return 2;
    }

    const uint64_t seed = number(argv[1]);
    uint64_t position = argc == 4 ? number(argv[3]) : 0;
    const uint64_t end = position + number(argv[2]);

    static unsigned char stream[BYTES];
    while (position < end) {
        const size_t skip = (size_t)(position % BYTES);
        uint64_t length = BYTES - skip;
        if (length > end - position)
            length = end - position;
        fill(stream, seed, (position - skip) / 8);
        if (!(checking ? check(stream + skip, (size_t)length, position)
                       : write_all(stream + skip, (size_t)length)))
            return 1;
        position += length;
    }
    return checking && !at_end(position) ? 1 : 0;
}
