/* SPDX-License-Identifier: MIT */
/* `sluice explain`: the plan for a pair, without touching anything. It never connects, binds, runs
 * or creates; what is no regular file is not even opened. */
#include "explain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commands.h"
#include "copy_options.h"
#include "json.h"
#include "printable.h"
#include "probe_cache.h"
#include "units.h"

/* ---- text ---- */

static const char *class_arrow(enum sluice_class class_)
{
    static const char *const arrows[] = {
        [SLUICE_CLASS_OFFLOAD] = "=offload=>", [SLUICE_CLASS_REFERENCE] = "=ref=>",
        [SLUICE_CLASS_DMA] = "=dma=>",         [SLUICE_CLASS_KERNEL_COPY] = "=copy=>",
        [SLUICE_CLASS_USER_COPY] = "=copy=>",  [SLUICE_CLASS_MAP] = "=map=>",
    };
    return arrows[class_];
}

static void print_endpoint(const char *label, const char *name, const sluice_endpoint *endpoint,
                           bool kind_only, bool is_new, FILE *out)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    char bytes[32], shown[PRINTABLE_SIZE(PATH_MAX)];

    sluice_endpoint_describe(endpoint, &info);
    fprintf(out, "%-8s %s  %s, %s", label, printable(name, shown, sizeof shown),
            sluice_kind_name(info.kind), info.name);
    if (is_new)
        fprintf(out, ", to be created");
    else if (kind_only)
        fprintf(out, " (kind only; nothing is connected)");
    else if (info.bytes > 0)
        fprintf(out, ", %s", units_format_bytes(info.bytes, bytes));
    else if (info.pipe_capacity > 0)
        fprintf(out, ", capacity %s", units_format_bytes(info.pipe_capacity, bytes));
    if (info.fd >= 0 && (info.open_flags & O_APPEND))
        fprintf(out, ", O_APPEND");
    if (info.fd >= 0 && (info.open_flags & O_DIRECT))
        fprintf(out, ", O_DIRECT");
    fputc('\n', out);
}

static void format_legs(const struct sluice_candidate *candidate, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "%s", candidate->leg[0].from);
    for (unsigned i = 0; i < candidate->legs && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, " %s %s",
                               class_arrow(candidate->leg[i].class_), candidate->leg[i].to);
}

static unsigned proven_legs(const struct sluice_candidate *candidate, uint64_t *oldest)
{
    unsigned proven = 0;

    for (unsigned i = 0; i < candidate->legs; i++) {
        const struct sluice_leg *leg = &candidate->leg[i];
        if (leg->known != SLUICE_PROVEN)
            continue;
        *oldest = proven++ && *oldest < leg->at ? *oldest : leg->at;
    }
    return proven;
}

static const char *known_words(const struct sluice_candidate *candidate)
{
    uint64_t at = 0;
    const unsigned proven = proven_legs(candidate, &at);
    return proven == candidate->legs ? sluice_known_name(SLUICE_PROVEN)
           : proven                  ? "proven in part"
                                     : sluice_known_name(SLUICE_EXPECTED);
}

static void print_candidates(const sluice_plan *plan, FILE *out)
{
    struct sluice_candidate candidate = {.size = sizeof candidate};
    char legs[128];

    fprintf(out, "   %-11s copies  legs\n", "method");
    for (unsigned i = 0; sluice_plan_candidate(plan, i, &candidate) == 0; i++) {
        const char *name = sluice_method_name(candidate.method);
        if (candidate.ruled_out) {
            fprintf(out, " x %-11s %s\n", name, candidate.ruled_out);
            continue;
        }
        format_legs(&candidate, legs, sizeof legs);
        fprintf(out, "%s %-11s %-7u %-38s %s\n", i ? "  " : "->", name, candidate.copies, legs,
                known_words(&candidate));
    }
}

/* Methods with fewer copies that stand behind the chosen one, and why that is. */
static void print_passed_over(const sluice_plan *plan, const struct sluice_candidate *best,
                              FILE *out)
{
    struct sluice_candidate candidate = {.size = sizeof candidate};

    for (unsigned i = 1; i < sluice_plan_usable(plan); i++)
        if (sluice_plan_candidate(plan, i, &candidate) == 0 && candidate.copies < best->copies)
            fprintf(out, "passed   %s has %u fewer copies, and took longer where it was measured\n",
                    sluice_method_name(candidate.method), best->copies - candidate.copies);
}

static void print_best(const struct explanation *explanation, FILE *out)
{
    struct sluice_candidate best = {.size = sizeof best};
    char shown[PRINTABLE_SIZE(PATH_MAX)];

    if (sluice_plan_usable(explanation->plan) == 0) {
        fprintf(out, "\nnothing can serve this pair\n");
        return;
    }
    sluice_plan_candidate(explanation->plan, 0, &best);
    fprintf(out, "\nwhy      %s\npath     ", best.why);
    for (unsigned i = 0; i < best.legs; i++)
        fprintf(out, "%s%s%s%s", i ? ", " : "", best.leg[i].path, best.leg[i].path_out ? ", " : "",
                best.leg[i].path_out ? best.leg[i].path_out : "");
    fprintf(out, " (expected)\n");
    print_passed_over(explanation->plan, &best, out);
    if (best.leg[0].class_ == SLUICE_CLASS_REFERENCE &&
        sluice_plan_fewest_copies(explanation->plan) == 0 && best.copies == 0)
        fprintf(out, "caution  a later write to '%s' can still change bytes already sent\n",
                printable(explanation->source_name, shown, sizeof shown));
}

