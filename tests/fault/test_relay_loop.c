/* SPDX-License-Identifier: MIT */
/*
 * Every call of the relay's loop fails, with every errno of its manual page, at the first, the
 * second and a later call of that kind; each time in a relay of its own, which has real
 * conversations meanwhile. Whatever fails: no byte is lost, doubled or out of order in a
 * conversation that is counted as ended well; one that cannot go on is told so on both sides, is
 * counted with its reason, and the log names the side; the next one goes through as if nothing had
 * been; nothing spins; and no descriptor is left. A tap has what was said, or the log and the counters say that
 * it has not; and whatever its own calls say, no conversation is affected.
 *
 * The calls: tests/fault/relay/shim.h. The errnos: tests/fault/relay/table.c, and manual.c.
 * timeout: 500
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/listener.h"
#include "server/log.h"
#include "server/relay.h"
#include "server/tap_sink.h"
#include "tests/fault/manual.h"
#include "tests/fault/relay/table.h"
#include "tests/fault/relay/talk.h"
#include "tests/unit/ends.h"

enum { TALKS = 3, ODD_ONE = 1, NOT_STARTED_STATUS = 50 };
#define SECOND UINT64_C(1000000000)

/* Where what is said is written as well. */
enum tapped {
    UNTAPPED = 0,
    INTO_FILES,  /* one of each direction of each conversation: spliced into */
    INTO_ONE,    /* a file, of what all clients say: added to */
    INTO_SOCKET, /* a UNIX socket for each direction */
};

