/* SPDX-License-Identifier: MIT */
/* A name as a shell would have to be given it: as it is where that is one plain word, else quoted. What
 * cannot be printed is written as an escape, so that no name can command a terminal. */
#ifndef CLI_SHELL_WORD_H
#define CLI_SHELL_WORD_H

/* The text, to be freed; NULL: there is no memory. */
char *shell_word(const char *name);

#endif
