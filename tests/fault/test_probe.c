/* SPDX-License-Identifier: MIT */
/*
 * A probe that is lied to. Calls that copy are not called by reference, an alias that was broken on
 * purpose is not called a copy, and a control that comes out wrong ends all trust.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/sys.h"
#include "tests/fault/inject.h"
#include "tests/unit/ends.h"

#include "sluice.h"

extern __typeof__(sys_splice) __real_sys_splice;
extern __typeof__(sys_tee) __real_sys_tee;
extern __typeof__(sys_vmsplice) __real_sys_vmsplice;
extern __typeof__(sys_pwrite) __real_sys_pwrite;

/* ---- calls that copy ---- */

static char buffer[1 << 16];

static ssize_t result(ssize_t value)
{
    return value < 0 ? -errno : value;
}

static size_t most(size_t length)
{
    return length < sizeof buffer ? length : sizeof buffer;
}

static ssize_t give(int out, const int64_t *offset, size_t length)
{
    return offset ? pwrite(out, buffer, length, *offset) : write(out, buffer, length);
}

static ssize_t copying_splice(int in, int64_t *in_offset, int out, int64_t *out_offset,
                              size_t length, unsigned flags)
{
    (void)flags;
    const ssize_t taken =
        in_offset ? pread(in, buffer, most(length), *in_offset) : read(in, buffer, most(length));
    return result(taken <= 0 ? taken : give(out, out_offset, (size_t)taken));
}

static ssize_t copying_sendfile(int out, int in, int64_t *in_offset, size_t length)
{
    const ssize_t taken = pread(in, buffer, most(length), *in_offset);
    return result(taken <= 0 ? taken : write(out, buffer, (size_t)taken));
}

static ssize_t copying_tee(int in, int out, size_t length, unsigned flags)
{
    int through[2];
    if (pipe2(through, O_NONBLOCK) < 0)
        return -errno;
    ssize_t value = __real_sys_tee(in, through[1], length, flags);
    if (value > 0)
        value = result(read(through[0], buffer, sizeof buffer));
    if (value > 0)
        value = result(write(out, buffer, (size_t)value));
    close(through[0]);
    close(through[1]);
    return value;
}

static ssize_t copying_vmsplice(int pipe, const struct iovec *memory, size_t count, unsigned flags)
{
    const bool writing = (fcntl(pipe, F_GETFL) & O_ACCMODE) != O_RDONLY;
    (void)count, (void)flags;
    return result(writing ? write(pipe, memory->iov_base, memory->iov_len)
                          : read(pipe, memory->iov_base, memory->iov_len));
}

/* ---- running ---- */

static sluice_probe *probe_all(uint32_t flags)
{
    const char *const temporary = getenv("TMPDIR");
    const char *const directories[] = {temporary ? temporary : "/var/tmp"};
    const struct sluice_probe_options options = {.size = sizeof options,
                                                 .flags = flags | SLUICE_PROBE_MEMORY |
                                                          SLUICE_PROBE_SOCKETS,
                                                 .directories = 1,
                                                 .directory = directories};
    sluice_probe *probe;

    assert_int_equal(sluice_probe_new(&probe), 0);
    assert_int_equal(sluice_probe_run(probe, NULL, &options), 0);
    return probe;
}

/* How many legs of that call have that verdict. */
static unsigned count_of(const sluice_probe *probe, const char *call, enum sluice_verdict verdict)
{
    struct sluice_probe_leg leg = {.size = sizeof leg};
    unsigned count = 0;

    for (unsigned i = 0; sluice_probe_leg(probe, i, &leg) == 0; i++)
        count += (!call || strcmp(leg.call, call) == 0) && leg.error == 0 && leg.verdict == verdict;
    return count;
}

/* By its words: the witness that needs no privilege is missing on some machines. */
static bool copies_are_seen(void)
{
    sluice_probe *probe = probe_all(SLUICE_PROBE_QUICK);
    const bool any = count_of(probe, "write", SLUICE_VERDICT_COPIED) > 0;
    sluice_probe_free(probe);
    if (!any)
        print_message("SKIP: no witness here sees a copy\n");
    return any;
}

