/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../context.h"

/* The strings of a leg, so that copying, comparing and freeing are loops. */
static const size_t strings[] = {
    offsetof(struct sluice_probe_leg, from),  offsetof(struct sluice_probe_leg, to),
    offsetof(struct sluice_probe_leg, call),  offsetof(struct sluice_probe_leg, variant),
    offsetof(struct sluice_probe_leg, place), offsetof(struct sluice_probe_leg, path),
    offsetof(struct sluice_probe_leg, note),
};
enum { STRINGS = sizeof strings / sizeof *strings, KEYS = 5 }; /* the first five name the leg */

static const char **string_of(struct sluice_probe_leg *leg, size_t index)
{
    return (const char **)(void *)((char *)leg + strings[index]);
}

static const char *string_in(const struct sluice_probe_leg *leg, size_t index)
{
    return *(const char *const *)(const void *)((const char *)leg + strings[index]);
}

static void forget_evidence(struct probe_leg *row)
{
    for (unsigned i = 0; i < row->leg.evidence; i++)
        free(row->evidence[i].text);
    free(row->evidence);
    row->evidence = NULL;
    row->leg.evidence = 0;
}

static void forget_strings(struct sluice_probe_leg *leg)
{
    for (size_t i = 0; i < STRINGS; i++)
        free((char *)(uintptr_t)string_in(leg, i));
}

static void forget_leg(struct probe_leg *row)
{
    forget_evidence(row);
    forget_strings(&row->leg);
}

/* A copy with strings of its own. */
static int own_leg(const struct sluice_probe_leg *leg, struct sluice_probe_leg *ret)
{
    bool complete = true;

    *ret = *leg;
    ret->size = sizeof *ret;
    ret->evidence = 0;
    for (size_t i = 0; i < STRINGS; i++) {
        const char *given = string_in(leg, i);
        char *own = strdup(given ? given : "");
        *string_of(ret, i) = own;
        complete = complete && own;
    }
    if (complete)
        return 0;
    forget_strings(ret);
    return -ENOMEM;
}

static bool same_leg(const struct sluice_probe_leg *a, const struct sluice_probe_leg *b)
{
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(string_in(a, i), string_in(b, i)) != 0)
            return false;
    return true;
}

static int row_for(struct sluice_probe *probe, const struct sluice_probe_leg *leg)
{
    for (unsigned i = 0; i < probe->legs; i++)
        if (same_leg(&probe->leg[i].leg, leg)) {
            forget_leg(&probe->leg[i]);
            return (int)i;
        }
    struct probe_leg *more = realloc(probe->leg, (probe->legs + 1) * sizeof *more);
    if (!more)
        return -ENOMEM;
    probe->leg = more;
    return (int)probe->legs++;
}

int probe_add_leg(struct sluice_probe *probe, const struct sluice_probe_leg *leg)
{
    struct sluice_probe_leg own;
    int index = own_leg(leg, &own);

    if (index == 0) {
        index = row_for(probe, &own);
        if (index < 0)
            forget_strings(&own);
    }
    if (index < 0)
        probe->failed = true;
    else
        probe->leg[index] = (struct probe_leg){.leg = own};
    return index;
}

int probe_settle_leg(struct sluice_probe *probe, int index, const struct sluice_probe_leg *leg)
{
    struct sluice_probe_leg own, *row = &probe->leg[index].leg;
    const int error = own_leg(leg, &own);

    if (error < 0) {
        probe->failed = true;
        return error;
    }
    own.evidence = row->evidence;
    forget_strings(row);
    *row = own;
    return index;
}

void probe_add_evidence(struct sluice_probe *probe, int leg, enum sluice_witness witness, int says,
                        const char *format, ...)
{
    struct probe_leg *row = &probe->leg[leg];
    char text[PROBE_TEXT];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct probe_evidence *more =
        realloc(row->evidence, (row->leg.evidence + 1) * sizeof *row->evidence);
    char *own = strdup(text);
    if (more)
        row->evidence = more;
    if (!more || !own) {
        free(own);
        probe->failed = true;
        return;
    }
    more[row->leg.evidence++] =
        (struct probe_evidence){.witness = witness, .says = says, .text = own};
}

void probe_add_fact(struct sluice_probe *probe, const char *group, const char *name, int64_t number,
                    int error, const char *format, ...)
{
    char text[PROBE_TEXT];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct sluice_fact *more = realloc(probe->fact, (probe->facts + 1) * sizeof *more);
    if (more)
        probe->fact = more;
    const struct sluice_fact fact = {.size = sizeof fact,
                                     .group = strdup(group),
                                     .name = strdup(name),
                                     .text = strdup(text),
                                     .number = number,
                                     .error = error};
    if (more && fact.group && fact.name && fact.text) {
        more[probe->facts++] = fact;
        return;
    }
    free((char *)(uintptr_t)fact.group);
    free((char *)(uintptr_t)fact.name);
    free((char *)(uintptr_t)fact.text);
    probe->failed = true;
}

const struct sluice_probe_leg *probe_find(const struct sluice_probe *probe, const char *from,
                                          const char *to, const char *call, const char *variant,
                                          const char *place)
{
    if (!probe || !probe->trusted)
        return NULL;
    for (unsigned i = 0; i < probe->legs; i++) {
        const struct sluice_probe_leg *leg = &probe->leg[i].leg;
        if (strcmp(leg->from, from) == 0 && strcmp(leg->to, to) == 0 &&
            strcmp(leg->call, call) == 0 && strcmp(leg->variant, variant) == 0 &&
            (!*leg->place || strcmp(leg->place, place) == 0))
            return leg;
    }
    return NULL;
}

/* ---- the public face ---- */

int sluice_probe_new(sluice_probe **ret)
{
    struct sluice_probe *probe = calloc(1, sizeof *probe);
    if (!probe)
        return -ENOMEM;
    probe->trusted = true;
    *ret = probe;
    return 0;
}

void sluice_probe_free(sluice_probe *probe)
{
    if (!probe)
        return;
    for (unsigned i = 0; i < probe->legs; i++)
        forget_leg(&probe->leg[i]);
    for (unsigned i = 0; i < probe->facts; i++) {
        free((char *)(uintptr_t)probe->fact[i].group);
        free((char *)(uintptr_t)probe->fact[i].name);
        free((char *)(uintptr_t)probe->fact[i].text);
    }
    free(probe->leg);
    free(probe->fact);
    free(probe);
}

int sluice_probe_controls(const sluice_probe *probe, unsigned *ret_passed, unsigned *ret_count)
{
    if (ret_passed)
        *ret_passed = probe->passed;
    if (ret_count)
        *ret_count = probe->controls;
    return probe->trusted;
}

int sluice_probe_leg(const sluice_probe *probe, unsigned index, struct sluice_probe_leg *ret)
{
    return index < probe->legs ? SIZED_COPY(ret, probe->leg[index].leg) : -ERANGE;
}

int sluice_probe_evidence(const sluice_probe *probe, unsigned leg, unsigned index,
                          struct sluice_evidence *ret)
{
    if (leg >= probe->legs || index >= probe->leg[leg].leg.evidence)
        return -ERANGE;
    const struct probe_evidence *evidence = &probe->leg[leg].evidence[index];
    const struct sluice_evidence own = {
        .witness = evidence->witness, .says = evidence->says, .text = evidence->text};
    return SIZED_COPY(ret, own);
}

int sluice_probe_fact(const sluice_probe *probe, unsigned index, struct sluice_fact *ret)
{
    return index < probe->facts ? SIZED_COPY(ret, probe->fact[index]) : -ERANGE;
}
