/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

enum { AGAIN_MILLISECONDS = 20 };

static sluice_cancel *cancel;
static volatile sig_atomic_t caught, line_wanted;
static bool sigpipe_ignored, sigpipe_ours;
static int tick;

static void set_timer(int milliseconds)
{
    const struct timeval interval = {.tv_sec = milliseconds / 1000,
                                     .tv_usec = milliseconds % 1000 * 1000};
    const struct itimerval timer = {.it_interval = interval, .it_value = interval};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_signal(int number)
{
    const int saved = errno;

    if (number == SIGUSR1) {
        line_wanted = 1;
    } else if (number != SIGALRM) {
        caught = number;
        if (cancel)
            sluice_cancel_fire(cancel);
    }
    if (number != SIGALRM)
        set_timer(AGAIN_MILLISECONDS);
    errno = saved;
}

static void install(int number)
{
    struct sigaction before;
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: calls return EINTR */

    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, &before) == 0 && before.sa_handler == SIG_IGN &&
        number != SIGALRM && number != SIGUSR1)
        sigaction(number, &before, NULL);
}

void signals_install(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        install(numbers[i]);
    signals_ignore_sigpipe();
}

void signals_ignore_sigpipe(void)
{
    sigpipe_ignored = signals_sigpipe_ignored();
    sigpipe_ours = true;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* EFBIG is told like any error, with what was delivered and parked */
}

void signals_set_cancel(sluice_cancel *object)
{
    cancel = object;
    if (cancel && caught)
        sluice_cancel_fire(cancel);
}

void signals_tick(int milliseconds)
{
    if (tick != milliseconds)
        set_timer(milliseconds);
    tick = milliseconds;
}

int signals_caught(void)
{
    return caught;
}

bool signals_take_line(void)
{
    if (!line_wanted)
        return false;
    line_wanted = 0;
    if (!caught)
        set_timer(tick);
    return true;
}

bool signals_sigpipe_ignored(void)
{
    struct sigaction now;

    if (sigpipe_ours)
        return sigpipe_ignored;
    return sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void signals_die_of(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}