static void calls_that_copy_are_seen_to(void **state)
{
    static const struct {
        const char *call;
        struct stand_ins stand_in;
    } rows[] = {
        {"splice", {.splice = copying_splice}},
        {"sendfile", {.sendfile = copying_sendfile}},
        {"tee", {.tee = copying_tee}},
        {"vmsplice", {.vmsplice = copying_vmsplice}},
    };

    (void)state;
    if (!copies_are_seen())
        return;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sluice_probe *honest = probe_all(SLUICE_PROBE_QUICK);
        assert_int_equal(sluice_probe_controls(honest, NULL, NULL), 1);
        assert_true(count_of(honest, rows[i].call, SLUICE_VERDICT_REFERENCE) > 0);
        stand_in = rows[i].stand_in;
        sluice_probe *lied_to = probe_all(SLUICE_PROBE_QUICK);
        /* A neighbour on the machine may leave it unsure for once; never sure of what is false. */
        for (int again = 0;
             again < 4 && count_of(lied_to, rows[i].call, SLUICE_VERDICT_COPIED) == 0; again++) {
            assert_int_equal(count_of(lied_to, rows[i].call, SLUICE_VERDICT_REFERENCE), 0);
            sluice_probe_free(lied_to);
            lied_to = probe_all(SLUICE_PROBE_QUICK);
        }
        stand_in = (struct stand_ins){0};
        assert_int_equal(sluice_probe_controls(lied_to, NULL, NULL), 1);
        assert_int_equal(count_of(lied_to, rows[i].call, SLUICE_VERDICT_REFERENCE), 0);
        assert_true(count_of(lied_to, rows[i].call, SLUICE_VERDICT_COPIED) > 0);
        sluice_probe_free(honest);
        sluice_probe_free(lied_to);
    }
}

/* ---- aliases that are broken ---- */

/* A child that has the same memory: the next store, here or there, makes a page of its own. */
static pid_t children[256];
static unsigned child_count;

static ssize_t vmsplice_and_fork(int pipe, const struct iovec *memory, size_t count, unsigned flags)
{
    const ssize_t value = __real_sys_vmsplice(pipe, memory, count, flags);

    if (value > 0 && child_count < 256) {
        const pid_t child = fork();
        if (child == 0)
            for (;;)
                pause();
        children[child_count++] = child;
    }
    return value;
}

static ssize_t vmsplice_and_let_go(int pipe, const struct iovec *memory, size_t count,
                                   unsigned flags)
{
    const ssize_t value = __real_sys_vmsplice(pipe, memory, count, flags);

    if (value > 0) /* the pages stay in the pipe; at the address there are new ones */
        madvise(memory->iov_base, (memory->iov_len + 4095) & ~(size_t)4095, MADV_DONTNEED);
    return value;
}

