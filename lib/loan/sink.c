/* SPDX-License-Identifier: MIT */
/*
 * The ways of a sink. What could serve its kind is a table; a probe's verdicts and the kernel's own
 * answers take ways out of it, each with the reason. What is left is tried in order, and write, the
 * last, serves everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../probe/place.h"
#include "../probe/probe.h"
#include "../sys.h"
#include "loan.h"

#define NEVER UINT64_MAX
#define KIB   ((uint64_t)1 << 10)

/*
 * Best first. Fresh pages for each use cost more than a copy, or less, as huge pages are to be had
 * at that moment: so other than constant data is lent to a pipe only where the caller prefers it.
 * Break-evens as measured on Linux 6.18 (docs/loans.md): from these lengths on, a way costs less
 * than a copy. `call`, `variant`: its leg in a probe.
 */
static const struct way_row {
    enum sluice_loan_way way;
    int media;
    bool tcp_or_udp; /* IPv4 and IPv6 only */
    uint64_t least_constant, least_fresh;
    enum sluice_class class_;
    const char *from, *call, *variant;
    const char *why;
} rows[] = {
    {SLUICE_LOAN_VMSPLICE, MEDIUM_PIPE, false, 4 * KIB, NEVER, SLUICE_CLASS_REFERENCE, "memory",
     "vmsplice", "", "page references; no page of them is written again"},
    {SLUICE_LOAN_SENDFILE, MEDIUM_PIPE, false, 16 * KIB, NEVER, SLUICE_CLASS_REFERENCE, "memfd",
     "splice", "", "page references, of a file that nobody can change"},
    {SLUICE_LOAN_SENDFILE, MEDIUM_STREAM, false, 4 * KIB, NEVER, SLUICE_CLASS_REFERENCE, "memfd",
     "sendfile", "",
     "page references, of a file that nobody can change; no notification to wait for"},
    {SLUICE_LOAN_SEND_ZC, MEDIUM_STREAM | MEDIUM_MESSAGE, true, 32 * KIB, 32 * KIB,
     SLUICE_CLASS_REFERENCE, "memory", "send", "SEND_ZC",
     "no copy where the card gathers; nothing is set on the socket"},
    {SLUICE_LOAN_ZEROCOPY, MEDIUM_STREAM | MEDIUM_MESSAGE, true, 32 * KIB, 32 * KIB,
     SLUICE_CLASS_REFERENCE, "memory", "send", "MSG_ZEROCOPY", "no copy where the card gathers"},
    {SLUICE_LOAN_WRITE, ~0, false, 0, 0, SLUICE_CLASS_USER_COPY, "memory", "write", "",
     "one copy, back at once"},
};

static const char *const names[SLUICE_LOAN_WAY_COUNT] = {
    [SLUICE_LOAN_AUTO] = "auto",         [SLUICE_LOAN_VMSPLICE] = "vmsplice",
    [SLUICE_LOAN_SENDFILE] = "sendfile", [SLUICE_LOAN_SEND_ZC] = "send-zc",
    [SLUICE_LOAN_ZEROCOPY] = "zerocopy", [SLUICE_LOAN_WRITE] = "write",
};

const char *sluice_loan_way_name(enum sluice_loan_way way)
{
    return (unsigned)way < SLUICE_LOAN_WAY_COUNT ? names[way] : "?";
}

/* ---- the plan ---- */

static bool is_zero_copy_send(enum sluice_loan_way way)
{
    return way == SLUICE_LOAN_SEND_ZC || way == SLUICE_LOAN_ZEROCOPY;
}

static bool suits(const struct way_row *row, const struct sluice_endpoint *endpoint)
{
    return (row->media & (int)endpoint->medium) &&
           (!row->tcp_or_udp || endpoint->family == AF_INET || endpoint->family == AF_INET6);
}

/* Why a probe, or what is known of the place, speaks against a way; NULL: nothing does. */
static const char *evidence_against(const struct way_row *row, const struct sluice_probe_leg *leg,
                                    const char *place)
{
    if (row->way == SLUICE_LOAN_WRITE)
        return NULL;
    if (leg && leg->error)
        return "the probe found that it does not work here";
    if (leg && leg->verdict == SLUICE_VERDICT_COPIED)
        return "the probe saw a copy: write is cheaper";
    if (!leg && is_zero_copy_send(row->way) &&
        (strcmp(place, PLACE_LOOPBACK) == 0 || strcmp(place, PLACE_IPV6) == 0))
        return "loopback copies what is sent so";
    return NULL;
}

