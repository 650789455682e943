/* SPDX-License-Identifier: MIT */
/* A fan-out as its owner sees it: made, given sinks, looked at, freed. */
#include "fanout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "refusal.h"
#include "sys.h"

enum { LAG = 16 << 20, FEED_SIZE = 1 << 20, PIPE_LEAST = 65536 };

/* ---- making ---- */

static int read_options(struct sluice_fanout_options *own,
                        const struct sluice_fanout_options *given)
{
    *own = (struct sluice_fanout_options)SLUICE_FANOUT_OPTIONS_INIT;
    const int error = given ? sized_read(own, sizeof *own, given) : 0;
    if (error < 0)
        return error;
    const uint32_t known = SLUICE_FANOUT_NO_HUP | SLUICE_FANOUT_REST | SLUICE_NO_SIGPIPE;
    if ((own->flags & ~known) || (unsigned)own->require > SLUICE_REQUIRE_ZERO_COPY)
        return -EINVAL;
    return 0;
}

/* A large file need not be asked for a first small round. */
static bool begins_by_memory(const struct sluice_fanout *fanout)
{
    enum { LARGE = 65536 };
    const struct sluice_endpoint *source = fanout->in.endpoint;

    return fanout->options.require == SLUICE_REQUIRE_ANY &&
           !((source->medium & (MEDIUM_FILE | MEDIUM_BLOCK)) && source->bytes >= LARGE);
}

int sluice_fanout_new(sluice_context *context, sluice_endpoint *source,
                      const struct sluice_fanout_options *options, sluice_fanout **ret,
                      struct sluice_error *ret_error)
{
    struct sluice_fanout_options own;

    int error = read_options(&own, options);
    if (error < 0)
        return refuse(ret_error, error, SLUICE_SIDE_SETUP, "options", "a value is out of range");
    error = refuse_end(source, SLUICE_SIDE_SOURCE, O_WRONLY, ret_error);
    if (error < 0)
        return error;
    struct sluice_fanout *fanout = calloc(1, sizeof *fanout);
    if (!fanout)
        return refuse(ret_error, -ENOMEM, SLUICE_SIDE_SETUP, "allocate", NULL);
    fanout->context = context;
    fanout->options = own;
    fanout->stash.null = -1;
    fanout->stash.size = own.pipe_size && own.pipe_size < PIPE_LEAST ? PIPE_LEAST : own.pipe_size;
    side_init(&fanout->in, SLUICE_SIDE_SOURCE, source, false, 0);
    side_stop_waiting(&fanout->in);
    fanout->by_memory = begins_by_memory(fanout);
    if (own.rate)
        rate_init(&fanout->rate, own.rate, sys_now());
    *ret = fanout;
    return 0;
}

/* ---- adding a sink ---- */

/* /dev/null, /dev/full and their like: memory. */
static bool is_memory_device(const struct sluice_endpoint *endpoint)
{
    enum { MEMORY_MAJOR = 1 };
    struct stat status;

    return endpoint->kind == SLUICE_KIND_CHAR && sys_fstat(endpoint->fd, &status) >= 0 &&
           major(status.st_rdev) == MEMORY_MAJOR;
}

/* What may keep a thread waiting for a person, a machine or a process. Regular files and block devices
 * of this machine are waited for as everybody does. */
static bool may_hang(const struct side *side)
{
    const struct sluice_endpoint *endpoint = side->endpoint;
    const unsigned at_hand = MEDIUM_PIPE | MEDIUM_MESSAGE | MEDIUM_PSEUDO;

    if (endpoint->medium == MEDIUM_REMOTE)
        return strcmp(endpoint->name, "overlay") != 0; /* layers of local file systems */
    return !side->never_waits && !(endpoint->medium & at_hand);
}

/* From here on the sink is a pipe, and its descriptor the thread's. */
static int isolate(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct sluice_endpoint *feed = NULL;
    int fd = -1;

    int error =
        drainer_start(sink->endpoint, sink->lag < FEED_SIZE ? (uint32_t)sink->lag : FEED_SIZE,
                      &sink->drainer, &fd);
    if (error < 0)
        return error;
    error = sluice_endpoint_from_fd(fanout->context, fd, SLUICE_OWN, &feed);
    if (error < 0) {
        sys_close(fd);
        drainer_release(sink->drainer);
        sink->drainer = NULL;
        return error;
    }
    side_finish(&sink->out);
    sink->feed = feed;
    side_init(&sink->out, SLUICE_SIDE_SINK, feed, false, 0);
    return 0;
}

