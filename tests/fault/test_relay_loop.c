/* SPDX-License-Identifier: MIT */
/*
 * Every call of the relay's loop fails, with every errno of its manual page, at the first, the
 * second and a later call of that kind; each time in a relay of its own, which has real
 * conversations meanwhile. Whatever fails: no byte is lost, doubled or out of order in a
 * conversation that is counted as ended well; one that cannot go on is told so on both sides, is
 * counted with its reason, and the log names the side; the next one goes through as if nothing had
 * been; nothing spins; and no descriptor is left.
 *
 * The calls: tests/fault/relay/shim.h. The errnos: tests/fault/relay/table.c, and manual.c.
 * timeout: 300
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/listener.h"
#include "server/log.h"
#include "server/relay.h"
#include "tests/fault/manual.h"
#include "tests/fault/relay/table.h"
#include "tests/fault/relay/talk.h"
#include "tests/unit/ends.h"

enum { TALKS = 3, ODD_ONE = 1, NOT_STARTED_STATUS = 50 };
#define SECOND UINT64_C(1000000000)

/* What goes on while the call fails. */
static const struct scene {
    const char *name;
    bool is_unix, small_buffers;
    bool one_at_a_time;     /* is let in: meanwhile nobody else is */
    bool refused_first;     /* by the first of two targets */
    struct talk_options as; /* resets: of conversation ODD_ONE */
    struct shim_fault also; /* happens in any case */
} scenes[] = {
    {.name = "TCP", .as.stream = 200000},
    {.name = "UNIX", .is_unix = true, .as.stream = 200000},
    {.name = "headers", .as = {.headers = true, .stream = 2000}},
    {.name = "small buffers", .small_buffers = true, .as.stream = 100000},
    {.name = "one let in at a time", .one_at_a_time = true, .as.stream = 2000},
    {.name = "a target that refuses", .refused_first = true, .as.stream = 2000},
    {.name = "a client that resets", .as = {.client_resets = true, .stream = 200000}},
    {.name = "a target that resets", .as = {.target_resets = true, .stream = 200000}},
    {.name = "a client that cannot be sent to",
     .as.stream = 2000,
     .also = {CALL_SEND, WHO_CLIENT, 2, ENOBUFS}},
};

/* What the relay's process and the test share. */
struct shared {
    struct shim shim;
    struct relay_totals totals;
    struct peer at; /* where it listens */
    unsigned at_start[CALL_COUNT][WHO_COUNT];
    int error; /* why it did not start, or ended */
    unsigned descriptors_before, descriptors_after;
};

static struct shared *shared;
static int log_file, target_listener[2]; /* TCP, UNIX */
static struct peer target_at[2], refusing;
static char directory[64];

/* ---- the relay, in a child ---- */

static struct relay *relay;

static ssize_t header_read(void *data, const void *bytes, size_t length, struct ends *ret,
                           const char **why)
{
    (void)data;
    (void)ret;
    *why = "it is another word";
    if (length < sizeof TALK_HEADER_IN - 1)
        return 0;
    return memcmp(bytes, TALK_HEADER_IN, sizeof TALK_HEADER_IN - 1) == 0
               ? (ssize_t)sizeof TALK_HEADER_IN - 1
               : -EINVAL;
}

static size_t header_write(void *data, const struct ends *ends, void *buffer, size_t size)
{
    (void)data;
    (void)ends;
    (void)size;
    memcpy(buffer, TALK_HEADER_OUT, sizeof TALK_HEADER_OUT - 1);
    return sizeof TALK_HEADER_OUT - 1;
}

/* The test asks: for the totals, or for the end. */
static void asked(struct loop *loop, struct watch *watch, uint32_t events)
{
    char what = 'd';

    (void)events;
    if (read(watch->fd, &what, 1) == 1 && what == 'r') {
        struct relay_totals totals = {0};
        relay_read(relay, &totals);
        shared->totals = totals;
        if (write(watch->fd, &what, 1) == 1)
            return;
    }
    loop_remove(loop, watch);
    relay_drain(relay);
}

static struct target_list *make_targets(const struct scene *scene)
{
    struct target_list *list = target_list_new(2, TARGET_ROUND_ROBIN);
    if (scene->refused_first)
        list->target[0].peer = refusing;
    else
        list->count = 1;
    list->target[list->count - 1].peer = target_at[scene->is_unix];
    return list;
}

