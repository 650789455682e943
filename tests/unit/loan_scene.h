/* SPDX-License-Identifier: MIT */
/* What tests of loans work with: a pool, a sink of it, and the one who reads behind that. */
#ifndef TEST_LOAN_SCENE_H
#define TEST_LOAN_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "sluice.h"

enum { KIB = 1024, MIB = 1 << 20, ROUNDS = 8 };

enum behind { PIPE, TCP, UNIX, BEHIND_COUNT };
extern const char *const loan_behind_names[];

struct scene {
    sluice_loan_pool *pool;
    sluice_loan_sink *sink;
    sluice_endpoint *endpoint;
    int fd, peer;
};

/* Of the group of tests. */
extern sluice_context *loan_context;
int loan_set_up(void **state);
int loan_tear_down(void **state);

void nonblocking(int fd);
void open_behind(enum behind behind, int *ret_writer, int *ret_reader);

/* Closed, nothing may be out any more. */
void loan_scene_open(struct scene *scene, enum behind behind, enum sluice_loan_way prefer,
                     uint64_t buffer_size, uint32_t max);
void loan_scene_close(struct scene *scene);
struct sluice_loan_stats stats_of(const struct scene *scene);
struct sluice_loan_choice choice_of(const struct scene *scene, enum sluice_loan_way way);

/* Bytes that are different in each round. */
void fill(void *into, size_t length, unsigned round);
/* A loan of such bytes, sent whole and put back. */
void send_round(struct scene *scene, unsigned flags, size_t length, unsigned round);
/* Bytes until the end, or until there are none for a while. */
size_t read_all(int fd, char *into, size_t most);

/* valgrind has memory, descriptors and processor time of its own. */
void skip_under_wrapper(void);

#endif
