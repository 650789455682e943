/* SPDX-License-Identifier: MIT */
/* What a descriptor is, who owns it, and what comes of flags that change and sizes that lie. */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static sluice_context *context;

static int set_up(void **state)
{
    (void)state;
    context = sluice_context_new(NULL, NULL);
    return context ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sluice_context_free(context);
    return 0;
}

static struct sluice_endpoint_info describe(int fd)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    sluice_endpoint *endpoint;

    assert_int_equal(sluice_endpoint_from_fd(context, fd, SLUICE_BORROW, &endpoint), 0);
    assert_int_equal(sluice_endpoint_describe(endpoint, &info), 0);
    sluice_endpoint_free(endpoint);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    assert_int_equal(info.fd, fd);
    assert_int_equal(info.open_flags, fcntl(fd, F_GETFL));
    return info;
}

/* ---- recognition ---- */

static int open_socket(int family, int type)
{
    return socket(family, type | SOCK_CLOEXEC, 0);
}

static void sockets_are_recognised(void **state)
{
    static const struct {
        int family, type;
        enum sluice_kind kind;
        const char *name;
    } rows[] = {
        {AF_INET, SOCK_STREAM, SLUICE_KIND_STREAM, "tcp"},
        {AF_INET6, SOCK_STREAM, SLUICE_KIND_STREAM, "tcp"},
        {AF_UNIX, SOCK_STREAM, SLUICE_KIND_STREAM, "unix"},
        {AF_INET, SOCK_DGRAM, SLUICE_KIND_DATAGRAM, "udp"},
        {AF_INET6, SOCK_DGRAM, SLUICE_KIND_DATAGRAM, "udp"},
        {AF_UNIX, SOCK_DGRAM, SLUICE_KIND_DATAGRAM, "unix-dgram"},
        {AF_UNIX, SOCK_SEQPACKET, SLUICE_KIND_DATAGRAM, "unix-seqpacket"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int fd = open_socket(rows[i].family, rows[i].type);
        if (fd < 0 && rows[i].family == AF_INET6)
            continue;
        assert_true(fd >= 0);
        const struct sluice_endpoint_info info = describe(fd);
        assert_int_equal(info.kind, rows[i].kind);
        assert_string_equal(info.name, rows[i].name);
        assert_int_equal(info.seekable, 0);
        assert_int_equal(info.bytes, 0);
        assert_int_equal(info.pipe_capacity, 0);
        close(fd);
    }
}

static void paths_are_recognised(void **state)
{
    static const struct {
        const char *path;
        int flags;
        enum sluice_kind kind;
        const char *name; /* NULL: any */
        int seekable;
    } rows[] = {
        {"/dev/null", O_RDWR, SLUICE_KIND_CHAR, "null", 0},
        {"/dev/zero", O_RDWR, SLUICE_KIND_CHAR, "zero", 0},
        {"/dev/full", O_RDWR, SLUICE_KIND_CHAR, NULL, 0},
        {"/dev/urandom", O_RDONLY, SLUICE_KIND_CHAR, NULL, 0},
        {"/proc/self/status", O_RDONLY, SLUICE_KIND_REGULAR, "procfs", 1},
        {"/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY, SLUICE_KIND_REGULAR, "sysfs", 1},
        {"/dev/shm", O_RDWR | O_TMPFILE, SLUICE_KIND_REGULAR, "tmpfs", 1},
        {"/etc/passwd", O_RDONLY, SLUICE_KIND_REGULAR, NULL, 1},
        {"/", O_RDONLY | O_DIRECTORY, SLUICE_KIND_OTHER, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int fd = open(rows[i].path, rows[i].flags | O_CLOEXEC, 0600);
        if (fd < 0) {
            print_message("SKIP: no %s here\n", rows[i].path);
            continue;
        }
        struct stat status;
        const struct sluice_endpoint_info info = describe(fd);
        assert_int_equal(info.kind, rows[i].kind);
        if (rows[i].name)
            assert_string_equal(info.name, rows[i].name);
        assert_non_null(info.name);
        assert_int_equal(info.seekable, rows[i].seekable);
        fstat(fd, &status);
        assert_int_equal(info.device, status.st_dev);
        assert_int_equal(info.inode, status.st_ino);
        if (info.kind == SLUICE_KIND_REGULAR)
            assert_int_equal(info.bytes, status.st_size);
        close(fd);
    }
}

static void pipes_are_recognised(void **state)
{
    char directory[] = "/tmp/sluice-fifo-XXXXXX", path[64];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) {
        const struct sluice_endpoint_info info = describe(fds[i]);
        assert_int_equal(info.kind, SLUICE_KIND_PIPE);
        assert_string_equal(info.name, "pipe");
        assert_int_equal(info.pipe_capacity, fcntl(fds[i], F_GETPIPE_SZ));
        assert_int_equal(info.seekable, 0);
        close(fds[i]);
    }
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(describe(fd).kind, SLUICE_KIND_PIPE);
    close(fd);
    unlink(path);
    rmdir(directory);
}

static void memfds_and_terminals_are_recognised(void **state)
{
    int master, slave;

    (void)state;
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, 12345), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    struct sluice_endpoint_info info = describe(fd);
    assert_int_equal(info.kind, SLUICE_KIND_REGULAR);
    assert_string_equal(info.name, "tmpfs");
    assert_int_equal(info.bytes, 12345);
    close(fd);
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
        print_message("SKIP: no pseudo-terminals here\n");
        return;
    }
    info = describe(slave);
    assert_int_equal(info.kind, SLUICE_KIND_TERMINAL);
    assert_string_equal(info.name, "tty");
    assert_int_equal(describe(master).kind, SLUICE_KIND_TERMINAL);
    close(master);
    close(slave);
}

