/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *host_port(const void *host, int family, in_port_t port,
                             char text[static PEER_TEXT])
{
    char number[INET6_ADDRSTRLEN];

    inet_ntop(family, host, number, sizeof number);
    snprintf(text, PEER_TEXT, family == AF_INET6 ? "[%s]:%u" : "%s:%u", number, ntohs(port));
    return text;
}

static const char *unix_text(const struct sockaddr_un *un, size_t length,
                             char text[static PEER_TEXT])
{
    const size_t most = length > offsetof(struct sockaddr_un, sun_path)
                            ? length - offsetof(struct sockaddr_un, sun_path)
                            : 0;
    if (most > 0 && un->sun_path[0] == '\0')
        snprintf(text, PEER_TEXT, "unix:@%.*s", (int)(most - 1), un->sun_path + 1);
    else
        snprintf(text, PEER_TEXT, "unix:%.*s", (int)most, un->sun_path);
    return text;
}

const char *peer_text(const struct peer *peer, char text[static PEER_TEXT])
{
    switch (peer->length ? peer->address.any.sa_family : AF_UNSPEC) {
    case AF_INET:
        return host_port(&peer->address.in.sin_addr, AF_INET, peer->address.in.sin_port, text);
    case AF_INET6:
        return host_port(&peer->address.in6.sin6_addr, AF_INET6, peer->address.in6.sin6_port, text);
    case AF_UNIX:
        return unix_text(&peer->address.un, peer->length, text);
    default:
        snprintf(text, PEER_TEXT, "?");
        return text;
    }
}

void small_peer_set(struct small_peer *small, const struct peer *peer)
{
    memset(small, 0, sizeof *small);
    if (peer->length == 0)
        return;
    if (peer->address.any.sa_family == AF_INET)
        small->address.in = peer->address.in;
    else if (peer->address.any.sa_family == AF_INET6)
        small->address.in6 = peer->address.in6;
    else
        small->address.family = peer->address.any.sa_family;
}

const char *small_peer_text(const struct small_peer *small, char text[static PEER_TEXT])
{
    struct peer peer = {.length = sizeof small->address};

    if (small->address.family == AF_UNIX)
        peer.length = sizeof(sa_family_t);
    memcpy(&peer.address, &small->address, sizeof small->address);
    return peer_text(&peer, text);
}

/* ---- reading ---- */

static int parse_path(const char *path, struct peer *ret, const char **why)
{
    struct sockaddr_un *un = &ret->address.un;

    if (!*path) {
        *why = "a path follows unix:";
        return -EINVAL;
    }
    if (strlen(path) >= sizeof un->sun_path) {
        *why = "the path of a UNIX socket has at most 107 bytes";
        return -ENAMETOOLONG;
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    ret->length = sizeof *un;
    return 0;
}

/* Splits HOST:PORT in place. */
static int split(char *text, char **ret_host, char **ret_port, const char **why)
{
    char *colon;

    *ret_host = text;
    if (*text == '[') {
        char *bracket = strchr(text, ']');
        *ret_host = text + 1;
        colon = bracket && bracket[1] == ':' ? bracket + 1 : NULL;
        if (colon)
            *bracket = '\0';
    } else {
        colon = strchr(text, ':');
        if (colon && strchr(colon + 1, ':'))
            colon = NULL;
    }
    if (!colon) {
        *why = strchr(text, ':') ? "an IPv6 address stands in brackets, as in [::1]:9000"
                                 : "an address is HOST:PORT, :PORT, [HOST]:PORT or unix:PATH";
        return -EINVAL;
    }
    *colon = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int check_port(const char *port, bool listens, const char **why)
{
    char *end;

    if (*port >= '0' && *port <= '9') {
        errno = 0;
        const unsigned long value = strtoul(port, &end, 10);
        if (*end || errno || value > 65535 || (value == 0 && !listens)) {
            *why = listens ? "a port is a number from 0 to 65535"
                           : "a port is a number from 1 to 65535";
            return -EINVAL;
        }
    } else if (!*port || strspn(port, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-") != strlen(port)) {
        *why = "a port is a number or the name of a service";
        return -EINVAL;
    }
    return 0;
}

const char *peer_look_up_words(int error)
{
    static const struct {
        int error;
        const char *words;
    } known[] = {
        {EAI_SERVICE, "no service has that name: a port is a number, or a name of /etc/services"},
        {EAI_NONAME, "no host has that name"},
        {EAI_AGAIN, "no name server answers now, which would know that host"},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].error == error)
            return known[i].words;
    return error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
}

static int look_up(const char *host, const char *port, bool listens, struct peer *ret,
                   const char **why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = listens ? AI_PASSIVE : AI_ADDRCONFIG};
    /* A number needs no look-up, and then none of the resolver's own sockets and files. */
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM,
                               .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list;

    int error = getaddrinfo(host, port, &numeric, &list);
    if (error != 0)
        error = getaddrinfo(host, port, &hints, &list);
    if (error != 0) {
        *why = peer_look_up_words(error);
        return error == EAI_MEMORY ? -ENOMEM : error == EAI_AGAIN ? -EAGAIN : -ENOENT;
    }
    ret->length = list->ai_addrlen;
    memcpy(&ret->address, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

int peer_parse(const char *text, bool listens, struct peer *ret, const char **why)
{
    struct peer peer = {0};
    char *host, *port;

    if (strncmp(text, "tcp:", 4) == 0)
        text += 4;
    if (strncmp(text, "unix:", 5) == 0) {
        const int error = parse_path(text + 5, &peer, why);
        if (error == 0)
            *ret = peer;
        return error;
    }
    char *copy = strdup(text);
    if (!copy) {
        *why = "out of memory";
        return -ENOMEM;
    }
    int error = split(copy, &host, &port, why);
    if (error == 0)
        error = check_port(port, listens, why);
    if (error == 0) {
        if (strcmp(host, "*") == 0)
            error = look_up(listens ? "::" : "127.0.0.1", port, listens, &peer, why);
        else
            error = look_up(*host ? host : "127.0.0.1", port, listens, &peer, why);
    }
    free(copy);
    if (error == 0)
        *ret = peer;
    return error;
}
