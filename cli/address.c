/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "units.h"

static const struct {
    const char *prefix;
    enum address_scheme scheme;
} schemes[] = {
    {"file:", ADDRESS_PATH}, {"fd:", ADDRESS_FD},
    {"null:", ADDRESS_NULL}, {"zero:", ADDRESS_ZERO},
    {"tcp:", ADDRESS_TCP},   {"tcp-listen:", ADDRESS_TCP_LISTEN},
    {"unix:", ADDRESS_UNIX}, {"unix-listen:", ADDRESS_UNIX_LISTEN},
    {"pipe:", ADDRESS_PIPE},
};

void address_free(struct address *address)
{
    free(address->path);
    free(address->host);
    free(address->port);
    *address = (struct address){0};
}

bool address_is_kind(const struct address *address)
{
    switch (address->scheme) {
    case ADDRESS_PIPE:
        return true;
    case ADDRESS_TCP:
    case ADDRESS_TCP_LISTEN:
        return !*address->port;
    case ADDRESS_UNIX:
    case ADDRESS_UNIX_LISTEN:
        return !*address->path;
    default:
        return false;
    }
}

bool address_is_socket(const struct address *address)
{
    return address->scheme >= ADDRESS_TCP && address->scheme <= ADDRESS_UNIX_LISTEN;
}

/* ---- parsing: each returns NULL, or what is wrong ---- */

static const char *parse_descriptor(const char *text, struct address *address)
{
    char *end;

    errno = 0;
    const long value = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > INT32_MAX)
        return "a descriptor is a number, as in fd:3";
    address->fd = (int)value;
    return NULL;
}

static bool valid_port(const char *text)
{
    char *end;

    if ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z')
        return strpbrk(text, " /:,") == NULL; /* the name of a service */
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    return !*end && !errno && value <= 65535;
}

/* HOST:PORT, [HOST]:PORT; a listener may leave out HOST. */
static const char *parse_host_port(char *text, struct address *address)
{
    const bool listens = address->scheme == ADDRESS_TCP_LISTEN;
    char *host = text, *colon, none[] = "";

    if (*text == '[') {
        host = text + 1;
        char *bracket = strchr(host, ']');
        if (!bracket || bracket[1] != ':')
            return "an IPv6 address stands in brackets, as in tcp:[::1]:9000";
        *bracket = '\0';
        colon = bracket + 1;
    } else {
        colon = strrchr(text, ':');
        if (colon && memchr(text, ':', (size_t)(colon - text)))
            return "an IPv6 address stands in brackets, as in tcp:[::1]:9000";
    }
    if (!colon && *text && !listens)
        return "HOST:PORT is wanted";
    char *port = colon ? colon + 1 : text;
    if (colon)
        *colon = '\0';
    else
        host = none;
    if (*text && !valid_port(port))
        return "a port is a number up to 65535, or a service's name";
    if (!listens && *port && !*host)
        return "a host is wanted before the port";
    address->host = strdup(host);
    address->port = strdup(port);
    return address->host && address->port ? NULL : "not enough memory";
}

static const char *parse_unix_path(char *text, struct address *address)
{
    if (strlen(text) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return "the path of a UNIX socket has at most 107 bytes";
    address->path = strdup(text);
    return address->path ? NULL : "not enough memory";
}

static const char *parse_option(const char *option, struct address *address)
{
    static const char connect_timeout[] = "connect-timeout=";
    const size_t length = sizeof connect_timeout - 1;
    const bool connects = address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_UNIX;

    if (strncmp(option, connect_timeout, length) != 0 || !connects)
        return "it has no such option";
    if (units_parse_seconds(option + length, &address->connect_timeout) < 0)
        return "connect-timeout wants seconds";
    return NULL;
}

/* Takes off ",OPTION…" and the backslashes before commas and backslashes. */
static const char *parse_options(char *text, struct address *address)
{
    char *to = text;
    const char *from = text, *wrong = NULL;

    while (*from && *from != ',') {
        if (*from == '\\' && (from[1] == ',' || from[1] == '\\'))
            from++;
        *to++ = *from++;
    }
    char *options = *from ? (char *)from + 1 : NULL;
    *to = '\0';
    for (char *option = options ? strtok(options, ",") : NULL; option && !wrong;
         option = strtok(NULL, ","))
        wrong = parse_option(option, address);
    return wrong;
}

static const char *parse_rest(const char *rest, struct address *address)
{
    if (address->scheme == ADDRESS_PATH) {
        address->path = strdup(rest);
        return !*rest ? "a name is wanted" : address->path ? NULL : "not enough memory";
    }
    if (address->scheme == ADDRESS_FD)
        return parse_descriptor(rest, address);
    if (!address_is_socket(address))
        return *rest ? "nothing can follow the colon" : NULL;
    char *copy = strdup(rest);
    if (!copy)
        return "not enough memory";
    const char *wrong = parse_options(copy, address);
    if (!wrong)
        wrong = address->scheme == ADDRESS_TCP || address->scheme == ADDRESS_TCP_LISTEN
                    ? parse_host_port(copy, address)
                    : parse_unix_path(copy, address);
    free(copy);
    return wrong;
}

int address_parse(const char *text, struct address *ret, char *why, size_t why_size)
{
    struct address address = {.text = text, .scheme = ADDRESS_PATH};
    const char *rest = text, *wrong;

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const size_t length = strlen(schemes[i].prefix);
        if (strncmp(text, schemes[i].prefix, length) == 0) {
            address.scheme = schemes[i].scheme;
            rest = text + length;
        }
    }
    if (strcmp(text, "-") == 0)
        address.scheme = ADDRESS_STANDARD;
    wrong = address.scheme == ADDRESS_STANDARD ? NULL : parse_rest(rest, &address);
    if (wrong) {
        snprintf(why, why_size, "'%s' is no address: %s", text, wrong);
        address_free(&address);
        *ret = (struct address){0};
        return -EINVAL;
    }
    *ret = address;
    return 0;
}
