/* SPDX-License-Identifier: MIT */
/* Lines of the log: their form whatever is put in, and that nobody waits for who reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/log.h"

#define WHEN UINT64_C(1764056348123456789) /* 2025-11-25T07:39:08.123456789Z */

static const struct {
    const char *value, *text, *json; /* json NULL: as the text */
} values[] = {
    {"plain", "plain", "\"plain\""},
    {"127.0.0.1:80", "127.0.0.1:80", "\"127.0.0.1:80\""},
    {"[::1]:80", "[::1]:80", "\"[::1]:80\""},
    {"", "\"\"", NULL},
    {"two words", "\"two words\"", NULL},
    {"a=b", "\"a=b\"", NULL},
    {"say \"hi\"", "\"say \\\"hi\\\"\"", NULL},
    {"back\\slash", "\"back\\\\slash\"", NULL},
    {"line\nforged level=error", "\"line\\u000aforged level=error\"", NULL},
    {"\r\x1b[2J\x07\x7f", "\"\\u000d\\u001b[2J\\u0007\\u007f\"", NULL},
    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
     "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"", NULL},
    {"\xc2\x9b"
     "31m",
     "\"\\u009b31m\"", NULL}, /* CSI in one character */
    {"a\xe2\x80\xae"
     "b\xe2\x80\xa8"
     "c",
     "\"a\\u202eb\\u2028c\"", NULL}, /* turned round; a line's end */
    {"\xff\xfe", "\"\\ufffd\\ufffd\"", NULL},
    {"cut \xe2\x82", "\"cut \\ufffd\\ufffd\"", NULL},
    {"\xc0\xaf", "\"\\ufffd\\ufffd\"", NULL},                       /* overlong */
    {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", NULL},            /* half of a surrogate pair */
    {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", NULL}, /* beyond U+10FFFF */
};

static void whatever_is_put_in_is_one_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const struct log_field fields[] = {LOG_TEXT("v", values[i].value), LOG_NUMBER("n", i)};
        char line[LOG_LINE_MAX], wanted[LOG_LINE_MAX];
        size_t length =
            log_format_line(LOG_FORMAT_TEXT, WHEN, LOG_LEVEL_INFO, "closed", fields, 2, line);
        snprintf(wanted, sizeof wanted, "2025-11-25T07:39:08.123456Z info closed v=%s n=%zu\n",
                 values[i].text, i);
        assert_int_equal(length, strlen(wanted));
        assert_memory_equal(line, wanted, length);
        length = log_format_line(LOG_FORMAT_JSON, WHEN, LOG_LEVEL_ERROR, "closed", fields, 2, line);
        snprintf(wanted, sizeof wanted,
                 "{\"time\":\"2025-11-25T07:39:08.123456Z\",\"level\":\"error\","
                 "\"event\":\"closed\",\"v\":%s,\"n\":%zu}\n",
                 values[i].json ? values[i].json : values[i].text, i);
        assert_int_equal(length, strlen(wanted));
        assert_memory_equal(line, wanted, length);
    }
}

/* Of every length of a field up to beyond the line, the line has its end, and its form. */
static void too_long_a_line_keeps_its_form(void **state)
{
    static char value[2 * LOG_LINE_MAX];

    (void)state;
    for (size_t size = LOG_LINE_MAX - 200; size < LOG_LINE_MAX + 200; size++) {
        memset(value, 'x', size);
        value[size] = '\0';
        for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
            const struct log_field fields[] = {LOG_NUMBER("first", 1), LOG_TEXT("long", value),
                                               LOG_NUMBER("last", 2)};
            char line[LOG_LINE_MAX + 1];
            const size_t length = log_format_line((enum log_format)format, WHEN, LOG_LEVEL_INFO,
                                                  "event", fields, 3, line);
            const bool json = format == LOG_FORMAT_JSON;
            assert_true(length <= LOG_LINE_MAX);
            line[length] = '\0';
            const bool cut = strstr(line, "truncated") != NULL;
            const char *end = cut ? (json ? ",\"truncated\":true}\n" : " truncated=true\n")
                                  : (json ? ",\"last\":2}\n" : " last=2\n");
            assert_string_equal(line + length - strlen(end), end);
            assert_true(cut || strstr(line, value));
            assert_ptr_equal(strchr(line, '\n'), line + length - 1);
        }
    }
}

/* ---- who reads ---- */

static void open_on(int fd, enum log_format format)
{
    log_open(&(struct log_options){.fd = fd, .level = LOG_LEVEL_INFO, .format = format});
}

static size_t read_all(int fd, char *bytes, size_t room)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    size_t length = 0;

    while (length < room && poll(&ready, 1, 0) > 0) {
        const ssize_t some = read(fd, bytes + length, room - length);
        if (some <= 0)
            break;
        length += (size_t)some;
    }
    bytes[length] = '\0';
    return length;
}