/* What goes on while the call fails. */
static const struct scene {
    const char *name;
    bool is_unix, small_buffers;
    bool one_at_a_time;     /* is let in: meanwhile nobody else is */
    bool refused_first;     /* by the first of two targets */
    struct talk_options as; /* resets: of conversation ODD_ONE */
    struct shim_fault also; /* happens in any case */
    enum tapped tapped;
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
    {.name = "tapped into files", .as.stream = 200000, .tapped = INTO_FILES},
    {.name = "tapped into files, and small buffers",
     .small_buffers = true,
     .as.stream = 100000,
     .tapped = INTO_FILES},
    {.name = "tapped into one file", .as.stream = 200000, .tapped = INTO_ONE},
    /* As much as a socket holds that nobody reads meanwhile. */
    {.name = "tapped into a socket",
     .as.stream = 60000,
     .tapped = INTO_SOCKET,
     .also = {CALL_SEND, WHO_TAP, 1, EAGAIN}},
    {.name = "tapped, and a round that cannot be shared",
     .as.stream = 200000,
     .tapped = INTO_FILES,
     .also = {CALL_TEE, WHO_PIPE, 1, EINVAL}},
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
static int collector;                    /* listens for taps */
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

/* NULL: none. */
static struct tap_list *make_taps(const struct scene *scene)
{
    static const char *const names[] = {
        [INTO_FILES] = "taps/%n-%d", [INTO_ONE] = "taps/all", [INTO_SOCKET] = "collector"};
    struct tap_list *list = scene->tapped ? tap_list_new(1) : NULL;

    if (!list)
        return NULL;
    struct tap_sink *sink = &list->sink[0];
    sink->kind = scene->tapped == INTO_SOCKET ? TAP_UNIX : TAP_PATH;
    sink->from = 1 << RELAY_TO_TARGET;
    if (scene->tapped != INTO_ONE)
        sink->from |= 1 << RELAY_TO_CLIENT;
    sink->options = (struct sluice_sink_options)SLUICE_SINK_OPTIONS_INIT;
    sink->options.slow = SLUICE_SLOW_DETACH;
    if (asprintf(&sink->pattern, "%s/%s", directory, names[scene->tapped]) < 0)
        abort();
    sink->text = strdup(sink->pattern);
    return list;
}

static int start(const struct scene *scene, struct watch *control)
{
    struct relay_options options = {.threads = 1,
                                    .connect_timeout = 5 * SECOND,
                                    .drain_timeout = 5 * SECOND,
                                    .header_timeout = 5 * SECOND,
                                    .max_connections = scene->one_at_a_time ? 1 : 0,
                                    .targets = make_targets(scene),
                                    .taps = make_taps(scene)};
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

/* ---- what taps have ---- */

static size_t said_in(const struct scene *scene)
{
    return 2 * TALK_ASK + scene->as.stream;
}

/* How far these bytes are the beginning of what one side says. */
static size_t as_said(const char *bytes, size_t length, bool of_target, const struct scene *scene)
{
    const char *said = talk_words(of_target);
    size_t same = 0;

    while (same < length && same < said_in(scene) && bytes[same] == said[same])
        same++;
    return same;
}

/* Of the taps of a scene, how many have all of what was said. */
struct tapped_bytes {
    unsigned whole;
    const char *wrong;
};

/* One tap's bytes. `many`: several conversations, one after the other. */
static void look_at(struct tapped_bytes *tapped, const char *bytes, size_t length,
                    const struct scene *scene, bool many)
{
    size_t at = 0;

    do {
        const size_t by_client = as_said(bytes + at, length - at, false, scene);
        const size_t by_target = as_said(bytes + at, length - at, true, scene);
        const size_t same = by_client > by_target ? by_client : by_target;
        tapped->whole += same == said_in(scene);
        at += same;
        if (at < length && (same == 0 || !many))
            tapped->wrong = "a tap has other bytes than were said";
    } while (at < length && !tapped->wrong);
}

static size_t read_all(int fd, char *bytes, size_t size)
{
    size_t length = 0;
    ssize_t value;

    while ((value = read(fd, bytes + length, size - length)) > 0)
        length += (size_t)value;
    close(fd);
    return length;
}

static struct tapped_bytes look_at_taps(const struct scene *scene)
{
    static char bytes[TALKS * TALK_MOST + 1];
    struct tapped_bytes tapped = {0};
    char path[sizeof directory + 280];
    struct dirent *entry;
    int fd;

    snprintf(path, sizeof path, "%s/taps", directory);
    DIR *taps = opendir(path);
    while (taps && (entry = readdir(taps))) {
        snprintf(path, sizeof path, "%s/taps/%s", directory, entry->d_name);
        if (entry->d_name[0] == '.' || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
            continue;
        unlink(path);
        look_at(&tapped, bytes, read_all(fd, bytes, sizeof bytes), scene,
                scene->tapped == INTO_ONE);
    }
    if (taps)
        closedir(taps);
    while ((fd = accept4(collector, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        look_at(&tapped, bytes, read_all(fd, bytes, sizeof bytes), scene, false);
    return tapped;
}

/* ---- one case ---- */

struct result {
    const struct scene *scene;
    bool started, asked;
    int status; /* of the relay's process */
    struct talk talk[TALKS];
    unsigned whole;
    struct tapped_bytes tapped;
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
    shared->shim.unix_taps = scene->tapped == INTO_SOCKET;
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
            if (!result.asked || shared->totals.active + shared->totals.taps == 0)
                break;
            usleep(1000);
        }
    }
    close(control[0]); /* which says that it is to end */
    waitpid(child, &result.status, 0);
    result.tapped = look_at_taps(scene);
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

/* ---- what taps have, and the log says ---- */

static bool is_recorded(void)
{
    uint64_t failures = 0;

    for (int i = 0; i < RELAY_TAP_FAILURES; i++)
        failures += shared->totals.tap_failures[i];
    return failures > 0 || log_has("tap incomplete");
}

/* What was said and is not in a tap was told. */
static const char *check_taps(const struct row *row, const struct result *result)
{
    const struct scene *scene = result->scene;
    const struct tapped_bytes tapped = result->tapped;
    const unsigned taps = result->whole * (scene->tapped == INTO_ONE ? 1 : 2);

    if (tapped.wrong)
        return tapped.wrong;
    if (scene->tapped && tapped.whole < taps && !is_recorded())
        return "a tap misses something, and that is not said";
    if (scene->tapped && row->fate == GOES_ON && (tapped.whole < taps || is_recorded()))
        return "a tap was affected";
    return NULL;
}

/* How many conversations are not whole without any fault, and of what reason. */
static unsigned odd_ones(const struct scene *scene)
{
    return scene->as.client_resets || scene->as.target_resets ||
           (scene->also.at > 0 && !scene->tapped);
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
    const char *wrong = check_taps(row, result);
    if (!wrong)
        wrong = check_always(result);
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

/* What is asked of an end when a tap is made is asked for the tap; what one sink reads back is its own matter;
 * and one that lags while no pipe is to be had for what waits is too slow. */
static enum fate fate_when_tapped(const struct scene *scene, const struct row *row, enum who who)
{
    if (row->call == CALL_READ_BACK)
        return scene->tapped == INTO_ONE ? TAPPED : MAY_END;
    if (scene->tapped == INTO_SOCKET && who == WHO_PIPE && row->fate == GOES_ON)
        return TAPPED;
    return row->fate == ENDS && row->reason == RELAY_NO_MEMORY && row->call != CALL_EPOLL_ADD
               ? MAY_END
               : row->fate;
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
    if (generator->scene->tapped)
        expected.fate = fate_when_tapped(generator->scene, row, who);
    const struct result result = run(generator->scene, &fault);
    generator->cases[row->call]++;
    /* How often it asks, and what streams, depends on how fast the others are; and a reset is met by whatever comes
     * first. */
    const bool varies = at > 1 || generator->scene->tapped || generator->scene->as.client_resets ||
                        generator->scene->as.target_resets;
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
    snprintf(path, sizeof path, "%s/collector", directory);
    collector = talk_listen(path, &(struct peer){0});
    snprintf(path, sizeof path, "%s/taps", directory);
    mkdir(path, 0700);
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
    snprintf(path, sizeof path, "%s/collector", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/taps", directory);
    rmdir(path);
    rmdir(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_errno_of_every_call)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