/* A blocking socket is told not to wait by send(2) alone; of other sinks each call is small, and asked
 * for before. */
static int go_without_thread(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    sink->not_isolated = "no thread could be had for it";
    if (!(sink->endpoint->medium & MEDIA_SOCKETS))
        return 0;
    sink->way = WAY_WRITE;
    return fanout->options.require == SLUICE_REQUIRE_ANY ? 0 : -EOPNOTSUPP;
}

static enum way way_of(const struct sluice_endpoint *endpoint)
{
    if (endpoint->medium == MEDIUM_PIPE)
        return WAY_TEE;
    /* splice(2) refuses O_APPEND, and tells of a terminal or a message no more than write(2). */
    if ((endpoint->flags & O_APPEND) ||
        (endpoint->medium & (MEDIUM_MESSAGE | MEDIUM_PSEUDO | MEDIUM_CHAR | MEDIUM_TERMINAL)))
        return WAY_WRITE;
    return WAY_SPLICE;
}

static void expect_legs(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct sluice_plan place = {0};

    sink->leg[WAY_SPLICE] = plan_leg_splice(NULL, sink->endpoint);
    sink->leg[WAY_WRITE] = plan_leg_write(sink->endpoint);
    sink->leg[WAY_TEE] = sink->leg[WAY_SPLICE];
    if (sink->endpoint->medium == MEDIUM_PIPE) {
        sink->leg[WAY_TEE].call = "tee";
        sink->leg[WAY_TEE].path = "link_pipe";
    }
    if (!fanout->context->probe)
        return;
    plan_locate(&place, fanout->in.endpoint, sink->endpoint);
    for (enum way way = 0; way < WAY_FUNCTION; way++)
        plan_prove(&place, fanout->context->probe, &sink->leg[way]);
}

static bool leg_allowed(const struct sluice_leg *leg, enum sluice_require require)
{
    return class_allowed(leg->class_, require) &&
           (require != SLUICE_REQUIRE_ZERO_COPY || leg->known == SLUICE_PROVEN);
}

/* The source into a pipe, that shared with another, and that into the sink. */
static bool requirement_met(const struct sluice_fanout *fanout, const struct fanout_sink *sink)
{
    const enum sluice_require require = fanout->options.require;
    struct sluice_plan place = {0};

    if (require == SLUICE_REQUIRE_ANY)
        return true;
    struct sluice_leg in = plan_leg_splice(fanout->in.endpoint, NULL);
    struct sluice_leg shared = {.from = "pipe",
                                .to = "pipe",
                                .call = "tee",
                                .path = "link_pipe",
                                .class_ = SLUICE_CLASS_REFERENCE};
    plan_locate(&place, fanout->in.endpoint, sink->endpoint);
    plan_prove(&place, fanout->context->probe, &in);
    plan_prove(&place, fanout->context->probe, &shared);
    return sink->way <= WAY_SPLICE && leg_allowed(&in, require) && leg_allowed(&shared, require) &&
           leg_allowed(&sink->leg[WAY_SPLICE], require);
}

static int read_sink_options(struct sluice_sink_options *own,
                             const struct sluice_sink_options *given)
{
    *own = (struct sluice_sink_options)SLUICE_SINK_OPTIONS_INIT;
    const int error = given ? sized_read(own, sizeof *own, given) : 0;
    if (error < 0)
        return error;
    if (own->flags || (unsigned)own->slow > SLUICE_SLOW_SPILL ||
        (unsigned)own->spill_slow > SLUICE_SLOW_DETACH ||
        (own->slow == SLUICE_SLOW_SPILL) != (own->spill != NULL) ||
        (own->spill &&
         (own->spill->kind != SLUICE_KIND_REGULAR || (own->spill->flags & O_ACCMODE) != O_RDWR ||
          (own->spill->flags & (O_APPEND | O_DIRECT)))))
        return -EINVAL;
    return 0;
}

static struct fanout_sink *new_sink(const struct sluice_sink_options *options)
{
    struct fanout_sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return NULL;
    sink->slow = options->slow;
    sink->lag = options->lag ? options->lag : options->slow == SLUICE_SLOW_WAIT ? UINT64_MAX : LAG;
    sink->few_fills = sink->lag == UINT64_MAX;
    if (sink->lag < 4096) /* a page is the least that a pipe gives room for */
        sink->lag = 4096;
    sink->lag_pipes = options->lag_pipes;
    sink->spill.file = options->spill;
    sink->spill_slow = options->spill_slow;
    sink->spill_most = options->spill_most;
    if (options->rate)
        rate_init(&sink->rate, options->rate, sys_now());
    return sink;
}

