/* SPDX-License-Identifier: MIT */
/* Names as they are shown: any bytes may be in one, and none may reach a terminal that does not stand
 * for a sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/printable.c"

static const struct {
    const char *text, *shown;
} cases[] = {
    {"", ""},
    {"plain name.txt", "plain name.txt"},
    {"back\\slash 'quoted'", "back\\slash 'quoted'"},
    {"\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b",
     "\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b"},
    {"two\nlines\tand\rover", "two\\nlines\\tand\\rover"},
    {"\x1b[31mred\x1b[0m\x07\x7f", "\\x1b[31mred\\x1b[0m\\x07\\x7f"},
    {"\x01\x1f", "\\x01\\x1f"},
    {"\xc2\x9b"
     "31m",
     "\\xc2\\x9b"
     "31m"}, /* a control sequence in one sign */
    {"\x9b"
     "31m",
     "\\x9b"
     "31m"}, /* the same, as a byte */
    {"\xe2\x80\xae"
     "gpj.exe",
     "\\xe2\\x80\\xae"
     "gpj.exe"}, /* from right to left */
    {"\xe2\x81\xa6x\xe2\x80\xa8y", "\\xe2\\x81\\xa6x\\xe2\\x80\\xa8y"},
    {"\xff\xfe", "\\xff\\xfe"}, /* no UTF-8 at all */
    {"cut\xe2\x82", "cut\\xe2\\x82"},
    {"\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80"},
};

static void each_sign_stands_for_itself_or_is_a_number(void **state)
{
    char shown[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(printable(cases[i].text, shown, sizeof shown), cases[i].shown);
}

/* Into every size: what is there is the beginning, whole signs, and ends. */
static void what_does_not_fit_is_left_away(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t size = 1; size < 64; size++) {
            char shown[80], again[80];
            memset(shown, '#', sizeof shown);
            printable(cases[i].text, shown, size);
            assert_true(strlen(shown) < size);
            assert_int_equal(shown[size], '#');
            assert_memory_equal(shown, cases[i].shown, strlen(shown));
            assert_string_equal(printable(shown, again, sizeof again), shown);
        }
}

/* No byte that a terminal acts upon, whatever stands beside it. */
static void nothing_else_comes_out(void **state)
{
    (void)state;
    for (unsigned first = 1; first < 256; first++)
        for (unsigned second = 1; second < 256; second++) {
            const char text[] = {(char)first, (char)second, '\0'};
            char shown[PRINTABLE_SIZE(sizeof text)];
            printable(text, shown, sizeof shown);
            for (const char *at = shown; *at; at++)
                assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
            assert_null(strstr(shown, "\xc2\x9b"));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sign_stands_for_itself_or_is_a_number),
        cmocka_unit_test(what_does_not_fit_is_left_away),
        cmocka_unit_test(nothing_else_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
