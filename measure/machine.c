/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* The line's value behind its colon, of the first line that begins with one of these. */
static void read_cpu(char *ret, size_t size)
{
    static const char *const names[] = {"model name", "Processor", "cpu model", "uarch"};
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");

    ret[0] = '\0';
    while (file && !ret[0] && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        for (size_t i = 0; colon && i < sizeof names / sizeof *names; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0)
                snprintf(ret, size, "%.*s", (int)strcspn(colon + 1, "\n") - 1, colon + 2);
    }
    if (file)
        fclose(file);
}

static void name_device(dev_t device, char *ret, size_t size)
{
    char path[64], target[256];

    ret[0] = '\0';
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(device), minor(device));
    const ssize_t length = device ? readlink(path, target, sizeof target - 1) : -1;
    if (length < 0)
        return;
    target[length] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(ret, size, "%.63s", slash ? slash + 1 : target);
}

static void read_congestion(char *ret, size_t size)
{
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");

    if (!file || !fgets(ret, (int)size, file))
        snprintf(ret, size, "unknown");
    ret[strcspn(ret, "\n")] = '\0';
    if (file)
        fclose(file);
}

void machine_describe(const struct stage *stage, struct machine *ret)
{
    struct sysinfo info;
    cpu_set_t cpus;
    double loads[1];
    const time_t now = time(NULL);
    struct tm parts;

    *ret = (struct machine){.user = (unsigned)geteuid(), .loop = stage->place.loop};
    uname(&ret->kernel);
    read_cpu(ret->cpu, sizeof ret->cpu);
    ret->cpus = sched_getaffinity(0, sizeof cpus, &cpus) == 0
                    ? (unsigned)CPU_COUNT(&cpus)
                    : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (sysinfo(&info) == 0)
        ret->memory = (uint64_t)info.totalram * info.mem_unit;
    if (getloadavg(loads, 1) == 1)
        ret->load = loads[0];
    snprintf(ret->disk, sizeof ret->disk, "%s", stage->place.path ? stage->place.text : "none");
    name_device(stage->place.device, ret->device, sizeof ret->device);
    read_congestion(ret->congestion, sizeof ret->congestion);
    gmtime_r(&now, &parts);
    strftime(ret->when, sizeof ret->when, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