/* A block device that may be read: its size is the device's. The end is odd, so that its last piece
 * is none of the usual ones. */
static void a_block_device_is_read(void **state)
{
    static const char *const paths[] = {"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0",
                                        "/dev/ram0"};
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SENDFILE,
                                                 SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE,
                                                 SLUICE_METHOD_READ_WRITE};
    static char wanted[100000];

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || pread(fd, wanted, sizeof wanted, 4096) != (ssize_t)sizeof wanted) {
            close(fd);
            continue;
        }
        const struct sluice_endpoint_info info = describe(fd);
        assert_int_equal(info.kind, SLUICE_KIND_BLOCK);
        assert_string_equal(info.name, "block");
        assert_int_equal(info.seekable, 1);
        assert_int_equal(info.bytes, lseek(fd, 0, SEEK_END));
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {.source = {.kind = END_FILE, .fd = dup(fd), .peer = -1}};
            options.method = methods[m];
            options.flags = SLUICE_SOURCE_OFFSET | SLUICE_LENGTH;
            options.source_offset = 4096;
            options.length = sizeof wanted;
            end_open_sink(&rig.sink, END_FILE, NULL);
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 5), 0);
            rig_sink_has(&rig, wanted, sizeof wanted);
            rig_stop(&rig);
        }
        close(fd);
        return;
    }
    print_message("SKIP: no block device that may be read\n");
}

/* Nothing can be moved to or from these: they are described, and refused by a transfer. */
/* A stream of the internet is not always TCP. */
static void other_stream_protocols_are_not_tcp(void **state)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    sluice_endpoint *endpoint;
    static const int protocols[] = {132 /* SCTP */, 262 /* MPTCP */};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocols[i]);
        if (fd < 0)
            continue; /* the kernel has it not */
        assert_int_equal(sluice_endpoint_from_fd(context, fd, SLUICE_OWN, &endpoint), 0);
        assert_int_equal(sluice_endpoint_describe(endpoint, &info), 0);
        assert_string_equal(info.name, "stream");
        assert_int_equal(sluice_endpoint_free(endpoint), 0);
    }
}

static void what_is_no_end_is_refused(void **state)
{
    const int fds[] = {eventfd(0, EFD_CLOEXEC), timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
                       epoll_create1(EPOLL_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC)};

    (void)state;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        const bool directory = i == 3;
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        sluice_endpoint *odd, *even;
        sluice_transfer *transfer = NULL;

        assert_true(fds[i] >= 0);
        assert_int_equal(describe(fds[i]).kind, SLUICE_KIND_OTHER);
        assert_int_equal(sluice_endpoint_from_fd(context, fds[i], SLUICE_BORROW, &odd), 0);
        assert_int_equal(sluice_endpoint_from_fd(context, null, SLUICE_BORROW, &even), 0);
        for (int as_source = 0; as_source < 2; as_source++) {
            struct sluice_error error = {.size = sizeof error};
            const int result = sluice_transfer_new(context, as_source ? odd : even,
                                                   as_source ? even : odd, NULL, &transfer, &error);
            if (!directory || as_source)
                assert_int_equal(result, directory ? -EISDIR : -EINVAL);
            else
                assert_true(result == -EISDIR || result == -EBADF); /* not open for writing */
            assert_int_equal(error.error, result);
            assert_int_equal(error.side, as_source ? SLUICE_SIDE_SOURCE : SLUICE_SIDE_SINK);
            assert_non_null(error.operation);
        }
        assert_null(transfer);
        sluice_endpoint_free(odd);
        sluice_endpoint_free(even);
        close(null);
        close(fds[i]);
    }
}

