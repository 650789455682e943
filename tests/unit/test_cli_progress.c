/* SPDX-License-Identifier: MIT */
/* The progress display, on a terminal of the test's own and with a clock that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>

#include "cli/units.c"

/* ---- what the display sees of the world ---- */

#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static uint64_t fake_now;
static int display_fd = -1;
static unsigned writes;
static pid_t fake_foreground;

/* The coarse clock moves each 4 ms, as with CONFIG_HZ=250. */
static int fake_clock(clockid_t clock, struct timespec *ret)
{
    const uint64_t tick = clock == CLOCK_MONOTONIC_COARSE ? 4000000 : 1;
    const uint64_t now = fake_now - fake_now % tick;

    *ret = (struct timespec){.tv_sec = (time_t)(now / 1000000000),
                             .tv_nsec = (long)(now % 1000000000)};
    return 0;
}

static ssize_t counted_write(int fd, const void *bytes, size_t length)
{
    writes++;
    return write(fd, bytes, length);
}

static pid_t fake_tcgetpgrp(int fd)
{
    (void)fd;
    return fake_foreground;
}

#undef STDERR_FILENO
#define STDERR_FILENO display_fd
#define clock_gettime fake_clock
#define write         counted_write
#define tcgetpgrp     fake_tcgetpgrp
#include "cli/progress.c"
#undef write

/* ---- the terminal ---- */

#define MS  UINT64_C(1000000)
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)

static int master = -1;
static char output[65536];

static void use_terminal(unsigned short columns)
{
    const struct winsize size = {.ws_row = 24, .ws_col = columns};
    struct termios raw;

    assert_int_equal(openpty(&master, &display_fd, NULL, NULL, &size), 0);
    assert_int_equal(tcgetattr(display_fd, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(display_fd, TCSANOW, &raw), 0);
    assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
}

static void resize(unsigned short columns)
{
    const struct winsize size = {.ws_row = 24, .ws_col = columns};

    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
}

static void use_pipe(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    master = ends[0];
    display_fd = ends[1];
    assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
}

/* All that was written since the last look. */
static const char *look(void)
{
    size_t length = 0;
    ssize_t count;

    while ((count = read(master, output + length, sizeof output - 1 - length)) > 0)
        length += (size_t)count;
    output[length] = '\0';
    return output;
}

static int begin_test(void **state)
{
    (void)state;
    fake_now = 5000000000;
    fake_foreground = -1;
    writes = 0;
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    close(master);
    close(display_fd);
    master = display_fd = -1;
    return 0;
}

static void wait_ms(uint64_t milliseconds)
{
    fake_now += milliseconds * MS;
}

/* Moves so many bytes evenly in ticks of 20 ms, as a transfer with small chunks would. */
static uint64_t run(struct progress *progress, uint64_t from, uint64_t bytes, uint64_t ms)
{
    const uint64_t ticks = ms / 20;

    for (uint64_t i = 1; i <= ticks; i++) {
        wait_ms(20);
        progress_update(progress, from + (uint64_t)((unsigned __int128)bytes * i / ticks));
    }
    return from + bytes;
}

#define assert_shows(text, part) check_shows(text, part, true, __LINE__)
#define assert_hides(text, part) check_shows(text, part, false, __LINE__)

static void check_shows(const char *text, const char *part, bool wanted, int line)
{
    if ((strstr(text, part) != NULL) != wanted)
        fail_msg("line %d: '%s' %s in '%s'", line, part, wanted ? "is not" : "is", text);
}

/* ---- the bar ---- */

static void a_known_end_has_bar_percent_and_time_left(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, 400 * MIB, false);
    run(&progress, 0, 100 * MIB, 1000);
    look();
    run(&progress, 100 * MIB, 10 * MIB, 100);
    const char *text = look();
    assert_shows(text, "110.00 MiB ");
    assert_shows(text, "0:00:01");
    assert_shows(text, " 100.00 MiB/s");
    assert_shows(text, "avg 100.00 MiB/s");
    assert_shows(text, " 27% ");
    assert_shows(text, "[===>");
    assert_shows(text, "ETA 0:00:03");
}

