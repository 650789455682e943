/* SPDX-License-Identifier: MIT */
/*
 * A result as text, to be kept. The first lines name what it holds for; then a leg a line, its
 * fields separated by tabs:
 *
 *     sluice probe 1
 *     kernel RELEASE VERSION MACHINE
 *     user UID
 *     FROM TO CALL VARIANT PLACE VERDICT ERROR WITNESSES OBSERVED AT PATH NOTE
 *     end COUNT
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../sys.h"
#include "probe.h"

enum { MOST_BYTES = 1 << 20, FIELDS = 12 };

static void print_head(FILE *out)
{
    struct utsname kernel;

    uname(&kernel);
    fprintf(out, "sluice probe 1\nkernel %s %s %s\nuser %u\n", kernel.release, kernel.version,
            kernel.machine, (unsigned)geteuid());
}

/* No field of ours has a tab or a line's end; a mount option could. */
static bool storable(const struct sluice_probe_leg *leg)
{
    return !strpbrk(leg->place, "\t\n");
}

static void print_legs(const struct sluice_probe *probe, FILE *out)
{
    unsigned count = 0;

    for (unsigned i = 0; i < probe->legs; i++) {
        const struct sluice_probe_leg *leg = &probe->leg[i].leg;
        if (!storable(leg))
            continue;
        fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%u\t%d\t%" PRIu64 "\t%s\t%s\n", leg->from,
                leg->to, leg->call, leg->variant, leg->place, sluice_verdict_name(leg->verdict),
                leg->error, leg->witnesses, leg->observed, leg->at, leg->path, leg->note);
        count++;
    }
    fprintf(out, "end %u\n", count);
}

int sluice_probe_save(const sluice_probe *probe, int fd)
{
    char *text = NULL;
    size_t length = 0, done = 0;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return -ENOMEM;
    print_head(out);
    print_legs(probe, out);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    int error = 0;
    while (done < length && error == 0) {
        const ssize_t value = sys_write(fd, text + done, length - done);
        if (value >= 0)
            done += (size_t)value;
        else if (value != -EINTR)
            error = (int)value;
    }
    free(text);
    return error;
}

/* The whole file as a string, or NULL and a negative errno. */
static char *read_all(int fd, int *ret_error)
{
    char *text = malloc(MOST_BYTES + 1);
    size_t length = 0;
    ssize_t value = text ? 1 : -ENOMEM;

    while (value > 0 && length < MOST_BYTES) {
        do
            value = sys_read(fd, text + length, MOST_BYTES - length);
        while (value == -EINTR);
        length += value > 0 ? (size_t)value : 0;
    }
    if (value == 0 && !memchr(text, '\0', length)) {
        text[length] = '\0';
        return text;
    }
    *ret_error = value < 0 ? (int)value : -EINVAL;
    free(text);
    return NULL;
}

static int number_of(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    return errno || end == text || *end || *ret < least || *ret > most ? -EINVAL : 0;
}

static int verdict_of(const char *name, enum sluice_verdict *ret)
{
    for (int verdict = SLUICE_VERDICT_UNKNOWN; verdict <= SLUICE_VERDICT_COPIED; verdict++)
        if (strcmp(sluice_verdict_name((enum sluice_verdict)verdict), name) == 0) {
            *ret = (enum sluice_verdict)verdict;
            return 0;
        }
    return -EINVAL;
}

static int parse_leg(char *line, struct sluice_probe_leg *ret)
{
    char *field[FIELDS];
    unsigned count = 0;
    int64_t error, witnesses, observed, at;

    for (char *rest = line, *next; (next = strsep(&rest, "\t"));)
        if (count == FIELDS)
            return -EINVAL;
        else
            field[count++] = next;
    if (count != FIELDS || !*field[0] || !*field[1] || !*field[2] ||
        verdict_of(field[5], &ret->verdict) < 0 || number_of(field[6], -4095, 0, &error) < 0 ||
        number_of(field[7], 0, 0xffff, &witnesses) < 0 ||
        number_of(field[8], 0, 1, &observed) < 0 || number_of(field[9], 0, INT64_MAX, &at) < 0)
        return -EINVAL;
    ret->from = field[0], ret->to = field[1], ret->call = field[2], ret->variant = field[3];
    ret->place = field[4], ret->path = field[10], ret->note = field[11];
    ret->error = (int)error, ret->witnesses = (unsigned)witnesses;
    ret->observed = (int)observed, ret->at = (uint64_t)at;
    return 0;
}

/* Skips the head if it is ours, else says what is wrong with it. */
static int check_head(char **text)
{
    char *head = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&head, &length);

    if (!out)
        return -ENOMEM;
    print_head(out);
    int error = fclose(out) == 0 ? 0 : -ENOMEM;
    if (error == 0 && strncmp(*text, "sluice probe 1\n", 15) != 0)
        error = -EINVAL;
    else if (error == 0 && strncmp(*text, head, length) != 0)
        error = -ESTALE;
    free(head);
    *text += error == 0 ? length : 0;
    return error;
}

/* Twice: first to see that nothing is damaged, then to add. */
static int parse_legs(struct sluice_probe *probe, const char *text)
{
    char *copy = strdup(text), *rest = copy;
    unsigned count = 0;
    int64_t stated = -1;
    int error = copy ? 0 : -ENOMEM;

    while (error == 0 && stated < 0) {
        char *line = strsep(&rest, "\n");
        struct sluice_probe_leg leg = {.size = sizeof leg};
        if (!line || !rest)
            error = -EINVAL; /* it ends before its end */
        else if (strncmp(line, "end ", 4) == 0)
            error = number_of(line + 4, count, count, &stated);
        else if ((error = parse_leg(line, &leg)) == 0 && ++count && probe)
            error = probe_add_leg(probe, &leg) < 0 ? -ENOMEM : 0;
    }
    if (error == 0 && *rest)
        error = -EINVAL;
    free(copy);
    return error;
}

int sluice_probe_load(sluice_probe *probe, int fd)
{
    int error = 0;
    char *text = read_all(fd, &error), *body = text;

    if (!text)
        return error;
    error = check_head(&body);
    if (error == 0)
        error = parse_legs(NULL, body);
    if (error == 0)
        error = parse_legs(probe, body);
    free(text);
    return error;
}
