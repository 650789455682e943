/* SPDX-License-Identifier: MIT */
#include "relay_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "relay_taps.h"
#include "units.h"

enum { LONG_ONLY = 256, MOST_OPTIONS = 48, MOST_THREADS = 256, MOST_TARGETS = 4096 };

#define SECOND UINT64_C(1000000000)

/* Each option's own function reads its argument. It returns NULL, or what is wanted instead. */
typedef const char *option_function(struct relay_words *words, const char *argument);

static const char *wanted(int error, const char *otherwise)
{
    return error == -ERANGE ? "it is too large" : otherwise;
}

static const char *parse_rate(const char *argument, uint64_t *ret)
{
    const int error = units_parse_size(argument, ret);
    if (error < 0)
        return wanted(error, "a size is wanted, as 4096, 64K or 1.5GiB");
    return *ret == 0 ? "a rate above 0 is wanted" : NULL;
}

static const char *parse_seconds(const char *argument, uint64_t *ret)
{
    const int error = units_parse_seconds(argument, ret);
    if (error < 0)
        return wanted(error, "seconds are wanted, as 10, 0.5, 200ms or 2m");
    return *ret > INT64_MAX / 2 ? "it is too large" : NULL;
}

static const char *parse_count(const char *argument, unsigned most, unsigned *ret)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(argument, &end, 10);
    if (*argument < '0' || *argument > '9' || *end || value == 0)
        return "a number above 0 is wanted";
    if (errno || value > most)
        return "it is too large";
    *ret = (unsigned)value;
    return NULL;
}

static const char *on_threads(struct relay_words *words, const char *argument)
{
    return parse_count(argument, MOST_THREADS, &words->relay.threads);
}

static const char *on_rate(struct relay_words *words, const char *argument)
{
    return parse_rate(argument, &words->relay.rate);
}

static const char *on_rate_all(struct relay_words *words, const char *argument)
{
    return parse_rate(argument, &words->relay.rate_all);
}

static const char *on_idle_timeout(struct relay_words *words, const char *argument)
{
    return parse_seconds(argument, &words->relay.idle_timeout);
}

static const char *on_connect_timeout(struct relay_words *words, const char *argument)
{
    return parse_seconds(argument, &words->relay.connect_timeout);
}

static const char *on_drain_timeout(struct relay_words *words, const char *argument)
{
    return parse_seconds(argument, &words->relay.drain_timeout);
}

static const char *on_drain_delay(struct relay_words *words, const char *argument)
{
    return parse_seconds(argument, &words->drain_delay);
}

static const char *on_max_connections(struct relay_words *words, const char *argument)
{
    return parse_count(argument, 1U << 24, &words->relay.max_connections);
}

static const char *on_backlog(struct relay_words *words, const char *argument)
{
    return parse_count(argument, 1U << 20, &words->backlog);
}

static const char *on_balance(struct relay_words *words, const char *argument)
{
    const bool least = strcmp(argument, "least-connections") == 0;
    words->policy = least ? TARGET_LEAST_CONNECTIONS : TARGET_ROUND_ROBIN;
    return least || strcmp(argument, "round-robin") == 0
               ? NULL
               : "round-robin or least-connections is wanted";
}

static const char *on_targets(struct relay_words *words, const char *argument)
{
    words->targets_file = argument;
    return *argument ? NULL : "a file's name is wanted";
}

static const char *on_tap(struct relay_words *words, const char *argument)
{
    const char *wrong = relay_tap_parse(argument, &words->tap[words->taps]);
    words->taps += wrong == NULL;
    return wrong;
}

static const char *on_quiet(struct relay_words *words, const char *argument)
{
    (void)argument;
    words->log.level = LOG_LEVEL_ERROR;
    message_quiet = true;
    return NULL;
}

static const char *on_verbose(struct relay_words *words, const char *argument)
{
    (void)argument;
    words->log.level = LOG_LEVEL_DEBUG;
    return NULL;
}

