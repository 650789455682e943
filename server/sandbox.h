/* SPDX-License-Identifier: MIT */
/*
 * The process gives up what it will not need: files and ports (Landlock), system calls (seccomp). To be
 * done once, when what has to be opened is open, and before there are threads, which inherit it.
 *
 * What stays possible: all that moving bytes takes; connecting to any target, also one that is new
 * after a reload; looking names up; reading and writing the paths that are named here. What does not:
 * any other file, listening on another port, starting or tracing a program, memory that is both
 * written and executed, signals to other processes.
 */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum sandbox_mode {
    SANDBOX_AUTO = 0, /* what the kernel and the build have; the log says what they have not */
    SANDBOX_ALWAYS,   /* all of it, or an error */
    SANDBOX_NEVER,
};

/* The mode of a word: "auto", "always", "never". 0 or -EINVAL. */
int sandbox_mode_from_name(const char *name, enum sandbox_mode *ret);

struct sandbox_options {
    enum sandbox_mode mode;
    /* Each list ends with NULL, or is NULL. A path that is not there is left out. */
    const char *const *read;   /* files and directories to be read later on */
    const char *const *write;  /* the same, to be read and written */
    const char *const *make;   /* directories in which files may be made, and written */
    const char *const *remove; /* directories in which a socket's path may be removed */
};

struct sandbox_report {
    int landlock; /* its version, or a negative errno: -ENOSYS, -EOPNOTSUPP: the kernel has none */
    int seccomp;  /* 0 or a negative errno; -ENOTSUP: not in this build (libseccomp) */
};

/* Enters, and says in the log what is on and what could not be had. Returns 0; with SANDBOX_ALWAYS
 * -EOPNOTSUPP if part of it is not to be had. A failure halfway leaves the process with less. */
int sandbox_enter(const struct sandbox_options *options, struct sandbox_report *ret);

/* ---- the user ---- */

struct identity {
    unsigned user, group;
    char name[64]; /* of the user, for messages */
};

/* Reads "NAME", "NAME:GROUP", or numbers for either; a number without a group takes that of the
 * account. 0; -ENOENT: no such user or group; -EINVAL: malformed, or a number without an account and
 * without a group. */
int identity_find(const char *text, struct identity *ret);

/* Becomes that user and group for good, with no other groups and no capability, and makes sure that
 * there is no way back. 0; -EPERM: only root can; or what the calls return. */
int identity_become(const struct identity *identity);

#endif
