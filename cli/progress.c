/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "units.h"

#define UNKNOWN UINT64_MAX

#define SECOND           UINT64_C(1000000000)
#define SAMPLE_INTERVAL  (SECOND / 10)
#define NUMERIC_INTERVAL SECOND
#define DELAY            (SECOND / 2)
/* What is older than so many seconds hardly counts in the rate. */
#define MEMORY 2.0
/* When nothing has moved for so long the rate is 0, and not what the average still remembers. */
#define STALL (2 * SECOND)

#define WIDEST        200 /* columns; a wider terminal gets no longer a line */
#define DEFAULT_WIDTH 80  /* where standard error is no terminal, or one that does not know */

/* ---- the clock and the rate ---- */

static uint64_t now_by(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* The coarse clock may be behind a reading of the other. */
static double seconds_between(uint64_t from, uint64_t to)
{
    return to > from ? (double)(to - from) / (double)SECOND : 0;
}

/* 0 where no time has passed: nothing is ever divided by it. */
static double rate_of(uint64_t bytes, double seconds)
{
    return seconds > 0 ? (double)bytes / seconds : 0;
}

static void sample(struct progress *progress, uint64_t delivered, uint64_t now)
{
    const bool first = progress->sampled == progress->begin;
    const double seconds = seconds_between(progress->sampled, now);

    if (seconds <= 0)
        return;
    const uint64_t bytes = delivered > progress->bytes ? delivered - progress->bytes : 0;
    /* Near enough to 1 - exp(-seconds / MEMORY), without libm. */
    const double weight = first ? 1 : seconds / (seconds + MEMORY);
    progress->rate += (rate_of(bytes, seconds) - progress->rate) * weight;
    if (bytes > 0)
        progress->moved = now;
    else if (now - progress->moved >= STALL)
        progress->rate = 0;
    progress->sampled = now;
    progress->bytes = delivered;
}

/* Of 1. Bytes beyond what was expected are no reason for more: the expectation was wrong. */
static double part_done(const struct progress *progress, uint64_t delivered)
{
    if (delivered >= progress->expected)
        return 1;
    return (double)delivered / (double)progress->expected;
}

/* Rounded down, so that 100 is said at the end and not before. */
static unsigned percent_done(const struct progress *progress, uint64_t delivered)
{
    return (unsigned)(part_done(progress, delivered) * 100);
}

/* ---- standard error ---- */

/* Whether a write would be taken at once: a stopped terminal, or a pipe that nobody empties, must
 * not hold up the transfer. */
static bool writable(void)
{
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&error, 1, 0) == 1 && (error.revents & POLLOUT);
}

/* In the background the terminal is somebody else's. */
static bool in_background(void)
{
    const pid_t foreground = tcgetpgrp(STDERR_FILENO);

    return foreground >= 0 && foreground != getpgrp();
}

/* One write, whatever becomes of it: a display that fails is no reason to stop. */
static void put(const char *text, int length)
{
    const ssize_t ignored = write(STDERR_FILENO, text, (size_t)length);

    (void)ignored;
}

/* The last column stays free: in it some terminals wrap. */
static int usable_width(void)
{
    struct winsize size;
    int width = DEFAULT_WIDTH;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        width = size.ws_col;
    return (width < WIDEST ? width : WIDEST) - 1;
}

/* ---- the bar ---- */

/* From left to right. */
enum field { BYTES, ELAPSED, RATE, AVERAGE, BAR, PERCENT, LEFT, FIELDS };

#define BIT(field) (1U << (field))
#define FIGURES    (BIT(BYTES) | BIT(ELAPSED) | BIT(RATE))

struct shape {
    unsigned fields, fields_at_end;
    enum field dispensable[FIELDS - 2]; /* in this order, where the terminal is too narrow */
};

static const struct shape known_end = {
    .fields = FIGURES | BIT(AVERAGE) | BIT(BAR) | BIT(PERCENT) | BIT(LEFT),
    .fields_at_end = FIGURES | BIT(BAR) | BIT(PERCENT),
    .dispensable = {AVERAGE, ELAPSED, BYTES, BAR, RATE},
};

