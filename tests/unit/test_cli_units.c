/* SPDX-License-Identifier: MIT */
/* Sizes, rates and times as they are typed and as they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "cli/units.c"

#define UNTOUCHED 4711
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)

struct parse_case {
    const char *text;
    int error;
    uint64_t value;
};

static const struct parse_case size_cases[] = {
    {"0", 0, 0},
    {"10", 0, 10},
    {"007", 0, 7},
    {"512B", 0, 512},
    {"1K", 0, KIB},
    {"1k", 0, KIB},
    {"64KiB", 0, 64 * KIB},
    {"64Ki", 0, 64 * KIB},
    {"10kB", 0, 10000},
    {"10KB", 0, 10000},
    {"3M", 0, 3 * MIB},
    {"3m", 0, 3 * MIB},
    {"3MiB", 0, 3 * MIB},
    {"10MB", 0, 10000000},
    {"1.5G", 0, GIB + GIB / 2},
    {"2GiB", 0, 2 * GIB},
    {"2GB", 0, UINT64_C(2000000000)},
    {"1T", 0, GIB * KIB},
    {"1TB", 0, UINT64_C(1000000000000)},
    {"1P", 0, GIB * MIB},
    {"1PiB", 0, GIB * MIB},
    {"1PB", 0, UINT64_C(1000000000000000)},
    {"0.5K", 0, 512},
    {"1.3K", 0, 1331},
    {"0.0009765625K", 0, 1},
    {"0.9999999999999999999999999999K", 0, 1023},
    {"1.000000000000000000000000000001K", 0, 1024},
    {"18446744073709551615", 0, UINT64_MAX},
    {"16383.99999999999999999P", 0, UINT64_MAX},
    /* a number too large, with the smallest excess that each sum can have */
    {"18446744073709551616", -ERANGE, 0},
    {"99999999999999999999999999", -ERANGE, 0},
    {"16384P", -ERANGE, 0},
    {"18014398509481984K", -ERANGE, 0},
    {"18446744073709552kB", -ERANGE, 0},
    {"18446744073709551.616kB", -ERANGE, 0},
    /* malformed before it is too large */
    {"99999999999999999999999999X", -EINVAL, 0},
    {"", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"-0", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {"1 K", -EINVAL, 0},
    {"K", -EINVAL, 0},
    {".", -EINVAL, 0},
    {".5K", -EINVAL, 0},
    {"1.K", -EINVAL, 0},
    {"1.", -EINVAL, 0},
    {"1.5", -EINVAL, 0},
    {"1.5B", -EINVAL, 0},
    {"1,5K", -EINVAL, 0},
    {"1.5.5K", -EINVAL, 0},
    {"1e3", -EINVAL, 0},
    {"0x10", -EINVAL, 0},
    {"inf", -EINVAL, 0},
    {"nan", -EINVAL, 0},
    {"10b", -EINVAL, 0},
    {"10KiBB", -EINVAL, 0},
    {"10kib", -EINVAL, 0},
    {"10KK", -EINVAL, 0},
    {"10X", -EINVAL, 0},
    {"10\x0b", -EINVAL, 0},
    {"10M/s", -EINVAL, 0},
};

#define MS UINT64_C(1000000)

static const struct parse_case time_cases[] = {
    {"0", 0, 0},
    {"10", 0, 10000 * MS},
    {"10s", 0, 10000 * MS},
    {"0.5", 0, 500 * MS},
    {"1.25s", 0, 1250 * MS},
    {"200ms", 0, 200 * MS},
    {"0.5ms", 0, MS / 2},
    {"2m", 0, 120000 * MS},
    {"1.5m", 0, 90000 * MS},
    {"1h", 0, 3600000 * MS},
    {"0.0000000019", 0, 1},
    {"18446744073.709551615", 0, UINT64_MAX},
    {"18446744073.709551616", -ERANGE, 0},
    {"18446744074", -ERANGE, 0},
    {"5124096h", -ERANGE, 0},
    {"99999999999999999999", -ERANGE, 0},
    {"99999999999999999999d", -EINVAL, 0},
    {"", -EINVAL, 0},
    {"s", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"1 s", -EINVAL, 0},
    {"1M", -EINVAL, 0},
    {"1K", -EINVAL, 0},
    {"1min", -EINVAL, 0},
    {"1h30m", -EINVAL, 0},
    {"1:30", -EINVAL, 0},
    {"1e3", -EINVAL, 0},
    {"1.s", -EINVAL, 0},
};