/* ---- who comes in, and who watches ---- */

static const char *add_to_list(const char **list, const char *argument)
{
    static char why[160];
    struct cidr network;

    if (cidr_parse(argument, &network, why, sizeof why) < 0)
        return why;
    while (*list)
        list++;
    *list = argument;
    return NULL;
}

static const char *on_allow(struct relay_words *words, const char *argument)
{
    return add_to_list(words->allow, argument);
}

static const char *on_deny(struct relay_words *words, const char *argument)
{
    return add_to_list(words->deny, argument);
}

static const char *on_trust(struct relay_words *words, const char *argument)
{
    return add_to_list(words->trust, argument);
}

static const char *on_access(struct relay_words *words, const char *argument)
{
    words->gate.file = argument;
    return *argument ? NULL : "a file's name is wanted";
}

static const char *on_accept_proxy(struct relay_words *words, const char *argument)
{
    (void)argument;
    words->gate.accept_proxy = true;
    return NULL;
}

static const char *on_send_proxy(struct relay_words *words, const char *argument)
{
    if (strcmp(argument, "v1") != 0 && strcmp(argument, "v2") != 0)
        return "v1 or v2 is wanted";
    words->gate.send_proxy = argument[1] == '1' ? PROXY_V1 : PROXY_V2;
    return NULL;
}

static const char *on_metrics(struct relay_words *words, const char *argument)
{
    words->metrics = argument;
    return NULL;
}

static const char *on_agent_check(struct relay_words *words, const char *argument)
{
    words->agent_check = argument;
    return NULL;
}

static const char *on_log_format(struct relay_words *words, const char *argument)
{
    const bool json = strcmp(argument, "json") == 0;
    words->log.format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return json || strcmp(argument, "text") == 0 ? NULL : "text or json is wanted";
}

static const char *on_user(struct relay_words *words, const char *argument)
{
    words->user = argument;
    return *argument ? NULL : "USER or USER:GROUP is wanted";
}

static const char *on_sandbox(struct relay_words *words, const char *argument)
{
    return sandbox_mode_from_name(argument, &words->sandbox) < 0 ? "auto, always or never is wanted"
                                                                 : NULL;
}

static const struct option_row {
    const char *name;
    int letter; /* 0: none */
    const char *argument;
    option_function *function;
    const char *help;
} rows[] = {
    {"threads", 't', "N", on_threads, "loops, one a core at most (1)"},
    {"balance", 0, "HOW", on_balance, "round-robin (the default), least-connections"},
    {"targets", 0, "FILE", on_targets, "more targets, one a line; read again at SIGHUP"},
    {"rate", 'L', "RATE", on_rate, "bytes a second of each connection, each way"},
    {"rate-all", 0, "RATE", on_rate_all, "bytes a second of all together, each way"},
    {"connect-timeout", 0, "SECONDS", on_connect_timeout, "for connecting to a target (5)"},
    {"idle-timeout", 0, "SECONDS", on_idle_timeout, "end a connection that moved no byte so long"},
    {"drain-timeout", 0, "SECONDS", on_drain_timeout,
     "after SIGTERM, for those that live; 0: for ever (30)"},
    {"drain-delay", 0, "SECONDS", on_drain_delay,
     "after SIGTERM, accept so long while saying that it drains (0)"},
    {"max-connections", 0, "N", on_max_connections, "at once; the next ones wait to be accepted"},
    {"backlog", 0, "N", on_backlog, "connections that may wait to be accepted (4096)"},
    {"tap", 0, "SINK", on_tap, "write what is relayed there as well (may be repeated)"},
    {"allow", 0, "CIDR", on_allow, "let these clients in, and no others (may be repeated)"},
    {"deny", 0, "CIDR", on_deny, "keep these out, before any --allow (may be repeated)"},
    {"access", 0, "FILE", on_access, "lines 'allow CIDR' and 'deny CIDR'; read again at SIGHUP"},
    {"accept-proxy", 0, NULL, on_accept_proxy, "clients send a PROXY header (v1, v2) first"},
    {"trust", 0, "CIDR", on_trust, "whose PROXY headers are believed (may be repeated; all)"},
    {"send-proxy", 0, "VERSION", on_send_proxy, "send targets a PROXY header first: v1, v2"},
    {"metrics", 0, "LISTEN", on_metrics, "answer HTTP there: /metrics, /healthz"},
    {"agent-check", 0, "LISTEN", on_agent_check, "answer HAProxy's agent-check there"},
    {"user", 0, "USER", on_user, "become USER or USER:GROUP when all is open"},
    {"sandbox", 0, "WHEN", on_sandbox, "auto (the default), always (or do not start), never"},
    {"log-format", 0, "FORMAT", on_log_format, "text (the default), json"},
    {"quiet", 'q', NULL, on_quiet, "log errors only"},
    {"verbose", 'v', NULL, on_verbose, "log each connection"},
    {"help", 'h', NULL, NULL, "this text"},
};

