/* SPDX-License-Identifier: MIT */
/* What follows the address of a sink, as in "PATH,slow=drop,lag=64M": the words that every command
 * with such sinks takes. Each function returns NULL, or what is wrong, or wanted instead. */
#ifndef CLI_SINK_WORDS_H
#define CLI_SINK_WORDS_H

#include <stdint.h>

#include "sluice.h"

/* A size above 0. */
const char *sink_words_size(const char *argument, uint64_t *ret);
/* A policy; of "spill=FILE" the file, owned by the caller, else NULL. What *ret_file was is freed. */
const char *sink_words_slow(const char *argument, enum sluice_slow *ret, char **ret_file);
/* What is done when the file is behind, too: a policy without a file. */
const char *sink_words_spill_slow(const char *argument, enum sluice_slow *ret);
const char *sink_words_pipes(const char *argument, uint32_t *ret);

/* One option: slow, lag, lag-pipes, spill-slow, spill-most, rate. "": it is none of these. */
const char *sink_words_option(const char *word, struct sluice_sink_options *options, char **spill);

/* The same for what a command has beside them. */
typedef const char *sink_option_function(const char *word, void *data);

/* Takes the options that `option` knows out of "ADDRESS,OPTION…"; what is left is the address, with
 * its own, in *ret_plain, which is the caller's to free. A comma in a path is a comma: only what
 * begins like an option is one. */
const char *sink_words_split(const char *text, char **ret_plain, sink_option_function *option,
                             void *data);

#endif