static const struct shape unknown_end = {
    .fields = FIGURES | BIT(AVERAGE) | BIT(BAR),
    .fields_at_end = FIGURES,
    .dispensable = {AVERAGE, ELAPSED, BAR, RATE, LEFT},
};

/* Columns a field takes at least: so that the bar does not grow and shrink with every digit. */
static const int columns_of[FIELDS] = {
    [BYTES] = 10, [ELAPSED] = 7, [RATE] = 12, [AVERAGE] = 16, [BAR] = 8, [PERCENT] = 4, [LEFT] = 11,
};

#define TEXT 48 /* "avg ", and the longest of units.h */

struct line {
    unsigned fields;
    char text[FIELDS][TEXT];
    int columns[FIELDS];
};

/* Rounded up: 0:00:00 is for what has arrived. Below 0 where there is no telling. */
static double seconds_left(const struct progress *progress, uint64_t delivered)
{
    if (delivered >= progress->expected)
        return 0;
    return progress->rate > 0 ? (double)(progress->expected - delivered) / progress->rate + 0.999
                              : -1;
}

static void describe(struct line *line, const struct progress *progress, uint64_t delivered,
                     bool final)
{
    const double elapsed = seconds_between(progress->begin, progress->sampled);
    const double average = rate_of(delivered, elapsed);
    char buffer[UNITS_BUFFER];

    units_format_bytes(delivered, line->text[BYTES]);
    units_format_time(elapsed, line->text[ELAPSED]);
    units_format_rate(final ? average : progress->rate, line->text[RATE]);
    snprintf(line->text[AVERAGE], TEXT, "avg %s", units_format_rate(average, buffer));
    line->text[BAR][0] = '\0';
    snprintf(line->text[PERCENT], TEXT, "%u%%", percent_done(progress, delivered));
    snprintf(line->text[LEFT], TEXT, "ETA %s",
             units_format_time(seconds_left(progress, delivered), buffer));
    for (int i = 0; i < FIELDS; i++) {
        const int length = (int)strlen(line->text[i]);
        line->columns[i] = length > columns_of[i] ? length : columns_of[i];
    }
}

static int total_columns(const struct line *line)
{
    int total = -1; /* there is a blank between two */

    for (int i = 0; i < FIELDS; i++)
        if (line->fields & BIT(i))
            total += 1 + line->columns[i];
    return total;
}

/* Leaves out what the width has no room for, and gives the bar what is left over. */
static void fit(struct line *line, const struct shape *shape, int width)
{
    for (int i = 0; i < FIELDS - 2 && total_columns(line) > width; i++)
        line->fields &= ~BIT(shape->dispensable[i]);
    if ((line->fields & BIT(BAR)) && total_columns(line) < width)
        line->columns[BAR] += width - total_columns(line);
}

static void draw_bar(char *at, int columns, double part)
{
    const int inner = columns - 2;
    const int full = (int)(part * inner);

    memset(at, ' ', (size_t)columns);
    at[0] = '[';
    memset(at + 1, '=', (size_t)full);
    if (full < inner)
        at[1 + full] = '>';
    at[columns - 1] = ']';
}

/* To and fro; it stands still while nothing moves. */
static void draw_mark(char *at, int columns, unsigned step)
{
    static const char mark[] = "<=>";
    const unsigned way = (unsigned)(columns - 2 - (int)strlen(mark));
    const unsigned place = step % (2 * way);

    memset(at, ' ', (size_t)columns);
    at[0] = '[';
    memcpy(at + 1 + (place <= way ? place : 2 * way - place), mark, strlen(mark));
    at[columns - 1] = ']';
}

static void draw(struct progress *progress, uint64_t delivered, bool final)
{
    const bool known = progress->expected != UNKNOWN;
    const struct shape *shape = known ? &known_end : &unknown_end;
    const int width = usable_width();
    struct line line = {.fields = final ? shape->fields_at_end : shape->fields};
    char text[1 + 2 * WIDEST + 1]; /* more than the width: one field stays however narrow it is */
    int length = 0;

    describe(&line, progress, delivered, final);
    fit(&line, shape, width);
    memset(text, ' ', sizeof text);
    for (int i = 0; i < FIELDS; i++) {
        if (!(line.fields & BIT(i)))
            continue;
        char *at = text + 1 + length;
        if (i != BAR)
            snprintf(at, TEXT, "%*s", line.columns[i], line.text[i]);
        else if (known)
            draw_bar(at, line.columns[i], part_done(progress, delivered));
        else
            draw_mark(at, line.columns[i], progress->mark);
        at[line.columns[i]] = ' '; /* where snprintf() has put its NUL */
        length += line.columns[i] + 1;
    }
    text[0] = '\r';
    if (final)
        text[1 + width] = '\n';
    put(text, 1 + width + (final ? 1 : 0));
    progress->drawn = final ? 0 : width;
}

