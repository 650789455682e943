/* SPDX-License-Identifier: MIT */
/* sluice relay: opens what is listened on, starts the relay, and answers signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "descriptor.h"
#include "lib/sys.h"
#include "message.h"
#include "relay_confine.h"
#include "relay_options.h"
#include "relay_taps.h"
#include "server/admin.h"
#include "server/net.h"
#include "units.h"

/* What the command has beside the relay itself. */
struct service {
    const struct relay_words *words;
    struct relay *relay;
    struct gate *gate;
    struct admin *admin;
    struct watch signals;
    struct timer delay; /* --drain-delay */
    bool leaving;
    int stopped_by;  /* a second deadly signal */
    char *made_path; /* of our own UNIX socket, removed at the end; NULL: none */
};

/* ---- listening ---- */

static void say_listening(int fd)
{
    struct peer peer = {.length = sizeof peer.address};
    char text[PEER_TEXT];

    if (net_getsockname(fd, &peer.address.any, &peer.length) < 0)
        peer.length = 0;
    /* Said under -q too: without it nobody would know the port. */
    dprintf(STDERR_FILENO, "listening on %s\n", peer_text(&peer, text));
}

static int refuse_listen(const struct service *service, const char *what, const char *why)
{
    message("cannot %s '%s': %s", what, service->words->listen, why);
    return STATUS_FAILED;
}

static const char *advice(int error, const struct peer *peer)
{
    if (error == -EACCES && peer->address.any.sa_family != AF_UNIX)
        return " (a port below 1024 needs CAP_NET_BIND_SERVICE)";
    if (error == -EADDRINUSE && peer->address.any.sa_family == AF_UNIX)
        return " (the path exists: remove it, if no one listens there)";
    return "";
}

static int listen_once(struct service *service, const struct peer *peer, bool share, int index,
                       int *ret_fd)
{
    const char *operation;
    char why[256];

    const int fd = listener_open(peer, (int)service->words->backlog, share, &operation);
    if (fd < 0) {
        snprintf(why, sizeof why, "%s%s", strerror(-fd), advice(fd, peer));
        return refuse_listen(service, strcmp(operation, "bind") == 0 ? "listen on" : operation,
                             why);
    }
    if (ret_fd)
        *ret_fd = fd;
    const int error = relay_listen(service->relay, fd, index);
    return error < 0 ? refuse_listen(service, "watch", strerror(-error)) : STATUS_DONE;
}

/* A port of its own for each thread (SO_REUSEPORT), so that the kernel spreads the connections. All
 * must have the same number: of port 0, the first one's. */
static int listen_tcp(struct service *service, struct peer peer)
{
    const unsigned threads = service->words->relay.threads;
    int fd = -1;

    int status = listen_once(service, &peer, threads > 1, 0, &fd);
    if (status != STATUS_DONE)
        return status;
    peer.length = sizeof peer.address;
    if (net_getsockname(fd, &peer.address.any, &peer.length) < 0)
        return refuse_listen(service, "look at", strerror(errno));
    for (unsigned i = 1; i < threads && status == STATUS_DONE; i++)
        status = listen_once(service, &peer, true, (int)i, NULL);
    return status;
}

static int listen_unix(struct service *service, const struct peer *peer)
{
    int fd = -1;
    const int status = listen_once(service, peer, false, -1, &fd);
    if (fd >= 0)
        service->made_path = strdup(peer->address.un.sun_path);
    return status;
}

static int listen_passed(struct service *service, int fd)
{
    const char *why = NULL;
    char text[256];

    int error = listener_adopt(fd, &why);
    if (error >= 0) {
        const int own = sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
        error = own < 0 ? own : relay_listen(service->relay, own, -1);
    }
    if (error < 0) {
        snprintf(text, sizeof text, "descriptor %d: %s", fd, why ? why : strerror(-error));
        return refuse_listen(service, "listen on", text);
    }
    return STATUS_DONE;
}

/* LISTEN_FDS and LISTEN_PID, as sd_listen_fds(3) describes them. */
static int listen_environment(struct service *service)
{
    enum { FIRST = 3 };
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    char *end;

    if (!pid || !fds)
        return refuse_listen(service, "listen on", "LISTEN_PID and LISTEN_FDS are not set");
    if (strtol(pid, &end, 10) != getpid() || *end)
        return refuse_listen(service, "listen on", "LISTEN_PID is of another process");
    const long count = strtol(fds, &end, 10);
    if (count < 1 || count > 1024 || *end)
        return refuse_listen(service, "listen on", "LISTEN_FDS is no number from 1 to 1024");
    int status = STATUS_DONE;
    for (int i = 0; i < count && status == STATUS_DONE; i++)
        status = listen_passed(service, FIRST + i);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return status;
}

static int parse_fd(const char *text)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    return *text < '0' || *text > '9' || *end || errno || value > INT32_MAX ? -1 : (int)value;
}

