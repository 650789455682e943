/* SPDX-License-Identifier: MIT */
/*
 * The stage of one leg: a source whose bytes lie in pages that we can also reach another way, the
 * call, and a sink that can be read. Scratch objects without names; what a test of the leg does is
 * always
 *
 *     scene_fill     the pages get bytes, and the source gets the pages
 *     scene_move     the call that is looked into
 *     scene_store    the pages get other bytes
 *     scene_collect  the sink's bytes
 */
#ifndef SLUICE_SCENE_H
#define SLUICE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "place.h"

enum scene_end {
    SCENE_FILE,   /* a scratch file in the place */
    SCENE_DIRECT, /* the same, O_DIRECT while the call is made */
    SCENE_MEMFD,
    SCENE_MEMORY,
    SCENE_PIPE,         /* as source it holds pages of a memfd, */
    SCENE_PIPE_OF_FILE, /* or of a scratch file, */
    SCENE_PIPE_OF_TCP,  /* or what came from a TCP socket */
    SCENE_TCP,
    SCENE_UNIX,
    SCENE_UDP,
    SCENE_UNIX_DGRAM,
    SCENE_UNIX_SEQPACKET,
    SCENE_TTY,
    SCENE_NULL,
};

struct scene;

/* A leg that can be measured. */
struct leg {
    enum scene_end source, sink;
    const char *call;
    const char *variant;
    /* Moves up to `length` bytes at `offset`; returns how many, or a negative errno. */
    ssize_t (*move)(struct scene *scene, size_t offset, size_t length);
    unsigned flags;      /* of the call */
    unsigned traits;     /* enum leg_traits */
    const char *path;    /* kernel functions that the bytes are expected to go through */
    size_t from, length; /* not the whole: so many bytes from there; 0: the whole */
};

enum leg_traits {
    LEG_WORD = 1 << 0,        /* the kernel itself says what it did: `word` */
    LEG_SHARES = 1 << 1,      /* it could share extents */
    LEG_COST = 1 << 2,        /* beside a copy it costs little: CPU time can tell */
    LEG_BOTH = 1 << 3,        /* tee: both pipes hold the pages */
    LEG_CONTROL = 1 << 4,     /* must come out as copied, or the run is worth nothing */
    LEG_REFERENCE = 1 << 5,   /* the control that shows what an alias looks like */
    LEG_WHOLE_PAGES = 1 << 6, /* the sender's pages are to arrive as whole pages: MSG_ZEROCOPY */
};

struct scene {
    const struct leg *leg;
    const struct place *place; /* NULL where no file is needed */
    int family;                /* AF_INET or AF_INET6, for SCENE_TCP and SCENE_UDP */
    const int *pair;           /* a TCP connection to use, sender first; NULL: one on loopback */
    bool lent;                 /* a source pipe gets its pages by vmsplice, not by splice */
    int in, out;               /* of the call; -1: memory, or none */
    int feed, drain;           /* the other ends: where the source is filled, the sink read */
    int backing;               /* the file or memfd whose pages the source's bytes lie in, or -1 */
    int through[2];            /* a pipe to fill some sources by */
    char *pages;               /* a mapping of these pages, NULL: they cannot be reached */
    bool written;              /* they are a file's: bytes get there by pwrite() */
    char *memory;              /* a sink that is memory */
    size_t length;             /* bytes of one round */
    size_t mapped;             /* of `pages` and `memory` */
    char *collecting;          /* the buffer of scene_collect() */
    int word;                  /* LEG_WORD, after a move: 1 copied, -1 not copied, 0 nothing said */
    char said[96];             /* the same in words */
    void *ring;                /* io_uring, where a leg needs it */
};

/* Returns 0 or a negative errno; scene_close() after success. */
int scene_open(struct scene *scene, const struct leg *leg, const struct place *place, int family,
               const int *pair, bool lent);
void scene_close(struct scene *scene);

int scene_fill(struct scene *scene, char byte);
/* Moves all bytes of the round. Returns how many, or a negative errno. */
ssize_t scene_move(struct scene *scene);
/* Changes the pages' bytes by way of their other holder. */
int scene_store(struct scene *scene, char byte);
/* Empties the sink into the buffer of `length` bytes. Returns how many, or a negative errno;
 * -EOPNOTSUPP from a sink that keeps nothing. */
ssize_t scene_collect(struct scene *scene, char *buffer);
/* Leaves source and sink empty again. */
void scene_reset(struct scene *scene);

/* The name of an end, as the legs of a probe are called. */
const char *scene_name(enum scene_end end, const struct place *place);
bool scene_uses_place(const struct leg *leg);
bool scene_uses_network(const struct leg *leg);

#endif