/* ---- the numbers ---- */

static void put_number(const struct progress *progress, uint64_t delivered)
{
    char text[UNITS_BUFFER];

    put(text, progress->expected == UNKNOWN
                  ? snprintf(text, sizeof text, "%llu\n", (unsigned long long)delivered)
                  : snprintf(text, sizeof text, "%u\n", percent_done(progress, delivered)));
}

/* ---- what others call ---- */

void progress_begin(struct progress *progress, enum progress_style style, uint64_t expected,
                    bool delayed)
{
    const uint64_t now = now_by(CLOCK_MONOTONIC);
    const uint64_t wait = delayed ? DELAY : 0;

    *progress = (struct progress){
        .style = style,
        .delayed = delayed,
        .expected = expected,
        .begin = now,
        .sampled = now,
        .moved = now,
        .next_sample = now + SAMPLE_INTERVAL,
        .next_draw = now + (style == PROGRESS_NUMERIC ? NUMERIC_INTERVAL : wait),
    };
}

/* The interval begins anew from now, not from when the draw was due: no burst after a pause. */
static void show(struct progress *progress, uint64_t delivered, uint64_t now)
{
    if (!writable())
        return;
    if (progress->style == PROGRESS_NUMERIC) {
        progress->next_draw = now + NUMERIC_INTERVAL;
        put_number(progress, delivered);
    } else {
        if (in_background())
            return;
        draw(progress, delivered, false);
    }
    progress->shown = true;
}

void progress_update(struct progress *progress, uint64_t delivered)
{
    const uint64_t now = now_by(CLOCK_MONOTONIC_COARSE);

    if (now < progress->next_sample)
        return;
    progress->next_sample = now + SAMPLE_INTERVAL;
    sample(progress, delivered, now);
    if (progress->moved == now)
        progress->mark++;
    if (progress->style != PROGRESS_NONE && now >= progress->next_draw)
        show(progress, delivered, now);
}

void progress_line(struct progress *progress, uint64_t delivered, bool final)
{
    const uint64_t now = now_by(CLOCK_MONOTONIC);
    const double elapsed = seconds_between(progress->begin, now);
    char count[UNITS_BUFFER], bytes[UNITS_BUFFER], average[UNITS_BUFFER], current[UNITS_BUFFER];
    char percent[UNITS_BUFFER] = "";
    char text[WIDEST + 1];

    sample(progress, delivered, now);
    if (!writable())
        return;
    if (progress->expected != UNKNOWN)
        snprintf(percent, sizeof percent, ", %u %%", percent_done(progress, delivered));
    const int length =
        snprintf(text, sizeof text - 1, "%s%s bytes (%s%s) in %.2f s, %s%s%s on average",
                 progress->drawn ? "\r" : "", units_format_count(delivered, count),
                 units_format_bytes(delivered, bytes), percent, elapsed,
                 final ? "" : units_format_rate(progress->rate, current), final ? "" : " now, ",
                 units_format_rate(rate_of(delivered, elapsed), average));
    const int columns = 1 + progress->drawn > length ? 1 + progress->drawn : length;
    memset(text + length, ' ', (size_t)(columns - length));
    text[columns] = '\n';
    put(text, columns + 1);
    progress->drawn = 0;
}

void progress_end(struct progress *progress, uint64_t delivered)
{
    const enum progress_style style = progress->style;

    progress->style = PROGRESS_NONE;
    if (style == PROGRESS_NONE || (progress->delayed && !progress->shown) || !writable())
        return;
    sample(progress, delivered, now_by(CLOCK_MONOTONIC));
    if (style == PROGRESS_NUMERIC)
        put_number(progress, delivered);
    else if (!in_background())
        draw(progress, delivered, true);
}