static int start(const struct scene *scene, struct watch *control)
{
    struct relay_options options = {.threads = 1,
                                    .connect_timeout = 5 * SECOND,
                                    .drain_timeout = 5 * SECOND,
                                    .header_timeout = 5 * SECOND,
                                    .max_connections = scene->one_at_a_time ? 1 : 0,
                                    .targets = make_targets(scene)};
    const char *operation;

    if (scene->as.headers) {
        options.hooks.header_read = header_read;
        options.hooks.header_most = 64;
        options.hooks.header_write = header_write;
    }
    const int fd = listener_open(&shared->at, 100, false, &operation);
    if (fd < 0)
        return fd;
    shared->at.length = sizeof shared->at.address;
    getsockname(fd, &shared->at.address.any, &shared->at.length);
    int error = relay_new(&options, &relay);
    if (error < 0) {
        close(fd);
        return error;
    }
    error = relay_listen(relay, fd, 0);
    if (error < 0) {
        close(fd);
        relay_free(relay);
        return error;
    }
    return loop_add(relay_control(relay), control, EPOLLIN, false);
}

static _Noreturn void relay_child(const struct scene *scene, int control_fd)
{
    const struct log_options log = {.fd = log_file, .level = LOG_LEVEL_DEBUG};
    struct watch control = {.fd = control_fd, .ready = asked};
    struct peer at = {.length = sizeof at.address.in};

    alarm(20);
    signal(SIGPIPE, SIG_IGN); /* as the command does */
    log_open(&log);
    at.address.in.sin_family = AF_INET;
    at.address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (scene->is_unix) {
        at.length = sizeof at.address.un;
        at.address.un.sun_family = AF_UNIX;
        snprintf(at.address.un.sun_path, sizeof at.address.un.sun_path, "%s/relay", directory);
        unlink(at.address.un.sun_path);
    }
    shared->at = at;
    shared->descriptors_before = descriptors_open();
    shim_begin(&shared->shim);
    shared->error = start(scene, &control);
    if (shared->error == 0) {
        memcpy(shared->at_start, shared->shim.calls, sizeof shared->at_start);
        if (write(control_fd, "s", 1) != 1)
            _exit(51);
        shared->error = relay_run(relay);
        relay_free(relay);
        shared->descriptors_after = descriptors_open();
        _exit(0);
    }
    shared->descriptors_after = descriptors_open();
    _exit(NOT_STARTED_STATUS);
}

/* ---- one case ---- */

struct result {
    const struct scene *scene;
    bool started, asked;
    int status; /* of the relay's process */
    struct talk talk[TALKS];
    unsigned whole;
};

static bool ask(int control, char what)
{
    struct pollfd answer = {.fd = control, .events = POLLIN};
    return send(control, &what, 1, MSG_NOSIGNAL) == 1 && poll(&answer, 1, 10000) == 1 &&
           recv(control, &what, 1, 0) == 1;
}

static bool is_whole(const struct talk *talk)
{
    return talk->client == TOLD_END && talk->target == TOLD_END && talk->client_whole &&
           talk->target_whole;
}

static void have_talks(struct result *result)
{
    const struct scene *scene = result->scene;

    for (unsigned i = 0; i < TALKS; i++) {
        struct talk_options options = scene->as;
        if (i != ODD_ONE)
            options.client_resets = options.target_resets = false;
        const int client = talk_connect(&shared->at);
        if (client >= 0)
            result->talk[i] = talk_over(client, target_listener[scene->is_unix], &options);
        result->whole += is_whole(&result->talk[i]);
    }
}

/* Runs a relay through its conversations and to its end. */
static struct result run(const struct scene *scene, const struct shim_fault *fault)
{
    struct result result = {.scene = scene};
    int control[2];
    char said;

    memset(shared, 0, sizeof *shared);
    shared->shim.fault = *fault;
    shared->shim.also = scene->also;
    shared->shim.small_buffers = scene->small_buffers;
    assert_int_equal(ftruncate(log_file, 0), 0);
    lseek(log_file, 0, SEEK_SET);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(control[0]);
        relay_child(scene, control[1]);
    }
    close(control[1]);
    result.started = recv(control[0], &said, 1, 0) == 1;
    if (result.started) {
        have_talks(&result);
        for (unsigned i = 0; i < 5000; i++) {
            result.asked = ask(control[0], 'r');
            if (!result.asked || shared->totals.active == 0)
                break;
            usleep(1000);
        }
    }
    close(control[0]); /* which says that it is to end */
    waitpid(child, &result.status, 0);
    return result;
}

/* ---- what is to be seen ---- */