static void plan_row(struct sluice_loan_sink *sink, const struct way_row *row, const char *place,
                     bool preferred)
{
    const struct sluice_probe_leg *leg =
        probe_find(sink->pool->context->probe, row->from, sink->side.endpoint->name, row->call,
                   row->variant, place);
    struct sluice_loan_choice *choice = &sink->way[row->way].choice;

    choice->ruled_out = preferred ? NULL : evidence_against(row, leg, place);
    choice->why = choice->ruled_out ? NULL : preferred ? "preferred by the caller" : row->why;
    choice->class_ = row->class_;
    if (leg && !leg->error && leg->verdict != SLUICE_VERDICT_UNKNOWN) {
        choice->known = SLUICE_PROVEN;
        if (leg->verdict == SLUICE_VERDICT_COPIED)
            choice->class_ = SLUICE_CLASS_USER_COPY;
    }
    choice->least_constant = preferred ? 0 : row->least_constant;
    /* The sealed file of a loan that is sent once would be the copy that it saves. */
    choice->least_fresh = preferred && row->way != SLUICE_LOAN_SENDFILE ? 0 : row->least_fresh;
}

void loan_sink_plan(struct sluice_loan_sink *sink, enum sluice_loan_way prefer)
{
    char place[PLACE_TEXT];
    unsigned count = 0;

    for (unsigned way = 1; way < SLUICE_LOAN_WAY_COUNT; way++)
        sink->way[way] =
            (struct loan_way_state){.choice = {.size = sizeof(struct sluice_loan_choice),
                                               .way = (enum sluice_loan_way)way,
                                               .ruled_out = "not for a sink of this kind",
                                               .least_constant = NEVER,
                                               .least_fresh = NEVER},
                                    .most = NEVER};
    place_of(sink->side.endpoint, place);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (suits(&rows[i], sink->side.endpoint))
            plan_row(sink, &rows[i], place, rows[i].way == prefer);
    if (prefer != SLUICE_LOAN_AUTO)
        sink->order[count++] = prefer;
    for (unsigned way = 1; way < SLUICE_LOAN_WAY_COUNT; way++)
        if (way != (unsigned)prefer)
            sink->order[count++] = (enum sluice_loan_way)way;
    if (prefer == SLUICE_LOAN_WRITE)
        for (unsigned way = 1; way < SLUICE_LOAN_WRITE; way++)
            loan_sink_rule_out(sink, (enum sluice_loan_way)way, "the caller prefers write", 0);
}

void loan_sink_rule_out(struct sluice_loan_sink *sink, enum sluice_loan_way way, const char *reason,
                        int error)
{
    struct sluice_loan_choice *choice = &sink->way[way].choice;

    if (choice->ruled_out)
        return;
    choice->ruled_out = reason;
    choice->why = NULL;
    choice->error = error;
}

/* ---- the choice ---- */

/* The sealed file costs a copy to make. So the first sink is sent a copy in its place, and the file
 * is made when the same bytes are sent once more. */
static bool file_pays(const struct sluice_loan *loan, uint64_t least, uint64_t end)
{
    return loan->memfd >= 0 || least == 0 || loan->sent >= end;
}

static bool takes(const struct sluice_loan_sink *sink, const struct loan_way_state *state,
                  const struct sluice_loan *loan, uint64_t offset, uint64_t length, bool wait)
{
    const struct sluice_loan_choice *choice = &state->choice;
    const uint64_t least = loan->constant ? choice->least_constant : choice->least_fresh;

    if (choice->ruled_out || least == NEVER || length < least || length > state->most)
        return false;
    switch (choice->way) {
    case SLUICE_LOAN_SENDFILE: /* it has no flag that says: do not wait */
        return (wait || sink->side.never_waits) && file_pays(loan, least, offset + length);
    case SLUICE_LOAN_SEND_ZC:
    case SLUICE_LOAN_ZEROCOPY:
        return state->trial != TRIAL_ASKED;
    default:
        return true;
    }
}

enum sluice_loan_way loan_sink_choose(const struct sluice_loan_sink *sink,
                                      const struct sluice_loan *loan, uint64_t offset,
                                      uint64_t length, bool wait, unsigned from,
                                      unsigned *ret_place)
{
    for (unsigned place = from; place < SLUICE_LOAN_WAY_COUNT - 1; place++)
        if (takes(sink, &sink->way[sink->order[place]], loan, offset, length, wait)) {
            *ret_place = place;
            return sink->order[place];
        }
    *ret_place = SLUICE_LOAN_WAY_COUNT - 1;
    return SLUICE_LOAN_WRITE;
}

/* ---- zero-copy sends ---- */

int loan_sink_watch(struct sluice_loan_sink *sink)
{
    if (sink->watched || sink->pool->epoll < 0)
        return 0;
    const int error = sys_epoll_add(sink->pool->epoll, sink->side.fd, sink);
    sink->watched = error >= 0;
    return error;
}

/* What others read from the error queue would be lost to them, and their sends would be counted
 * among ours. */
static bool error_queue_in_use(int fd, int family)
{
    const struct {
        int level, name;
    } users[] = {
        {SOL_SOCKET, SO_ZEROCOPY},
        {SOL_SOCKET, SO_TIMESTAMPING},
        {family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
         family == AF_INET6 ? IPV6_RECVERR : IP_RECVERR},
    };
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        int value = 0;
        if (sys_getsockopt(fd, users[i].level, users[i].name, &value) >= 0 && value)
            return true;
    }
    return false;
}

