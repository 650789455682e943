/* SPDX-License-Identifier: MIT */
#include "cost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../sys.h"
#include "cache.h"

/* Of nine ordered values the second and the eighth hold the median with 96 %. */
enum { ROUNDS = 9, LOW = 1, MIDDLE = 4, HIGH = 7, MOVES = 12 };

static uint64_t cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The loops below differ in nothing but what is timed: each fills and empties the scene. */
struct bystander {
    int fds[2];
    char *from, *to;
    bool cold; /* what is moved is flushed from the CPU's cache before */
};

static int round_of_leg(struct scene *scene, const struct bystander *bystander, uint64_t *ret)
{
    const int error = scene_fill(scene, 'A');
    if (error < 0)
        return error;
    if (bystander->cold)
        cache_flush(scene->pages, scene->length);
    const uint64_t begun = cpu_now();
    const ssize_t value = scene_move(scene);
    *ret += cpu_now() - begun;
    scene_collect(scene, bystander->to);
    scene_reset(scene);
    return value < 0 ? (int)value : 0;
}

/* Data that is moved is cold more often than not; and a copy of what is in the cache already costs
 * less than the call that makes it. */
static void prepare(const struct scene *scene, const struct bystander *bystander)
{
    memset(bystander->from, 'A', scene->length);
    if (bystander->cold)
        cache_flush(bystander->from, scene->length);
}

static int round_of_memcpy(struct scene *scene, const struct bystander *bystander, uint64_t *ret)
{
    prepare(scene, bystander);
    const uint64_t begun = cpu_now();
    memcpy(bystander->to, bystander->from, scene->length);
    *ret += cpu_now() - begun;
    return 0;
}

static int round_of_read_write(struct scene *scene, const struct bystander *bystander,
                               uint64_t *ret)
{
    prepare(scene, bystander);
    const uint64_t begun = cpu_now();
    const ssize_t written = sys_write(bystander->fds[1], bystander->from, scene->length);
    const ssize_t read = sys_read(bystander->fds[0], bystander->to, scene->length);
    *ret += cpu_now() - begun;
    return written < 0 ? (int)written : read < 0 ? (int)read : 0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct cost summary(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof *values, ascending);
    return (struct cost){.median = values[MIDDLE], .low = values[LOW], .high = values[HIGH]};
}

static int measure(struct scene *scene, const struct bystander *bystander, struct costs *ret)
{
    static int (*const rounds[3])(struct scene *, const struct bystander *, uint64_t *) = {
        round_of_leg, round_of_memcpy, round_of_read_write};
    struct cost *const results[3] = {&ret->leg, &ret->memcpy, &ret->read_write};
    const size_t length = scene->leg->length ? scene->leg->length : scene->length;
    const double gibibytes = (double)(length * MOVES) / (1 << 30);
    double values[3][ROUNDS];

    for (int round = 0; round < ROUNDS; round++)
        for (int which = 0; which < 3; which++) {
            uint64_t nanoseconds = 0;
            for (int move = 0; move < MOVES; move++) {
                const int error = rounds[which](scene, bystander, &nanoseconds);
                if (error < 0)
                    return error;
            }
            values[which][round] = (double)nanoseconds / 1e9 / gibibytes;
        }
    for (int which = 0; which < 3; which++)
        *results[which] = summary(values[which]);
    return 0;
}

int cost_measure(struct scene *scene, bool cold, struct costs *ret)
{
    struct bystander bystander = {
        .from = malloc(scene->mapped), .to = malloc(scene->mapped), .cold = cold};
    int error =
        bystander.from && bystander.to ? sys_pipe2(bystander.fds, O_CLOEXEC | O_NONBLOCK) : -ENOMEM;

    if (error >= 0) {
        error = measure(scene, &bystander, ret);
        sys_close(bystander.fds[0]);
        sys_close(bystander.fds[1]);
    }
    free(bystander.from);
    free(bystander.to);
    return error;
}

int cost_says(const struct costs *costs, bool cold)
{
    /* Far below: the kernel's copy may be a little faster than the library's memcpy(). */
    if (costs->leg.high * 2 < costs->memcpy.low)
        return -1;
    /* Half of a copy on top for the call: those that only hand pages on stay below one. What is in the
     * CPU's cache is copied for next to nothing, and the calls have to be counted in. */
    return costs->leg.low > (cold ? 1.5 * costs->memcpy.high : costs->read_write.high / 2);
}