/* Of the log's words for the failure: NULL if there are none. */
static bool log_has(const char *words)
{
    static char text[1 << 16];
    const ssize_t length = pread(log_file, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return strstr(text, words) != NULL;
}

/* Holds in any case. */
static const char *check_always(const struct result *result)
{
    const struct relay_totals *totals = &shared->totals;

    if (!WIFEXITED(result->status))
        return "it was killed";
    if (WEXITSTATUS(result->status) == SHIM_SPINS)
        return "it spins";
    if (WEXITSTATUS(result->status) != 0 && WEXITSTATUS(result->status) != NOT_STARTED_STATUS)
        return "its process failed";
    /* The test's own end of the control, which the loop does not close. */
    if (shared->descriptors_after != shared->descriptors_before)
        return "descriptors are left open";
    for (unsigned i = 0; i < TALKS; i++) {
        const struct talk *talk = &result->talk[i];
        if (talk->wrong)
            return talk->wrong;
        if (result->scene->is_unix) /* a UNIX socket cannot be reset */
            continue;
        if (talk->client == TOLD_END && !talk->client_whole &&
            (talk->client_got > 0 || talk->target_got > 0))
            return "the client was told an end, and it was none";
        if (talk->target == TOLD_END && !talk->target_whole && talk->target_got > 0)
            return "the target was told an end, and it was none";
    }
    if (!result->asked)
        return NULL;
    if (totals->active > 0)
        return "a connection is left";
    if (totals->pipes_used > 0 || totals->parked[0] + totals->parked[1] > 0)
        return "a pipe is left";
    uint64_t ended = 0;
    for (int i = 0; i < RELAY_REASONS; i++)
        ended += totals->ended[i];
    if (ended != totals->accepted)
        return "a connection has no reason";
    /* Where there is no reset, a failure after the last byte looks like an end. */
    if (totals->ended[RELAY_ENDED] > result->whole ||
        (!result->scene->is_unix && totals->ended[RELAY_ENDED] < result->whole))
        return "what is counted as ended well is not what was whole";
    return NULL;
}

/* How many conversations are not whole without any fault, and of what reason. */
static unsigned odd_ones(const struct scene *scene)
{
    return scene->as.client_resets || scene->as.target_resets || scene->also.at > 0;
}

static const char *check_ends(const struct row *row, const struct result *result)
{
    const struct relay_totals *totals = &shared->totals;
    const unsigned odd = odd_ones(result->scene);
    const unsigned of_reason = (unsigned)totals->ended[row->reason];
    char side[64];

    if (totals->accept_failures > 0)
        return "it was taken for a failure of accept";
    /* In the conversation that would have been reset, the fault may come first, or be the reset. */
    if (odd && result->whole == TALKS - 1)
        return NULL;
    if (totals->ended[RELAY_ENDED] != TALKS - 1 - odd)
        return "other conversations, or none, are affected";
    if (of_reason == 0)
        return "it is counted with another reason";
    snprintf(side, sizeof side, "side=%s call=", who_words(shared->shim.fault.who));
    if (row->names_side && !log_has(side))
        return "the log does not name the side";
    if (row->names_side && !log_has(errno_name(row->error)))
        return "the log does not name the error";
    return NULL;
}

static const char *check_goes_on(const struct row *row, const struct result *result)
{
    const struct relay_totals *totals = &shared->totals;
    const unsigned odd = odd_ones(result->scene);

    if (result->whole != TALKS - odd)
        return "a conversation was affected";
    if (totals->ended[RELAY_RESET] + totals->ended[RELAY_FAILED] != odd)
        return "it is counted with another reason";
    if (totals->accept_failures != (row->fate == RESTS ? 1 : 0))
        return row->fate == RESTS ? "accept's failure is not counted"
                                  : "it was taken for a failure of accept";
    /* Round robin: the first, the third, and so on. */
    if ((totals->connect_failures > 0) != result->scene->refused_first)
        return "it was taken for a failure of the target";
    return NULL;
}

static const char *check(const struct row *row, const struct result *result)
{
    const char *wrong = check_always(result);
    if (wrong)
        return wrong;
    if (!result->started || row->fate == NOT_STARTED)
        return row->fate != NOT_STARTED                            ? "it did not start"
               : result->started                                   ? "it started all the same"
               : shared->error != -row->error                      ? "it says another error"
               : WEXITSTATUS(result->status) != NOT_STARTED_STATUS ? "it did not say so"
                                                                   : NULL;
    if (row->fate == STOPS)
        return shared->error == -row->error ? NULL : "it does not say why it ended";
    if (shared->error != 0 || !result->asked)
        return "the loop has ended";
    if (row->fate == ENDS)
        return check_ends(row, result);
    if (row->fate == MAY_END)
        return result->whole + 1 >= TALKS - odd_ones(result->scene) ? NULL : "several are affected";
    return check_goes_on(row, result);
}

/* ---- the cases ---- */

struct generator {
    const struct scene *scene;
    struct shim reference;
    unsigned at_start[CALL_COUNT][WHO_COUNT];
    unsigned cases[CALL_COUNT], rows[CALL_COUNT], missed, failed;
};

/* The start is the same in every scene, and so is accept, if not where it pauses. */
static bool is_known(const struct generator *generator, const struct row *row, enum who who,
                     unsigned at)
{
    const struct scene *scene = generator->scene;
    const bool at_start = at <= generator->at_start[row->call][who];
    const bool the_same = at_start || (row->call == CALL_ACCEPT && !scene->one_at_a_time);

    return (scene != scenes && the_same) ||
           (row->call == scene->also.call && who == scene->also.who && at == scene->also.at);
}

static void one_case(struct generator *generator, const struct row *row, enum who who, unsigned at)
{
    const struct shim_fault fault = {.call = row->call, .who = who, .at = at, .error = row->error};
    struct row expected = *row;

    if (is_known(generator, row, who, at))
        return;
    /* Later, a listener is watched again after a pause: that is tried once more. */
    if (row->fate == NOT_STARTED && at > generator->at_start[row->call][who])
        expected.fate = RESTS;
    /* Another target may be there for it, or not. */
    if (row->reason == RELAY_NO_TARGET && generator->scene->refused_first)
        expected.fate = MAY_END;
    const struct result result = run(generator->scene, &fault);
    generator->cases[row->call]++;
    /* How often it asks depends on how fast the others are; and a reset is met by whatever comes first. */
    const bool varies =
        at > 1 || generator->scene->as.client_resets || generator->scene->as.target_resets;
    if (shared->shim.struck == 0 && varies) {
        expected.fate = GOES_ON;
        generator->missed++;
    } else if (shared->shim.struck == 0) {
        generator->failed++;
        print_error("%s: %s, %s at call %u for the %s: the call was not made\n",
                    generator->scene->name, call_words(row->call), errno_name(row->error), at,
                    who_words(who));
        return;
    }
    const char *wrong = check(&expected, &result);
    if (!wrong)
        return;
    generator->failed++;
    print_error("%s: %s, %s at call %u for the %s: %s\n", generator->scene->name,
                call_words(row->call), errno_name(row->error), at, who_words(who), wrong);
    if (generator->failed > 40)
        fail_msg("too many");
}

static void cases_of_row(const struct row *row, void *data)
{
    struct generator *generator = data;

    for (unsigned who = 0; who < WHO_COUNT; who++) {
        const unsigned calls = generator->reference.calls[row->call][who];
        if (!(row->who >> who & 1) || calls == 0)
            continue;
        generator->rows[row->call]++;
        one_case(generator, row, (enum who)who, 1);
        if (calls >= 2)
            one_case(generator, row, (enum who)who, 2);
        if (calls >= 4)
            one_case(generator, row, (enum who)who, calls / 2 + 1);
    }
}

static void every_errno_of_every_call(void **state)
{
    unsigned cases[CALL_COUNT] = {0}, sum = 0, failed = 0, missed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        static const struct row nothing = {.fate = GOES_ON};
        struct generator generator = {.scene = &scenes[i]};
        const struct result plain = run(&scenes[i], &(struct shim_fault){0});
        const char *wrong = check(&nothing, &plain);
        if (wrong)
            fail_msg("%s, without a fault: %s", scenes[i].name, wrong);
        generator.reference = shared->shim;
        memcpy(generator.at_start, shared->at_start, sizeof generator.at_start);
        table_each(cases_of_row, &generator);
        for (unsigned call = 0; call < CALL_COUNT; call++) {
            unsigned made = 0;
            for (unsigned who = 0; who < WHO_COUNT; who++)
                made += generator.reference.calls[call][who];
            if (made > 0 && generator.rows[call] == 0) {
                print_error("%s is made, and has no row\n", call_words((enum call)call));
                failed++;
            }
            cases[call] += generator.cases[call];
        }
        failed += generator.failed;
        missed += generator.missed;
    }
    for (unsigned call = 0; call < CALL_COUNT; call++, sum += cases[call - 1]) {
        print_message("%6u cases  %s\n", cases[call], call_words((enum call)call));
        if (cases[call] == 0) {
            print_error("%s: no scene makes this call\n", call_words((enum call)call));
            failed++;
        }
    }
    print_message("%6u cases, %u of them at a call that was not made that time, %u failed\n", sum,
                  missed, failed);
    assert_int_equal(failed, 0);
    assert_true(missed * 20 < sum);
}

static int set_up(void **state)
{
    char path[sizeof directory + 16];

    (void)state;
    snprintf(directory, sizeof directory, "/tmp/sluice-loop.XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    log_file = memfd_create("log", MFD_CLOEXEC);
    snprintf(path, sizeof path, "%s/target", directory);
    target_listener[0] = talk_listen(NULL, &target_at[0]);
    target_listener[1] = talk_listen(path, &target_at[1]);
    const int closed = talk_listen(NULL, &refusing);
    close(closed);
    return shared == MAP_FAILED || log_file < 0 || target_listener[0] < 0 || target_listener[1] < 0
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    char path[sizeof directory + 16];

    (void)state;
    snprintf(path, sizeof path, "%s/target", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/relay", directory);
    unlink(path);
    rmdir(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_errno_of_every_call)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