void explain_text(const struct explanation *explanation, FILE *out)
{
    struct utsname kernel;
    struct sluice_candidate best = {.size = sizeof best};
    char known[64];
    uint64_t at = 0;

    print_endpoint("source", explanation->source_name, explanation->source,
                   explanation->source_is_kind, false, out);
    print_endpoint("sink", explanation->sink_name, explanation->sink, explanation->sink_is_kind,
                   explanation->sink_is_new, out);
    uname(&kernel);
    sluice_plan_candidate(explanation->plan, 0, &best);
    const unsigned proven = proven_legs(&best, &at);
    fprintf(out, "kernel   %s   %s%s\n\n", kernel.release,
            probe_cache_known(best.legs, proven, at, known),
            proven ? "" : ": nothing was measured");
    print_candidates(explanation->plan, out);
    print_best(explanation, out);
}

/* ---- JSON ---- */

#ifdef HAVE_JANSSON
static json_t *endpoint_json(const char *name, const sluice_endpoint *endpoint, bool kind_only)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    sluice_endpoint_describe(endpoint, &info);
    return json_pack("{so ss ss sI sb}", "address", json_name(name), "kind",
                     sluice_kind_name(info.kind), "name", info.name, "bytes",
                     (json_int_t)info.bytes, "kind_only", kind_only);
}

static json_t *candidate_json(const struct sluice_candidate *candidate)
{
    json_t *object = json_pack("{ss sb}", "method", sluice_method_name(candidate->method), "usable",
                               candidate->ruled_out == NULL);
    if (candidate->ruled_out) {
        json_object_set_new(object, "ruled_out", json_string(candidate->ruled_out));
        return object;
    }
    json_t *legs = json_array();
    for (unsigned i = 0; i < candidate->legs; i++) {
        const struct sluice_leg *leg = &candidate->leg[i];
        json_array_append_new(legs, json_pack("{ss ss ss ss ss ss ss* ss*}", "from", leg->from,
                                              "to", leg->to, "call", leg->call, "class",
                                              sluice_class_name(leg->class_), "known",
                                              sluice_known_name(leg->known), "path", leg->path,
                                              "path_out", leg->path_out, "variant", leg->variant));
    }
    json_object_set_new(object, "copies", json_integer(candidate->copies));
    json_object_set_new(object, "legs", legs);
    json_object_set_new(object, "why", json_string(candidate->why));
    return object;
}

void explain_json(const struct explanation *explanation, FILE *out)
{
    struct sluice_candidate candidate = {.size = sizeof candidate};
    struct utsname kernel;
    json_t *candidates = json_array();

    uname(&kernel);
    for (unsigned i = 0; sluice_plan_candidate(explanation->plan, i, &candidate) == 0; i++)
        json_array_append_new(candidates, candidate_json(&candidate));
    const bool any = sluice_plan_usable(explanation->plan) > 0;
    if (any)
        sluice_plan_candidate(explanation->plan, 0, &candidate);
    uint64_t at = 0;
    const bool proven = any && proven_legs(&candidate, &at) > 0;
    json_t *object = json_pack(
        "{si ss so ss? so so so}", "version", 1, "kernel", kernel.release, "probed_at",
        proven ? json_integer((json_int_t)at) : json_null(), "chosen",
        any ? sluice_method_name(candidate.method) : NULL, "source",
        endpoint_json(explanation->source_name, explanation->source, explanation->source_is_kind),
        "sink", endpoint_json(explanation->sink_name, explanation->sink, explanation->sink_is_kind),
        "candidates", candidates);
    json_print(object, JSON_INDENT(2), out);
}
#else
void explain_json(const struct explanation *explanation, FILE *out)
{
    (void)explanation, (void)out; /* --json was refused */
}
#endif

/* ---- finding out what an address names ---- */

struct found {
    sluice_endpoint *endpoint;
    bool kind_only, is_new;
};

static int find_kind(sluice_context *context, const char *kind, struct found *ret)
{
    ret->kind_only = true;
    return sluice_endpoint_from_kind(context, kind, &ret->endpoint);
}

/* A file that is not there yet: what it will be, its directory knows. */
static int find_absent(sluice_context *context, const char *path, bool append, struct found *ret)
{
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[slash == copy] = '\0';
    const int directory = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (directory < 0)
        return -errno;
    ret->is_new = true;
    const int error = sluice_endpoint_from_directory(
        context, directory, O_WRONLY | (append ? O_APPEND : 0), &ret->endpoint);
    close(directory);
    return error;
}

