/* SPDX-License-Identifier: MIT */
/*
 * read-write: through memory, the way that serves every pair and the baseline of all others.
 *
 * Sockets are read by recv and written by send, which never wait when told so and raise no SIGPIPE.
 * Datagrams are taken and sent whole. The buffer is page-aligned, as O_DIRECT wants it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "../sys.h"
#include "../transfer.h"

enum {
    BUFFER_SIZE = 256 << 10,
    UNCACHED_SIZE = 1 << 20, /* writing begins with each write: by larger pieces (docs/files.md) */
    /* Longer than any datagram: the kernel has those of UNIX sockets in one piece of memory, 4 MiB at
     * most, and 64 KiB of pages. What no datagram has filled costs nothing. */
    MESSAGE_SIZE = 5 << 20,
    ALIGNMENT = 4096,
};

/* What a stream is cut into for a datagram sink: fits an Ethernet frame, or any UNIX socket. */
enum { UDP_MESSAGE = 1400, UNIX_MESSAGE = 65536 };

static int buffer_get(struct sluice_transfer *transfer)
{
    struct buffer *buffer = &transfer->buffer;
    size_t size = transfer_uncached(transfer, &transfer->out) ? UNCACHED_SIZE : BUFFER_SIZE;

    if (buffer->bytes)
        return 0;
    /* Fresh memory is dear: a page fault a page. */
    while (size > ALIGNMENT && size / 2 > transfer->expected)
        size /= 2;
    /* Who asks for small pieces wants little to be parked. */
    while (size > ALIGNMENT && transfer->options.chunk && size / 2 >= transfer->options.chunk)
        size /= 2;
    if (transfer->in.endpoint->medium == MEDIUM_MESSAGE)
        size = MESSAGE_SIZE;
    void *bytes = NULL;
    if (posix_memalign(&bytes, ALIGNMENT, size) != 0)
        return -ENOMEM;
    *buffer = (struct buffer){.bytes = bytes, .capacity = size};
    return 0;
}

static ssize_t read_message(struct side *in, struct buffer *buffer, int flags)
{
    struct iovec iov = {.iov_base = buffer->bytes, .iov_len = buffer->capacity};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    const ssize_t value = sys_recvmsg(in->fd, &message, flags);
    if (value > 0 && (message.msg_flags & MSG_TRUNC))
        return -EMSGSIZE; /* never silently: its rest is lost */
    return value;
}

/* A seqpacket socket says 0 for an empty packet and for the end alike. At the end the peer has hung
 * up, and nothing is queued. Returns 1 at the end, 0 for an empty message, or a negative errno. */
static int message_end(struct side *in)
{
    struct pollfd poll = {.fd = in->fd, .events = POLLRDHUP};
    const struct timespec now = {0};
    int ready;

    if (in->endpoint->type != SOCK_SEQPACKET)
        return 0;
    do
        ready = sys_poll(&poll, 1, &now);
    while (ready == -EINTR);
    if (ready <= 0 || !(poll.revents & (POLLRDHUP | POLLHUP)))
        return ready < 0 ? ready : 0;
    int queued = 0;
    const int error = sys_ioctl(in->fd, FIONREAD, &queued);
    return error < 0 ? error : queued == 0;
}

static struct move fill_message(struct sluice_transfer *transfer, int flags)
{
    struct buffer *buffer = &transfer->buffer;
    const ssize_t value = read_message(&transfer->in, buffer, flags);
    struct move move = {.call = CALL_READ, .value = value};

    const int end = value == 0 ? message_end(&transfer->in) : 0;
    if (end < 0)
        move.value = end;
    move.message = value >= 0 && end == 0;
    if (move.message) {
        buffer->start = 0;
        buffer->end = (size_t)value;
        buffer->message = true;
    }
    return move;
}

ssize_t memory_read(struct sluice_transfer *transfer, void *into, size_t length)
{
    struct side *in = &transfer->in;

    if (in->endpoint->medium & MEDIA_SOCKETS)
        return sys_recv(in->fd, into, length, transfer->may_wait ? 0 : MSG_DONTWAIT);
    if (!in->has_offset)
        return sys_read(in->fd, into, length);
    const ssize_t value = sys_pread(in->fd, into, length, in->offset);
    if (value > 0)
        in->offset += value;
    return value;
}

/* What comes into the page cache by this leaves again, if that can be had. */
static struct move read_uncached(struct sluice_transfer *transfer, void *into, size_t length)
{
    struct side *in = &transfer->in;
    struct move move = {.call = CALL_READ_UNCACHED};

    move.value = sys_pread_uncached(in->fd, into, length, in->has_offset ? in->offset : -1);
    if (move.value > 0 && in->has_offset)
        in->offset += move.value;
    return move;
}

static struct move write_uncached(struct sluice_transfer *transfer, const void *from, size_t length)
{
    struct side *out = &transfer->out;
    struct move move = {.call = CALL_WRITE_UNCACHED};

    move.value = sys_pwrite_uncached(out->fd, from, length, out->has_offset ? out->offset : -1);
    if (move.value > 0 && out->has_offset)
        out->offset += move.value;
    return move;
}

