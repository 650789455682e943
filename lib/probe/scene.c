/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../sys.h"
#include "pair.h"
#include "ring.h"

enum {
    ROUND = 65536,         /* what a default pipe holds in pages of 4 KiB */
    MESSAGE_ROUND = 32768, /* one datagram; and what comes from a socket, which may fill a pipe's
                              slots with less than a page each */
    TTY_ROUND = 4096,      /* a terminal's buffer is small */
    MOST_ATTEMPTS = 1000,  /* of a call whose ends are ready and which says that they are not */
    PATIENCE = 1000,       /* milliseconds: nothing here waits for anybody but the kernel */
};

/* ---- ends ---- */

static int own_file(const struct place *place, int *ret)
{
    if (!place)
        return -ENOENT;
    *ret = place_scratch(place);
    return *ret < 0 ? *ret : 0;
}

static int own_memfd(int *ret)
{
    *ret = fd_above_standard(memfd_create("sluice-probe", MFD_CLOEXEC));
    return *ret < 0 ? -errno : 0;
}

static int own_pipe(int *ret_read, int *ret_write)
{
    int fds[2];
    const int error = sys_pipe2(fds, O_CLOEXEC | O_NONBLOCK);

    if (error < 0)
        return error;
    *ret_read = fd_above_standard(fds[0]);
    *ret_write = fd_above_standard(fds[1]);
    return *ret_read < 0 || *ret_write < 0 ? -EMFILE : 0;
}

/* ---- opening ---- */

static bool is_socket(enum scene_end end)
{
    return end >= SCENE_TCP && end <= SCENE_UNIX_SEQPACKET;
}

static bool is_message(enum scene_end end)
{
    return end >= SCENE_UDP && end <= SCENE_UNIX_SEQPACKET;
}

static bool is_pipe(enum scene_end end)
{
    return end >= SCENE_PIPE && end <= SCENE_PIPE_OF_TCP;
}

static bool is_file(enum scene_end end)
{
    return end == SCENE_FILE || end == SCENE_DIRECT;
}

/* The pages that the source's bytes lie in. */
static int open_backing(struct scene *scene, enum scene_end end)
{
    const bool in_file = is_file(end) || end == SCENE_PIPE_OF_FILE;

    if (end == SCENE_MEMORY) {
        void *pages;
        const int error = sys_mmap(scene->length, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &pages);
        scene->pages = error < 0 ? NULL : pages;
        return error;
    }
    int error = in_file ? own_file(scene->place, &scene->backing) : own_memfd(&scene->backing);
    const bool is_device = in_file && error == 0 && scene->place->directory < 0;
    if (error == 0 && !is_device && ftruncate(scene->backing, (off_t)scene->length) < 0)
        error = -errno;
    if (error < 0)
        return error;
    /* A store into a file's mapping is a SIGBUS where the disk is full: it is only looked at. */
    void *pages;
    if (sys_mmap(scene->length, in_file ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
                 scene->backing, 0, &pages) == 0)
        scene->pages = pages;
    scene->written = in_file;
    return scene->pages || in_file ? 0 : -ENOMEM;
}

static int open_source(struct scene *scene)
{
    const enum scene_end end = scene->leg->source;
    int error = open_backing(scene, end);

    if (error < 0)
        return error;
    if (is_socket(end) || end == SCENE_PIPE_OF_TCP)
        error = pair_of_sockets(end, scene->family, scene->pair, &scene->feed, &scene->in);
    if (error >= 0 && is_pipe(end)) {
        if (end == SCENE_PIPE_OF_TCP) { /* what arrives there goes on into the pipe */
            scene->through[0] = scene->in;
            scene->in = -1;
            error = own_pipe(&scene->in, &scene->through[1]);
        } else {
            error = own_pipe(&scene->in, &scene->feed);
        }
    } else if (error >= 0 && is_message(end)) {
        error = own_pipe(&scene->through[0], &scene->through[1]);
    }
    if (is_file(end) || end == SCENE_MEMFD)
        scene->in = scene->backing;
    return error < 0 ? error : 0;
}

static int open_sink(struct scene *scene)
{
    const enum scene_end end = scene->leg->sink;
    int error = 0;

    if (is_file(end)) {
        error = own_file(scene->place, &scene->out);
    } else if (is_pipe(end)) {
        error = own_pipe(&scene->drain, &scene->out);
    } else if (is_socket(end)) {
        error = pair_of_sockets(end, scene->family, scene->pair, &scene->out, &scene->drain);
    } else if (end == SCENE_TTY) {
        error = pair_of_terminal(&scene->out, &scene->drain);
    } else if (end == SCENE_NULL) {
        scene->out = fd_above_standard(open("/dev/null", O_WRONLY | O_CLOEXEC));
        error = scene->out < 0 ? -errno : 0;
    } else if (end == SCENE_MEMORY) {
        void *memory;
        error = sys_mmap(scene->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                         &memory);
        scene->memory = error < 0 ? NULL : memory;
        if (scene->memory)
            memset(scene->memory, 1, scene->length);
    }
    return error < 0 ? error : 0;
}

