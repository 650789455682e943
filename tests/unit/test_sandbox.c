/* SPDX-License-Identifier: MIT */
/* What a process in the sandbox can do, and what it cannot. Each try is in a child of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "server/log.h"
#include "server/sandbox.h"
#include "server/syscalls.h"

static char directory[64];
static pid_t parent;

static const char *in(const char *name)
{
    static char path[100]; /* a socket's has room for 108 */

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int result(long value)
{
    return value < 0 ? errno : 0;
}

static int open_as(const char *path, int flags)
{
    const int fd = open(path, flags, 0600);
    const int error = result(fd);

    if (fd >= 0)
        close(fd);
    return error;
}

/* ---- what is tried: each returns an errno, 0 if it worked ---- */

static int read_what_is_named(void)
{
    return open_as(in("read/file"), O_RDONLY);
}

static int write_what_is_only_to_be_read(void)
{
    return open_as(in("read/file"), O_WRONLY);
}

static int write_what_is_named(void)
{
    return open_as(in("written"), O_WRONLY | O_TRUNC);
}

static int read_another_file(void)
{
    return open_as(in("other"), O_RDONLY);
}

static int create_a_file(void)
{
    return open_as(in("read/new"), O_WRONLY | O_CREAT);
}

static int remove_a_socket(void)
{
    return result(unlink(in("sockets/socket")));
}

static int remove_another_file(void)
{
    return result(unlink(in("other")));
}

static int read_configuration(void)
{
    return open_as("/etc/nsswitch.conf", O_RDONLY) == ENOENT ? 0 : open_as("/etc/passwd", O_RDONLY);
}

static int write_null(void)
{
    return open_as("/dev/null", O_WRONLY);
}

static int run_a_program(void)
{
    execl("/bin/true", "true", NULL);
    return errno;
}

static int fork_a_process(void)
{
    const pid_t child = fork();

    if (child == 0)
        _exit(0);
    return result(child);
}

static int become_root_again(void)
{
    return result(setuid(0));
}

static int trace_the_parent(void)
{
    return result(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}

static int signal_the_parent(void)
{
    return result(kill(parent, SIGWINCH));
}

static int signal_itself(void)
{
    signal(SIGWINCH, SIG_IGN);
    return result(raise(SIGWINCH)) ? EPERM : result(kill(getpid(), SIGWINCH));
}

static int write_and_execute(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED
               ? errno
               : 0;
}

static int make_executable(void)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return result(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int listen_on_a_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
        return errno;
    return result(listen(fd, 1));
}

static int open_a_raw_socket(void)
{
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int listener = -1;

static int connect_tcp(void)
{
    struct sockaddr_in at;
    socklen_t length = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    getsockname(listener, (struct sockaddr *)&at, &length);
    return result(connect(fd, (struct sockaddr *)&at, sizeof at));
}

static int connect_unix(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", in("sockets/socket"));
    return result(connect(fd, (struct sockaddr *)&at, sizeof at));
}

static int look_up_a_name(void)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    const int error = getaddrinfo("localhost", "80", &hints, &found);
    if (error == 0)
        freeaddrinfo(found);
    return error == 0 ? 0 : EIO;
}

static void *add_one(void *number)
{
    ++*(int *)number;
    return NULL;
}

static int start_a_thread(void)
{
    pthread_t thread;
    int number = 0;

    const int error = pthread_create(&thread, NULL, add_one, &number);
    if (error == 0)
        pthread_join(thread, NULL);
    return error ? error : number == 1 ? 0 : EIO;
}

static int move_bytes(void)
{
    int pipes[2], sockets[2];
    char byte;

    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0 || fcntl(pipes[1], F_SETPIPE_SZ, 65536) < 0)
        return errno;
    /* made before: the sandboxed have no socketpair */
    sockets[0] = 200, sockets[1] = 201;
    if (write(sockets[0], "x", 1) != 1 ||
        splice(sockets[1], NULL, pipes[1], NULL, 1, SPLICE_F_NONBLOCK) != 1 ||
        splice(pipes[0], NULL, sockets[1], NULL, 1, SPLICE_F_NONBLOCK) != 1)
        return errno;
    return result(recv(sockets[0], &byte, 1, 0));
}