static void an_unknown_end_has_a_moving_mark(void **state)
{
    char before[sizeof output];
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    run(&progress, 0, 100 * MIB, 1000);
    look();
    run(&progress, 100 * MIB, 10 * MIB, 100);
    const char *text = look();
    assert_shows(text, "110.00 MiB ");
    assert_shows(text, "100.00 MiB/s");
    assert_shows(text, "avg 100.00 MiB/s");
    assert_shows(text, "<=>");
    assert_hides(text, "%");
    assert_hides(text, "ETA");
    strcpy(before, strchr(text, '['));
    run(&progress, 110 * MIB, 10 * MIB, 100);
    assert_string_not_equal(strchr(look(), '['), before);
    strcpy(before, strchr(output, '['));
    run(&progress, 120 * MIB, 0, 100);
    assert_string_equal(strchr(look(), '['), before);
}

static void the_mark_stays_inside(void **state)
{
    char text[64];

    (void)state;
    for (int columns = columns_of[BAR]; columns < 20; columns++)
        for (unsigned step = 0; step < 100; step++) {
            memset(text, '#', sizeof text);
            draw_mark(text, columns, step);
            assert_int_equal(text[columns], '#');
            text[columns] = '\0';
            assert_int_equal(text[0], '[');
            assert_int_equal(text[columns - 1], ']');
            assert_non_null(strstr(text, "<=>"));
        }
}

/* Every redraw is "\r" and exactly as many columns as may be used: it covers what was there, and
 * nothing wraps. */
static void check_redraws(const char *text, size_t columns)
{
    assert_int_equal(*text, '\r');
    while (*text == '\r') {
        const size_t length = strcspn(++text, "\r\n");
        if (length != columns - 1)
            fail_msg("%zu columns on a terminal of %zu: '%.*s'", length, columns, (int)length,
                     text);
        for (size_t i = 0; i < length; i++)
            assert_in_range(text[i], ' ', '~');
        text += length;
    }
    if (*text == '\n')
        text++;
    assert_string_equal(text, "");
}

static void every_width_is_filled_and_never_passed(void **state)
{
    static const uint64_t totals[] = {0, 1, 1023, 10 * MIB, 1023 * GIB, UINT64_MAX - 1, UINT64_MAX};
    static const uint64_t percents[] = {0, 50, 100};
    struct progress progress;

    (void)state;
    use_terminal(80);
    for (unsigned short columns = 40; columns <= 200; columns++)
        for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
            for (size_t j = 0; j < sizeof percents / sizeof *percents; j++) {
                const uint64_t bytes = totals[i] / 100 * percents[j];
                resize(columns);
                progress_begin(&progress, PROGRESS_BAR, totals[i], false);
                run(&progress, 0, bytes, 400);
                check_redraws(look(), columns);
                assert_shows(output, "[");
                assert_shows(output, totals[i] == UINT64_MAX ? "<=>" : "%");
                progress_end(&progress, bytes);
                check_redraws(look(), columns);
            }
}

static void at_eighty_columns_there_is_everything(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, 1024 * GIB, false);
    run(&progress, 0, 1000 * GIB, 800000);
    look();
    run(&progress, 1000 * GIB, GIB / 4, 200);
    look();
    static const char *const parts[] = {
        "1000.25 GiB 0:13:20 ", " 1.25 GiB/s ", " avg 1.25 GiB/s ", "[=", " 97% ", " ETA 0:00:20"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_shows(output, parts[i]);
}

static void a_narrow_terminal_keeps_what_matters(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(40);
    progress_begin(&progress, PROGRESS_BAR, 4 * GIB, false);
    run(&progress, 0, GIB, 2000);
    look();
    run(&progress, GIB, GIB / 20, 100);
    assert_shows(look(), "512.00 MiB/s [");
    assert_shows(output, " 26% ");
    assert_shows(output, "ETA 0:00:06");
    assert_hides(output, "avg");
}