static int listen_all(struct service *service)
{
    const char *word = service->words->listen, *why = NULL;
    struct peer peer;

    if (strcmp(word, "listen-fds") == 0)
        return listen_environment(service);
    if (strncmp(word, "fd:", 3) == 0) {
        const int fd = parse_fd(word + 3);
        return fd < 0
                   ? (int)usage_error("relay", "'%s': a descriptor is a number, as in fd:3", word)
                   : listen_passed(service, fd);
    }
    const int error = peer_parse(word, true, &peer, &why);
    if (error == -EINVAL || error == -ENAMETOOLONG)
        return (int)usage_error("relay", "'%s': %s", word, why);
    if (error < 0)
        return refuse_listen(service, "look up", why ? why : strerror(-error));
    return peer.address.any.sa_family == AF_UNIX ? listen_unix(service, &peer)
                                                 : listen_tcp(service, peer);
}

/* ---- those who watch ---- */

static int listen_admin(struct service *service, const char *option, const char *word,
                        int (*serve)(struct admin *, int))
{
    const char *why = NULL, *operation;
    struct peer peer;
    char text[PEER_TEXT];

    if (!word)
        return STATUS_DONE;
    int error = peer_parse(word, true, &peer, &why);
    if (error == 0 && peer.address.any.sa_family == AF_UNIX) {
        why = "HOST:PORT or :PORT is wanted";
        error = -EINVAL;
    }
    if (error < 0)
        return (int)usage_error("relay", "--%s=%s: %s", option, word, why ? why : strerror(-error));
    const int fd = error = listener_open(&peer, 64, false, &operation);
    if (fd >= 0)
        error = serve(service->admin, fd);
    if (error < 0) {
        message("cannot listen on '%s' (--%s): %s%s", word, option, strerror(-error),
                advice(error, &peer));
        return STATUS_FAILED;
    }
    peer.length = sizeof peer.address;
    if (net_getsockname(fd, &peer.address.any, &peer.length) == 0)
        dprintf(STDERR_FILENO, "%s on %s\n", option, peer_text(&peer, text));
    return STATUS_DONE;
}

static int open_admin(struct service *service)
{
    const struct relay_words *words = service->words;

    if (!words->metrics && !words->agent_check)
        return STATUS_DONE;
    if (admin_new(service->relay, &service->admin) < 0) {
        message("cannot start: %s", strerror(ENOMEM));
        return STATUS_FAILED;
    }
    const int status = listen_admin(service, "metrics", words->metrics, admin_serve_http);
    return status != STATUS_DONE
               ? status
               : listen_admin(service, "agent-check", words->agent_check, admin_serve_agent);
}

/* ---- signals ---- */

static void print_taps(const struct relay_totals *totals)
{
    uint64_t delivered = 0, dropped = 0, lag = 0;
    char text[UNITS_BUFFER];

    for (int i = 0; i < RELAY_DIRECTIONS; i++) {
        for (int k = 0; k <= SLUICE_CLASS_MAP; k++)
            delivered += totals->tap_class[i][k];
        dropped += totals->tap_dropped[i];
        lag += totals->tap_lag[i];
    }
    dprintf(STDERR_FILENO,
            "sluice: %llu taps now; %s to taps; %llu bytes wait for them, %llu they missed\n",
            (unsigned long long)totals->taps, units_format_bytes(delivered, text),
            (unsigned long long)lag, (unsigned long long)dropped);
}

static void print_status(struct service *service)
{
    struct relay_totals totals;
    char to[UNITS_BUFFER], back[UNITS_BUFFER];

    relay_read(service->relay, &totals);
    dprintf(STDERR_FILENO,
            "sluice: %llu connections now, %llu so far; %s to targets, %s to clients; %llu "
            "bytes parked; pipes %llu used, %llu free, %llu refused, %llu small\n",
            (unsigned long long)totals.active, (unsigned long long)totals.accepted,
            units_format_bytes(totals.bytes[RELAY_TO_TARGET], to),
            units_format_bytes(totals.bytes[RELAY_TO_CLIENT], back),
            (unsigned long long)(totals.parked[0] + totals.parked[1]),
            (unsigned long long)totals.pipes_used, (unsigned long long)totals.pipes_free,
            (unsigned long long)totals.pipes_refused, (unsigned long long)totals.pipes_small);
    if (service->words->taps)
        print_taps(&totals);
}

static void reload(struct service *service)
{
    char why[512];
    const struct relay_words *words = service->words;
    struct target_list *list = relay_words_targets(words, why, sizeof why);
    struct tap_list *taps = list ? relay_taps_open(words->tap, words->taps, why, sizeof why) : NULL;

    if (!taps || gate_reload(service->gate, service->relay, why, sizeof why) < 0) {
        target_list_release(list);
        tap_list_release(taps);
        log_event(LOG_LEVEL_ERROR, "not reloaded", LOG_TEXT("why", why));
        return;
    }
    relay_set_lists(service->relay, list, taps);
    tap_list_release(taps);
    log_event(LOG_LEVEL_INFO, "reloaded", LOG_NUMBER("targets", list->count));
    target_list_release(list);
}

static void delay_is_over(struct loop *loop, struct timer *timer)
{
    (void)loop;
    relay_drain(OWNER_OF(timer, struct service, delay)->relay);
}

