/* SPDX-License-Identifier: MIT */
#include "relay_taps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "descriptor.h"
#include "server/relay.h"
#include "sink_words.h"

enum { PATH_ROOM = 4096 };

/* ---- words ---- */

static const char *parse_from(const char *argument, unsigned *ret)
{
    static const struct {
        const char *name;
        unsigned from;
    } names[] = {
        {"client", 1 << RELAY_TO_TARGET},
        {"target", 1 << RELAY_TO_CLIENT},
        {"both", 1 << RELAY_TO_TARGET | 1 << RELAY_TO_CLIENT},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(argument, names[i].name) == 0) {
            *ret = names[i].from;
            return NULL;
        }
    return "from=client, from=target or from=both is wanted";
}

static const char *tap_option(const char *word, void *data)
{
    struct tap_sink *sink = data;

    if (strncmp(word, "from=", 5) == 0)
        return parse_from(word + 5, &sink->from);
    return sink_words_option(word, &sink->options, &sink->spill);
}

static const char *take_host(const struct address *address, struct tap_sink *sink)
{
    const bool colons = strchr(address->host, ':') != NULL;
    const size_t size = strlen(address->host) + strlen(address->port) + 4;

    sink->kind = TAP_TCP;
    sink->pattern = malloc(size); /* until it is looked up: relay_taps_open() */
    if (!sink->pattern)
        return "not enough memory";
    snprintf(sink->pattern, size, colons ? "[%s]:%s" : "%s:%s", address->host, address->port);
    return NULL;
}

static const char *take_path(const char *path, enum tap_kind kind, struct tap_sink *sink)
{
    const char *wrong = tap_name_check(path);

    sink->kind = kind;
    sink->pattern = strdup(path);
    return wrong || sink->pattern ? wrong : "not enough memory";
}

static const char *take_address(const struct address *address, struct tap_sink *sink)
{
    if (address_is_kind(address))
        return "it is only a kind: there is nothing to open";
    if (address->connect_timeout)
        return "it has no such option";
    switch (address->scheme) {
    case ADDRESS_PATH:
        return take_path(address->path, TAP_PATH, sink);
    case ADDRESS_NULL:
        return take_path("/dev/null", TAP_PATH, sink);
    case ADDRESS_UNIX:
        return take_path(address->path, TAP_UNIX, sink);
    case ADDRESS_TCP:
        return take_host(address, sink);
    case ADDRESS_STANDARD:
    case ADDRESS_FD:
        sink->kind = TAP_DESCRIPTOR;
        sink->fd = address->scheme == ADDRESS_FD ? address->fd : STDOUT_FILENO;
        return NULL;
    default:
        return "PATH, file:NAME, tcp:HOST:PORT, unix:PATH, fd:N or null: is wanted";
    }
}

static const char *parse(const char *text, struct tap_sink *sink)
{
    static char why[1024];
    struct address address;
    char *plain = NULL;

    const char *wrong = sink_words_split(text, &plain, tap_option, sink);
    if (!wrong && address_parse(plain, &address, why, sizeof why) < 0) {
        wrong = why;
    } else if (!wrong) {
        wrong = take_address(&address, sink);
        address_free(&address);
    }
    free(plain);
    return wrong;
}

/* What holds everybody up is not chosen for anybody: a tap that is too slow is taken off, and has an exact
 * prefix. */
const char *relay_tap_parse(const char *text, struct tap_sink *ret)
{
    *ret = (struct tap_sink){.text = strdup(text),
                             .fd = -1,
                             .from = 1 << RELAY_TO_TARGET | 1 << RELAY_TO_CLIENT,
                             .options = SLUICE_SINK_OPTIONS_INIT};
    ret->options.slow = SLUICE_SLOW_DETACH;
    const char *wrong = ret->text ? parse(text, ret) : "not enough memory";
    if (wrong)
        relay_tap_free(ret);
    return wrong;
}

void relay_tap_free(struct tap_sink *sink)
{
    if (sink->fd > STDERR_FILENO)
        close(sink->fd);
    free(sink->text);
    free(sink->pattern);
    free(sink->spill);
    *sink = (struct tap_sink){.fd = -1};
}

/* ---- opening ---- */

