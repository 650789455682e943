/* SPDX-License-Identifier: MIT */
#include "bench_peer.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptor.h"
#include "measure/peer.h"
#include "signals.h"

int bench_peer_address(const char *text, bool listening, struct address *ret, char *why,
                       size_t size)
{
    const char *const scheme = listening ? "tcp-listen:" : "tcp:";
    const char *bare = strncmp(text, scheme, strlen(scheme)) == 0 ? text + strlen(scheme) : text;
    char *whole = NULL;
    int error = asprintf(&whole, "%s%s", scheme, bare) < 0 ? -ENOMEM : 0;

    if (error == 0)
        error = address_parse(whole, ret, why, size);
    else
        snprintf(why, size, "not enough memory");
    if (error == 0 && address_is_kind(ret)) {
        address_free(ret);
        snprintf(why, size, "a port is wanted, as 10.0.0.2:9900");
        error = -EINVAL;
    }
    if (error == 0)
        ret->text = text; /* `whole` goes */
    free(whole);
    return error;
}

int bench_peer_connect(void *data, uint64_t give)
{
    const struct address *address = data;
    const char *operation;
    char name[NI_MAXHOST + NI_MAXSERV + 8];
    const int fd = address_connect(address, name, sizeof name, &operation);
    const int error = fd < 0 ? fd : peer_ask(fd, give);

    if (error == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return error;
}

/* ---- being the peer ---- */

static bool stopped(void)
{
    return signals_caught() != 0;
}

static int listen_on(const struct address *address, char *name, size_t size)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    const int one = 1;
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getaddrinfo(*address->host ? address->host : "127.0.0.1", address->port, &hints, &found) !=
        0)
        return -EADDRNOTAVAIL;
    const int fd = own_descriptor(
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, found->ai_protocol));
    int error = fd < 0 ? fd : 0;
    if (error == 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (error == 0 && (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 64) < 0 ||
                       getsockname(fd, (struct sockaddr *)&bound, &length) < 0))
        error = -errno;
    freeaddrinfo(found);
    if (error < 0) {
        if (fd >= 0)
            close(fd);
        return error;
    }
    getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(name, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return fd;
}

enum status bench_peer_serve(const char *text)
{
    struct address address;
    char why[256], name[NI_MAXHOST + NI_MAXSERV + 8];

    if (bench_peer_address(text, true, &address, why, sizeof why) < 0)
        return usage_error("bench", "--peer '%s': %s", text, why);
    signals_install();
    const int listener = listen_on(&address, name, sizeof name);
    int error = listener < 0 ? listener : 0;
    if (error == 0) {
        notice("listening on %s", name);
        error = peer_serve(listener, stopped);
        close(listener);
    }
    address_free(&address);
    if (error == 0)
        return (enum status)(128 + signals_caught());
    message("cannot listen on '%s': %s", text, strerror(-error));
    return STATUS_FAILED;
}
