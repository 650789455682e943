/* SPDX-License-Identifier: MIT */
/*
 * The other direction: what has come, shown in memory. Mapping the pages of TCP segments saves the
 * copy, where the sender's segments are whole pages; that is found out by trying, now and then.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../context.h"
#include "../probe/place.h"
#include "../probe/probe.h"
#include "../side.h"
#include "../sys.h"

enum {
    DEFAULT_WINDOW = 256 << 10,
    LARGEST_WINDOW = 1 << 30,
    MISSES = 32, /* calls in a row that mapped nothing, until it is left alone for a while */
};
#define RETRY ((uint64_t)64 << 20) /* ... that is, for so many bytes */

struct sluice_receiver {
    struct side side;
    size_t window;
    void *pages;  /* a mapping of the socket, NULL: none yet */
    void *buffer; /* what is copied comes here, NULL: none yet */
    bool shown;   /* pages are mapped there, and lent to the caller */
    unsigned misses;
    uint64_t received, retry_at; /* bytes; until then nothing is mapped, 0: it may be */
    uint64_t polls;
    struct sluice_receiver_choice choice[SLUICE_RECEIVE_WAY_COUNT - 1]; /* in order */
};

static const char *const names[SLUICE_RECEIVE_WAY_COUNT] = {
    [SLUICE_RECEIVE_AUTO] = "auto",
    [SLUICE_RECEIVE_MAP] = "map",
    [SLUICE_RECEIVE_VMSPLICE] = "vmsplice",
    [SLUICE_RECEIVE_READ] = "read",
};

const char *sluice_receive_way_name(enum sluice_receive_way way)
{
    return (unsigned)way < SLUICE_RECEIVE_WAY_COUNT ? names[way] : "?";
}

/* ---- the plan ---- */

static bool is_tcp(const struct sluice_endpoint *endpoint)
{
    return endpoint->medium == MEDIUM_STREAM &&
           (endpoint->family == AF_INET || endpoint->family == AF_INET6);
}

/* Whether a probe has seen pages mapped where this socket leads to. Loopback's come in pieces of
 * less than 64 KiB, which cost more to map than to copy (docs/loans.md). */
static bool mapping_pays(const struct sluice_context *context,
                         const struct sluice_endpoint *endpoint)
{
    char place[PLACE_TEXT];

    place_of(endpoint, place);
    if (strcmp(place, PLACE_LOOPBACK) == 0 || strcmp(place, PLACE_IPV6) == 0)
        return false;
    const struct sluice_probe_leg *leg =
        probe_find(context->probe, "tcp", "memory", "recv", "TCP_ZEROCOPY_RECEIVE", place);
    return leg && !leg->error && leg->verdict == SLUICE_VERDICT_REFERENCE;
}

static void plan_way(struct sluice_receiver_choice *choice, enum sluice_receive_way way,
                     const struct sluice_context *context, const struct sluice_endpoint *endpoint,
                     bool preferred)
{
    *choice = (struct sluice_receiver_choice){
        .size = sizeof *choice, .way = way, .class_ = SLUICE_CLASS_USER_COPY};
    switch (way) {
    case SLUICE_RECEIVE_MAP:
        choice->class_ = SLUICE_CLASS_MAP;
        choice->why = "no copy, where segments are whole pages";
        if (!is_tcp(endpoint))
            choice->ruled_out = "only TCP has it";
        else if (!preferred && !mapping_pays(context, endpoint))
            choice->ruled_out =
                "no probe has seen that it maps pages here, and loopback's cost more";
        else if (!preferred)
            choice->known = SLUICE_PROVEN;
        break;
    case SLUICE_RECEIVE_VMSPLICE:
        choice->why = "one copy";
        if (endpoint->medium != MEDIUM_PIPE)
            choice->ruled_out = "only pipes have it";
        else if (!preferred)
            choice->ruled_out = "it copies as read does, and pins pages besides";
        break;
    default:
        choice->why = "one copy";
        break;
    }
    if (preferred)
        choice->why = "preferred by the caller";
    if (choice->ruled_out)
        choice->why = NULL;
}