static void closed_and_path_descriptors_are_refused(void **state)
{
    sluice_endpoint *endpoint = NULL;

    (void)state;
    assert_int_equal(sluice_endpoint_from_fd(context, -1, SLUICE_BORROW, &endpoint), -EBADF);
    assert_int_equal(sluice_endpoint_from_fd(context, 999, SLUICE_OWN, &endpoint), -EBADF);
    const int fd = open("/etc/passwd", O_PATH | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(sluice_endpoint_from_fd(context, fd, SLUICE_OWN, &endpoint), -EBADF);
    assert_true(fcntl(fd, F_GETFD) >= 0); /* not closed, whatever the ownership */
    assert_null(endpoint);
    close(fd);
}

/* ---- ownership ---- */

static void ownership_is_as_said(void **state)
{
    static const struct {
        unsigned ownership;
        bool closes, nonblock;
    } rows[] = {
        {SLUICE_BORROW, false, false},
        {SLUICE_OWN, true, false},
        {SLUICE_OWN | SLUICE_NONBLOCK, true, true},
        {SLUICE_NONBLOCK, false, false}, /* of what is not ours, nothing is changed */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sluice_endpoint *endpoint;
        int fds[2];
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(sluice_endpoint_from_fd(context, fds[0], rows[i].ownership, &endpoint), 0);
        assert_int_equal(!!(fcntl(fds[0], F_GETFL) & O_NONBLOCK), rows[i].nonblock);
        assert_int_equal(sluice_endpoint_free(endpoint), 0);
        assert_int_equal(fcntl(fds[0], F_GETFD) < 0, rows[i].closes);
        if (!rows[i].closes)
            close(fds[0]);
        close(fds[1]);
    }
    assert_int_equal(sluice_endpoint_free(NULL), 0);
}

/* ---- flags that change after opening ---- */

static struct end end_of(int fd)
{
    return (struct end){.kind = END_FILE, .fd = fd, .peer = -1};
}

static void o_append_set_after_opening_is_seen(void **state)
{
    static char bytes[50000];
    struct rig rig = {0};

    (void)state;
    pattern(bytes, sizeof bytes, 0);
    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig.sink, END_FILE, NULL);
    assert_int_equal(pwrite(rig.sink.fd, "head", 4, rig.sink.start), 4);
    rig.context = sluice_context_new(NULL, NULL);
    assert_int_equal(sluice_endpoint_from_fd(rig.context, rig.source.fd, SLUICE_BORROW, &rig.in),
                     0);
    assert_int_equal(sluice_endpoint_from_fd(rig.context, rig.sink.fd, SLUICE_BORROW, &rig.out), 0);
    /* As another process does that shares the descriptor. */
    assert_int_equal(fcntl(rig.sink.fd, F_SETFL, O_APPEND), 0);
    assert_int_equal(sluice_transfer_new(rig.context, rig.in, rig.out, NULL, &rig.transfer, NULL),
                     0);
    assert_int_equal(rig_run(&rig, 5), 0);
    assert_int_equal(rig_ledger(&rig).fallbacks, 0);
    static char got[sizeof bytes + 5];
    assert_int_equal(end_received(&rig.sink, got, sizeof got), sizeof bytes + 4);
    assert_memory_equal(got, "head", 4);
    assert_memory_equal(got + 4, bytes, sizeof bytes);
    rig_stop(&rig);
}

/* Set while the transfer is under way: the methods that cannot fall away, and nothing is lost. */
static int set_append(const struct sluice_progress *progress, void *data)
{
    (void)progress;
    fcntl(*(int *)data, F_SETFL, O_APPEND);
    return 0;
}

