/* SPDX-License-Identifier: MIT */
/* The legs, as a table; and the calls that they are made of. */
#include "legs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../sys.h"
#include "ring.h"

/* ---- calls ---- */

static bool has_offset(enum scene_end end)
{
    return end == SCENE_FILE || end == SCENE_DIRECT || end == SCENE_MEMFD;
}

static ssize_t move_splice(struct scene *scene, size_t offset, size_t length)
{
    int64_t in = (int64_t)offset, out = (int64_t)offset;
    return sys_splice(scene->in, has_offset(scene->leg->source) ? &in : NULL, scene->out,
                      has_offset(scene->leg->sink) ? &out : NULL, length,
                      scene->leg->flags | SPLICE_F_NONBLOCK);
}

static ssize_t move_sendfile(struct scene *scene, size_t offset, size_t length)
{
    int64_t in = (int64_t)offset;
    if (has_offset(scene->leg->sink) && sys_lseek(scene->out, (int64_t)offset, SEEK_SET) < 0)
        return -ESPIPE;
    return sys_sendfile(scene->out, scene->in, &in, length);
}

static ssize_t move_copy_range(struct scene *scene, size_t offset, size_t length)
{
    int64_t in = (int64_t)offset, out = (int64_t)offset;
    return sys_copy_file_range(scene->in, &in, scene->out, &out, length);
}

/* The whole file at once: that is what it does. */
static ssize_t move_clone(struct scene *scene, size_t offset, size_t length)
{
    (void)offset;
    const int error = sys_ioctl(scene->out, FICLONE, (void *)(intptr_t)scene->in);
    return error < 0 ? error : (ssize_t)length;
}

static ssize_t move_tee(struct scene *scene, size_t offset, size_t length)
{
    (void)offset;
    return sys_tee(scene->in, scene->out, length, SPLICE_F_NONBLOCK);
}

static ssize_t move_vmsplice_out(struct scene *scene, size_t offset, size_t length)
{
    const struct iovec pages = {.iov_base = scene->pages + offset, .iov_len = length};
    return sys_vmsplice(scene->out, &pages, 1, scene->leg->flags | SPLICE_F_NONBLOCK);
}

static ssize_t move_vmsplice_in(struct scene *scene, size_t offset, size_t length)
{
    const struct iovec memory = {.iov_base = scene->memory + offset, .iov_len = length};
    return sys_vmsplice(scene->in, &memory, 1, SPLICE_F_NONBLOCK);
}

static ssize_t move_read(struct scene *scene, size_t offset, size_t length)
{
    return has_offset(scene->leg->source)
               ? sys_pread(scene->in, scene->memory + offset, length, (int64_t)offset)
               : sys_read(scene->in, scene->memory + offset, length);
}

static ssize_t move_write(struct scene *scene, size_t offset, size_t length)
{
    return has_offset(scene->leg->sink)
               ? sys_pwrite(scene->out, scene->pages + offset, length, (int64_t)offset)
               : sys_write(scene->out, scene->pages + offset, length);
}

static ssize_t move_recv(struct scene *scene, size_t offset, size_t length)
{
    return sys_recv(scene->in, scene->memory + offset, length, 0);
}

static ssize_t move_send(struct scene *scene, size_t offset, size_t length)
{
    return sys_send(scene->out, scene->pages + offset, length, MSG_NOSIGNAL);
}

static void say(struct scene *scene, int copied, const char *words)
{
    scene->word = copied;
    snprintf(scene->said, sizeof scene->said, "%s", words);
}

/* The notification of a zero-copy send, which comes once the kernel has let go of the pages. */
static int read_completion(struct scene *scene)
{
    char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    struct pollfd fd = {.fd = scene->out};
    ssize_t value;

    while ((value = sys_recvmsg(scene->out, &message, MSG_ERRQUEUE | MSG_DONTWAIT)) == -EAGAIN)
        if (poll(&fd, 1, 1000) <= 0)
            return -ETIMEDOUT;
    if (value < 0)
        return (int)value;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header)
        return -EIO;
    const struct sock_extended_err *word = (const void *)CMSG_DATA(header);
    if (word->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
        return -EIO;
    if (word->ee_code & SO_EE_CODE_ZEROCOPY_COPIED)
        say(scene, 1, "SO_EE_CODE_ZEROCOPY_COPIED");
    else
        say(scene, -1, "completed without SO_EE_CODE_ZEROCOPY_COPIED");
    return 0;
}

