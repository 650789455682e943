/* SPDX-License-Identifier: MIT */
/* What only a measurement can promise is measured before a byte moves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "signals.h"

enum { MOST_DIRECTORIES = 8 };

struct directories {
    const char *name[MOST_DIRECTORIES];
    char *own[2];
    unsigned count;
};

/* The directory of a path, which is to be freed; NULL where the address is none. */
static char *directory_of(const struct address *address)
{
    if (address->scheme != ADDRESS_PATH)
        return NULL;
    char *path = strdup(address->path), *slash = path ? strrchr(path, '/') : NULL;
    if (slash) {
        slash[slash == path] = '\0';
    } else if (path) {
        free(path);
        path = strdup(".");
    }
    return path;
}

/* Wherever a scratch file may be made that lies beside one of the ends: the library takes those
 * that do. */
static void find_directories(const struct copy *copy, struct directories *ret)
{
    const char *const places[] = {".",        getenv("TMPDIR"), "/tmp",
                                  "/var/tmp", "/dev/shm",       getenv("HOME")};

    *ret = (struct directories){
        .own = {directory_of(&copy->options.source), directory_of(&copy->options.sink)}};
    for (int i = 0; i < 2; i++)
        if (ret->own[i])
            ret->name[ret->count++] = ret->own[i];
    for (size_t i = 0; i < sizeof places / sizeof *places && ret->count < MOST_DIRECTORIES; i++)
        if (places[i] && *places[i])
            ret->name[ret->count++] = places[i];
}

static int on_progress(const char *what, void *data)
{
    (void)what, (void)data;
    return signals_caught();
}

static int measure(struct copy *copy, const sluice_plan *plan)
{
    struct directories directories;
    find_directories(copy, &directories);
    const struct sluice_probe_options options = {
        .size = sizeof options,
        .flags = SLUICE_PROBE_QUICK | SLUICE_PROBE_MEMORY | SLUICE_PROBE_SOCKETS,
        .directories = directories.count,
        .directory = directories.name,
        .plan = plan,
        .progress = on_progress,
    };
    const int error = sluice_probe_run(copy->probe, copy->context, &options);
    free(directories.own[0]);
    free(directories.own[1]);
    return error;
}

enum status copy_probe(struct copy *copy)
{
    struct sluice_options options = copy->options.library;
    sluice_plan *plan = NULL;

    options.require = SLUICE_REQUIRE_ANY;
    sluice_probe_free(copy->probe); /* nothing but what is measured now */
    copy->probe = NULL;
    sluice_context_use_probe(copy->context, NULL);
    int error = sluice_plan_new(copy->context, copy->source, copy->sink, &options, &plan);
    if (error >= 0)
        error = sluice_probe_new(&copy->probe);
    if (error >= 0)
        error = measure(copy, plan);
    sluice_plan_free(plan);
    if (error < 0)
        return copy_cannot(copy, SLUICE_SIDE_SETUP, "measure the legs to", copy->sink_name,
                           signals_caught() ? -EINTR : error);
    sluice_context_use_probe(copy->context, copy->probe);
    return STATUS_DONE;
}
