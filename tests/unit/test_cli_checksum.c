/* SPDX-License-Identifier: MIT */
/* Checksums of ranges of a file, against published values and against the whole buffer in one call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- a pread(2) that misbehaves ---- */

static unsigned interrupted; /* so many calls are interrupted first */
static size_t shortest;      /* calls give no more than this; 0: as ever */
static int broken;           /* calls fail with this errno; 0: as ever */
static size_t asked;         /* the most that a call has asked for */

static ssize_t odd_pread(int fd, void *buffer, size_t length, off_t offset)
{
    if (length > asked)
        asked = length;
    if (interrupted > 0) {
        interrupted--;
        errno = EINTR;
        return -1;
    }
    if (broken) {
        errno = broken;
        return -1;
    }
    return pread(fd, buffer, shortest && shortest < length ? shortest : length, offset);
}

#define pread odd_pread
#include "cli/checksum.c"
#undef pread

/* ---- the file ---- */

#define LONG ((size_t)3 * PIECE + 777)

static int file = -1;
static unsigned char content[LONG];

static int begin_test(void **state)
{
    (void)state;
    interrupted = 0;
    shortest = asked = 0;
    broken = 0;
    file = memfd_create("checksum", MFD_CLOEXEC);
    assert_true(file >= 0);
    for (size_t i = 0; i < LONG; i++)
        content[i] = (unsigned char)(i * 2654435761U >> 13);
    assert_int_equal(pwrite(file, content, LONG, 0), LONG);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    close(file);
    return 0;
}

static void skip_unless(enum checksum_kind kind)
{
    if (checksum_available(kind))
        return;
    printf("SKIP: %s was not built in\n", checksum_name(kind));
    skip();
}

static void put_text(const char *text, uint64_t offset)
{
    assert_int_equal(pwrite(file, text, strlen(text), (off_t)offset), strlen(text));
}

#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA256_OF_ABC     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA256_OF_MILLION "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
#define XXH3_OF_NOTHING   "2d06800538d394c2"
#define XXH3_OF_ABC       "78af5f94892f3950"

/* ---- names ---- */

static void names_are_known_or_refused(void **state)
{
    static const enum checksum_kind kinds[] = {CHECKSUM_XXH3, CHECKSUM_SHA256};
    static const char *const others[] = {"", "none", "md5", "XXH3", "sha256 ", "sha25"};
    enum checksum_kind kind = CHECKSUM_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(checksum_kind_from_name(others[i], &kind), -EINVAL);
        assert_int_equal(kind, CHECKSUM_NONE);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const bool available = checksum_available(kinds[i]);
        kind = CHECKSUM_NONE;
        assert_int_equal(checksum_kind_from_name(checksum_name(kinds[i]), &kind),
                         available ? 0 : -EOPNOTSUPP);
        assert_int_equal(kind, available ? kinds[i] : CHECKSUM_NONE);
    }
}

static void what_was_configured_is_available(void **state)
{
    (void)state;
#ifdef HAVE_XXHASH
    assert_true(checksum_available(CHECKSUM_XXH3));
#else
    assert_false(checksum_available(CHECKSUM_XXH3));
#endif
#ifdef HAVE_NETTLE
    assert_true(checksum_available(CHECKSUM_SHA256));
#else
    assert_false(checksum_available(CHECKSUM_SHA256));
#endif
    assert_false(checksum_available(CHECKSUM_NONE));
}

/* ---- values ---- */

