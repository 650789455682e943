/* SPDX-License-Identifier: MIT */
/*
 * SLUICE_SNAPSHOT, thousands of times: while a file is on its way into a pipe it is overwritten, at
 * a random moment, in each way there is. What was taken before that is as it was then, whatever
 * happens to the file before anybody reads it; what is taken meanwhile is old or new, byte by byte,
 * as a read(2) would give it. Without a snapshot the same things show.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"

enum { PAGE = 4096, LARGEST = 200 * PAGE, PIPE = 1 << 20, OLD = 'A', NEW = 'B' };

static char old_bytes[LARGEST], found[PIPE];
static char *new_bytes; /* aligned, for O_DIRECT */

/* ---- ways to overwrite a file ---- */

static void by_write(int fd, size_t size)
{
    assert_int_equal(pwrite(fd, new_bytes, size, 0), size);
}

static void by_mapping(int fd, size_t size)
{
    char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(mapping, MAP_FAILED);
    memset(mapping, NEW, size);
    munmap(mapping, size);
}

static void by_direct(int fd, size_t size)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int direct = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    const size_t whole = size - size % PAGE;
    if (direct < 0 || pwrite(direct, new_bytes, whole, 0) != (ssize_t)whole)
        by_write(fd, size); /* a file system without it */
    else
        assert_int_equal(pwrite(fd, new_bytes + whole, size - whole, (off_t)whole), size - whole);
    if (direct >= 0)
        close(direct);
}

/* What is cut off is zeros for a reader in a moment between; then it is all new. */
static void by_truncation(int fd, size_t size)
{
    assert_int_equal(ftruncate(fd, (off_t)(size / 3)), 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    by_write(fd, size);
}

static void by_hole(int fd, size_t size)
{
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0)
        assert_int_equal(errno, EOPNOTSUPP);
    by_write(fd, size);
}

static const struct way {
    const char *name;
    void (*overwrite)(int fd, size_t size);
    bool zeros; /* a reader in between can meet them, or an end */
} ways[] = {
    {"write", by_write, false},     {"mmap", by_mapping, false},
    {"O_DIRECT", by_direct, false}, {"truncate", by_truncation, true},
    {"punch hole", by_hole, true},
};

enum { WAYS = sizeof ways / sizeof *ways };

/* ---- one run ---- */

struct run {
    uint64_t seed;
    int fd; /* of the source */
    size_t size;
    const struct way *way;
    bool snapshot, racing;
    unsigned delay;          /* of the racing writer, in turns of a loop */
    atomic_size_t delivered; /* so far */
    size_t before;           /* delivered when the overwriting began */
    atomic_bool go;
};

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void *overwrite_meanwhile(void *data)
{
    struct run *run = data;
    while (!atomic_load(&run->go))
        ;
    for (volatile unsigned turn = 0; turn < run->delay; turn++)
        ;
    run->before = atomic_load(&run->delivered);
    run->way->overwrite(run->fd, run->size);
    return NULL;
}

static int on_progress(const struct sluice_progress *progress, void *data)
{
    struct run *run = data;
    atomic_store(&run->delivered, progress->delivered);
    return 0;
}

/* Steps by pieces of `budget`, and overwrites the file when `at` bytes are delivered. */
static int step_through(sluice_transfer *transfer, struct run *run, uint64_t budget, size_t at)
{
    struct sluice_wait wait = {.size = sizeof wait};
    bool done = false;
    int step = SLUICE_MORE;

    while (step > 0) {
        if (!done && sluice_transfer_delivered(transfer) >= at) {
            run->before = sluice_transfer_delivered(transfer);
            run->way->overwrite(run->fd, run->size);
            done = true;
        }
        step = sluice_transfer_step(transfer, budget, &wait);
        if (step == SLUICE_WAIT) { /* for the device: there is room for all of it */
            struct pollfd poll_for = {.fd = wait.source_fd, .events = wait.source_events};
            assert_int_equal(wait.mask & SLUICE_WAIT_SINK_OUT, 0);
            assert_true(poll(&poll_for, 1, 10000) == 1);
        }
    }
    if (!done) {
        run->before = sluice_transfer_delivered(transfer);
        run->way->overwrite(run->fd, run->size);
    }
    return step;
}

/* Returns how many bytes of the pipe are not as they were when they were taken. */
static size_t look(const struct run *run, size_t length)
{
    size_t changed = 0;

    for (size_t i = 0; i < length; i++) {
        const char byte = found[i];
        if (i < run->before) {
            changed += byte != OLD;
            continue;
        }
        if (byte != OLD && byte != NEW && !(byte == 0 && run->way->zeros))
            fail_msg("seed %llu: byte %zu of %zu is %#x, neither old nor new",
                     (unsigned long long)run->seed, i, length, (unsigned char)byte);
    }
    return changed;
}

