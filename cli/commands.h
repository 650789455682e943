/* SPDX-License-Identifier: MIT */
/* The subcommands. Each gets its own words, argv[0] being its name, and returns an exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_bench(int argc, char **argv);
int command_copy(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_tee(int argc, char **argv);

/* Started under the name tee: as POSIX and GNU have it, and nothing else. */
int command_tee_alone(int argc, char **argv);
int command_relay(int argc, char **argv);

#endif