/* Says so first, and stops accepting when everybody can have heard it. */
static void leave(struct service *service)
{
    const uint64_t delay = service->words->drain_delay;

    service->leaving = true;
    if (service->admin)
        admin_announce_drain(service->admin);
    service->delay.fire = delay_is_over;
    if (delay == 0 ||
        timer_set(relay_control(service->relay), &service->delay, sys_now() + delay) < 0) {
        relay_drain(service->relay);
        return;
    }
    log_event(LOG_LEVEL_INFO, "leaving", LOG_NUMBER("milliseconds", delay / 1000000));
}

static void on_signal(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct service *service = OWNER_OF(watch, struct service, signals);
    struct signalfd_siginfo info;

    (void)loop;
    (void)events;
    if (sys_read(watch->fd, &info, sizeof info) != sizeof info)
        return;
    switch (info.ssi_signo) {
    case SIGUSR1:
        print_status(service);
        break;
    case SIGHUP:
        reload(service);
        break;
    default:
        if (!service->leaving) {
            leave(service);
            break;
        }
        service->stopped_by = (int)info.ssi_signo; /* a second time: at once */
        relay_stop(service->relay);
    }
}

/* One that was ignored when we started (nohup) stays so. */
static int watch_signals(struct service *service)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct sigaction before;
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &before) == 0 &&
            (before.sa_handler != SIG_IGN || numbers[i] == SIGUSR1))
            sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a tap's file that may not grow is an error of its own (EFBIG) */
    const int fd = own_descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (fd < 0)
        return fd;
    service->signals = (struct watch){.fd = fd, .ready = on_signal};
    return loop_add(relay_control(service->relay), &service->signals, EPOLLIN, false);
}

/* ---- the command ---- */

static int serve(struct service *service)
{
    const int error = relay_run(service->relay);
    if (error < 0) {
        message("cannot go on: %s", strerror(-error));
        return STATUS_FAILED;
    }
    struct relay_totals totals;
    relay_read(service->relay, &totals);
    if (service->stopped_by)
        return 128 + service->stopped_by;
    return totals.ended[RELAY_DRAINED] > 0 ? STATUS_FAILED : STATUS_DONE;
}

/* Signals first: from "listening on" on they mean what the manual says. That comes last, when nothing can
 * fail any more. */
static int open_all(struct service *service)
{
    const int error = watch_signals(service);

    if (error < 0) {
        message("cannot watch signals: %s", strerror(-error));
        return STATUS_FAILED;
    }
    int status = listen_all(service);
    if (status == STATUS_DONE)
        status = open_admin(service);
    if (status == STATUS_DONE)
        status = relay_confine(service->words, service->made_path);
    for (unsigned i = 0; status == STATUS_DONE && relay_listening(service->relay, i) >= 0; i++)
        say_listening(relay_listening(service->relay, i));
    return status;
}

/* What the words ask for is made, but nothing opened. */
static int prepare(struct service *service, struct relay_words *words)
{
    char why[512];

    if (gate_new(&words->gate, &service->gate, why, sizeof why) < 0)
        return (int)usage_error("relay", "%s", why);
    words->relay.hooks = gate_hooks(service->gate);
    words->relay.targets = relay_words_targets(words, why, sizeof why);
    if (!words->relay.targets)
        return (int)usage_error("relay", "%s", why);
    if (relay_taps_prepare(words->tap, words->taps, why, sizeof why) >= 0 &&
        (relay_taps_check(words->tap, words->taps, why, sizeof why) >= 0 || words->user))
        words->relay.taps = relay_taps_open(words->tap, words->taps, why, sizeof why);
    if (!words->relay.taps) {
        target_list_release(words->relay.targets);
        message("%s", why);
        return STATUS_FAILED;
    }
    const int error = relay_new(&words->relay, &service->relay);
    target_list_release(words->relay.targets);
    tap_list_release(words->relay.taps);
    if (error < 0) {
        message("cannot start: %s", strerror(-error));
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

static void clean_up(struct service *service)
{
    admin_free(service->admin);
    if (service->relay) {
        timer_clear(relay_control(service->relay), &service->delay);
        loop_close(relay_control(service->relay), &service->signals);
        relay_free(service->relay);
    }
    gate_free(service->gate);
    if (service->made_path && unlink(service->made_path) < 0 && errno != ENOENT)
        log_event(LOG_LEVEL_WARNING, "socket not removed", LOG_TEXT("path", service->made_path),
                  LOG_TEXT("why", strerror(errno)));
    free(service->made_path);
    log_close();
}

int command_relay(int argc, char **argv)
{
    struct relay_words words;
    struct service service = {.words = &words, .signals.fd = -1};

    int status = relay_words_parse(argc, argv, &words);
    if (status == STATUS_DONE) {
        log_open(&words.log);
        status = prepare(&service, &words);
        if (status == STATUS_DONE)
            status = open_all(&service);
        if (status == STATUS_DONE)
            status = serve(&service);
        clean_up(&service);
    }
    relay_words_free(&words);
    return status < 0 ? STATUS_DONE : status;
}
