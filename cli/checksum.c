/* SPDX-License-Identifier: MIT */
#include "checksum.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#ifdef HAVE_XXHASH
#include <xxhash.h>
#endif
#ifdef HAVE_NETTLE
#include <nettle/sha2.h>
#endif

#define PIECE ((size_t)256 * 1024)
/* Enough for O_DIRECT on every block size in use. */
#define ALIGNMENT ((size_t)4096)

/* ---- the algorithms ---- */

#define LONGEST_DIGEST 32

union state {
    char none;
#ifdef HAVE_XXHASH
    XXH3_state_t *xxh3; /* it wants 64-byte alignment, and XXH3_createState() knows */
#endif
#ifdef HAVE_NETTLE
    struct sha256_ctx sha256;
#endif
};

struct algorithm {
    const char *name;
    size_t length;                    /* of the digest, in bytes */
    int (*begin)(union state *state); /* NULL: not built in. 0 or -ENOMEM */
    void (*add)(union state *state, const void *bytes, size_t length);
    void (*end)(union state *state, uint8_t *ret_digest); /* frees the state too */
};

#ifdef HAVE_XXHASH
static int xxh3_begin(union state *state)
{
    state->xxh3 = XXH3_createState();
    if (!state->xxh3)
        return -ENOMEM;
    XXH3_64bits_reset(state->xxh3);
    return 0;
}

static void xxh3_add(union state *state, const void *bytes, size_t length)
{
    XXH3_64bits_update(state->xxh3, bytes, length);
}

static void xxh3_end(union state *state, uint8_t *ret_digest)
{
    XXH64_canonical_t canonical;

    XXH64_canonicalFromHash(&canonical, XXH3_64bits_digest(state->xxh3));
    memcpy(ret_digest, canonical.digest, sizeof canonical.digest);
    XXH3_freeState(state->xxh3);
}
#endif

#ifdef HAVE_NETTLE
static int sha256_begin(union state *state)
{
    sha256_init(&state->sha256);
    return 0;
}

static void sha256_add(union state *state, const void *bytes, size_t length)
{
    sha256_update(&state->sha256, length, bytes);
}

static void sha256_end(union state *state, uint8_t *ret_digest)
{
    sha256_digest(&state->sha256, SHA256_DIGEST_SIZE, ret_digest);
}
#endif

static const struct algorithm algorithms[] = {
    [CHECKSUM_NONE] = {.name = "none"},
    [CHECKSUM_XXH3] = {.name = "xxh3",
                       .length = 8,
#ifdef HAVE_XXHASH
                       .begin = xxh3_begin,
                       .add = xxh3_add,
                       .end = xxh3_end
#endif
    },
    [CHECKSUM_SHA256] = {.name = "sha256",
                         .length = LONGEST_DIGEST,
#ifdef HAVE_NETTLE
                         .begin = sha256_begin,
                         .add = sha256_add,
                         .end = sha256_end
#endif
    },
};

#define COUNT (sizeof algorithms / sizeof *algorithms)

int checksum_kind_from_name(const char *name, enum checksum_kind *ret)
{
    for (size_t i = CHECKSUM_NONE + 1; i < COUNT; i++)
        if (strcmp(name, algorithms[i].name) == 0) {
            if (!checksum_available((enum checksum_kind)i))
                return -EOPNOTSUPP;
            *ret = (enum checksum_kind)i;
            return 0;
        }
    return -EINVAL;
}

const char *checksum_name(enum checksum_kind kind)
{
    return algorithms[kind].name;
}

bool checksum_available(enum checksum_kind kind)
{
    return algorithms[kind].begin != NULL;
}

/* ---- reading ---- */

/* pread(2), but not stopped by a signal. Returns a count or a negative errno. */
static int (*stopped)(void);

void checksum_stop_when(int (*function)(void))
{
    stopped = function;
}

static ssize_t read_at(int fd, void *buffer, size_t length, uint64_t offset)
{
    for (;;) {
        const ssize_t count = pread(fd, buffer, length, (off_t)offset);
        if (count >= 0)
            return count;
        if (errno != EINTR)
            return -errno;
        if (stopped && stopped())
            return -EINTR;
    }
}

/* Whole pieces are asked for also where fewer bytes are wanted, since O_DIRECT takes no others. */
static int add_range(int fd, uint64_t offset, uint64_t length, const struct algorithm *algorithm,
                     union state *state, void *buffer, size_t capacity)
{
    while (length > 0) {
        if (stopped && stopped())
            return -EINTR;
        const ssize_t count = read_at(fd, buffer, capacity, offset);
        if (count < 0)
            return (int)count;
        if (count == 0)
            return -ENODATA;
        const size_t wanted = (uint64_t)count < length ? (size_t)count : (size_t)length;
        algorithm->add(state, buffer, wanted);
        offset += wanted;
        length -= wanted;
    }
    return 0;
}

static void to_hex(const uint8_t *digest, size_t length, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        *ret_hex++ = digits[digest[i] >> 4];
        *ret_hex++ = digits[digest[i] & 15];
    }
    *ret_hex = '\0';
}

/* No more memory than the file is long: touching a page costs more than hashing it. */
static size_t buffer_size(uint64_t length)
{
    if (length >= PIECE)
        return PIECE;
    return ((size_t)length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

int checksum_of_range(int fd, uint64_t offset, uint64_t length, enum checksum_kind kind,
                      char ret_hex[static CHECKSUM_HEX])
{
    const struct algorithm *algorithm = &algorithms[kind];
    const size_t capacity = buffer_size(length);
    uint8_t digest[LONGEST_DIGEST];
    union state state;
    void *buffer;

    if (kind == CHECKSUM_NONE)
        return -EINVAL;
    if (!checksum_available(kind))
        return -EOPNOTSUPP;
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return -EOVERFLOW;
    if (posix_memalign(&buffer, ALIGNMENT, capacity) != 0)
        return -ENOMEM;
    int error = algorithm->begin(&state);
    if (error == 0) {
        error = add_range(fd, offset, length, algorithm, &state, buffer, capacity);
        algorithm->end(&state, digest);
    }
    if (error == 0)
        to_hex(digest, algorithm->length, ret_hex);
    free(buffer);
    return error;
}

/* ---- given, piece by piece ---- */

struct checksum_state {
    const struct algorithm *algorithm;
    union state state;
};

int checksum_new(enum checksum_kind kind, struct checksum_state **ret)
{
    if (kind == CHECKSUM_NONE)
        return -EINVAL;
    if (!checksum_available(kind))
        return -EOPNOTSUPP;
    struct checksum_state *own = malloc(sizeof *own);
    if (!own)
        return -ENOMEM;
    own->algorithm = &algorithms[kind];
    const int error = own->algorithm->begin(&own->state);
    if (error < 0)
        free(own);
    else
        *ret = own;
    return error;
}

void checksum_add(struct checksum_state *state, const void *bytes, size_t length)
{
    state->algorithm->add(&state->state, bytes, length);
}

void checksum_end(struct checksum_state *state, char ret_hex[static CHECKSUM_HEX])
{
    uint8_t digest[LONGEST_DIGEST];

    state->algorithm->end(&state->state, digest);
    to_hex(digest, state->algorithm->length, ret_hex);
    free(state);
}
