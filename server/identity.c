/* SPDX-License-Identifier: MIT */
/* --user: see sandbox.h. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox.h"

/* A number that an identity can be: (uid_t)-1 means "leave it". */
static bool read_number(const char *text, unsigned *ret)
{
    unsigned long long value = 0;

    if (!*text || strlen(text) > 10)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *ret = (unsigned)value;
    return value < UINT32_MAX;
}

static int find_group(const char *text, struct identity *identity)
{
    const struct group *group = getgrnam(text);

    if (group)
        identity->group = group->gr_gid;
    else if (!read_number(text, &identity->group))
        return *text ? -ENOENT : -EINVAL;
    return 0;
}

int identity_find(const char *text, struct identity *ret)
{
    const char *colon = strchr(text, ':');
    const size_t length = colon ? (size_t)(colon - text) : strlen(text);
    struct identity identity = {0};

    if (length == 0 || length >= sizeof identity.name)
        return -EINVAL;
    memcpy(identity.name, text, length);
    const struct passwd *account = getpwnam(identity.name);
    if (!account && !read_number(identity.name, &identity.user))
        return -ENOENT;
    if (!account)
        account = getpwuid(identity.user);
    if (account) {
        identity.user = account->pw_uid;
        identity.group = account->pw_gid;
    } else if (!colon) {
        return -EINVAL;
    }
    const int error = colon ? find_group(colon + 1, &identity) : 0;
    if (error == 0)
        *ret = identity;
    return error;
}

/* Whether we are that user and group already, with all that is saved. */
static bool is_now(const struct identity *identity)
{
    uid_t user[3];
    gid_t group[3];

    if (getresuid(&user[0], &user[1], &user[2]) < 0 ||
        getresgid(&group[0], &group[1], &group[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (user[i] != identity->user || group[i] != identity->group)
            return false;
    return true;
}

int identity_become(const struct identity *identity)
{
    const gid_t group = identity->group;

    if (is_now(identity) && identity->user != 0)
        return 0;
    /* Groups first: they need what is given up last. Leaving root takes the capabilities along. */
    if (setgroups(1, &group) < 0 || setresgid(group, group, group) < 0 ||
        setresuid(identity->user, identity->user, identity->user) < 0)
        return -errno;
    if (!is_now(identity) || (identity->user != 0 && setuid(0) == 0))
        return -EPERM;
    return 0;
}