enum part { BY_NONE, BY_LANDLOCK, BY_SECCOMP };

static const struct {
    const char *name;
    int (*attempt)(void);
    enum part part; /* that forbids it */
    int error;
    bool sanitizer_too; /* a sanitizer must be able to */
} attempts[] = {
    {"read what is named", read_what_is_named},
    {"write what is named", write_what_is_named},
    {"remove a socket", remove_a_socket},
    {"read configuration", read_configuration},
    {"write /dev/null", write_null},
    {"signal itself", signal_itself},
    {"connect by TCP", connect_tcp},
    {"connect to a path", connect_unix},
    {"look up a name", look_up_a_name},
    {"start a thread", start_a_thread},
    {"move bytes", move_bytes},
    {"write what is only to be read", write_what_is_only_to_be_read, BY_LANDLOCK, EACCES, true},
    {"read another file", read_another_file, BY_LANDLOCK, EACCES, true},
    {"create a file", create_a_file, BY_LANDLOCK, EACCES, true},
    {"remove another file", remove_another_file, BY_LANDLOCK, EACCES},
    {"run a program", run_a_program, BY_SECCOMP, EPERM},
    {"fork", fork_a_process, BY_SECCOMP, EPERM, true},
    {"become root again", become_root_again, BY_SECCOMP, EPERM},
    {"trace the parent", trace_the_parent, BY_SECCOMP, EPERM},
    {"signal the parent", signal_the_parent, BY_SECCOMP, EPERM},
    {"write and execute", write_and_execute, BY_SECCOMP, EPERM, true},
    {"make executable", make_executable, BY_SECCOMP, EPERM, true},
    {"listen on a port", listen_on_a_port, BY_LANDLOCK, EACCES},
    {"open a raw socket", open_a_raw_socket, BY_SECCOMP, EPERM},
};

static struct sandbox_report report;