/* Past the page cache, whose page is thrown away: the pipe keeps the old one. */
static ssize_t pwrite_direct(int fd, const void *bytes, size_t length, int64_t offset)
{
    static char *aligned;
    const int flags = fcntl(fd, F_GETFL);

    if (!aligned && posix_memalign((void **)&aligned, 4096, 4096) != 0)
        return -ENOMEM;
    if (length != 4096 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
        return __real_sys_pwrite(fd, bytes, length, offset);
    memcpy(aligned, bytes, length);
    const ssize_t value = __real_sys_pwrite(fd, aligned, length, offset);
    fcntl(fd, F_SETFL, flags);
    return value;
}

static void end_children(void)
{
    for (unsigned i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    child_count = 0;
}

static void check_broken(const sluice_probe *probe, const char *from, const char *to,
                         const char *call)
{
    struct sluice_probe_leg leg = {.size = sizeof leg};
    unsigned found = 0;

    for (unsigned i = 0; sluice_probe_leg(probe, i, &leg) == 0; i++) {
        const bool file = strchr(leg.place, ' ') != NULL; /* it has mount options */
        if ((from ? strcmp(leg.from, from) != 0 : !file) || strcmp(leg.to, to) != 0 ||
            strcmp(leg.from, "pipe") == 0 || strcmp(leg.call, call) != 0 || leg.error ||
            strstr(leg.variant, "O_DIRECT"))
            continue;
        if (leg.verdict == SLUICE_VERDICT_COPIED)
            print_error("%s -> %s by %s %s: %s\n", leg.from, leg.to, leg.call, leg.variant,
                        sluice_verdict_name(leg.verdict));
        assert_int_not_equal(leg.verdict, SLUICE_VERDICT_COPIED);
        found++;
    }
    assert_true(found > 0);
}

static void a_broken_alias_is_no_copy(void **state)
{
    static const struct {
        const char *from, *to, *call;
        struct stand_ins stand_in;
    } rows[] = {
        {"memory", "pipe", "vmsplice", {.vmsplice = vmsplice_and_fork}},
        {"memory", "pipe", "vmsplice", {.vmsplice = vmsplice_and_let_go}},
        {NULL, "pipe", "splice", {.pwrite = pwrite_direct}},
        {NULL, "pipe", "sendfile", {.pwrite = pwrite_direct}},
        {NULL, "tcp", "sendfile", {.pwrite = pwrite_direct}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (uint32_t flags = 0; flags <= SLUICE_PROBE_QUICK; flags += SLUICE_PROBE_QUICK) {
            stand_in = rows[i].stand_in;
            /* A fork a call: the rounds of the slower witnesses would be thousands. */
            sluice_probe *probe = probe_all(rows[i].stand_in.vmsplice ? SLUICE_PROBE_QUICK : flags);
            stand_in = (struct stand_ins){0};
            end_children();
            check_broken(probe, rows[i].from, rows[i].to, rows[i].call);
            sluice_probe_free(probe);
        }
}

/* ---- controls ---- */

/* A write that lends its pages: what must be a copy is none. */
static ssize_t lending_write(int fd, const void *bytes, size_t length)
{
    const struct iovec memory = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    const ssize_t value = __real_sys_vmsplice(fd, &memory, 1, SPLICE_F_NONBLOCK);
    return value == -EBADF ? result(write(fd, bytes, length)) : value;
}

static void a_false_control_ends_all_trust(void **state)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_endpoint *source, *sink;
    struct sluice_candidate candidate = {.size = sizeof candidate};
    sluice_plan *plan;
    unsigned passed, count;

    (void)state;
    stand_in.write = lending_write;
    sluice_probe *probe = probe_all(SLUICE_PROBE_QUICK);
    stand_in.write = NULL;
    assert_int_equal(sluice_probe_controls(probe, &passed, &count), 0);
    assert_int_equal(count, 3);
    assert_true(passed < count);
    sluice_context_use_probe(context, probe);
    assert_int_equal(sluice_endpoint_from_kind(context, "pipe", &source), 0);
    assert_int_equal(sluice_endpoint_from_kind(context, "pipe", &sink), 0);
    assert_int_equal(sluice_plan_new(context, source, sink, NULL, &plan), 0);
    assert_int_equal(sluice_plan_candidate(plan, 0, &candidate), 0);
    assert_int_equal(candidate.leg[0].known, SLUICE_EXPECTED);
    sluice_plan_free(plan);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    sluice_context_free(context);
    sluice_probe_free(probe);
}

/* ---- calls that are refused ---- */

static ssize_t no_vmsplice(int pipe, const struct iovec *memory, size_t count, unsigned flags)
{
    (void)pipe, (void)memory, (void)count, (void)flags;
    return -ENOSYS;
}

static ssize_t no_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length,
                         unsigned flags)
{
    (void)in, (void)in_offset, (void)out, (void)out_offset, (void)length, (void)flags;
    return -EPERM;
}

static void what_is_refused_is_said_and_the_rest_goes_on(void **state)
{
    struct sluice_probe_leg leg = {.size = sizeof leg};

    (void)state;
    stand_in.vmsplice = no_vmsplice;
    stand_in.splice = no_splice;
    sluice_probe *probe = probe_all(SLUICE_PROBE_QUICK);
    stand_in = (struct stand_ins){0};
    for (unsigned i = 0; sluice_probe_leg(probe, i, &leg) == 0; i++) {
        if (strcmp(leg.call, "splice") == 0) /* or its pipe could not be filled */
            assert_true(leg.error == -EPERM || leg.error == -ENOSYS);
        if (strcmp(leg.call, "vmsplice") == 0 && strcmp(leg.from, "memory") == 0)
            assert_int_equal(leg.error, -ENOSYS);
    }
    assert_true(count_of(probe, "sendfile", SLUICE_VERDICT_REFERENCE) > 0);
    sluice_probe_free(probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_copy_are_seen_to),
        cmocka_unit_test(a_broken_alias_is_no_copy),
        cmocka_unit_test(a_false_control_ends_all_trust),
        cmocka_unit_test(what_is_refused_is_said_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
