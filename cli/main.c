/* SPDX-License-Identifier: MIT */
/* The command: a table of subcommands, which dispatches and prints the usage. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "config.h"
#include "message.h"
#include "signals.h"
#include "sluice.h"

static const struct command {
    const char *name;
    int (*function)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"copy", command_copy, "move bytes from one endpoint to another"},
    {"explain", command_explain, "show by which method, and why, without moving anything"},
    {"probe", command_probe, "measure which legs this kernel moves without a copy"},
    {"tee", command_tee, "move one input to many sinks, sharing its pages"},
    {"relay", command_relay, "accept connections, and pass them on to targets"},
    {"bench", command_bench, "measure what each method costs on this machine"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    fprintf(out, "usage: sluice COMMAND [OPTIONS] …\n\n"
                 "Moves bytes between any two Linux endpoints with the fewest copies that the\n"
                 "running kernel allows, and shows what happened.\n\n");
    for (const struct command *command = commands; command < commands + COMMANDS; command++)
        fprintf(out, "  %-10s %s\n", command->name, command->help);
    fprintf(out, "\n  --help     this text; sluice COMMAND --help for a command's options\n"
                 "  --version  the version, and what it was built with\n");
}

static void print_version(void)
{
    static const char *const features[] = {
#ifdef HAVE_JANSSON
        "+json",
#else
        "-json",
#endif
#ifdef HAVE_XXHASH
        "+xxh3",
#else
        "-xxh3",
#endif
#ifdef HAVE_NETTLE
        "+sha256",
#else
        "-sha256",
#endif
#ifdef HAVE_SECCOMP
        "+seccomp",
#else
        "-seccomp",
#endif
#ifdef HAVE_CHARTS
        "+charts",
#else
        "-charts",
#endif
#ifdef HAVE_LIBURING
        "+io_uring",
#else
        "-io_uring",
#endif
    };
    printf("sluice %s", sluice_version());
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        printf(" %s", features[i]);
    putchar('\n');
}

static int unknown_command(const char *word)
{
    const char *names[COMMANDS + 1] = {0};

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = nearest_name(word, names);
    return (int)(near ? usage_error("", "unknown command '%s'; did you mean '%s'?", word, near)
                      : usage_error("", "unknown command '%s'", word));
}

/* What was printed on standard output must have got there. */
static int flushed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE && !signals_sigpipe_ignored())
        signals_die_of(SIGPIPE);
    message("cannot write to standard output: %s", strerror(errno));
    return status == STATUS_DONE ? STATUS_FAILED : status;
}

static bool is_tee(const char *name)
{
    const char *slash = strrchr(name, '/');
    return strcmp(slash ? slash + 1 : name, "tee") == 0;
}

int main(int argc, char **argv)
{
    if (argc > 0 && is_tee(argv[0]))
        return command_tee_alone(argc, argv);
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    for (const struct command *command = commands; command < commands + COMMANDS; command++)
        if (strcmp(argv[1], command->name) == 0)
            return flushed(command->function(argc - 1, argv + 1));
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        print_version();
        return flushed(STATUS_DONE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return flushed(STATUS_DONE);
    }
    return argv[1][0] == '-' ? (int)usage_error("", "unknown option '%s'", argv[1])
                             : unknown_command(argv[1]);
}
