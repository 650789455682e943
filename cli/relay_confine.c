/* SPDX-License-Identifier: MIT */
#include "relay_confine.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

enum { PATH_ROOM = 4096 };

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

int relay_confine(const struct relay_words *words, const char *made_path)
{
    char targets[PATH_ROOM], access[PATH_ROOM], made[PATH_ROOM];
    const char *read[3] = {0};
    const char *const remove[] = {directory_of(made_path, made), NULL};
    struct sandbox_report report;
    unsigned count = 0;

    int status = become(words);
    if (status != STATUS_DONE)
        return status;
    if (words->targets_file)
        read[count++] = directory_of(words->targets_file, targets);
    if (words->gate.file)
        read[count++] = directory_of(words->gate.file, access);
    const struct sandbox_options options = {.mode = words->sandbox, .read = read, .remove = remove};
    const int error = sandbox_enter(&options, &report);
    if (error < 0) {
        message("cannot enter the sandbox: %s",
                error == -EOPNOTSUPP ? "a part of it is missing here (--sandbox=auto "
                                       "goes on without)"
                                     : strerror(-error));
        status = error == -EOPNOTSUPP ? STATUS_REQUIRED : STATUS_FAILED;
    }
    return status;
}