static void absurd_widths_do_no_harm(void **state)
{
    static const unsigned short widths[] = {0, 1, 2, 5, 10, 17, 1000, UINT16_MAX};
    static const size_t drawn[] = {80, 1, 2, 5, 10, 17, 200, 200};
    static const uint64_t totals[] = {100, UINT64_MAX};
    struct progress progress;

    (void)state;
    use_terminal(80);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t j = 0; j < sizeof totals / sizeof *totals; j++) {
            resize(widths[i]);
            progress_begin(&progress, PROGRESS_BAR, totals[j], false);
            run(&progress, 0, 50, 400);
            check_redraws(look(), drawn[i]);
        }
}

static void a_redraw_is_one_write_each_100_ms(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, GIB, false);
    for (int i = 0; i < 10000; i++) { /* 1 s in steps of 100 us */
        fake_now += MS / 10;
        progress_update(&progress, (uint64_t)i);
    }
    assert_in_range(writes, 9, 10);
    const unsigned before = writes;
    look();
    progress_end(&progress, 10000);
    assert_int_equal(writes, before + 1);
}

static void a_delayed_display_spares_short_transfers(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, GIB, true);
    run(&progress, 0, MIB, 480);
    progress_end(&progress, MIB);
    assert_string_equal(look(), "");

    progress_begin(&progress, PROGRESS_BAR, GIB, true);
    run(&progress, 0, MIB, 480);
    assert_string_equal(look(), "");
    run(&progress, MIB, MIB, 140);
    check_redraws(look(), 80);
    progress_end(&progress, 2 * MIB);
    check_redraws(look(), 80);
    assert_int_equal(output[strlen(output) - 1], '\n');
}

static void the_end_says_what_was_moved_and_how_fast(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, 100 * MIB, false);
    run(&progress, 0, 90 * MIB, 1000);
    run(&progress, 90 * MIB, 10 * MIB, 1000);
    look();
    progress_end(&progress, 100 * MIB);
    const char *text = look();
    assert_shows(text, "100.00 MiB ");
    assert_shows(text, " 50.00 MiB/s"); /* the average of it all, not what it was at last */
    assert_shows(text, "==] 100%");
    assert_hides(text, "ETA");
    assert_int_equal(text[strlen(text) - 1], '\n');
    progress_end(&progress, 100 * MIB);
    progress_update(&progress, 100 * MIB);
    assert_string_equal(look(), "");
}

static void an_undelayed_display_shows_the_end_of_an_instant(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, 0, false);
    progress_end(&progress, 0); /* not a nanosecond later, and nothing of nothing */
    assert_shows(look(), "0 B ");
    assert_shows(output, "0 B/s");
    assert_shows(output, "] 100%");
}

static void a_failed_transfer_keeps_its_percentage(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, 1000, false);
    run(&progress, 0, 999, 400);
    look();
    progress_end(&progress, 999);
    assert_shows(look(), " 99%");
    assert_hides(output, "100%");
}

static void more_than_was_expected_is_not_more_than_all(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, MIB, false);
    run(&progress, 0, 5 * MIB, 400);
    assert_shows(look(), "5.00 MiB");
    assert_shows(output, "100%");
    assert_shows(output, "ETA 0:00:00");
    check_redraws(output, 80);
}

/* ---- the rate ---- */

static void a_stall_has_rate_zero_and_no_time_left(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, 400 * MIB, false);
    run(&progress, 0, 200 * MIB, 2000);
    run(&progress, 200 * MIB, 0, 500);
    look();
    run(&progress, 200 * MIB, 0, 100);
    assert_hides(look(), " 0 B/s"); /* not yet: a breath is no stall */
    run(&progress, 200 * MIB, 0, 1900);
    look();
    run(&progress, 200 * MIB, 0, 100);
    assert_shows(look(), " 0 B/s ");
    assert_shows(output, "ETA -:--:--");
    run(&progress, 200 * MIB, 100 * MIB, 1000);
    assert_hides(look(), " inf");
    run(&progress, 300 * MIB, 10 * MIB, 100);
    assert_hides(look(), " 0 B/s");
}