static int keep(struct sluice_fanout *fanout, struct fanout_sink *sink, unsigned *ret)
{
    struct fanout_sink **grown =
        realloc(fanout->sink, (fanout->sinks + 1) * sizeof *grown); /* sinks are few */
    if (!grown)
        return -ENOMEM;
    fanout->sink = grown;
    sink->id = fanout->sinks;
    fanout->sink[fanout->sinks++] = sink;
    fanout->running++;
    if (ret)
        *ret = sink->id;
    return 0;
}

/* 0; -EOPNOTSUPP: the requirement is not met. */
static int prepare_sink(struct sluice_fanout *fanout, struct fanout_sink *sink,
                        struct sluice_endpoint *endpoint)
{
    sink->endpoint = endpoint;
    side_init(&sink->out, SLUICE_SIDE_SINK, endpoint, false, 0);
    sink->way = way_of(endpoint);
    expect_legs(fanout, sink);
    if (!requirement_met(fanout, sink))
        return -EOPNOTSUPP;
    side_stop_waiting(&sink->out);
    if (is_memory_device(endpoint))
        sink->out.never_waits = true;
    if (!may_hang(&sink->out))
        return 0;
    if (isolate(fanout, sink) < 0)
        return go_without_thread(fanout, sink);
    sink->way = WAY_TEE; /* of its feed */
    return 0;
}

/* A spill file is one sink's alone: neither the source, nor a sink, nor the file of another one. */
static bool is_taken(const struct sluice_fanout *fanout, const struct sluice_endpoint *file)
{
    for (unsigned i = 0; i < fanout->sinks; i++) {
        const struct fanout_sink *other = fanout->sink[i];
        if (other && ((other->endpoint && endpoint_same(other->endpoint, file)) ||
                      (other->spill.file && endpoint_same(other->spill.file, file))))
            return true;
    }
    return endpoint_same(fanout->in.endpoint, file);
}

static bool is_spill(const struct sluice_fanout *fanout, const struct sluice_endpoint *endpoint)
{
    for (unsigned i = 0; i < fanout->sinks; i++)
        if (fanout->sink[i] && fanout->sink[i]->spill.file &&
            endpoint_same(fanout->sink[i]->spill.file, endpoint))
            return true;
    return false;
}

int sluice_fanout_add(sluice_fanout *fanout, sluice_endpoint *endpoint,
                      const struct sluice_sink_options *options, unsigned *ret,
                      struct sluice_error *ret_error)
{
    struct sluice_sink_options own;

    int error = read_sink_options(&own, options);
    if (error < 0)
        return refuse(ret_error, error, SLUICE_SIDE_SETUP, "options", "a value is out of range");
    error = refuse_end(endpoint, SLUICE_SIDE_SINK, O_RDONLY, ret_error);
    if (error < 0)
        return error;
    if (endpoint_same(fanout->in.endpoint, endpoint))
        return refuse(ret_error, -EINVAL, SLUICE_SIDE_SETUP, "compare",
                      "source and sink are the same file");
    if (is_spill(fanout, endpoint) ||
        (own.spill && (endpoint_same(endpoint, own.spill) || is_taken(fanout, own.spill))))
        return refuse(ret_error, -EBUSY, SLUICE_SIDE_SETUP, "compare",
                      "a spill file is one sink's alone");
    struct fanout_sink *sink = new_sink(&own);
    if (!sink)
        return refuse(ret_error, -ENOMEM, SLUICE_SIDE_SETUP, "allocate", NULL);
    error = prepare_sink(fanout, sink, endpoint);
    if (error >= 0)
        error = keep(fanout, sink, ret);
    if (error < 0) {
        sink_free(fanout, sink);
        return error == -EOPNOTSUPP ? refuse(ret_error, error, SLUICE_SIDE_SETUP, "require",
                                             "a leg to it copies, or is not proven to share")
                                    : refuse(ret_error, error, SLUICE_SIDE_SETUP, "allocate", NULL);
    }
    return 0;
}

int sluice_fanout_add_function(sluice_fanout *fanout, sluice_sink_function function, void *data,
                               const struct sluice_sink_options *options, unsigned *ret)
{
    struct sluice_sink_options own;

    int error = function ? read_sink_options(&own, options) : -EINVAL;
    if (error < 0)
        return error;
    if (fanout->options.require != SLUICE_REQUIRE_ANY)
        return -EOPNOTSUPP;
    if (own.spill && is_taken(fanout, own.spill))
        return -EBUSY;
    struct fanout_sink *sink = new_sink(&own);
    if (!sink)
        return -ENOMEM;
    sink->way = WAY_FUNCTION;
    sink->function = function;
    sink->function_data = data;
    sink->out.reopened = -1;
    sink->leg[WAY_FUNCTION] = (struct sluice_leg){.from = "pipe",
                                                  .to = "user",
                                                  .call = "read",
                                                  .path = "anon_pipe_read",
                                                  .class_ = SLUICE_CLASS_USER_COPY,
                                                  .copies = 1};
    error = keep(fanout, sink, ret);
    if (error < 0)
        sink_free(fanout, sink);
    return error;
}

