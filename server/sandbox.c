/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sys.h"
#include "log.h"
#include "syscalls.h"

int sandbox_mode_from_name(const char *name, enum sandbox_mode *ret)
{
    static const char *const names[] = {"auto", "always", "never"};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum sandbox_mode)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- Landlock ---- */

/* The kernel's interface, from a header that may be older than the kernel. */
struct ruleset {
    uint64_t files, net, scope;
};
enum { LOCK_TRUNCATE = 1 << 14, LOCK_IOCTL_DEVICE = 1 << 15 };
enum { LOCK_BIND_TCP = 1 << 0 };
enum { LOCK_ABSTRACT_UNIX = 1 << 0, LOCK_SIGNAL = 1 << 1 };

/* What a version of Landlock can withhold; all of it is withheld, but for connecting. */
static struct ruleset withheld_by(int version)
{
    struct ruleset rules = {.files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};

    if (version >= 2)
        rules.files |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        rules.files |= LOCK_TRUNCATE;
    if (version >= 4)
        rules.net |= LOCK_BIND_TCP;
    if (version >= 5)
        rules.files |= LOCK_IOCTL_DEVICE;
    if (version >= 6)
        rules.scope |= LOCK_ABSTRACT_UNIX | LOCK_SIGNAL;
    return rules;
}

enum {
    READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE,
    READ = READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    WRITE_FILE = READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LOCK_TRUNCATE,
    /* What a rule for something that is not a directory may say. */
    OF_FILES = WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LOCK_IOCTL_DEVICE,
};

/* What it takes to look a name up: the configuration of the resolver, and the libraries that glibc
 * loads for it. */
static const char *const resolver_paths[] = {"/etc",
                                             "/lib",
                                             "/lib64",
                                             "/usr/lib",
                                             "/usr/lib64",
                                             "/run/nscd",
                                             "/run/systemd/resolve",
                                             "/run/resolvconf",
                                             NULL};
/* What a process may know of itself, and devices that do nothing. */
static const char *const own_paths[] = {"/proc/self", "/dev/urandom", NULL};
static const char *const null_paths[] = {"/dev/null", NULL};
/* Where reports of a sanitizer are written. */
static const char *const report_paths[] = {SANITIZED ? "/var/tmp" : NULL, NULL};

static int allow_path(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {.allowed_access = access};
    struct stat status;
    int error = 0;

    beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0)
        return 0;
    if (fstat(beneath.parent_fd, &status) == 0 && !S_ISDIR(status.st_mode))
        beneath.allowed_access &= OF_FILES;
    if (beneath.allowed_access &&
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        error = -errno;
    close(beneath.parent_fd);
    return error;
}

static int allow_paths(int rules, const char *const *paths, uint64_t access)
{
    int error = 0;

    for (; paths && *paths && error == 0; paths++)
        error = allow_path(rules, *paths, access);
    return error;
}

static int allow_all(int rules, const struct ruleset *withheld,
                     const struct sandbox_options *options)
{
    const struct {
        const char *const *paths;
        uint64_t access;
    } allowed[] = {
        {resolver_paths, READ},
        {own_paths, READ},
        {null_paths, WRITE_FILE},
        {report_paths, WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG},
        {options->read, READ},
        {options->write, WRITE_FILE | READ},
        {options->make, WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG},
        {options->remove, LANDLOCK_ACCESS_FS_REMOVE_FILE},
    };
    int error = 0;

    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && error == 0; i++)
        error = allow_paths(rules, allowed[i].paths, allowed[i].access & withheld->files);
    return error;
}

/* The version of Landlock that is on now, or a negative errno. */
static int enter_landlock(const struct sandbox_options *options)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (version < 0)
        return -errno;
    const struct ruleset withheld = withheld_by((int)version);
    const int rules = (int)syscall(SYS_landlock_create_ruleset, &withheld, sizeof withheld, 0);
    if (rules < 0)
        return -errno;
    int error = allow_all(rules, &withheld, options);
    if (error == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        error = -errno;
    close(rules);
    return error < 0 ? error : (int)version;
}

/* ---- the whole ---- */

static void tell(const char *part, int result, bool required)
{
    const enum log_level level = required ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;

    if (result >= 0) {
        log_event(LOG_LEVEL_INFO, "sandbox is on", LOG_TEXT("part", part));
        return;
    }
    const char *why = result == -ENOTSUP && part[0] == 's' ? "not in this build"
                      : result == -ENOSYS                  ? "not in this kernel"
                      : result == -EOPNOTSUPP              ? "disabled in this kernel"
                                                           : strerrordesc_np(-result);
    log_event(level, "sandbox is missing", LOG_TEXT("part", part), LOG_TEXT("why", why));
}

int sandbox_enter(const struct sandbox_options *options, struct sandbox_report *ret)
{
    *ret = (struct sandbox_report){-ECANCELED, -ECANCELED};
    if (options->mode == SANDBOX_NEVER)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    ret->landlock = enter_landlock(options);
    ret->seccomp = syscalls_restrict();
    tell("landlock", ret->landlock, options->mode == SANDBOX_ALWAYS);
    tell("seccomp", ret->seccomp, options->mode == SANDBOX_ALWAYS);
    return options->mode == SANDBOX_ALWAYS && (ret->landlock < 0 || ret->seccomp < 0) ? -EOPNOTSUPP
                                                                                      : 0;
}
