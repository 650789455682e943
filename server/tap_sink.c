/* SPDX-License-Identifier: MIT */
#include "tap_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/endpoint.h"
#include "lib/sys.h"
#include "net.h"

enum { PATH_ROOM = 4096 };

/* ---- the list ---- */

struct tap_list *tap_list_new(unsigned count)
{
    struct tap_list *list = calloc(1, sizeof *list + count * sizeof *list->sink);
    if (!list)
        return NULL;
    list->references = 1;
    list->count = count;
    for (unsigned i = 0; i < count; i++)
        list->sink[i].fd = -1;
    return list;
}

struct tap_list *tap_list_hold(struct tap_list *list)
{
    if (list)
        list->references++;
    return list;
}

void tap_list_release(struct tap_list *list)
{
    if (!list || --list->references > 0)
        return;
    for (unsigned i = 0; i < list->count; i++) {
        struct tap_sink *sink = &list->sink[i];
        free(sink->text);
        free(sink->pattern);
        free(sink->spill);
        if (sink->fd >= 0)
            sys_close(sink->fd);
    }
    free(list);
}

unsigned tap_list_descriptors(const struct tap_list *list)
{
    unsigned count = 0;

    for (unsigned i = 0; list && i < list->count; i++)
        count += (unsigned)__builtin_popcount(list->sink[i].from) *
                 (list->sink[i].options.slow == SLUICE_SLOW_SPILL ? 2 : 1);
    return count;
}

/* ---- files ---- */

/* Whether no other connection, and no other direction of this one, has that name. */
static bool is_alone(const struct tap_sink *sink)
{
    const bool one_way = __builtin_popcount(sink->from) == 1 || tap_name_has(sink->pattern, 'd');
    return one_way && tap_name_has(sink->pattern, 'n');
}

/* What is there already is never written over: it is added to. A file that is new and nobody else's needs no
 * O_APPEND for that, and then bytes are spliced into it. It is readable by its owner alone. */
static int open_file(const struct tap_sink *sink, const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
                      (tap_name_varies(sink->pattern) ? O_NOFOLLOW : 0);

    if (is_alone(sink)) {
        const int fd = sys_open(path, flags | O_EXCL);
        if (fd != -EEXIST)
            return fd;
    }
    return sys_open(path, flags | O_APPEND);
}

/* ---- sockets ---- */

static int open_socket(const struct peer *peer, const char **operation)
{
    static const int on = 1;

    *operation = "socket";
    const int fd = fd_above_standard(
        net_socket(peer->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return fd;
    if (peer->address.any.sa_family != AF_UNIX) /* nothing is to wait for what may come after it */
        net_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *operation = "connect";
    const int error = net_connect(fd, &peer->address.any, peer->length);
    if (error >= 0 || error == -EINPROGRESS || error == -EINTR) /* it goes on by itself */
        return fd;
    sys_close(fd);
    return error;
}

static int open_unix(const char *path, const char **operation)
{
    struct peer peer = {.length = sizeof peer.address.un};
    struct sockaddr_un *un = &peer.address.un;

    un->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof un->sun_path) {
        *operation = "connect";
        return -ENAMETOOLONG;
    }
    strcpy(un->sun_path, path);
    return open_socket(&peer, operation);
}

/* ---- any ---- */

int tap_sink_open(const struct tap_sink *sink, const struct tap_facts *facts, char *name,
                  size_t name_size, const char **operation)
{
    char path[PATH_ROOM];

    snprintf(name, name_size, "%s", sink->text);
    *operation = "open";
    if (sink->pattern) {
        const int error = tap_name_fill(sink->pattern, facts, path, sizeof path);
        if (error < 0)
            return error;
        snprintf(name, name_size, "%s%s", sink->kind == TAP_UNIX ? "unix:" : "", path);
    }
    switch (sink->kind) {
    case TAP_PATH:
        return fd_above_standard(open_file(sink, path));
    case TAP_TCP:
        return open_socket(&sink->peer, operation);
    case TAP_UNIX:
        return open_unix(path, operation);
    default:
        return sys_fcntl(sink->fd, F_DUPFD_CLOEXEC, 3);
    }
}

int tap_sink_open_spill(const struct tap_sink *sink)
{
    return fd_above_standard(sys_open(sink->spill, O_TMPFILE | O_RDWR | O_CLOEXEC));
}