static void the_rate_follows_but_does_not_jump(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    uint64_t bytes = run(&progress, 0, 1000 * MIB, 10000);
    assert_in_range((uint64_t)progress.rate / MIB, 99, 101);
    bytes = run(&progress, bytes, 20 * MIB, 100);
    assert_in_range((uint64_t)progress.rate / MIB, 101, 120);
    run(&progress, bytes, 2000 * MIB, 10000);
    assert_in_range((uint64_t)progress.rate / MIB, 195, 201);
}

static void the_first_look_needs_no_history(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    wait_ms(10000); /* no update came for long: the rate is of all that time */
    progress_update(&progress, 1000 * MIB);
    assert_shows(look(), " 100.00 MiB/s");
}

static void a_clock_that_stands_still_divides_nothing(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    progress_update(&progress, GIB);
    progress_line(&progress, GIB, false);
    assert_shows(look(), "0 B/s now, 0 B/s on average\n");
    fake_now -= 4 * MS; /* as the coarse clock is behind the other */
    progress_update(&progress, GIB);
    progress_end(&progress, GIB);
    assert_hides(look(), "inf");
    assert_hides(output, "nan");
}

/* ---- SIGUSR1 ---- */

static void a_line_has_bytes_time_and_both_rates(void **state)
{
    static const enum progress_style styles[] = {PROGRESS_NONE, PROGRESS_NUMERIC};
    struct progress progress;

    (void)state;
    use_terminal(80);
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
        progress_begin(&progress, styles[i], 400 * MIB, true);
        run(&progress, 0, 10 * MIB, 1000);
        run(&progress, 10 * MIB, 190 * MIB, 9500);
        look();
        progress_line(&progress, 200 * MIB, false);
        const char *text = look();
        assert_shows(text, "209,715,200 bytes (200.00 MiB, 50 %) in 10.50 s, 19.");
        assert_shows(text, " MiB/s now, 19.05 MiB/s on average\n");
        assert_int_equal(strchr(text, '\n')[1], '\0');
        progress_line(&progress, 200 * MIB, true);
        assert_string_equal(look(),
                            "209,715,200 bytes (200.00 MiB, 50 %) in 10.50 s, 19.05 MiB/s on "
                            "average\n");
    }
    progress_begin(&progress, PROGRESS_NONE, UINT64_MAX, true);
    run(&progress, 0, 2000, 1000);
    progress_line(&progress, 2000, false);
    assert_string_equal(look(), "2,000 bytes (1.95 KiB) in 1.00 s, 1.95 KiB/s now, 1.95 KiB/s on "
                                "average\n");
}

static void a_line_takes_the_place_of_the_bar(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(200);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    run(&progress, 0, 2000, 1000);
    look();
    writes = 0;
    progress_line(&progress, 2000, false);
    const char *text = look();
    assert_int_equal(writes, 1);
    assert_int_equal(text[0], '\r');
    assert_int_equal(strlen(text), 1 + 199 + 1); /* all of the bar is covered */
    assert_int_equal(text[200], '\n');
    progress_line(&progress, 2000, false);
    assert_int_not_equal(look()[0], '\r');
    run(&progress, 2000, 10, 100);
    check_redraws(look(), 200);
}

static void no_style_shows_nothing_by_itself(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    progress_begin(&progress, PROGRESS_NONE, 100, false);
    run(&progress, 0, 100, 5000);
    progress_end(&progress, 100);
    assert_string_equal(look(), "");
}

/* ---- numbers ---- */

