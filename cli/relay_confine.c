/* SPDX-License-Identifier: MIT */
#include "relay_confine.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "relay_taps.h"

enum { PATH_ROOM = 4096 };

/* The directories that taps are made in, and their files of `slow=spill`. */
struct directories {
    const char **path; /* ends with NULL */
    char (*text)[PATH_ROOM];
};

static int find_directories(const struct relay_words *words, struct directories *ret)
{
    unsigned count = 0;

    ret->path = calloc(2 * words->taps + 1, sizeof *ret->path);
    ret->text = calloc(words->taps + 1, sizeof *ret->text);
    if (!ret->path || !ret->text)
        return -ENOMEM;
    for (unsigned i = 0; i < words->taps; i++) {
        const struct tap_sink *tap = &words->tap[i];
        if (tap->kind == TAP_PATH && tap_name_directory(tap->pattern, ret->text[i], PATH_ROOM) == 0)
            ret->path[count++] = ret->text[i];
        if (tap->spill)
            ret->path[count++] = tap->spill;
    }
    return 0;
}

static int become(const struct relay_words *words)
{
    struct identity identity;

    if (!words->user) {
        if (geteuid() == 0)
            log_event(LOG_LEVEL_WARNING, "running as root", LOG_TEXT("advice", "--user"));
        return STATUS_DONE;
    }
    int error = identity_find(words->user, &identity);
    if (error == -ENOENT)
        return (int)usage_error("relay", "--user=%s: no such user or group", words->user);
    if (error < 0)
        return (int)usage_error("relay", "--user=%s: USER or USER:GROUP is wanted", words->user);
    error = identity_become(&identity);
    if (error < 0) {
        message("cannot become '%s': %s%s", words->user, strerror(-error),
                error == -EPERM ? " (only root can)" : "");
        return STATUS_FAILED;
    }
    log_event(LOG_LEVEL_INFO, "became", LOG_TEXT("user", words->user));
    return STATUS_DONE;
}

/* Editors put a new file in the place of the old one: so it is the directory that stays readable.
 * Returns NULL if there is none. */
static const char *directory_of(const char *path, char text[static PATH_ROOM])
{
    if (!path || strlen(path) >= PATH_ROOM)
        return NULL;
    strcpy(text, path);
    return dirname(text);
}

static int enter(const struct relay_words *words, const char *made_path)
{
    char targets[PATH_ROOM], access[PATH_ROOM], made[PATH_ROOM];
    const char *read[3] = {0};
    const char *const remove[] = {directory_of(made_path, made), NULL};
    struct directories taps = {0};
    struct sandbox_report report;
    unsigned count = 0;

    if (words->targets_file)
        read[count++] = directory_of(words->targets_file, targets);
    if (words->gate.file)
        read[count++] = directory_of(words->gate.file, access);
    int error = find_directories(words, &taps);
    const struct sandbox_options options = {
        .mode = words->sandbox, .read = read, .make = taps.path, .remove = remove};
    if (error >= 0)
        error = sandbox_enter(&options, &report);
    free(taps.path);
    free(taps.text);
    if (error < 0) {
        message("cannot enter the sandbox: %s",
                error == -EOPNOTSUPP ? "a part of it is missing here (--sandbox=auto "
                                       "goes on without)"
                                     : strerror(-error));
        return error == -EOPNOTSUPP ? STATUS_REQUIRED : STATUS_FAILED;
    }
    return STATUS_DONE;
}

static int check_taps(const struct relay_words *words)
{
    char why[512];

    if (relay_taps_check(words->tap, words->taps, why, sizeof why) >= 0)
        return STATUS_DONE;
    message("%s", why);
    return STATUS_FAILED;
}

int relay_confine(const struct relay_words *words, const char *made_path)
{
    int status = become(words);

    if (status == STATUS_DONE)
        status = enter(words, made_path);
    return status == STATUS_DONE ? check_taps(words) : status;
}