int loan_sink_enable_zerocopy(struct sluice_loan_sink *sink)
{
    const int fd = sink->side.fd;

    if (sink->zerocopy_set)
        return 0;
    if (error_queue_in_use(fd, sink->side.endpoint->family))
        return -EBUSY;
    int error = loan_sink_watch(sink);
    if (error >= 0)
        error = sys_setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
    sink->zerocopy_set = error >= 0;
    return error;
}

void loan_sink_answered(struct sluice_loan_sink *sink, enum sluice_loan_way way, unsigned sends,
                        bool copied)
{
    struct sluice_loan_stats *stats = &sink->pool->stats;

    stats->notified += sends;
    if (!copied) {
        sink->way[way].trial = TRIAL_TRUE;
        return;
    }
    /* Not asked again, in either way: they end in the same place of the kernel. */
    stats->copied += sends;
    loan_sink_rule_out(sink, SLUICE_LOAN_ZEROCOPY, "the kernel says that it copies on this socket",
                       0);
    loan_sink_rule_out(sink, SLUICE_LOAN_SEND_ZC, "the kernel says that it copies on this socket",
                       0);
}

/* One message of the error queue. 1: there was one; 0: there is none. */
static int take_notification(struct sluice_loan_sink *sink, unsigned *back)
{
    _Alignas(struct cmsghdr) char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};

    if (sys_recvmsg(sink->side.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        const struct sock_extended_err *word = (const void *)CMSG_DATA(header);
        const bool of_error = (header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR) ||
                              (header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR);
        unsigned came = 0;
        if (!of_error || header->cmsg_len < CMSG_LEN(sizeof *word) ||
            word->ee_origin != SO_EE_ORIGIN_ZEROCOPY || word->ee_errno != 0)
            continue;
        const unsigned sends =
            loan_notices_answer(&sink->notices, word->ee_info, word->ee_data, &came);
        if (sends)
            loan_sink_answered(sink, SLUICE_LOAN_ZEROCOPY, sends,
                               word->ee_code & SO_EE_CODE_ZEROCOPY_COPIED);
        *back += came;
    }
    return 1;
}

unsigned loan_sink_reap(struct sluice_loan_sink *sink)
{
    unsigned back = 0;

    while (sink->notices.first != sink->notices.next && take_notification(sink, &back))
        ;
    return back;
}

/* ---- the object ---- */

static int check(const struct sluice_endpoint *endpoint, const struct sluice_loan_sink_options *own)
{
    if (endpoint->fd < 0 || endpoint->medium == MEDIUM_OTHER)
        return -EINVAL;
    if ((endpoint->flags & O_ACCMODE) == O_RDONLY && !(endpoint->medium & MEDIA_SOCKETS))
        return -EBADF;
    if ((own->flags & ~(unsigned)SLUICE_LOAN_NO_SIGPIPE) ||
        (unsigned)own->prefer >= SLUICE_LOAN_WAY_COUNT)
        return -EINVAL;
    return 0;
}

int sluice_loan_sink_new(sluice_loan_pool *pool, sluice_endpoint *endpoint,
                         const struct sluice_loan_sink_options *options, sluice_loan_sink **ret)
{
    struct sluice_loan_sink_options own = {0};
    int error = options ? sized_read(&own, sizeof own, options) : 0;

    if (error >= 0)
        error = endpoint_refresh(endpoint);
    if (error >= 0)
        error = check(endpoint, &own);
    if (error < 0)
        return error;
    struct sluice_loan_sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return -ENOMEM;
    sink->pool = pool;
    side_init(&sink->side, SLUICE_SIDE_SINK, endpoint, false, 0);
    sink->guard = !(own.flags & SLUICE_LOAN_NO_SIGPIPE);
    loan_sink_plan(sink, own.prefer);
    sink->next = pool->sinks;
    pool->sinks = sink;
    *ret = sink;
    return 0;
}

unsigned sluice_loan_sink_free(sluice_loan_sink *sink)
{
    if (!sink)
        return 0;
    struct sluice_loan_pool *pool = sink->pool;
    loan_sink_reap(sink);
    const unsigned open = loan_notices_give_up(&sink->notices);
    pool->stats.given_up += open;
    if (sink->watched)
        sys_epoll_remove(pool->epoll, sink->side.fd);
    /* With notifications under way it stays set: who comes next must not take them for its own. */
    if (sink->zerocopy_set && open == 0)
        sys_setsockopt(sink->side.fd, SOL_SOCKET, SO_ZEROCOPY, 0);
    if (pool->ring)
        loan_ring_forget(pool->ring, sink);
    side_finish(&sink->side);
    struct sluice_loan_sink **link = &pool->sinks;
    while (*link != sink)
        link = &(*link)->next;
    *link = sink->next;
    free(sink);
    return open;
}

int sluice_loan_sink_choice(const sluice_loan_sink *sink, unsigned index,
                            struct sluice_loan_choice *ret)
{
    if (index >= SLUICE_LOAN_WAY_COUNT - 1)
        return -ERANGE;
    return SIZED_COPY(ret, sink->way[sink->order[index]].choice);
}