/* No more than every pipe of the scene takes: beyond a user's budget they are small. */
static void shorten_to_pipes(struct scene *scene)
{
    const int fds[] = {scene->in, scene->out, scene->through[0]};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        const int capacity = fds[i] < 0 ? -1 : sys_fcntl(fds[i], F_GETPIPE_SZ, 0);
        if (capacity > 0 && (size_t)capacity < scene->length)
            scene->length = (size_t)capacity;
    }
    if (scene->length < page)
        scene->length = page;
}

int scene_open(struct scene *scene, const struct leg *leg, const struct place *place, int family,
               const int *pair, bool lent)
{
    *scene = (struct scene){.leg = leg,
                            .place = place,
                            .family = family,
                            .pair = pair,
                            .lent = lent,
                            .in = -1,
                            .out = -1,
                            .feed = -1,
                            .drain = -1,
                            .backing = -1,
                            .through = {-1, -1},
                            .length = ROUND};
    if (is_socket(leg->source) || leg->source == SCENE_PIPE_OF_TCP || is_message(leg->sink))
        scene->length = MESSAGE_ROUND;
    if (leg->sink == SCENE_TTY)
        scene->length = TTY_ROUND;
    scene->mapped = scene->length;
    int error = open_source(scene);
    if (error == 0)
        error = open_sink(scene);
    if (error == 0 && leg->sink != SCENE_TTY)
        shorten_to_pipes(scene);
    if (error < 0)
        scene_close(scene);
    return error;
}

void scene_close(struct scene *scene)
{
    const int fds[] = {scene->in == scene->backing ? -1 : scene->in,
                       scene->out,
                       scene->feed,
                       scene->drain,
                       scene->backing,
                       scene->through[0],
                       scene->through[1]};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            sys_close(fds[i]);
    if (scene->pages)
        sys_munmap(scene->pages, scene->mapped);
    if (scene->memory)
        sys_munmap(scene->memory, scene->mapped);
    ring_free(scene->ring);
}

/* ---- bytes ---- */

static int wait_for(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    return fd >= 0 && poll(&wanted, 1, PATIENCE) > 0 ? 0 : -ETIMEDOUT;
}

/* Goes on until `length` bytes are through, or the call says that it has ended. */
static ssize_t all_of(struct scene *scene, size_t length,
                      ssize_t (*one)(struct scene *, size_t done, size_t left), int in, int out)
{
    size_t done = 0;
    unsigned in_vain = 0;

    while (done < length) {
        const ssize_t value = one(scene, done, length - done);
        if (value == -EAGAIN) {
            if (++in_vain > MOST_ATTEMPTS || (in < 0 && out < 0) ||
                (in >= 0 && wait_for(in, POLLIN) < 0) || (out >= 0 && wait_for(out, POLLOUT) < 0))
                return -ETIMEDOUT;
        } else if (value < 0 && value != -EINTR) {
            return value;
        } else if (value == 0) {
            break;
        }
        done += value > 0 ? (size_t)value : 0;
    }
    return (ssize_t)done;
}

static ssize_t feed_pipe(struct scene *scene, size_t done, size_t left)
{
    const struct iovec pages = {.iov_base = scene->pages + done, .iov_len = left};
    int64_t offset = (int64_t)done;
    if (scene->lent && !scene->written)
        return sys_vmsplice(scene->feed, &pages, 1, SPLICE_F_NONBLOCK);
    return sys_splice(scene->backing, &offset, scene->feed, NULL, left, SPLICE_F_NONBLOCK);
}

static ssize_t feed_by_sendfile(struct scene *scene, size_t done, size_t left)
{
    int64_t offset = (int64_t)done;
    return sys_sendfile(scene->feed, scene->backing, &offset, left);
}

/* Its completions are of no interest here, and go with the socket. */
static ssize_t feed_by_zerocopy(struct scene *scene, size_t done, size_t left)
{
    const int on = 1;
    setsockopt(scene->feed, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on);
    return sys_send(scene->feed, scene->pages + done, left, MSG_ZEROCOPY | MSG_NOSIGNAL);
}

static ssize_t feed_on(struct scene *scene, size_t done, size_t left)
{
    (void)done;
    return sys_splice(scene->through[0], NULL, scene->through[1], NULL, left, SPLICE_F_NONBLOCK);
}

static ssize_t feed_message(struct scene *scene, size_t done, size_t left)
{
    int64_t offset = (int64_t)done;
    ssize_t value =
        sys_splice(scene->backing, &offset, scene->through[1], NULL, left, SPLICE_F_NONBLOCK);
    return value <= 0 ? value
                      : sys_splice(scene->through[0], NULL, scene->feed, NULL, (size_t)value, 0);
}