#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS < MOST_OPTIONS, "enlarge MOST_OPTIONS");

static void print_help(void)
{
    printf("usage: sluice relay [OPTIONS] LISTEN TARGET…\n\n");
    for (const struct option_row *row = rows; row < rows + ROWS; row++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        printf("  %c%c%c %-26s %s\n", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
               row->letter ? ',' : ' ', left, row->help);
    }
    printf("\nLISTEN  [HOST]:PORT (127.0.0.1 without HOST, all addresses with *)  unix:PATH\n"
           "        fd:N  listen-fds (as passed by systemd)\n"
           "TARGET  HOST:PORT  :PORT  unix:PATH\n"
           "SINK    PATH  file:NAME  tcp:HOST:PORT  unix:PATH  fd:N  null:, opened for each "
           "connection;\n"
           "        in names %%n number, %%c client, %%t target, %%d sender, %%T time; each with\n"
           "        ,from=client|target|both  ,slow=detach|drop|wait|spill=DIR  ,lag=SIZE\n"
           "        ,lag-pipes=N  ,rate=RATE\n"
           "\nSIGTERM drains, SIGHUP looks the targets up again, SIGUSR1 prints a line. See "
           "sluice-relay(1).\n");
}

static enum status no_such_option(const char *given)
{
    const char *names[MOST_OPTIONS] = {0};