/* A description of our own, which does not wait, of a pipe or a file; others cannot be had. */
static int open_again(int fd, char *why, size_t size)
{
    const int flags = fcntl(fd, F_GETFL);
    struct stat status;
    char path[32];

    if (flags < 0 || fstat(fd, &status) < 0) {
        snprintf(why, size, "%s", strerror(errno));
        return -EBADF;
    }
    const char *wrong = !S_ISFIFO(status.st_mode) && !S_ISREG(status.st_mode)
                            ? "it is neither a pipe nor a file"
                        : (flags & O_ACCMODE) == O_RDONLY ? "it is not open for writing"
                                                          : NULL;
    if (wrong) {
        snprintf(why, size, "%s", wrong);
        return -EINVAL;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int again =
        own_descriptor(open(path, O_WRONLY | O_NONBLOCK | O_APPEND | O_NOCTTY | O_CLOEXEC));
    if (again < 0)
        snprintf(why, size, "%s", strerror(-again));
    return again;
}

int relay_taps_prepare(struct tap_sink *sink, unsigned count, char *why, size_t size)
{
    char reason[128];

    for (unsigned i = 0; i < count; i++) {
        if (sink[i].kind != TAP_DESCRIPTOR)
            continue;
        const int fd = open_again(sink[i].fd, reason, sizeof reason);
        if (fd < 0) {
            snprintf(why, size, "descriptor %d: %s", sink[i].fd, reason);
            sink[i].fd = -1;
            return fd;
        }
        sink[i].fd = fd;
    }
    return 0;
}

static const char *open_one(const struct tap_sink *from, struct tap_sink *to)
{
    const char *why = NULL;

    *to = *from;
    to->fd = -1;
    to->text = strdup(from->text);
    to->pattern = from->pattern ? strdup(from->pattern) : NULL;
    to->spill = from->spill ? strdup(from->spill) : NULL;
    if (!to->text || !to->pattern != !from->pattern || !to->spill != !from->spill)
        return "not enough memory";
    if (to->kind == TAP_DESCRIPTOR) {
        to->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 3);
        return to->fd < 0 ? strerror(errno) : NULL;
    }
    if (to->kind != TAP_TCP)
        return NULL;
    const int error = peer_parse(to->pattern, false, &to->peer, &why);
    free(to->pattern);
    to->pattern = NULL;
    return error >= 0 ? NULL : why ? why : strerror(-error);
}

struct tap_list *relay_taps_open(const struct tap_sink *sink, unsigned count, char *why,
                                 size_t size)
{
    struct tap_list *list = tap_list_new(count);
    const char *wrong = list ? NULL : "not enough memory";

    for (unsigned i = 0; i < count && !wrong; i++) {
        wrong = open_one(&sink[i], &list->sink[i]);
        if (wrong)
            snprintf(why, size, "--tap=%s: %s", sink[i].text, wrong);
    }
    if (!wrong)
        return list;
    if (!list)
        snprintf(why, size, "%s", wrong);
    tap_list_release(list);
    return NULL;
}

/* ---- checking ---- */

static int check_directory(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* A file system without unnamed files says so now, and not when the first tap is slow. */
static int check_spill(const struct tap_sink *sink)
{
    const int fd = tap_sink_open_spill(sink);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static int check_path(const struct tap_sink *sink, char directory[static PATH_ROOM])
{
    struct stat status;

    if (!tap_name_varies(sink->pattern) && strlen(sink->pattern) < PATH_ROOM &&
        tap_name_fill(sink->pattern, &(struct tap_facts){0}, directory, PATH_ROOM) == 0 &&
        stat(directory, &status) == 0) /* what is there already */
        return S_ISDIR(status.st_mode)                                ? -EISDIR
               : faccessat(AT_FDCWD, directory, W_OK, AT_EACCESS) < 0 ? -errno
                                                                      : 0;
    const int error = tap_name_directory(sink->pattern, directory, PATH_ROOM);
    return error < 0 ? error : check_directory(directory);
}

int relay_taps_check(const struct tap_sink *sink, unsigned count, char *why, size_t size)
{
    char path[PATH_ROOM] = "";
    int error = 0;

    for (unsigned i = 0; i < count && error >= 0; i++, sink++) {
        if (sink->kind == TAP_PATH)
            error = check_path(sink, path);
        if (error >= 0 && sink->spill) {
            snprintf(path, sizeof path, "%s", sink->spill);
            error = check_spill(sink);
        }
        if (error < 0)
            snprintf(why, size, "cannot tap into '%s': %s: %s", sink->text, path, strerror(-error));
    }
    return error;
}