static ssize_t move_send_zerocopy(struct scene *scene, size_t offset, size_t length)
{
    const int on = 1;
    if (setsockopt(scene->out, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) < 0)
        return -errno;
    const ssize_t value =
        sys_send(scene->out, scene->pages + offset, length, MSG_NOSIGNAL | MSG_ZEROCOPY);
    const int error = value > 0 ? read_completion(scene) : 0;
    return error < 0 ? error : value;
}

static ssize_t move_send_zc(struct scene *scene, size_t offset, size_t length)
{
    bool copied = false;
    const int error = scene->ring ? 0 : ring_new(&scene->ring);
    if (error < 0)
        return error;
    const ssize_t value =
        ring_send_zc(scene->ring, scene->out, scene->pages + offset, length, &copied);
    if (value > 0)
        say(scene, copied ? 1 : -1,
            copied ? "IORING_NOTIF_USAGE_ZC_COPIED"
                   : "notified without IORING_NOTIF_USAGE_ZC_COPIED");
    return value;
}

/* Maps what came in whole pages, and reads the rest. */
static ssize_t move_receive_zerocopy(struct scene *scene, size_t offset, size_t length)
{
    struct tcp_zerocopy_receive receive = {.length = (uint32_t)length};
    socklen_t size = sizeof receive;
    void *window;

    int error = sys_mmap(length, PROT_READ, MAP_SHARED, scene->in, 0, &window);
    if (error < 0)
        return error;
    receive.address = (uint64_t)(uintptr_t)window;
    if (getsockopt(scene->in, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &receive, &size) < 0)
        error = -errno;
    ssize_t value = 0;
    if (error == 0 && receive.length > 0) {
        memcpy(scene->memory + offset, window, receive.length);
        value = (ssize_t)receive.length;
    }
    if (error == 0 && value == 0 && receive.recv_skip_hint > 0)
        value = sys_recv(scene->in, scene->memory + offset, length, 0);
    sys_munmap(window, length);
    if (error == 0 && receive.length > 0)
        say(scene, -1, "pages were mapped");
    else if (error == 0 && value > 0 && scene->word == 0)
        say(scene, 1, "no page was mapped: read instead");
    return error < 0 ? error : value > 0 ? value : -EAGAIN;
}

/* ---- the table ---- */

#define FILE_READ "filemap_splice_read"
#define FRESH     "copy_splice_read"
#define FILE_COPY "iter_file_splice_write"
#define TO_SOCKET "splice_to_socket"