static struct fanout_sink *find(const struct sluice_fanout *fanout, unsigned id)
{
    return id < fanout->sinks ? fanout->sink[id] : NULL;
}

int sluice_fanout_remove(sluice_fanout *fanout, unsigned id)
{
    struct fanout_sink *sink = find(fanout, id);

    if (!sink)
        return -ERANGE;
    if (sink->state == SLUICE_SINK_RUNNING)
        fanout->running--;
    fanout->sink[id] = NULL;
    fanout->fd_count = 0; /* its descriptor may be the caller's to close now */
    sink_free(fanout, sink);
    return 0;
}

void sluice_fanout_end(sluice_fanout *fanout)
{
    fanout->ended = true;
}

void sluice_fanout_free(sluice_fanout *fanout)
{
    if (!fanout)
        return;
    for (unsigned i = 0; i < fanout->sinks; i++)
        if (fanout->sink[i])
            sink_free(fanout, fanout->sink[i]);
    side_finish(&fanout->in);
    stash_close(fanout);
    free(fanout->sink);
    free(fanout->buffer);
    free(fanout->fds);
    free(fanout->fd_sink);
    free(fanout);
}

/* ---- salvage ---- */

static ssize_t salvage_some(struct sluice_fanout *fanout, struct fanout_sink *sink, void *buf,
                            size_t length)
{
    struct scratch *scratch = &sink->scratch;
    struct parcel *head = sink->queue.head;
    const char *from = scratch->bytes + scratch->start;
    size_t there = scratch->end - scratch->start;
    size_t *start = &scratch->start;

    if (there == 0 && head && head->pipe) {
        const ssize_t value = sys_read(head->pipe->read_end, buf, length);
        if (value <= 0)
            return value ? value : -EIO;
        head->pipe->parked -= (uint64_t)value;
        if (head->pipe->parked == 0)
            queue_pop(fanout, sink);
        return value;
    }
    if (there == 0) {
        from = fanout->buffer + head->start;
        there = head->end - head->start;
        start = &head->start;
    }
    if (there > length)
        there = length;
    memcpy(buf, from, there);
    *start += there;
    if (start != &scratch->start && head->start == head->end)
        queue_pop(fanout, sink);
    return (ssize_t)there;
}

ssize_t sluice_fanout_salvage(sluice_fanout *fanout, unsigned id, void *buf, size_t length)
{
    struct fanout_sink *sink = find(fanout, id);
    size_t done = 0;

    if (!sink)
        return -ERANGE;
    if (!fanout->failed)
        return -EBUSY;
    const int error = spill_settle(fanout, sink);
    while (done < length && sink->queue.bytes > 0) {
        const ssize_t value = salvage_some(fanout, sink, (char *)buf + done, length - done);
        if (value == -EINTR)
            continue;
        if (value < 0)
            return done ? (ssize_t)done : value;
        done += (size_t)value;
        sink->queue.bytes -= (uint64_t)value;
        sink->dropped += (uint64_t)value;
    }
    while (done < length && sink->spill.begin < sink->spill.end) {
        const uint64_t left = sink->spill.end - sink->spill.begin;
        const ssize_t value = sys_pread(sink->spill.file->fd, (char *)buf + done,
                                        left < length - done ? (size_t)left : length - done,
                                        (int64_t)sink->spill.begin);
        if (value == -EINTR)
            continue;
        if (value <= 0)
            return done ? (ssize_t)done : value ? value : -EIO;
        done += (size_t)value;
        sink->spill.begin += (uint64_t)value;
        sink->dropped += (uint64_t)value;
    }
    return done > 0 || error >= 0 ? (ssize_t)done : error;
}

/* ---- looking at it ---- */

int sluice_fanout_watch(const sluice_fanout *fanout, unsigned index,
                        struct sluice_fanout_watch *ret)
{
    if (index >= fanout->fd_count)
        return -ERANGE;
    const struct sluice_fanout_watch watch = {.sink = fanout->fd_sink[index],
                                              .fd = fanout->fds[index].fd,
                                              .events = fanout->fds[index].events};
    return SIZED_COPY(ret, watch);
}

