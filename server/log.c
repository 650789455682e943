/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct log_options log_to = {.fd = 2, .level = LOG_LEVEL_INFO};
static _Atomic uint64_t lost;

void log_open(const struct log_options *options)
{
    log_to = *options;
}

bool log_wants(enum log_level level)
{
    return level <= log_to.level;
}

uint64_t log_lost(void)
{
    return lost;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                unsigned count)
{
    char line[1024];
    size_t length;

    if (!log_wants(level))
        return;
    length = (size_t)snprintf(line, sizeof line, "sluice: %s", event);
    for (unsigned i = 0; i < count && length < sizeof line; i++) {
        const struct log_field *field = &fields[i];
        const size_t room = sizeof line - length;
        length +=
            (size_t)(field->text ? snprintf(line + length, room, " %s=%s", field->name, field->text)
                                 : snprintf(line + length, room, " %s=%llu", field->name,
                                            (unsigned long long)field->number));
    }
    if (length > sizeof line - 1)
        length = sizeof line - 1;
    line[length++] = '\n';
    if (write(log_to.fd, line, length) < 0)
        lost++;
}