static int feed(struct scene *scene)
{
    const size_t length = scene->length;
    const enum scene_end end = scene->leg->source;
    ssize_t value = (ssize_t)length;

    if (end == SCENE_PIPE || end == SCENE_PIPE_OF_FILE)
        value = all_of(scene, length, feed_pipe, -1, scene->feed);
    else if (end == SCENE_TCP || end == SCENE_UNIX || end == SCENE_PIPE_OF_TCP)
        value = all_of(scene, length,
                       scene->leg->traits & LEG_WHOLE_PAGES ? feed_by_zerocopy : feed_by_sendfile,
                       -1, scene->feed);
    else if (is_message(end))
        value = all_of(scene, length, feed_message, -1, scene->feed);
    if (value == (ssize_t)length && end == SCENE_PIPE_OF_TCP)
        value = all_of(scene, length, feed_on, scene->through[0], -1);
    return value < 0 ? (int)value : value == (ssize_t)length ? 0 : -EIO;
}

static void set_direct(int fd, bool on)
{
    const int flags = sys_fcntl(fd, F_GETFL, 0);
    if (flags >= 0)
        sys_fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/* On the disk, and out of the page cache. */
static int write_out(int fd)
{
    if (fdatasync(fd) < 0)
        return -errno;
    return posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 ? 0 : -EIO;
}

int scene_store(struct scene *scene, char byte)
{
    char block[4096];

    if (scene->pages && !scene->written) {
        memset(scene->pages, byte, scene->length);
        return 0;
    }
    memset(block, byte, sizeof block);
    for (size_t at = 0; scene->backing >= 0 && at < scene->length; at += sizeof block) {
        const ssize_t value = sys_pwrite(scene->backing, block, sizeof block, (int64_t)at);
        if (value != sizeof block)
            return value < 0 ? (int)value : -EIO;
    }
    return 0;
}

int scene_fill(struct scene *scene, char byte)
{
    scene->word = 0;
    int error = scene_store(scene, byte);
    if (error == 0 && scene->leg->source == SCENE_DIRECT && scene->place->device)
        error = write_out(scene->backing);
    return error < 0 ? error : feed(scene);
}

static ssize_t move_some(struct scene *scene, size_t done, size_t left)
{
    return scene->leg->move(scene, scene->leg->from + done, left);
}

ssize_t scene_move(struct scene *scene)
{
    const struct leg *leg = scene->leg;
    const size_t length = leg->length ? leg->length : scene->length;

    if (leg->source == SCENE_DIRECT)
        set_direct(scene->in, true);
    if (leg->sink == SCENE_DIRECT)
        set_direct(scene->out, true);
    /* Sockets and pipes are ready, or will be: files and memory are not waited for. */
    const ssize_t value = all_of(scene, length, move_some, is_socket(leg->source) ? scene->in : -1,
                                 is_socket(leg->sink) || leg->sink == SCENE_TTY ? scene->out : -1);
    if (leg->source == SCENE_DIRECT)
        set_direct(scene->in, false);
    if (leg->sink == SCENE_DIRECT)
        set_direct(scene->out, false);
    return value;
}

static ssize_t collect_some(struct scene *scene, size_t done, size_t left)
{
    return is_file(scene->leg->sink)
               ? sys_pread(scene->out, scene->collecting + done, left, (int64_t)done)
               : sys_read(scene->drain, scene->collecting + done, left);
}

ssize_t scene_collect(struct scene *scene, char *buffer)
{
    const size_t length = scene->leg->length ? scene->leg->length : scene->length;

    if (scene->leg->sink == SCENE_MEMORY) {
        memcpy(buffer, scene->memory, length);
        return (ssize_t)length;
    }
    if (scene->leg->sink == SCENE_NULL)
        return -EOPNOTSUPP;
    scene->collecting = buffer;
    return all_of(scene, length, collect_some, scene->drain, -1);
}

static void drain(int fd)
{
    char bytes[65536];

    while (fd >= 0 && sys_read(fd, bytes, sizeof bytes) > 0)
        continue; /* none of them waits */
}

void scene_reset(struct scene *scene)
{
    if (is_pipe(scene->leg->source) || is_socket(scene->leg->source))
        drain(scene->in);
    drain(scene->drain);
}

/* ---- names ---- */

const char *scene_name(enum scene_end end, const struct place *place)
{
    static const char *const names[] = {
        [SCENE_MEMFD] = "memfd",
        [SCENE_MEMORY] = "memory",
        [SCENE_PIPE] = "pipe",
        [SCENE_PIPE_OF_FILE] = "pipe",
        [SCENE_PIPE_OF_TCP] = "pipe",
        [SCENE_TCP] = "tcp",
        [SCENE_UNIX] = "unix",
        [SCENE_UDP] = "udp",
        [SCENE_UNIX_DGRAM] = "unix-dgram",
        [SCENE_UNIX_SEQPACKET] = "unix-seqpacket",
        [SCENE_TTY] = "tty",
        [SCENE_NULL] = "null",
    };
    return is_file(end) ? place->name : names[end];
}

bool scene_uses_place(const struct leg *leg)
{
    return is_file(leg->source) || is_file(leg->sink) || leg->source == SCENE_PIPE_OF_FILE;
}

bool scene_uses_network(const struct leg *leg)
{
    const enum scene_end ends[] = {leg->source, leg->sink};
    for (int i = 0; i < 2; i++)
        if (ends[i] == SCENE_TCP || ends[i] == SCENE_UDP || ends[i] == SCENE_PIPE_OF_TCP)
            return true;
    return false;
}