/* How the delivered bytes got there: by_way, and with a drainer what that did. */
static void count_classes(const struct fanout_sink *sink, struct sluice_sink_info *info)
{
    uint64_t by_way[WAYS];

    memcpy(by_way, sink->by_way, sizeof by_way);
    if (sink->drainer) {
        memset(by_way, 0, sizeof by_way);
        by_way[WAY_SPLICE] = drainer_spliced(sink->drainer);
        by_way[WAY_WRITE] = drainer_delivered(sink->drainer) - by_way[WAY_SPLICE];
    }
    for (enum way way = 0; way < WAYS; way++) {
        const enum sluice_class class_ = sink->leg[way].class_;
        if (class_ == SLUICE_CLASS_USER_COPY)
            info->by_user += by_way[way];
        else if (class_ == SLUICE_CLASS_KERNEL_COPY)
            info->by_kernel += by_way[way];
        else
            info->by_reference += by_way[way];
    }
    info->leg = sink->leg[sink->last_way];
    if (sink->drainer)
        info->leg = sink->leg[by_way[WAY_SPLICE] ? WAY_SPLICE : WAY_WRITE];
}

int sluice_fanout_sink(const sluice_fanout *fanout, unsigned id, struct sluice_sink_info *ret)
{
    const struct fanout_sink *sink = find(fanout, id);

    if (!sink)
        return -ERANGE;
    struct sluice_sink_info info = {
        .state = sink->state,
        .delivered = sink_accepted(sink),
        .dropped = sink->dropped,
        .spilled = sink->spilled,
        .spill_begin = sink->spill.begin,
        .spill_end = sink->spill.end,
        .lag = sink_lag(sink),
        .lag_most = sink->lag_most,
        .pipes = sink->queue.pipes + spill_pipes(sink) + sink->spill.reading,
        .pipes_most = sink->pipes_most,
        .calls = sink->calls,
        .eagain = sink->eagain,
        .isolated = sink->drainer != NULL,
        .not_isolated = sink->not_isolated,
        .error = sink->error,
        .operation = sink->operation,
        .reason = sink->reason,
    };
    if (sink->state != SLUICE_SINK_RUNNING) /* what it was given after that is nobody's */
        info.dropped = sink->given - info.delivered;
    count_classes(sink, &info);
    return SIZED_COPY(ret, info);
}

static void add_sink(const struct sluice_fanout *fanout, unsigned id,
                     struct sluice_fanout_ledger *ledger)
{
    struct sluice_sink_info info = {.size = sizeof info};

    if (sluice_fanout_sink(fanout, id, &info) < 0)
        return;
    ledger->calls += info.calls + info.eagain;
    ledger->eagain += info.eagain;
    ledger->copied += info.by_kernel + info.by_user;
}

void sluice_fanout_ledger(const sluice_fanout *fanout, struct sluice_fanout_ledger *ret)
{
    const struct parcel *smallest = fanout->stash.idle;
    const struct sluice_leg spliced = plan_leg_splice(fanout->in.endpoint, NULL);
    const struct sluice_leg read = plan_leg_read(fanout->in.endpoint);
    struct sluice_fanout_ledger ledger = {
        .taken = fanout->taken,
        .rounds = fanout->rounds,
        .rounds_by_pipe = fanout->by_pipe,
        .read_bytes = fanout->read_bytes,
        .spliced_bytes = fanout->spliced_bytes,
        .calls = fanout->in_calls + fanout->in_eagain,
        .eagain = fanout->in_eagain,
        .polls = fanout->polls,
        .copied = fanout->read_bytes * read.copies + fanout->spliced_bytes * spliced.copies,
        .pipes = fanout->stash.made,
        .pipe_asked = fanout->stash.made ? fanout->stash.size : 0,
        .pipe_got = smallest ? smallest->pipe->capacity : 0,
        .sinks = fanout->sinks,
        .running = fanout->running,
        .fallbacks = fanout->fallbacks,
    };
    for (unsigned i = 0; i < fanout->sinks; i++)
        add_sink(fanout, i, &ledger);
    SIZED_COPY(ret, ledger);
}

int sluice_fanout_fallback(const sluice_fanout *fanout, unsigned index, struct sluice_fallback *ret)
{
    return index < fanout->fallbacks ? SIZED_COPY(ret, fanout->fallback[index]) : -ERANGE;
}

void sluice_fanout_error(const sluice_fanout *fanout, struct sluice_error *ret)
{
    SIZED_COPY(ret, fanout->error);
}