static void plan_ways(struct sluice_receiver *receiver, const struct sluice_context *context,
                      enum sluice_receive_way prefer)
{
    const struct sluice_endpoint *endpoint = receiver->side.endpoint;

    for (unsigned way = 1; way < SLUICE_RECEIVE_WAY_COUNT; way++) {
        struct sluice_receiver_choice *choice = &receiver->choice[way - 1];
        plan_way(choice, (enum sluice_receive_way)way, context, endpoint, way == (unsigned)prefer);
        if (prefer == SLUICE_RECEIVE_READ && way != SLUICE_RECEIVE_READ && !choice->ruled_out) {
            choice->ruled_out = "the caller prefers read";
            choice->why = NULL;
        }
    }
}

static struct sluice_receiver_choice *choice_of(struct sluice_receiver *receiver,
                                                enum sluice_receive_way way)
{
    return &receiver->choice[way - 1];
}

static void rule_out(struct sluice_receiver *receiver, enum sluice_receive_way way,
                     const char *reason, int error)
{
    struct sluice_receiver_choice *choice = choice_of(receiver, way);
    choice->ruled_out = reason;
    choice->why = NULL;
    choice->error = error;
}

/* ---- mapping ---- */

static bool may_map(struct sluice_receiver *receiver)
{
    struct sluice_receiver_choice *choice = choice_of(receiver, SLUICE_RECEIVE_MAP);

    if (receiver->retry_at && receiver->received >= receiver->retry_at) {
        receiver->retry_at = 0;
        choice->ruled_out = NULL;
        choice->why = "no copy, where segments are whole pages";
    }
    return !choice->ruled_out;
}

static void count_miss(struct sluice_receiver *receiver)
{
    choice_of(receiver, SLUICE_RECEIVE_MAP)->missed++;
    if (++receiver->misses < MISSES)
        return;
    receiver->misses = 0;
    receiver->retry_at = receiver->received + RETRY;
    rule_out(receiver, SLUICE_RECEIVE_MAP, "lately no whole pages came", 0);
}

/* Bytes that are mapped; 0: none, and *skip bytes (0: any number) are to be read first. */
static size_t by_mapping(struct sluice_receiver *receiver, uint32_t *skip)
{
    uint32_t length = (uint32_t)receiver->window;
    int error = 0;

    if (!receiver->pages)
        error = sys_mmap(receiver->window, PROT_READ, MAP_SHARED, receiver->side.fd, 0,
                         &receiver->pages);
    if (error >= 0)
        error = sys_tcp_map(receiver->side.fd, receiver->pages, &length, skip);
    if (error < 0) {
        rule_out(receiver, SLUICE_RECEIVE_MAP, "the kernel refused it", error);
        return 0;
    }
    if (length == 0) {
        if (*skip > 0)
            count_miss(receiver);
        return 0;
    }
    receiver->misses = 0;
    receiver->shown = true;
    return length;
}

/* ---- copying ---- */

static int get_buffer(struct sluice_receiver *receiver)
{
    if (receiver->buffer)
        return 0;
    return sys_mmap(receiver->window, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                    &receiver->buffer);
}

static ssize_t by_vmsplice(struct sluice_receiver *receiver)
{
    const struct iovec memory = {.iov_base = receiver->buffer, .iov_len = receiver->window};
    return sys_vmsplice(receiver->side.fd, &memory, 1, SPLICE_F_NONBLOCK);
}

static ssize_t by_read(struct sluice_receiver *receiver, size_t length)
{
    struct side *side = &receiver->side;

    if (side->endpoint->medium & MEDIA_SOCKETS)
        return sys_recv(side->fd, receiver->buffer, length, MSG_DONTWAIT);
    side_stop_waiting(side);
    return side_ready(side, &receiver->polls) ? sys_read(side->fd, receiver->buffer, length)
                                              : -EAGAIN;
}