/* The major numbers of terminals: TTY, the console, serial lines, pseudo-terminals. */
static const char *character_kind(dev_t device)
{
    const unsigned number = major(device);
    if (device == makedev(1, 3))
        return "null";
    if (device == makedev(1, 5))
        return "zero";
    return number == 4 || number == 5 || (number >= 136 && number <= 143) ? "tty" : "char";
}

static int find_path(sluice_context *context, const char *path, bool sink, bool append,
                     struct found *ret)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return errno == ENOENT && sink ? find_absent(context, path, append, ret) : -errno;
    switch (status.st_mode & S_IFMT) {
    case S_IFREG: {
        /* O_APPEND means nothing to a reader, and all to the plan. */
        const int flags = O_CLOEXEC | (append ? O_APPEND : 0);
        int fd = open(path, O_RDONLY | flags);
        if (fd < 0 && errno == EACCES && sink) /* it may be one that can only be written */
            fd = open(path, O_WRONLY | flags);
        if (fd < 0)
            return -errno;
        const int error = sluice_endpoint_from_fd(context, fd, SLUICE_OWN, &ret->endpoint);
        if (error < 0)
            close(fd);
        return error;
    }
    case S_IFDIR:
        return -EISDIR;
    case S_IFIFO:
        return find_kind(context, "pipe", ret);
    case S_IFBLK:
        return find_kind(context, "block", ret);
    case S_IFCHR:
        return find_kind(context, character_kind(status.st_rdev), ret);
    default:
        return -EINVAL; /* a socket's name: unix:PATH is meant */
    }
}

/* Where it leads, if the name says so without asking anybody. */
static const char *kind_of_host(const char *host)
{
    if (host && (strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0))
        return "tcp@loopback";
    return host && strcmp(host, "::1") == 0 ? "tcp@loopback, IPv6" : "tcp";
}

static int find(sluice_context *context, const struct address *address, bool sink, bool append,
                struct found *ret)
{
    switch (address->scheme) {
    case ADDRESS_PATH:
        return find_path(context, address->path, sink, append, ret);
    case ADDRESS_STANDARD:
    case ADDRESS_FD:
        return sluice_endpoint_from_fd(context,
                                       address->scheme == ADDRESS_FD ? address->fd
                                       : sink                        ? 1
                                                                     : 0,
                                       SLUICE_BORROW, &ret->endpoint);
    case ADDRESS_NULL:
        return find_kind(context, "null", ret);
    case ADDRESS_ZERO:
        return find_kind(context, "zero", ret);
    case ADDRESS_PIPE:
        return find_kind(context, "pipe", ret);
    case ADDRESS_TCP:
    case ADDRESS_TCP_LISTEN:
        return find_kind(context, kind_of_host(address->host), ret);
    default:
        return find_kind(context, "unix", ret);
    }
}

static enum status explain(struct copy_options *options, sluice_context *context,
                           struct found *source, struct found *sink, sluice_plan **plan)
{
    int error = find(context, &options->source, false, false, source);
    if (error < 0) {
        message("cannot read '%s': %s", options->source.text, strerror(-error));
        return STATUS_FAILED;
    }
    error = find(context, &options->sink, true, options->append, sink);
    if (error < 0) {
        message("cannot write to '%s': %s", options->sink.text, strerror(-error));
        return STATUS_FAILED;
    }
    error = sluice_plan_new(context, source->endpoint, sink->endpoint, &options->library, plan);
    if (error < 0) {
        message("cannot plan: %s", strerror(-error));
        return STATUS_FAILED;
    }
    const struct explanation explanation = {
        .source_name = options->source.text,
        .sink_name = options->sink.text,
        .source = source->endpoint,
        .sink = sink->endpoint,
        .source_is_kind = source->kind_only,
        .sink_is_kind = sink->kind_only,
        .sink_is_new = sink->is_new,
        .plan = *plan,
    };
    if (options->json)
        explain_json(&explanation, stdout);
    else
        explain_text(&explanation, stdout);
    if (sluice_plan_usable(*plan) == 0)
        return options->library.require ? STATUS_REQUIRED : STATUS_FAILED;
    return STATUS_DONE;
}

int command_explain(int argc, char **argv)
{
    struct copy_options options;
    struct found source = {0}, sink = {0};
    sluice_plan *plan = NULL;
    int status = copy_options_parse("explain", argc, argv, &options);

    if (status == STATUS_DONE) {
        sluice_context *context = sluice_context_new(NULL, NULL);
        sluice_probe *probe = context ? probe_cache_use(context) : NULL;
        status = context ? (int)explain(&options, context, &source, &sink, &plan) : STATUS_FAILED;
        sluice_plan_free(plan);
        sluice_endpoint_free(source.endpoint);
        sluice_endpoint_free(sink.endpoint);
        sluice_context_free(context);
        sluice_probe_free(probe);
    }
    copy_options_free(&options);
    return status < 0 ? STATUS_DONE : status;
}
