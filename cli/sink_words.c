/* SPDX-License-Identifier: MIT */
#include "sink_words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

const char *sink_words_size(const char *argument, uint64_t *ret)
{
    uint64_t size = 0;
    const int error = units_parse_size(argument, &size);

    if (error < 0)
        return error == -ERANGE ? "it is too large" : "a size is wanted, as 4096, 64K or 1.5GiB";
    *ret = size;
    return size == 0 ? "0 is too little" : NULL;
}

const char *sink_words_slow(const char *argument, enum sluice_slow *ret, char **ret_file)
{
    static const char spill[] = "spill=";

    if (strncmp(argument, spill, sizeof spill - 1) == 0 && argument[sizeof spill - 1]) {
        free(*ret_file);
        *ret = SLUICE_SLOW_SPILL;
        *ret_file = strdup(argument + sizeof spill - 1);
        return *ret_file ? NULL : "not enough memory";
    }
    for (int slow = SLUICE_SLOW_WAIT; slow < SLUICE_SLOW_SPILL; slow++)
        if (strcmp(argument, sluice_slow_name((enum sluice_slow)slow)) == 0) {
            free(*ret_file);
            *ret_file = NULL;
            *ret = (enum sluice_slow)slow;
            return NULL;
        }
    return "wait, drop, detach or spill=FILE is wanted";
}

const char *sink_words_spill_slow(const char *argument, enum sluice_slow *ret)
{
    for (int slow = SLUICE_SLOW_WAIT; slow < SLUICE_SLOW_SPILL; slow++)
        if (strcmp(argument, sluice_slow_name((enum sluice_slow)slow)) == 0) {
            *ret = (enum sluice_slow)slow;
            return NULL;
        }
    return "wait, drop or detach is wanted";
}

const char *sink_words_pipes(const char *argument, uint32_t *ret)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(argument, &end, 10);

    if (*argument < '0' || *argument > '9' || *end || errno || value == 0 || value > 1024)
        return "a number of pipes from 1 to 1024 is wanted";
    *ret = (uint32_t)value;
    return NULL;
}

const char *sink_words_option(const char *word, struct sluice_sink_options *options, char **spill)
{
    if (strncmp(word, "slow=", 5) == 0)
        return sink_words_slow(word + 5, &options->slow, spill);
    if (strncmp(word, "lag=", 4) == 0)
        return sink_words_size(word + 4, &options->lag);
    if (strncmp(word, "lag-pipes=", 10) == 0)
        return sink_words_pipes(word + 10, &options->lag_pipes);
    if (strncmp(word, "spill-slow=", 11) == 0)
        return sink_words_spill_slow(word + 11, &options->spill_slow);
    if (strncmp(word, "spill-most=", 11) == 0)
        return sink_words_size(word + 11, &options->spill_most);
    if (strncmp(word, "rate=", 5) == 0)
        return sink_words_size(word + 5, &options->rate);
    return "";
}

/* Where the word ends: at a comma that no backslash stands before. */
static size_t word_length(const char *text)
{
    size_t length = 0;

    while (text[length] && text[length] != ',')
        length += text[length] == '\\' && text[length + 1] ? 2 : 1;
    return length;
}

const char *sink_words_split(const char *text, char **ret_plain, sink_option_function *option,
                             void *data)
{
    const char *from = text;
    char *to = *ret_plain = strdup(text);

    if (!to)
        return "not enough memory";
    for (bool first = true; *from || first; first = false) {
        const size_t length = word_length(from);
        char *word = strndup(from, length);
        const char *wrong = !word ? "not enough memory" : first ? "" : option(word, data);
        free(word);
        if (wrong && *wrong)
            return wrong;
        if (wrong) { /* none of ours: it stays */
            if (!first)
                *to++ = ',';
            memcpy(to, from, length);
            to += length;
        }
        from += length;
        if (!*from)
            break;
        from++;
    }
    *to = '\0';
    return NULL;
}