static ssize_t count(struct sluice_receiver *receiver, enum sluice_receive_way way, ssize_t value)
{
    struct sluice_receiver_choice *choice = choice_of(receiver, way);

    if (value > 0) {
        choice->bytes += (uint64_t)value;
        choice->calls++;
        receiver->received += (uint64_t)value;
    }
    return value;
}

/* The next bytes, copied: `skip` of them at most, if it is not 0. */
static ssize_t copy_next(struct sluice_receiver *receiver, uint32_t skip)
{
    ssize_t value;

    const int error = get_buffer(receiver);
    if (error < 0)
        return error == -EAGAIN ? -ENOMEM : error;
    if (!choice_of(receiver, SLUICE_RECEIVE_VMSPLICE)->ruled_out) {
        do
            value = by_vmsplice(receiver);
        while (value == -EINTR);
        if (value >= 0 || value == -EAGAIN)
            return count(receiver, SLUICE_RECEIVE_VMSPLICE, value);
        rule_out(receiver, SLUICE_RECEIVE_VMSPLICE, "the kernel refused it", (int)value);
    }
    const size_t length = skip && skip < receiver->window ? skip : receiver->window;
    do
        value = by_read(receiver, length);
    while (value == -EINTR);
    return count(receiver, SLUICE_RECEIVE_READ, value);
}

ssize_t sluice_receiver_next(sluice_receiver *receiver, const void **ret)
{
    uint32_t skip = 0;

    if (may_map(receiver)) {
        const size_t mapped = by_mapping(receiver, &skip);
        if (mapped > 0) {
            *ret = receiver->pages;
            return count(receiver, SLUICE_RECEIVE_MAP, (ssize_t)mapped);
        }
    }
    if (receiver->shown) { /* what was shown last goes back to the kernel */
        sys_madvise(receiver->pages, receiver->window, MADV_DONTNEED);
        receiver->shown = false;
    }
    const ssize_t value = copy_next(receiver, skip);
    if (value > 0)
        *ret = receiver->buffer;
    return value;
}

/* ---- the object ---- */

static int check(const struct sluice_endpoint *source, const struct sluice_receiver_options *own)
{
    if (source->fd < 0 || (source->medium & (MEDIUM_OTHER | MEDIUM_MESSAGE)))
        return -EINVAL;
    if ((source->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if ((unsigned)own->prefer >= SLUICE_RECEIVE_WAY_COUNT || own->window > LARGEST_WINDOW)
        return -EINVAL;
    return 0;
}

int sluice_receiver_new(sluice_context *context, sluice_endpoint *source,
                        const struct sluice_receiver_options *options, sluice_receiver **ret)
{
    struct sluice_receiver_options own = {0};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int error = options ? sized_read(&own, sizeof own, options) : 0;

    if (error >= 0)
        error = endpoint_refresh(source);
    if (error >= 0)
        error = check(source, &own);
    if (error < 0)
        return error;
    struct sluice_receiver *receiver = calloc(1, sizeof *receiver);
    if (!receiver)
        return -ENOMEM;
    side_init(&receiver->side, SLUICE_SIDE_SOURCE, source, false, 0);
    receiver->window = own.window ? own.window : DEFAULT_WINDOW;
    receiver->window = (receiver->window + page - 1) / page * page;
    plan_ways(receiver, context, own.prefer);
    *ret = receiver;
    return 0;
}

int sluice_receiver_choice(const sluice_receiver *receiver, unsigned index,
                           struct sluice_receiver_choice *ret)
{
    if (index >= SLUICE_RECEIVE_WAY_COUNT - 1)
        return -ERANGE;
    return SIZED_COPY(ret, receiver->choice[index]);
}

void sluice_receiver_free(sluice_receiver *receiver)
{
    if (!receiver)
        return;
    if (receiver->pages)
        sys_munmap(receiver->pages, receiver->window);
    if (receiver->buffer)
        sys_munmap(receiver->buffer, receiver->window);
    side_finish(&receiver->side);
    free(receiver);
}