static void sha256_has_the_published_values(void **state)
{
    char hex[CHECKSUM_HEX];

    (void)state;
    skip_unless(CHECKSUM_SHA256);
    assert_int_equal(checksum_of_range(file, 0, 0, CHECKSUM_SHA256, hex), 0);
    assert_string_equal(hex, SHA256_OF_NOTHING);
    put_text("abc", 5);
    assert_int_equal(checksum_of_range(file, 5, 3, CHECKSUM_SHA256, hex), 0);
    assert_string_equal(hex, SHA256_OF_ABC);
    assert_int_equal(ftruncate(file, 0), 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(pwrite(file,
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                100, i * 100),
                         100);
    assert_int_equal(checksum_of_range(file, 0, 1000000, CHECKSUM_SHA256, hex), 0);
    assert_string_equal(hex, SHA256_OF_MILLION);
}

static void xxh3_has_the_published_values(void **state)
{
    char hex[CHECKSUM_HEX];

    (void)state;
    skip_unless(CHECKSUM_XXH3);
    assert_int_equal(checksum_of_range(file, 0, 0, CHECKSUM_XXH3, hex), 0);
    assert_string_equal(hex, XXH3_OF_NOTHING);
    put_text("abc", 5);
    assert_int_equal(checksum_of_range(file, 5, 3, CHECKSUM_XXH3, hex), 0);
    assert_string_equal(hex, XXH3_OF_ABC);
}

#ifdef HAVE_XXHASH
static void check_range(uint64_t offset, uint64_t length)
{
    char hex[CHECKSUM_HEX], wanted[CHECKSUM_HEX];

    snprintf(wanted, sizeof wanted, "%016llx",
             (unsigned long long)XXH3_64bits(content + offset, (size_t)length));
    assert_int_equal(checksum_of_range(file, offset, length, CHECKSUM_XXH3, hex), 0);
    assert_string_equal(hex, wanted);
}
#endif

static void every_range_is_exactly_that_range(void **state)
{
    (void)state;
    skip_unless(CHECKSUM_XXH3);
#ifdef HAVE_XXHASH
    static const uint64_t lengths[] = {
        1, 4095, 4096, 4097, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, LONG - 1,
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (uint64_t offset = 0; offset < 2; offset++)
            check_range(offset, lengths[i]);
    check_range(0, LONG);
    check_range(LONG, 0);
#endif
}

static void interruptions_and_short_counts_change_nothing(void **state)
{
    (void)state;
    skip_unless(CHECKSUM_XXH3);
#ifdef HAVE_XXHASH
    interrupted = 5;
    check_range(3, LONG - 5);
    assert_int_equal(interrupted, 0);
    shortest = 4096;
    check_range(0, LONG);
    shortest = 1;
    check_range(10, 5000);
#endif
}

static void the_offset_of_the_descriptor_stays(void **state)
{
    char hex[CHECKSUM_HEX];

    (void)state;
    skip_unless(CHECKSUM_XXH3);
    assert_int_equal(lseek(file, 42, SEEK_SET), 42);
    assert_int_equal(checksum_of_range(file, 0, LONG, CHECKSUM_XXH3, hex), 0);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 42);
}

static void pieces_are_bounded_and_small_files_ask_for_little(void **state)
{
    char hex[CHECKSUM_HEX];

    (void)state;
    skip_unless(CHECKSUM_XXH3);
    assert_int_equal(checksum_of_range(file, 0, 1000, CHECKSUM_XXH3, hex), 0);
    assert_int_equal(asked, 4096);
    assert_int_equal(checksum_of_range(file, 0, LONG, CHECKSUM_XXH3, hex), 0);
    assert_int_equal(asked, PIECE);
}

/* O_DIRECT takes whole blocks only; a file system that has none of it is no reason to fail. */
static void direct_descriptors_are_read(void **state)
{
#ifdef HAVE_XXHASH
    static const char name[] = "sluice-checksum-direct";
    char path[256], hex[CHECKSUM_HEX], wanted[CHECKSUM_HEX];
    const char *directory = getenv("TMPDIR");

    (void)state;
    snprintf(path, sizeof path, "%s/%s.%d", directory ? directory : "/var/tmp", name, getpid());
    const int plain = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(plain >= 0);
    const int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    unlink(path);
    assert_int_equal(write(plain, content, LONG), LONG);
    close(plain);
    if (direct < 0) {
        printf("SKIP: no O_DIRECT in %s\n", directory ? directory : "/var/tmp");
        skip();
    }
    snprintf(wanted, sizeof wanted, "%016llx",
             (unsigned long long)XXH3_64bits(content + 4096, LONG - 4096));
    assert_int_equal(checksum_of_range(direct, 4096, LONG - 4096, CHECKSUM_XXH3, hex), 0);
    assert_string_equal(hex, wanted);
    close(direct);
#else
    (void)state;
    skip_unless(CHECKSUM_XXH3);
#endif
}

/* ---- failures ---- */

static void check_failure(int fd, uint64_t offset, uint64_t length, enum checksum_kind kind,
                          int error)
{
    char hex[CHECKSUM_HEX] = "untouched";

    assert_int_equal(checksum_of_range(fd, offset, length, kind, hex), error);
    assert_string_equal(hex, "untouched");
}

static void failures_are_told_and_nothing_is_returned(void **state)
{
    int ends[2];

    (void)state;
    check_failure(file, 0, 1, CHECKSUM_NONE, -EINVAL);
    skip_unless(CHECKSUM_XXH3);
    check_failure(file, 0, LONG + 1, CHECKSUM_XXH3, -ENODATA);
    check_failure(file, LONG + 1, 1, CHECKSUM_XXH3, -ENODATA);
    check_failure(file, (uint64_t)INT64_MAX + 1, 1, CHECKSUM_XXH3, -EOVERFLOW);
    check_failure(file, 1, INT64_MAX, CHECKSUM_XXH3, -EOVERFLOW);
    check_failure(file, 0, UINT64_MAX, CHECKSUM_XXH3, -EOVERFLOW);
    check_failure(-1, 0, 1, CHECKSUM_XXH3, -EBADF);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    check_failure(ends[0], 0, 1, CHECKSUM_XXH3, -ESPIPE);
    close(ends[0]);
    close(ends[1]);
    broken = EIO;
    check_failure(file, 0, 1, CHECKSUM_XXH3, -EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_known_or_refused),
        TEST(what_was_configured_is_available),
        TEST(sha256_has_the_published_values),
        TEST(xxh3_has_the_published_values),
        TEST(every_range_is_exactly_that_range),
        TEST(interruptions_and_short_counts_change_nothing),
        TEST(the_offset_of_the_descriptor_stays),
        TEST(pieces_are_bounded_and_small_files_ask_for_little),
        TEST(direct_descriptors_are_read),
        TEST(failures_are_told_and_nothing_is_returned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