static struct move read_some(struct sluice_transfer *transfer, void *into, size_t length)
{
    if (transfer_uncached(transfer, &transfer->in))
        return read_uncached(transfer, into, length);
    return (struct move){.call = CALL_READ, .value = memory_read(transfer, into, length)};
}

static struct move write_some(struct sluice_transfer *transfer, const void *from, size_t length)
{
    if (transfer_uncached(transfer, &transfer->out))
        return write_uncached(transfer, from, length);
    return (struct move){.call = CALL_WRITE, .value = memory_write(transfer, from, length)};
}

static struct move memory_fill(struct sluice_transfer *transfer, size_t want)
{
    struct buffer *buffer = &transfer->buffer;

    const int error = buffer_get(transfer);
    if (error < 0)
        return (struct move){.call = CALL_BUFFER, .value = error};
    if (transfer->in.endpoint->medium == MEDIUM_MESSAGE)
        return fill_message(transfer, transfer->may_wait ? 0 : MSG_DONTWAIT);
    if (want > buffer->capacity - buffer->end)
        want = buffer->capacity - buffer->end;
    struct move move = read_some(transfer, buffer->bytes + buffer->end, want);
    if (move.value > 0)
        buffer->end += (size_t)move.value;
    move.dry = move.value > 0 && (size_t)move.value < want &&
               (transfer->options.flags & SLUICE_EDGE_TRIGGERED) &&
               (transfer->in.endpoint->medium & (MEDIUM_STREAM | MEDIUM_SOCKET));
    return move;
}

static bool memory_has_room(struct sluice_transfer *transfer)
{
    const struct buffer *buffer = &transfer->buffer;
    if (transfer->in.endpoint->medium == MEDIUM_MESSAGE)
        return buffer->start == buffer->end && !buffer->message;
    return !buffer->bytes || buffer->end < buffer->capacity;
}

ssize_t memory_write(struct sluice_transfer *transfer, const void *from, size_t length)
{
    struct side *out = &transfer->out;

    if (out->endpoint->medium & MEDIA_SOCKETS)
        return sys_send(out->fd, from, length,
                        MSG_NOSIGNAL | (transfer->may_wait ? 0 : MSG_DONTWAIT));
    if (!transfer->may_wait && length > side_bound(out))
        length = side_bound(out);
    if (!out->has_offset)
        return sys_write(out->fd, from, length);
    const ssize_t value = sys_pwrite(out->fd, from, length, out->offset);
    if (value > 0)
        out->offset += value;
    return value;
}

/* How much of what is parked goes into one message, for a sink that has messages. */
static size_t message_length(const struct sluice_transfer *transfer, size_t length)
{
    size_t most = transfer->options.chunk;
    if (!most)
        most = transfer->out.endpoint->family == AF_UNIX ? UNIX_MESSAGE : UDP_MESSAGE;
    return transfer->buffer.message || length < most ? length : most;
}

static struct move drained(struct buffer *buffer, struct move move)
{
    if (move.value < 0)
        return move;
    buffer->start += (size_t)move.value;
    if (buffer->start == buffer->end) {
        buffer->start = buffer->end = 0;
        buffer->message = false;
    }
    return move;
}

struct move memory_drain(struct sluice_transfer *transfer)
{
    struct buffer *buffer = &transfer->buffer;
    const bool messages = transfer->out.endpoint->medium == MEDIUM_MESSAGE;
    size_t length = buffer->end - buffer->start;

    if (messages)
        length = message_length(transfer, length);
    else if (length > transfer->allowance)
        length = (size_t)transfer->allowance;
    if (transfer->holes.made && length > 0 &&
        holes_zeros(transfer, buffer->bytes + buffer->start, &length))
        return drained(buffer, (struct move){.call = CALL_ZEROS, .value = (ssize_t)length});
    struct move move = {.call = CALL_WRITE};
    if (length > 0 || messages) /* an empty datagram becomes nothing in a byte stream */
        move = write_some(transfer, buffer->bytes + buffer->start, length);
    /* 0 bytes are a message only where it has none. */
    move.message = buffer->message && (move.value > 0 || length == 0);
    return drained(buffer, move);
}

struct move memory_read_back(struct sluice_transfer *transfer)
{
    struct buffer *buffer = &transfer->buffer;
    const int error = buffer_get(transfer);
    if (error < 0)
        return (struct move){.call = CALL_BUFFER, .value = error};
    size_t length = buffer->capacity;
    if (length > transfer->pipe->parked)
        length = (size_t)transfer->pipe->parked;
    const ssize_t value = sys_read(transfer->pipe->read_end, buffer->bytes, length);
    if (value > 0) {
        transfer->pipe->parked -= (uint64_t)value;
        buffer->start = 0;
        buffer->end = (size_t)value;
    }
    return (struct move){.call = CALL_READ_BACK, .value = value};
}

const struct method method_read_write = {
    .id = SLUICE_METHOD_READ_WRITE,
    .chunk = UNCACHED_SIZE,
    .fill = memory_fill,
    .has_room = memory_has_room,
};