/* Enters and tries; the child's exit status is the errno. 255: it could not enter. */
static int try_inside(int (*attempt)(void), enum sandbox_mode mode)
{
    const pid_t child = fork();
    int status = -1;

    assert_true(child >= 0);
    if (child == 0) {
        char read_path[256], written[256], sockets[256];
        snprintf(read_path, sizeof read_path, "%s/read", directory);
        snprintf(written, sizeof written, "%s/written", directory);
        snprintf(sockets, sizeof sockets, "%s/sockets", directory);
        const char *const read_paths[] = {read_path, "/nowhere/at/all", NULL};
        const char *const write_paths[] = {written, NULL}, *const remove_paths[] = {sockets, NULL};
        const struct sandbox_options options = {
            .mode = mode, .read = read_paths, .write = write_paths, .remove = remove_paths};
        log_open(&(struct log_options){.fd = 2, .level = LOG_LEVEL_ERROR});
        if (sandbox_enter(&options, &report) < 0)
            _exit(255);
        _exit(attempt());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        fail_msg("the child died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int say_report(void)
{
    return report.landlock < 0 ? 1 : report.seccomp < 0 ? 2 : 0;
}

static void make_socket(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
}

static void inside_and_outside(void **state)
{
    const int missing = try_inside(say_report, SANDBOX_AUTO);

    (void)state;
#ifdef HAVE_SECCOMP
    if (missing) {
        print_message("SKIP: this kernel has no %s\n", missing == 1 ? "Landlock" : "seccomp");
        skip();
    }
#endif
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        make_socket(in("sockets/socket"));
        const bool forbidden = !(SANITIZED && attempts[i].sanitizer_too) &&
                               (attempts[i].part == BY_LANDLOCK  ? missing != 1
                                : attempts[i].part == BY_SECCOMP ? missing == 0
                                                                 : false);
        const int error = try_inside(attempts[i].attempt, SANDBOX_AUTO);
        const int wanted = forbidden ? attempts[i].error : 0;
        if (missing && !forbidden && attempts[i].part != BY_NONE)
            continue; /* as it may be */
        if (error != wanted)
            fail_msg("%s: %s, not %s", attempts[i].name,
                     strerrorname_np(error) ? strerrorname_np(error) : "?",
                     strerrorname_np(wanted));
    }
}

static int nothing(void)
{
    return 0;
}

static void never_and_always(void **state)
{
    (void)state;
    assert_int_equal(try_inside(read_another_file, SANDBOX_NEVER), 0);
#ifdef HAVE_SECCOMP
    if (try_inside(say_report, SANDBOX_AUTO) == 0)
        assert_int_equal(try_inside(nothing, SANDBOX_ALWAYS), 0);
#else
    assert_int_equal(try_inside(nothing, SANDBOX_ALWAYS), 255);
#endif
}

static void modes_by_name(void **state)
{
    enum sandbox_mode mode = SANDBOX_AUTO;

    (void)state;
    assert_int_equal(sandbox_mode_from_name("always", &mode), 0);
    assert_int_equal(mode, SANDBOX_ALWAYS);
    assert_int_equal(sandbox_mode_from_name("yes", &mode), -EINVAL);
    assert_int_equal(mode, SANDBOX_ALWAYS);
}

/* ---- who we are ---- */

static void identities(void **state)
{
    struct identity who = {.user = 4711};

    (void)state;
    assert_int_equal(identity_find("root", &who), 0);
    assert_true(who.user == 0 && who.group == 0);
    assert_int_equal(identity_find("0", &who), 0);
    assert_int_equal(identity_find("12345:23456", &who), 0);
    assert_true(who.user == 12345 && who.group == 23456);
    assert_int_equal(identity_find("root:23456", &who), 0);
    assert_true(who.user == 0 && who.group == 23456);
    who.user = 4711;
    assert_int_equal(identity_find("", &who), -EINVAL);
    assert_int_equal(identity_find(":0", &who), -EINVAL);
    assert_int_equal(identity_find("root:", &who), -EINVAL);
    assert_int_equal(identity_find("no-such-user", &who), -ENOENT);
    assert_int_equal(identity_find("root:no-such-group", &who), -ENOENT);
    assert_int_equal(identity_find("-1", &who), -ENOENT);
    assert_int_equal(identity_find("4294967295:0", &who), -ENOENT);
    assert_int_equal(identity_find("99999999999:0", &who), -ENOENT);
    assert_int_equal(identity_find("1234567", &who), -EINVAL);
    assert_int_equal(who.user, 4711);
}

static void there_is_no_way_back(void **state)
{
    const struct identity other = {.user = 12345, .group = 23456};
    int status;

    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        gid_t groups[4];
        const bool root = geteuid() == 0;
        const int error = identity_become(&other);
        if (!root)
            _exit(error == -EPERM ? 0 : 1);
        if (error != 0)
            _exit(2);
        if (getuid() != 12345 || getegid() != 23456 || getgroups(4, groups) != 1 ||
            groups[0] != 23456)
            _exit(3);
        if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
            _exit(4);
        _exit(identity_become(&other) == 0 ? 0 : 5); /* already so */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int set_up(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char *const files[] = {"read/file", "written", "other"};
    const char *place = getenv("TMPDIR");
    int sockets[2];

    (void)state;
    signal(SIGWINCH, SIG_IGN);
    parent = getpid();
    snprintf(directory, sizeof directory, "%s/sandbox.XXXXXX", place ? place : "/var/tmp");
    if (!mkdtemp(directory) || mkdir(in("read"), 0755) < 0 || mkdir(in("sockets"), 0755) < 0)
        return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (open_as(in(files[i]), O_WRONLY | O_CREAT) != 0)
            return -1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 100) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        return -1;
    return dup2(sockets[0], 200) < 0 || dup2(sockets[1], 201) < 0;
}

static int tear_down(void **state)
{
    static const char *const paths[] = {"read/file", "written", "other", "sockets/socket"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        unlink(in(paths[i]));
    rmdir(in("read"));
    rmdir(in("sockets"));
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inside_and_outside),   cmocka_unit_test(never_and_always),
        cmocka_unit_test(modes_by_name),        cmocka_unit_test(identities),
        cmocka_unit_test(there_is_no_way_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