/* clang-format off */
const struct leg probe_legs[] = {
    /* Controls. */
    {SCENE_MEMORY, SCENE_PIPE, "write", "", move_write, 0, LEG_CONTROL | LEG_COST, "anon_pipe_write", 0, 0},
    {SCENE_UNIX, SCENE_MEMORY, "recv", "", move_recv, 0, LEG_CONTROL | LEG_COST, "unix_stream_recvmsg", 0, 0},
    {SCENE_MEMFD, SCENE_PIPE, "splice", "", move_splice, 0, LEG_REFERENCE | LEG_COST, "shmem_file_splice_read", 0, 0},

    /* Files. */
    {SCENE_FILE, SCENE_PIPE, "splice", "", move_splice, 0, LEG_COST, FILE_READ, 0, 0},
    {SCENE_FILE, SCENE_PIPE, "splice", "SPLICE_F_MOVE", move_splice, SPLICE_F_MOVE, LEG_COST, FILE_READ, 0, 0},
    {SCENE_FILE, SCENE_PIPE, "splice", "50 bytes of a page", move_splice, 0, 0, FILE_READ, 100, 50},
    {SCENE_FILE, SCENE_PIPE, "sendfile", "", move_sendfile, 0, LEG_COST, FILE_READ, 0, 0},
    {SCENE_DIRECT, SCENE_PIPE, "splice", "O_DIRECT", move_splice, 0, 0, FRESH, 0, 0},
    {SCENE_FILE, SCENE_MEMORY, "read", "", move_read, 0, LEG_COST, "filemap_read", 0, 0},
    {SCENE_DIRECT, SCENE_MEMORY, "read", "O_DIRECT", move_read, 0, 0, "iomap_dio_rw", 0, 0},
    {SCENE_PIPE, SCENE_FILE, "splice", "", move_splice, 0, LEG_COST, FILE_COPY, 0, 0},
    {SCENE_PIPE, SCENE_FILE, "splice", "SPLICE_F_MOVE", move_splice, SPLICE_F_MOVE, LEG_COST, FILE_COPY, 0, 0},
    {SCENE_PIPE_OF_FILE, SCENE_FILE, "splice", "of a file's pages", move_splice, 0, LEG_COST, FILE_COPY, 0, 0},
    {SCENE_PIPE_OF_TCP, SCENE_FILE, "splice", "of a socket's pages", move_splice, 0, LEG_COST, FILE_COPY, 0, 0},
    {SCENE_PIPE, SCENE_DIRECT, "splice", "O_DIRECT", move_splice, 0, 0, FILE_COPY, 0, 0},
    {SCENE_MEMORY, SCENE_FILE, "write", "", move_write, 0, LEG_COST, "generic_perform_write", 0, 0},
    {SCENE_MEMORY, SCENE_DIRECT, "write", "O_DIRECT", move_write, 0, 0, "iomap_dio_rw", 0, 0},
    {SCENE_FILE, SCENE_FILE, "sendfile", "", move_sendfile, 0, LEG_COST, FILE_READ ", " FILE_COPY, 0, 0},
    {SCENE_FILE, SCENE_FILE, "copy_file_range", "", move_copy_range, 0, LEG_SHARES, "vfs_copy_file_range", 0, 0},
    {SCENE_FILE, SCENE_FILE, "ioctl", "FICLONE", move_clone, 0, LEG_SHARES, "vfs_clone_file_range", 0, 0},
    {SCENE_FILE, SCENE_TCP, "sendfile", "", move_sendfile, 0, 0, FILE_READ ", " TO_SOCKET, 0, 0},
    {SCENE_FILE, SCENE_UNIX, "sendfile", "", move_sendfile, 0, 0, FILE_READ ", " TO_SOCKET, 0, 0},
    {SCENE_FILE, SCENE_UDP, "sendfile", "", move_sendfile, 0, 0, FILE_READ ", " TO_SOCKET, 0, 0},

    /* Pipes and memory. */
    {SCENE_MEMFD, SCENE_PIPE, "splice", "SPLICE_F_MOVE", move_splice, SPLICE_F_MOVE, LEG_COST, "shmem_file_splice_read", 0, 0},
    {SCENE_PIPE, SCENE_PIPE, "splice", "", move_splice, 0, LEG_COST, "splice_pipe_to_pipe", 0, 0},
    {SCENE_PIPE, SCENE_PIPE, "tee", "", move_tee, 0, LEG_BOTH | LEG_COST, "link_pipe", 0, 0},
    {SCENE_MEMORY, SCENE_PIPE, "vmsplice", "", move_vmsplice_out, 0, LEG_COST, "vmsplice_to_pipe", 0, 0},
    {SCENE_MEMORY, SCENE_PIPE, "vmsplice", "SPLICE_F_GIFT", move_vmsplice_out, SPLICE_F_GIFT, LEG_COST, "vmsplice_to_pipe", 0, 0},
    {SCENE_PIPE, SCENE_MEMORY, "vmsplice", "", move_vmsplice_in, 0, LEG_COST, "vmsplice_to_user", 0, 0},
    {SCENE_PIPE, SCENE_MEMORY, "read", "", move_read, 0, LEG_COST, "anon_pipe_read", 0, 0},
    {SCENE_PIPE, SCENE_NULL, "splice", "", move_splice, 0, LEG_COST, "splice_write_null", 0, 0},
    {SCENE_PIPE, SCENE_TTY, "splice", "", move_splice, 0, 0, FILE_COPY, 0, 0},

    /* Sockets. */
    {SCENE_PIPE, SCENE_TCP, "splice", "", move_splice, 0, 0, TO_SOCKET, 0, 0},
    {SCENE_TCP, SCENE_PIPE, "splice", "", move_splice, 0, 0, "tcp_splice_read", 0, 0},
    {SCENE_MEMFD, SCENE_TCP, "sendfile", "", move_sendfile, 0, 0, "shmem_file_splice_read, " TO_SOCKET, 0, 0},
    {SCENE_MEMORY, SCENE_TCP, "send", "", move_send, 0, 0, "tcp_sendmsg", 0, 0},
    {SCENE_MEMORY, SCENE_TCP, "send", "MSG_ZEROCOPY", move_send_zerocopy, 0, LEG_WORD, "tcp_sendmsg", 0, 0},
    {SCENE_MEMORY, SCENE_TCP, "send", "SEND_ZC", move_send_zc, 0, LEG_WORD, "io_send_zc", 0, 0},
    {SCENE_TCP, SCENE_MEMORY, "recv", "", move_recv, 0, LEG_COST, "tcp_recvmsg", 0, 0},
    {SCENE_TCP, SCENE_MEMORY, "recv", "TCP_ZEROCOPY_RECEIVE", move_receive_zerocopy, 0, LEG_WORD | LEG_WHOLE_PAGES, "tcp_zerocopy_receive", 0, 0},
    {SCENE_PIPE, SCENE_UNIX, "splice", "", move_splice, 0, 0, TO_SOCKET, 0, 0},
    {SCENE_UNIX, SCENE_PIPE, "splice", "", move_splice, 0, 0, "unix_stream_splice_read", 0, 0},
    {SCENE_MEMORY, SCENE_UNIX, "send", "", move_send, 0, 0, "unix_stream_sendmsg", 0, 0},
    {SCENE_MEMORY, SCENE_UNIX, "send", "MSG_ZEROCOPY", move_send_zerocopy, 0, LEG_WORD, "unix_stream_sendmsg", 0, 0},
    {SCENE_MEMORY, SCENE_UNIX, "send", "SEND_ZC", move_send_zc, 0, LEG_WORD, "io_send_zc", 0, 0},
    {SCENE_PIPE, SCENE_UDP, "splice", "", move_splice, 0, 0, TO_SOCKET, 0, 0},
    {SCENE_UDP, SCENE_PIPE, "splice", "", move_splice, 0, LEG_COST, FRESH, 0, 0},
    {SCENE_MEMORY, SCENE_UDP, "send", "MSG_ZEROCOPY", move_send_zerocopy, 0, LEG_WORD, "udp_sendmsg", 0, 0},
    {SCENE_MEMORY, SCENE_UDP, "send", "SEND_ZC", move_send_zc, 0, LEG_WORD, "io_send_zc", 0, 0},
    {SCENE_PIPE, SCENE_UNIX_DGRAM, "splice", "", move_splice, 0, 0, TO_SOCKET, 0, 0},
    {SCENE_UNIX_DGRAM, SCENE_PIPE, "splice", "", move_splice, 0, LEG_COST, FRESH, 0, 0},
    {SCENE_PIPE, SCENE_UNIX_SEQPACKET, "splice", "", move_splice, 0, 0, TO_SOCKET, 0, 0},
    {SCENE_UNIX_SEQPACKET, SCENE_PIPE, "splice", "", move_splice, 0, LEG_COST, FRESH, 0, 0},
};
/* clang-format on */

const unsigned probe_leg_count = sizeof probe_legs / sizeof *probe_legs;

const char *const *legs_functions(void)
{
    static const char *const names[] = {"anon_pipe_read",
                                        "anon_pipe_write",
                                        "copy_splice_read",
                                        "filemap_read",
                                        "filemap_splice_read",
                                        "generic_perform_write",
                                        "io_send_zc",
                                        "iter_file_splice_write",
                                        "link_pipe",
                                        "shmem_file_splice_read",
                                        "splice_pipe_to_pipe",
                                        "splice_to_socket",
                                        "splice_write_null",
                                        "tcp_recvmsg",
                                        "tcp_sendmsg",
                                        "tcp_splice_read",
                                        "tcp_zerocopy_receive",
                                        "udp_sendmsg",
                                        "unix_stream_recvmsg",
                                        "unix_stream_sendmsg",
                                        "unix_stream_splice_read",
                                        "vfs_clone_file_range",
                                        "vfs_copy_file_range",
                                        "vmsplice_to_pipe",
                                        "vmsplice_to_user",
                                        NULL};
    return names;
}
