/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gate {
    struct gate_options options;
    struct cidr_set trust;
    /* Read by the loops, replaced by a reload: the old ones are freed when no loop can hold them. */
    _Atomic(struct access_lists *) lists;
};

/* ---- the lists ---- */

static int add_words(struct cidr_set *set, const char *option, const char *const *words, char *why,
                     size_t why_size)
{
    char reason[160];
    int error = 0;

    for (; words && *words && error == 0; words++)
        if ((error = access_add(set, *words, reason, sizeof reason)) < 0)
            snprintf(why, why_size, "--%s=%s: %s", option, *words, reason);
    return error;
}

/* "allow CIDR" or "deny CIDR", or nothing, or a comment. */
static int add_line(struct access_lists *lists, char *line, char *why, size_t why_size)
{
    char *rest = NULL;
    const char *verb = strtok_r(line, " \t\r\n", &rest);
    if (!verb || *verb == '#')
        return 0;
    const char *network = strtok_r(NULL, " \t\r\n", &rest);
    const char *more = network ? strtok_r(NULL, " \t\r\n", &rest) : NULL;
    const bool allow = strcmp(verb, "allow") == 0;

    if ((!allow && strcmp(verb, "deny") != 0) || !network || (more && *more != '#')) {
        snprintf(why, why_size, "'allow CIDR' or 'deny CIDR' is wanted");
        return -EINVAL;
    }
    char reason[160];
    const int error =
        access_add(allow ? &lists->allow : &lists->deny, network, reason, sizeof reason);
    if (error < 0)
        snprintf(why, why_size, "'%s': %s", network, reason);
    return error;
}

static int add_file(struct access_lists *lists, const char *name, char *why, size_t why_size)
{
    char *line = NULL, reason[256];
    size_t room = 0, number = 0;
    int error = 0;
    FILE *file = fopen(name, "re");

    if (!file) {
        error = -errno;
        snprintf(why, why_size, "cannot read '%s': %s", name, strerror(-error));
        return error;
    }
    while (error == 0 && getline(&line, &room, file) >= 0) {
        number++;
        if ((error = add_line(lists, line, reason, sizeof reason)) < 0)
            snprintf(why, why_size, "'%s', line %zu: %s", name, number, reason);
    }
    if (error == 0 && ferror(file)) {
        error = -EIO;
        snprintf(why, why_size, "cannot read '%s': %s", name, strerror(EIO));
    }
    free(line);
    fclose(file);
    return error;
}

static void lists_free(struct access_lists *lists)
{
    if (lists)
        access_free(lists);
    free(lists);
}

static int read_lists(const struct gate_options *options, struct access_lists **ret, char *why,
                      size_t why_size)
{
    struct access_lists *lists = calloc(1, sizeof *lists);
    int error = lists ? 0 : -ENOMEM;

    snprintf(why, why_size, "there is not enough memory");
    if (error == 0)
        error = add_words(&lists->allow, "allow", options->allow, why, why_size);
    if (error == 0)
        error = add_words(&lists->deny, "deny", options->deny, why, why_size);
    if (error == 0 && options->file)
        error = add_file(lists, options->file, why, why_size);
    if (error < 0) {
        lists_free(lists);
        return error;
    }
    cidr_set_seal(&lists->allow);
    cidr_set_seal(&lists->deny);
    *ret = lists;
    return 0;
}

int gate_new(const struct gate_options *options, struct gate **ret, char *why, size_t why_size)
{
    struct gate *gate = calloc(1, sizeof *gate);
    struct access_lists *lists = NULL;

    if (!gate) {
        snprintf(why, why_size, "there is not enough memory");
        return -ENOMEM;
    }
    gate->options = *options;
    int error = add_words(&gate->trust, "trust", options->trust, why, why_size);
    if (error == 0)
        error = read_lists(options, &lists, why, why_size);
    if (error < 0) {
        gate_free(gate);
        return error;
    }
    cidr_set_seal(&gate->trust);
    gate->lists = lists;
    *ret = gate;
    return 0;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    cidr_set_free(&gate->trust);
    lists_free(gate->lists);
    free(gate);
}

/* Called in each loop: when it has returned, that loop has finished what it did before. */
static void pass_by(struct loop *loop, void *data)
{
    (void)loop;
    (void)data;
}

int gate_reload(struct gate *gate, struct relay *relay, char *why, size_t why_size)
{
    struct access_lists *lists = NULL;

    const int error = read_lists(&gate->options, &lists, why, why_size);
    if (error < 0)
        return error;
    struct access_lists *old = atomic_exchange(&gate->lists, lists);
    if (relay_each_loop(relay, pass_by, NULL) == 0)
        lists_free(old); /* else somebody may still look at them */
    return 0;
}

/* ---- the hooks ---- */

static int refuse(const char **why, const char *reason)
{
    *why = reason;
    return -EACCES;
}

static int admit(void *data, const struct peer *peer, const struct ends *header, const char **why)
{
    const struct gate *gate = data;
    const bool trusts_some = gate->trust.count > 0;

    if (gate->options.accept_proxy && !header)
        return !trusts_some || peer->address.any.sa_family == AF_UNIX ||
                       cidr_set_has(&gate->trust, &peer->address.any)
                   ? 0
                   : refuse(why, "its PROXY headers are not trusted");
    if (header && !header->from_header && trusts_some)
        return 0;
    return access_admits(gate->lists, &peer->address.any)
               ? 0
               : refuse(why, "its address is not allowed");
}

static ssize_t header_read(void *data, const void *bytes, size_t length, struct ends *ret,
                           const char **why)
{
    struct proxy_header header;

    (void)data;
    const ssize_t result = proxy_parse(bytes, length, &header, why);
    if (result <= 0)
        return result;
    ret->local = header.local;
    ret->from_header = header.source.length > 0;
    if (ret->from_header) {
        ret->client = header.source;
        ret->server = header.destination;
    }
    return result;
}

static size_t header_write(void *data, const struct ends *ends, void *buffer, size_t size)
{
    const struct gate *gate = data;
    const struct proxy_header header = {
        .local = ends->local, .source = ends->client, .destination = ends->server};
    const ssize_t length = proxy_write(gate->options.send_proxy, &header, buffer, size);

    return length < 0 ? 0 : (size_t)length;
}

struct relay_hooks gate_hooks(struct gate *gate)
{
    return (struct relay_hooks){
        .data = gate,
        .admit = admit,
        .header_read = gate->options.accept_proxy ? header_read : NULL,
        .header_most = PROXY_HEADER_MAX,
        .header_write = gate->options.send_proxy ? header_write : NULL,
    };
}