static void check_parse(int (*parser)(const char *, uint64_t *), const struct parse_case *one)
{
    uint64_t value = UNTOUCHED;
    const int error = parser(one->text, &value);
    const uint64_t wanted = one->error ? UNTOUCHED : one->value;

    if (error != one->error || value != wanted)
        fail_msg("'%s' gives %d, %llu; wanted %d, %llu", one->text, error,
                 (unsigned long long)value, one->error, (unsigned long long)wanted);
}

static void sizes_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof size_cases / sizeof *size_cases; i++)
        check_parse(units_parse_size, &size_cases[i]);
}

static void times_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof time_cases / sizeof *time_cases; i++)
        check_parse(units_parse_seconds, &time_cases[i]);
}

static void bytes_have_the_unit_that_suits_them(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {512, "512 B"},
        {1023, "1023 B"},
        {1024, "1.00 KiB"},
        {1536, "1.50 KiB"},
        {256 * KIB, "256.00 KiB"},
        {MIB - 1, "1.00 MiB"}, /* never "1024.00 KiB" */
        {MIB - 6, "1023.99 KiB"},
        {4 * GIB, "4.00 GiB"},
        {UINT64_C(1234567890123), "1.12 TiB"},
        {5 * GIB * MIB, "5.00 PiB"},
        {UINT64_MAX, "16.00 EiB"},
    };
    char buffer[UNITS_BUFFER];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(units_format_bytes(cases[i].bytes, buffer), cases[i].text);
    assert_ptr_equal(units_format_bytes(1, buffer), buffer);
}

static void rates_are_never_nonsense(void **state)
{
    static const struct {
        double rate;
        const char *text;
    } cases[] = {
        {0, "0 B/s"},
        {0.4, "0 B/s"},
        {1023.6, "1.00 KiB/s"},
        {1.73 * 1024 * 1024 * 1024, "1.73 GiB/s"},
        {-1, "0 B/s"},
        {NAN, "0 B/s"},
        {INFINITY, "0 B/s"},
    };
    char buffer[UNITS_BUFFER];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(units_format_rate(cases[i].rate, buffer), cases[i].text);
    assert_true(strlen(units_format_rate(1e300, buffer)) < UNITS_BUFFER - 1);
    assert_string_equal(buffer + strlen(buffer) - 6, " EiB/s");
}

static void counts_have_groups_of_three(void **state)
{
    static const struct {
        uint64_t count;
        const char *text;
    } cases[] = {
        {0, "0"},           {7, "7"},           {999, "999"},
        {1000, "1,000"},    {10408, "10,408"},  {123456, "123,456"},
        {1234567, "1,234,567"},
        {UINT64_MAX, "18,446,744,073,709,551,615"},
    };
    char buffer[UNITS_BUFFER];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(units_format_count(cases[i].count, buffer), cases[i].text);
}

static void times_are_hours_minutes_seconds(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0, "0:00:00"},       {0.99, "0:00:00"},       {59.9, "0:00:59"}, {60, "0:01:00"},
        {151, "0:02:31"},     {3600, "1:00:00"},       {360000, "100:00:00"},
        {-1, "-:--:--"},      {NAN, "-:--:--"},        {INFINITY, "-:--:--"},
        {1e300, "-:--:--"},
    };
    char buffer[UNITS_BUFFER];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(units_format_time(cases[i].seconds, buffer), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_or_refused),
        cmocka_unit_test(times_are_read_or_refused),
        cmocka_unit_test(bytes_have_the_unit_that_suits_them),
        cmocka_unit_test(rates_are_never_nonsense),
        cmocka_unit_test(counts_have_groups_of_three),
        cmocka_unit_test(times_are_hours_minutes_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