static void numbers_are_a_line_each_second(void **state)
{
    struct progress progress;

    (void)state;
    use_pipe();
    progress_begin(&progress, PROGRESS_NUMERIC, 1000, false);
    run(&progress, 0, 400, 980);
    assert_string_equal(look(), "");
    run(&progress, 400, 100, 1120);
    assert_string_equal(look(), "40\n49\n");
    progress_end(&progress, 1000);
    assert_string_equal(look(), "100\n");

    progress_begin(&progress, PROGRESS_NUMERIC, UINT64_MAX, false);
    run(&progress, 0, 123456, 1100);
    progress_end(&progress, 123457);
    assert_non_null(strstr(look(), "\n123457\n"));
    assert_int_equal(writes, 3 + 2);
}

/* ---- what must not be held up ---- */

static void a_pipe_that_nobody_reads_holds_nothing_up(void **state)
{
    struct progress progress;

    (void)state;
    use_pipe();
    assert_int_equal(fcntl(display_fd, F_SETPIPE_SZ, 4096), 4096);
    alarm(20); /* a write that waits would wait for ever */
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    run(&progress, 0, GIB, 60000);
    progress_line(&progress, GIB, false);
    progress_end(&progress, GIB);
    alarm(0);
    assert_in_range(strlen(look()), 80, 4096);
}

static void a_stopped_terminal_holds_nothing_up(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    assert_int_equal(tcflow(display_fd, TCOOFF), 0);
    alarm(20);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    run(&progress, 0, GIB, 5000);
    progress_end(&progress, GIB);
    alarm(0);
    assert_string_equal(look(), "");
    assert_int_equal(tcflow(display_fd, TCOON), 0);
    progress_begin(&progress, PROGRESS_BAR, UINT64_MAX, false);
    run(&progress, 0, GIB, 200);
    check_redraws(look(), 80);
}

static void in_the_background_nothing_is_drawn(void **state)
{
    struct progress progress;

    (void)state;
    use_terminal(80);
    fake_foreground = getpgrp() + 1;
    progress_begin(&progress, PROGRESS_BAR, GIB, false);
    run(&progress, 0, MIB, 1000);
    assert_string_equal(look(), "");
    fake_foreground = getpgrp();
    run(&progress, MIB, MIB, 200);
    check_redraws(look(), 80);
}

static void a_closed_standard_error_is_ignored(void **state)
{
    struct progress progress;

    (void)state;
    display_fd = -1;
    progress_begin(&progress, PROGRESS_BAR, GIB, false);
    run(&progress, 0, MIB, 1000);
    progress_line(&progress, MIB, false);
    progress_end(&progress, MIB);
    assert_int_equal(writes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_known_end_has_bar_percent_and_time_left),
        TEST(an_unknown_end_has_a_moving_mark),
        TEST(the_mark_stays_inside),
        TEST(every_width_is_filled_and_never_passed),
        TEST(at_eighty_columns_there_is_everything),
        TEST(a_narrow_terminal_keeps_what_matters),
        TEST(absurd_widths_do_no_harm),
        TEST(a_redraw_is_one_write_each_100_ms),
        TEST(a_delayed_display_spares_short_transfers),
        TEST(the_end_says_what_was_moved_and_how_fast),
        TEST(an_undelayed_display_shows_the_end_of_an_instant),
        TEST(a_failed_transfer_keeps_its_percentage),
        TEST(more_than_was_expected_is_not_more_than_all),
        TEST(a_stall_has_rate_zero_and_no_time_left),
        TEST(the_rate_follows_but_does_not_jump),
        TEST(the_first_look_needs_no_history),
        TEST(a_clock_that_stands_still_divides_nothing),
        TEST(a_line_has_bytes_time_and_both_rates),
        TEST(a_line_takes_the_place_of_the_bar),
        TEST(no_style_shows_nothing_by_itself),
        TEST(numbers_are_a_line_each_second),
        TEST(a_pipe_that_nobody_reads_holds_nothing_up),
        TEST(a_stopped_terminal_holds_nothing_up),
        TEST(in_the_background_nothing_is_drawn),
        TEST(a_closed_standard_error_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