static size_t one(const char *directory, enum sluice_method method, struct run *run)
{
    uint64_t chance = run->seed * 0x9E3779B97F4A7C15U + 1;
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct sluice_error error = {.size = sizeof error};
    sluice_endpoint *source, *sink;
    sluice_transfer *transfer;
    pthread_t thread;
    int pipe[2];

    run->size = 1 + draw(&chance) % LARGEST;
    run->way = &ways[draw(&chance) % WAYS];
    run->delay = (unsigned)(draw(&chance) % 60000);
    run->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(run->fd >= 0);
    assert_int_equal(pwrite(run->fd, old_bytes, run->size, 0), run->size);
    assert_int_equal(pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(pipe[1], F_SETPIPE_SZ, PIPE) >= 0);
    options.flags = run->snapshot ? SLUICE_SNAPSHOT : 0;
    options.method = method;
    /* Every piece takes at most two slots of the pipe more than it has pages, and it has 256. */
    options.chunk = (uint32_t)(1 + draw(&chance) % (16 * PAGE));
    if (run->size / options.chunk > 20)
        options.chunk = (options.chunk / PAGE + 1) * PAGE;
    options.progress = on_progress;
    options.progress_data = run;
    sluice_context *context = sluice_context_new(NULL, NULL);
    assert_int_equal(sluice_endpoint_from_fd(context, run->fd, SLUICE_BORROW, &source), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, pipe[1], SLUICE_BORROW, &sink), 0);
    const int made = sluice_transfer_new(context, source, sink, &options, &transfer, &error);
    if (made < 0)
        fail_msg("seed %llu: %s: %s", (unsigned long long)run->seed, strerror(-made),
                 error.reason ? error.reason : "");
    int done;
    if (run->racing) {
        assert_int_equal(pthread_create(&thread, NULL, overwrite_meanwhile, run), 0);
        atomic_store(&run->go, true);
        done = sluice_transfer_run(transfer);
        pthread_join(thread, NULL);
    } else {
        done = step_through(transfer, run, options.chunk, draw(&chance) % (run->size + 1));
    }
    /* A file that is short for a moment may end there; or it says "end", and has grown again when it is
     * asked: then a method that was named has nobody to follow it. */
    if (done < 0 && !((done == -ENODATA || done == -EIO) && run->way->zeros))
        fail_msg("seed %llu: %s", (unsigned long long)run->seed, strerror(-done));
    size_t length = 0;
    for (ssize_t value; (value = read(pipe[0], found + length, sizeof found - length)) > 0;)
        length += (size_t)value;
    assert_int_equal(length, sluice_transfer_delivered(transfer));
    if (done == 0 && !run->way->zeros)
        assert_int_equal(length, run->size);
    sluice_transfer_discard(transfer);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    sluice_context_free(context);
    close(run->fd);
    close(pipe[0]);
    close(pipe[1]);
    return look(run, length);
}

/* ---- all of them ---- */

static unsigned runs_a_place(void)
{
    const char *all = getenv("TEST_ALL"), *wrapper = getenv("TEST_WRAPPER");
    if (wrapper && *wrapper)
        return 40;
    return all && *all ? 8000 : 500;
}

/* With a snapshot nothing may show; where the file system has clones, by reference from one, too. */
static void on_place(const char *name, const char *directory, unsigned *ret_shown)
{
    const bool clones = strcmp(name, "xfs") == 0 || strcmp(name, "btrfs") == 0;
    const unsigned runs = runs_a_place();

    for (unsigned i = 0; i < runs; i++) {
        struct run run = {.seed = i, .snapshot = true, .racing = i % 2};
        const enum sluice_method method =
            clones && i % 4 < 2 ? SLUICE_METHOD_SPLICE : SLUICE_METHOD_AUTO;
        const size_t changed = one(directory, method, &run);
        if (changed > 0)
            fail_msg("%s, seed %u, by %s: %zu bytes changed after they were taken", name, i,
                     run.way->name, changed);
    }
    for (unsigned i = 0; i < runs / 10 + 20; i++) {
        struct run run = {.seed = i, .racing = i % 2};
        *ret_shown += one(directory, SLUICE_METHOD_SPLICE, &run) > 0;
    }
}

static void taken_bytes_do_not_change(void **state)
{
    const char *given = getenv("SLUICE_FS"), *temporary = getenv("TMPDIR");
    unsigned shown = 0, places = 0;
    char text[4096];

    (void)state;
    assert_int_equal(posix_memalign((void **)&new_bytes, PAGE, LARGEST), 0);
    memset(old_bytes, OLD, sizeof old_bytes);
    memset(new_bytes, NEW, LARGEST);
    snprintf(text, sizeof text, "%s", given ? given : "");
    for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest));) {
        char *directory = strchr(word, ':');
        if (!directory || strncmp(word, "fuse", 4) == 0)
            continue;
        *directory++ = '\0';
        on_place(word, directory, &shown);
        places++;
    }
    if (places == 0)
        on_place("here", temporary ? temporary : "/var/tmp", &shown);
    printf("%u places, %u runs each; without a snapshot %u runs showed a change\n", places,
           runs_a_place(), shown);
    assert_true(shown > 10);
    free(new_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(taken_bytes_do_not_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
