/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "facts.h"

static const struct feature {
    const char *name;
    unsigned command;
} features[] = {
    {"scatter-gather", ETHTOOL_GSG}, {"checksum offload", ETHTOOL_GTXCSUM},
    {"GSO", ETHTOOL_GGSO},           {"TSO", ETHTOOL_GTSO},
    {"GRO", ETHTOOL_GGRO},
};

/* 1, 0, or a negative errno. */
static int feature_of(int fd, const char *interface, unsigned command)
{
    struct ethtool_value value = {.cmd = command};
    struct ifreq request = {.ifr_data = (char *)&value};

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : value.data != 0;
}

static void add_features(struct sluice_probe *probe, const char *group, int fd,
                         const char *interface)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        const int on = feature_of(fd, interface, features[i].command);
        if (on < 0)
            probe_add_fact(probe, group, features[i].name, -1, on, "not told: %s", strerror(-on));
        else
            probe_add_fact(probe, group, features[i].name, on, 0, on ? "on" : "off");
    }
}

/* What it means for a page that is sent by reference. */
static const char *meaning(int fd, const char *interface, bool loopback)
{
    const int gather = feature_of(fd, interface, ETHTOOL_GSG);

    return loopback      ? "pages go to the receiver as they are"
           : gather == 0 ? "a page sent by reference (sendfile, splice) is copied into one buffer "
                           "before it is sent: no zero-copy through this interface"
           : gather == 1 ? "pages can be sent as they are; not measured: no verdict of loopback "
                           "holds here"
                         : "not known";
}

static void add_interface(struct sluice_probe *probe, int fd, const char *interface)
{
    char group[64];
    struct ifreq request = {0};

    snprintf(group, sizeof group, "interface %s", interface);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    bool loopback = false;
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        const unsigned flags = (unsigned short)request.ifr_flags;
        loopback = (flags & IFF_LOOPBACK) != 0;
        probe_add_fact(probe, group, "state", (flags & IFF_UP) != 0, 0, "%s",
                       flags & IFF_UP ? "up" : "down");
    }
    if (ioctl(fd, SIOCGIFMTU, &request) == 0)
        probe_add_fact(probe, group, "MTU", request.ifr_mtu, 0, "%d bytes", request.ifr_mtu);
    add_features(probe, group, fd, interface);
    probe_add_fact(probe, group, "means", -1, 0, "%s", meaning(fd, interface, loopback));
}

void facts_of_interfaces(struct sluice_probe *probe)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct if_nameindex *interfaces = fd < 0 ? NULL : if_nameindex();

    if (!interfaces)
        probe_add_fact(probe, "interfaces", "list", -1, -errno, "cannot be listed: %s",
                       strerror(errno));
    for (const struct if_nameindex *each = interfaces; each && each->if_name; each++)
        add_interface(probe, fd, each->if_name);
    if (interfaces)
        if_freenameindex(interfaces);
    if (fd >= 0)
        close(fd);
}
