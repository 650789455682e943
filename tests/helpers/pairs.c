/* SPDX-License-Identifier: MIT */
/* Prints the table of docs/endpoints.md: for each pair of kinds the method that is chosen and its
 * copies per byte, from the plan itself. */
#include <stdio.h>

#include "sluice.h"

static const char *const sources[] = {
    "ext4", "xfs", "tmpfs",      "fuse",           "block", "procfs", "pipe", "tcp",
    "unix", "udp", "unix-dgram", "unix-seqpacket", "tty",   "char",   "null", "zero"};
static const char *const sinks[] = {"ext4",           "xfs", "tmpfs", "fuse", "block",
                                    "pipe",           "tcp", "unix",  "udp",  "unix-dgram",
                                    "unix-seqpacket", "tty", "char",  "null"};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static int print_cell(sluice_context *context, const char *from, const char *to)
{
    struct sluice_candidate best = {.size = sizeof best};
    sluice_endpoint *source, *sink;
    sluice_plan *plan;

    if (sluice_endpoint_from_kind(context, from, &source) < 0 ||
        sluice_endpoint_from_kind(context, to, &sink) < 0 ||
        sluice_plan_new(context, source, sink, NULL, &plan) < 0)
        return -1;
    if (sluice_plan_usable(plan) > 0 && sluice_plan_candidate(plan, 0, &best) == 0)
        printf(" %s %u |", sluice_method_name(best.method), best.copies);
    else
        printf(" no |");
    sluice_plan_free(plan);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    return 0;
}

int main(void)
{
    sluice_context *context = sluice_context_new(NULL, NULL);

    printf("| source \\ sink |");
    for (size_t i = 0; i < COUNT(sinks); i++)
        printf(" %s |", sinks[i]);
    printf("\n| --- |");
    for (size_t i = 0; i < COUNT(sinks); i++)
        printf(" --- |");
    printf("\n");
    for (size_t i = 0; i < COUNT(sources); i++) {
        printf("| %s |", sources[i]);
        for (size_t j = 0; j < COUNT(sinks); j++)
            if (print_cell(context, sources[i], sinks[j]) < 0)
                return 1;
        printf("\n");
    }
    sluice_context_free(context);
    return 0;
}