static void o_append_set_in_mid_transfer_is_a_fallback(void **state)
{
    static char bytes[100000];

    (void)state;
    pattern(bytes, sizeof bytes, 0);
    for (int own = 0; own < 2; own++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        options.chunk = 10000;
        options.progress = set_append;
        options.progress_data = &rig.sink.fd;
        if (!own) {
            options.flags = SLUICE_SOURCE_OFFSET;
            options.source_offset = (uint64_t)rig.source.start;
        }
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), 0);
        assert_true(rig_ledger(&rig).fallbacks > 0);
        rig_sink_has(&rig, bytes, sizeof bytes);
        rig_stop(&rig);
    }
}

/* ---- files that are made while they are read ---- */

static void procfs_and_sysfs_are_read_whole(void **state)
{
    static const char *const paths[] = {
        "/proc/version",           "/proc/filesystems",
        "/proc/self/maps",         "/proc/self/limits",
        "/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled",
    };
    static const enum end_kind sinks[] = {END_FILE, END_PIPE, END_UNIX, END_TCP};
    static char wanted[65536];

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (size_t k = 0; k < sizeof sinks / sizeof *sinks; k++) {
            struct rig rig = {.source = end_of(open(paths[i], O_RDONLY | O_CLOEXEC))};
            if (rig.source.fd < 0) {
                print_message("SKIP: no %s here\n", paths[i]);
                continue;
            }
            end_open_sink(&rig.sink, sinks[k], NULL);
            rig_start(&rig, NULL);
            assert_int_equal(rig_run(&rig, 5), 0);
            assert_true(sluice_transfer_delivered(rig.transfer) > 3);
            if (strcmp(paths[i], "/proc/self/maps") != 0) { /* that one changes */
                ssize_t length = 0, value;
                const int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
                while ((value = read(fd, wanted + length, sizeof wanted - (size_t)length)) > 0)
                    length += value;
                close(fd);
                rig_sink_has(&rig, wanted, (size_t)length);
            }
            rig_stop(&rig);
        }
}

static void devices_are_what_they_are(void **state)
{
    static char zeros[70000];
    struct sluice_options options = SLUICE_OPTIONS_INIT;

    (void)state;
    options.flags = SLUICE_LENGTH;
    options.length = sizeof zeros;
    struct rig rig = {.source = end_of(open("/dev/zero", O_RDONLY | O_CLOEXEC))};
    end_open_sink(&rig.sink, END_FILE, NULL);
    rig_start(&rig, &options);
    assert_int_equal(rig_run(&rig, 5), 0);
    rig_sink_has(&rig, zeros, sizeof zeros);
    rig_stop(&rig);

    rig.source = end_of(open("/dev/null", O_RDONLY | O_CLOEXEC));
    end_open_sink(&rig.sink, END_FILE, NULL);
    rig_start(&rig, NULL);
    assert_int_equal(rig_run(&rig, 5), 0);
    rig_sink_has(&rig, "", 0);
    rig_stop(&rig);

    static const enum end_kind sources[] = {END_FILE, END_PIPE, END_UNIX};
    for (size_t i = 0; i < 3; i++) {
        end_open_source(&rig.source, sources[i], zeros, 30000, NULL);
        rig.sink = end_of(open("/dev/full", O_WRONLY | O_CLOEXEC));
        rig_start(&rig, NULL);
        assert_int_equal(rig_run(&rig, 5), -ENOSPC);
        assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SINK);
        assert_int_equal(rig_error(&rig).delivered, 0);
        const uint64_t parked = rig_error(&rig).parked;
        if (sources[i] == END_FILE)
            assert_int_equal(parked, 0);
        static char saved[30001];
        assert_int_equal(sluice_transfer_salvage(rig.transfer, saved, sizeof saved), parked);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_recognised),
        cmocka_unit_test(paths_are_recognised),
        cmocka_unit_test(pipes_are_recognised),
        cmocka_unit_test(memfds_and_terminals_are_recognised),
        cmocka_unit_test(a_block_device_is_read),
        cmocka_unit_test(other_stream_protocols_are_not_tcp),
        cmocka_unit_test(what_is_no_end_is_refused),
        cmocka_unit_test(closed_and_path_descriptors_are_refused),
        cmocka_unit_test(ownership_is_as_said),
        cmocka_unit_test(o_append_set_after_opening_is_seen),
        cmocka_unit_test(o_append_set_in_mid_transfer_is_a_fallback),
        cmocka_unit_test(procfs_and_sysfs_are_read_whole),
        cmocka_unit_test(devices_are_what_they_are),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
