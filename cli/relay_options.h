/* SPDX-License-Identifier: MIT */
/* The words of `sluice relay`. */
#ifndef CLI_RELAY_OPTIONS_H
#define CLI_RELAY_OPTIONS_H

#include <stdbool.h>

#include "server/gate.h"
#include "server/log.h"
#include "server/relay.h"
#include "server/sandbox.h"
#include "server/tap_sink.h"

struct relay_words {
    struct relay_options relay; /* its targets are none yet: relay_words_targets() */
    struct log_options log;
    const char *listen;
    char **target; /* argv's */
    unsigned targets;
    const char *targets_file; /* --targets, NULL: none */
    enum target_policy policy;
    unsigned backlog;
    /* How it is watched and guarded. */
    struct gate_options gate;
    const char *metrics, *agent_check; /* addresses to listen on; NULL: none */
    uint64_t drain_delay;              /* nanoseconds */
    const char *user;                  /* NULL: who we are */
    enum sandbox_mode sandbox;
    const char **allow, **deny, **trust; /* gate's words: one array, owned */
    struct tap_sink *tap;                /* --tap; room for as many as there are words, owned */
    unsigned taps;
};

/* Returns 0, -1 (help was printed), or an exit status. */
int relay_words_parse(int argc, char **argv, struct relay_words *ret);
void relay_words_free(struct relay_words *words);

/* Makes the list of targets, from the words and the file; looks names up. Returns it, or NULL with
 * the reason in `why`. */
struct target_list *relay_words_targets(const struct relay_words *words, char *why, size_t size);

#endif