    for (unsigned i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    return unknown_option("relay", given, names);
}

static void build_tables(struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (unsigned i = 0; i < ROWS; i++) {
        *longs++ = (struct option){.name = rows[i].name,
                                   .has_arg = rows[i].argument ? required_argument : no_argument,
                                   .val = LONG_ONLY + (int)i};
        if (!rows[i].letter)
            continue;
        *shorts++ = (char)rows[i].letter;
        if (rows[i].argument)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

static const struct option_row *row_for(int value)
{
    if (value >= LONG_ONLY)
        return &rows[value - LONG_ONLY];
    for (const struct option_row *row = rows; row < rows + ROWS; row++)
        if (row->letter == value)
            return row;
    return NULL;
}

static int parse_words(int count, char **words, struct relay_words *ret)
{
    if (count < 1)
        return (int)usage_error("relay", "a LISTEN and a TARGET are wanted");
    ret->listen = words[0];
    ret->target = words + 1;
    ret->targets = (unsigned)count - 1;
    if (ret->targets == 0 && !ret->targets_file)
        return (int)usage_error("relay", "a TARGET is wanted, or --targets");
    if (*ret->trust && !ret->gate.accept_proxy)
        return (int)usage_error("relay",
                                "--trust is about PROXY headers: --accept-proxy is wanted");
    return STATUS_DONE;
}

/* Each list has room for as many words as there are, and a NULL. */
static int make_lists(struct relay_words *words, size_t room)
{
    words->allow = calloc(3 * room, sizeof *words->allow);
    if (!words->allow)
        return -ENOMEM;
    words->deny = words->allow + room;
    words->trust = words->deny + room;
    words->gate.allow = words->allow;
    words->gate.deny = words->deny;
    words->gate.trust = words->trust;
    words->tap = calloc(room, sizeof *words->tap);
    return words->tap ? 0 : -ENOMEM;
}

int relay_words_parse(int argc, char **argv, struct relay_words *ret)
{
    struct option longs[MOST_OPTIONS];
    char shorts[2 * MOST_OPTIONS + 3];
    int value;

    *ret = (struct relay_words){.relay = {.threads = 1,
                                          .connect_timeout = 5 * SECOND,
                                          .header_timeout = 5 * SECOND,
                                          .drain_timeout = 30 * SECOND},
                                .log = {.fd = 2, .level = LOG_LEVEL_INFO},
                                .backlog = 4096};
    if (make_lists(ret, (size_t)argc + 1) < 0)
        return (int)usage_error("relay", "out of memory");
    build_tables(longs, shorts);
    opterr = 0;
    optind = 1;
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const char *given = argv[optind - 1];
        const struct option_row *row = row_for(value);
        if (value == ':')
            return (int)usage_error("relay", "option '%s' wants an argument", given);
        if (!row) {
            const char letter[] = {'-', (char)optopt, '\0'};
            return (int)no_such_option(optopt && optopt < LONG_ONLY ? letter : given);
        }
        if (!row->function) {
            print_help();
            return -1;
        }
        const char *wrong = row->function(ret, optarg);
        if (wrong)
            return (int)usage_error("relay", "--%s%s%s: %s", row->name, optarg ? "=" : "",
                                    optarg ? optarg : "", wrong);
    }
    return parse_words(argc - optind, argv + optind, ret);
}

void relay_words_free(struct relay_words *words)
{
    for (unsigned i = 0; i < words->taps; i++)
        relay_tap_free(&words->tap[i]);
    free(words->tap);
    free(words->allow);
    *words = (struct relay_words){0};
}

/* ---- targets ---- */

static bool add_target(struct target_list *list, const char *word, char *why, size_t size)
{
    struct target *target = &list->target[list->count];
    const char *reason = NULL;

    const int error = peer_parse(word, false, &target->peer, &reason);
    if (error < 0) {
        snprintf(why, size, "target '%s': %s", word, reason ? reason : strerror(-error));
        return false;
    }
    snprintf(target->name, sizeof target->name, "%s", word);
    list->count++;
    return true;
}

/* Adds those of the file: one a line, blank lines and those with # apart. */
static bool add_file(struct target_list *list, const char *name, char *why, size_t size)
{
    char line[512];
    bool good = true;
    FILE *file = fopen(name, "re");

    if (!file) {
        snprintf(why, size, "cannot read '%s': %s", name, strerror(errno));
        return false;
    }
    while (good && fgets(line, sizeof line, file)) {
        char *word = line + strspn(line, " \t");
        word[strcspn(word, " \t\r\n")] = '\0';
        if (!*word || *word == '#')
            continue;
        if (list->count == MOST_TARGETS) {
            snprintf(why, size, "'%s': more than %d targets", name, MOST_TARGETS);
            good = false;
        } else {
            good = add_target(list, word, why, size);
        }
    }
    fclose(file);
    return good;
}

struct target_list *relay_words_targets(const struct relay_words *words, char *why, size_t size)
{
    struct target_list *list =
        target_list_new(words->targets_file ? MOST_TARGETS : words->targets, words->policy);
    bool good = list != NULL;

    snprintf(why, size, "out of memory");
    if (list)
        list->count = 0;
    for (unsigned i = 0; good && i < words->targets; i++)
        good = add_target(list, words->target[i], why, size);
    if (good && words->targets_file)
        good = add_file(list, words->targets_file, why, size);
    if (good && list->count == 0) {
        snprintf(why, size, "'%s' has no target", words->targets_file);
        good = false;
    }
    if (!good) {
        target_list_release(list);
        return NULL;
    }
    return list;
}
