/* SPDX-License-Identifier: MIT */
/* Names of taps: what stands for what, what is refused, and that no stranger's word leads elsewhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/tap_name.h"

static const struct tap_facts facts = {.number = 1234567890123,
                                       .time = UINT64_C(1764076523123456789),
                                       .client = "[2001:db8::1]:5060",
                                       .target = "unix:/run/app.sock",
                                       .sender = "client"};

static void expect(const char *pattern, const char *wanted)
{
    char name[256];

    assert_null(tap_name_check(pattern));
    assert_int_equal(tap_name_fill(pattern, &facts, name, sizeof name), 0);
    assert_string_equal(name, wanted);
}

static void names_are_filled_in(void **state)
{
    (void)state;
    expect("/var/taps/all", "/var/taps/all");
    expect("%n", "1234567890123");
    expect("a/%c-%d.bin", "a/[2001:db8::1]:5060-client.bin");
    expect("%t", "unix:_run_app.sock");
    expect("%T", "20251125T131523.123456Z");
    expect("100%%/%n%n", "100%/12345678901231234567890123");
}

static void mistakes_are_named(void **state)
{
    static const char *const wrong[] = {"", "%", "a%", "%x", "%%%", "%N", "a/%5n"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(tap_name_check(wrong[i]));
}

static void strangers_stay_where_they_are(void **state)
{
    static const char *const clients[] = {"..",       ".",         "/etc/passwd",       "../../x",
                                          "a\nb\x1b", "unix:@\t'", "\xff\xfe$(reboot)", ""};
    char name[256];

    (void)state;
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        struct tap_facts hostile = facts;
        hostile.client = clients[i];
        assert_int_equal(tap_name_fill("d/%c/x", &hostile, name, sizeof name), 0);
        assert_memory_equal(name, "d/", 2);
        char *middle = name + 2;
        const size_t length = strlen(middle);
        assert_true(length >= 2);
        assert_string_equal(middle + length - 2, "/x");
        middle[length - 2] = '\0';
        assert_null(strchr(middle, '/'));
        assert_string_not_equal(middle, "..");
        assert_string_not_equal(middle, ".");
        for (const char *at = middle; *at; at++)
            assert_true(*at > ' ' && *at < 127 && !strchr("$'\"`\\|&;<>*?(){}", *at));
    }
}

static void what_does_not_fit_is_an_error(void **state)
{
    char name[16];

    (void)state;
    assert_int_equal(tap_name_fill("%c", &facts, name, sizeof name), -ENAMETOOLONG);
    assert_int_equal(tap_name_fill("123456789012345", &facts, name, sizeof name), 0);
    assert_int_equal(tap_name_fill("1234567890123456", &facts, name, sizeof name), -ENAMETOOLONG);
}

static void what_a_pattern_has_is_known(void **state)
{
    (void)state;
    assert_true(tap_name_has("x%nx%d", 'd'));
    assert_false(tap_name_has("x%%d%n", 'd'));
    assert_true(tap_name_varies("a%T"));
    assert_false(tap_name_varies("a%%n"));
    assert_false(tap_name_varies("plain"));
}

static void expect_directory(const char *pattern, const char *wanted)
{
    char name[64];

    assert_int_equal(tap_name_directory(pattern, name, sizeof name), 0);
    assert_string_equal(name, wanted);
}

static void the_directory_is_known_beforehand(void **state)
{
    char small[4];

    (void)state;
    expect_directory("file", ".");
    expect_directory("%n", ".");
    expect_directory("/%n", "/");
    expect_directory("/taps/%c/x", "/taps/");
    expect_directory("taps/a%n/b", "taps/");
    expect_directory("a/b/c", "a/b/");
    assert_int_equal(tap_name_directory("/taps/x", small, sizeof small), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_filled_in),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(strangers_stay_where_they_are),
        cmocka_unit_test(what_does_not_fit_is_an_error),
        cmocka_unit_test(what_a_pattern_has_is_known),
        cmocka_unit_test(the_directory_is_known_beforehand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
