/* SPDX-License-Identifier: MIT */
#include "symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beginnings of the names of routines that do nothing but copy; the compiler adds to some of them
 * (".part.0", "_erms"). */
static const char *const copying[] = {
    "__memcpy",
    "__pi_memcpy",
    "memcpy",
    "memmove",
    "__memmove",
    "__pi_memmove",
    "_copy_to_iter",
    "_copy_from_iter",
    "_copy_to_user",
    "_copy_from_user",
    "__copy_user",
    "copy_user_",
    "raw_copy_",
    "rep_movs_alternative",
    "copy_page_to_iter",
    "copy_page_from_iter",
    "copy_folio_from_iter",
    "copy_folio_to_iter",
    "__copy_from_iter",
    "__copy_to_iter",
    "copy_mc_",
    "memcpy_to_iter",
    "memcpy_from_iter",
    "memcpy_orig",
    "copy_to_user_iter",
    "copy_from_user_iter",
    "__arch_copy_to_user",
    "__arch_copy_from_user",
};

static bool copies(const char *name)
{
    for (size_t i = 0; i < sizeof copying / sizeof *copying; i++)
        if (strncmp(name, copying[i], strlen(copying[i])) == 0)
            return true;
    return false;
}

static const char *among(const char *name, const char *const *wanted)
{
    for (; *wanted; wanted++)
        if (strcmp(name, *wanted) == 0)
            return *wanted;
    return NULL;
}

/* "ffffffff81000000 T name" and perhaps " [module]". */
static bool parse_symbol(char *line, uint64_t *address, const char **name)
{
    char *end;

    *address = strtoull(line, &end, 16);
    if (end == line || end[0] != ' ' || !strchr("tTwW", end[1]) || end[2] != ' ')
        return false;
    *name = end + 3;
    end[3 + strcspn(end + 3, " \t\n")] = '\0';
    return true;
}

static int take(FILE *file, const char *const *wanted, struct symbols *ret)
{
    char *line = NULL;
    size_t room = 0;
    struct symbol *open = NULL; /* whose end is the next symbol's beginning */
    uint64_t address, highest = 0;
    const char *name;

    while (getline(&line, &room, file) > 0) {
        if (!parse_symbol(line, &address, &name))
            continue;
        highest |= address;
        if (open && address > open->begin) {
            open->end = address;
            open = NULL;
        }
        const char *found = among(name, wanted);
        if ((!found && !copies(name)) || ret->count == MOST_SYMBOLS)
            continue;
        open = &ret->symbol[ret->count++];
        *open = (struct symbol){.begin = address, .end = address + 1, .wanted = found};
    }
    free(line);
    return highest ? 0 : -EPERM;
}

int symbols_read(const char *const *wanted, struct symbols *ret)
{
    FILE *file = fopen("/proc/kallsyms", "re");

    ret->count = 0;
    if (!file)
        return -errno;
    const int error = take(file, wanted, ret);
    fclose(file);
    return error;
}

const struct symbol *symbols_find(const struct symbols *symbols, uint64_t address)
{
    for (unsigned i = 0; i < symbols->count; i++)
        if (address >= symbols->symbol[i].begin && address < symbols->symbol[i].end)
            return &symbols->symbol[i];
    return NULL;
}