/* A reader that does not read: lines are lost, not waited for; each that arrives is whole, and how
 * many are missing is told. */
static void check_reader_that_sleeps(int read_end, int write_end)
{
    enum { LINES = 20000 };
    static char bytes[16 << 20];
    const int flags = fcntl(write_end, F_GETFL);

    open_on(write_end, LOG_FORMAT_TEXT);
    alarm(20); /* should it wait after all */
    for (uint64_t i = 0; i < LINES; i++)
        log_event(LOG_LEVEL_INFO, "line", LOG_NUMBER("number", i), LOG_TEXT("end", "here"));
    alarm(0);
    const uint64_t lost = log_lost();
    assert_true(lost > 0 && lost < LINES);
    const size_t first = read_all(read_end, bytes, sizeof bytes - 1);
    log_event(LOG_LEVEL_INFO, "again", LOG_NUMBER("number", 1));
    const size_t all = first + read_all(read_end, bytes + first, sizeof bytes - first - 1);
    uint64_t lines = 0;
    char *next = bytes;
    for (char *end; (end = memchr(next, '\n', (size_t)(bytes + all - next))); next = end + 1) {
        char wanted[64];
        *end = '\0';
        if (lines < LINES - lost)
            snprintf(wanted, sizeof wanted, "Z info line number=%ju end=here", (uintmax_t)lines);
        else if (lines == LINES - lost)
            snprintf(wanted, sizeof wanted, "Z warning log lines lost lines=%ju", (uintmax_t)lost);
        else
            snprintf(wanted, sizeof wanted, "Z info again number=1");
        if (!strchr(next, 'Z') || strcmp(strchr(next, 'Z'), wanted) != 0)
            fail_msg("'%s' instead of '%s'", next, wanted);
        lines++;
    }
    assert_int_equal(lines, LINES - lost + 2);
    assert_ptr_equal(next, bytes + all);
    assert_int_equal(fcntl(write_end, F_GETFL), flags);
    log_close();
}

static void nobody_waits_for_a_pipe(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    check_reader_that_sleeps(ends[0], ends[1]);
    close(ends[0]);
    open_on(ends[1], LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "nobody", LOG_NUMBER("there", 0));
    assert_int_equal(log_lost(), 1);
    log_close();
    close(ends[1]);
}

static void nobody_waits_for_a_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_reader_that_sleeps(ends[0], ends[1]);
    close(ends[0]);
    close(ends[1]);
}

static void closed_log_is_no_failure(void **state)
{
    (void)state;
    open_on(12345, LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_ERROR, "nobody", LOG_NUMBER("there", 0));
    assert_int_equal(log_lost(), 1);
    log_close();
}

static void less_important_is_not_written(void **state)
{
    char bytes[1024];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    log_open(&(struct log_options){.fd = ends[1], .level = LOG_LEVEL_WARNING});
    assert_true(log_wants(LOG_LEVEL_ERROR) && log_wants(LOG_LEVEL_WARNING));
    assert_false(log_wants(LOG_LEVEL_INFO) || log_wants(LOG_LEVEL_DEBUG));
    log_event(LOG_LEVEL_INFO, "quiet", LOG_NUMBER("n", 1));
    log_event(LOG_LEVEL_ERROR, "loud", LOG_NUMBER("n", 1));
    read_all(ends[0], bytes, sizeof bytes - 1);
    assert_null(strstr(bytes, "quiet"));
    assert_non_null(strstr(bytes, " error loud n=1\n"));
    log_close();
    close(ends[0]);
    close(ends[1]);
}

/* ---- threads ---- */

enum { THREADS = 4, EACH = 2000 };

static void *write_many(void *number)
{
    char long_text[300];

    memset(long_text, 'a' + *(int *)number, sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    for (int i = 0; i < EACH; i++)
        log_event(LOG_LEVEL_INFO, "line", LOG_TEXT("text", long_text));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[THREADS];
    int numbers[THREADS], seen[THREADS] = {0};
    char line[LOG_LINE_MAX];

    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    open_on(fileno(file), LOG_FORMAT_TEXT);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(log_lost(), 0);
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        const char *text = strstr(line, "text=");
        assert_non_null(text);
        text += 5;
        assert_true(*text >= 'a' && *text < 'a' + THREADS);
        for (int i = 0; i < 299; i++)
            assert_int_equal(text[i], *text);
        assert_string_equal(text + 299, "\n");
        seen[*text - 'a']++;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(seen[i], EACH);
    log_close();
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_put_in_is_one_value),
        cmocka_unit_test(too_long_a_line_keeps_its_form),
        cmocka_unit_test(nobody_waits_for_a_pipe),
        cmocka_unit_test(nobody_waits_for_a_socket),
        cmocka_unit_test(closed_log_is_no_failure),
        cmocka_unit_test(less_important_is_not_written),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
