/* SPDX-License-Identifier: MIT */
#include "perf.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../endpoint.h"
#include "../sys.h"

enum { RECORD_MOST = 1024 };

int perf_open(struct perf_event *event, struct perf_event_attr *attributes, unsigned ring)
{
    void *pages = NULL;

    *event = (struct perf_event){.fd = -1};
    attributes->size = sizeof *attributes;
    attributes->disabled = 1;
    attributes->exclude_hv = 1;
    const long fd = syscall(SYS_perf_event_open, attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return -errno;
    event->fd = fd_above_standard((int)fd);
    if (event->fd < 0)
        return event->fd;
    const size_t length = (ring + 1) * (size_t)sysconf(_SC_PAGESIZE);
    if (ring) {
        const int error =
            sys_mmap(length, PROT_READ | PROT_WRITE, MAP_SHARED, event->fd, 0, &pages);
        if (error < 0) {
            sys_close(event->fd);
            event->fd = -1;
            return error;
        }
        event->page = pages;
    }
    return 0;
}

void perf_close(struct perf_event *event)
{
    if (event->page)
        sys_munmap(event->page, (size_t)(event->page->data_offset + event->page->data_size));
    if (event->fd >= 0)
        sys_close(event->fd);
    *event = (struct perf_event){.fd = -1};
}

void perf_start(const struct perf_event *event)
{
    if (event->fd >= 0)
        ioctl(event->fd, PERF_EVENT_IOC_ENABLE, 0);
}

void perf_stop(const struct perf_event *event)
{
    if (event->fd >= 0)
        ioctl(event->fd, PERF_EVENT_IOC_DISABLE, 0);
}

uint64_t perf_count(const struct perf_event *event)
{
    uint64_t count = 0;
    return event->fd >= 0 && read(event->fd, &count, sizeof count) == sizeof count ? count : 0;
}

/* Records may go round the end of the ring. */
static void copy_out(const struct perf_event *event, uint64_t at, void *to, size_t length)
{
    const char *ring = (const char *)event->page + event->page->data_offset;
    const uint64_t size = event->page->data_size, begin = at % size;
    const size_t first = length < size - begin ? length : (size_t)(size - begin);

    memcpy(to, ring + begin, first);
    memcpy((char *)to + first, ring, length - first);
}

void perf_samples(struct perf_event *event, void (*each)(const void *body, void *data), void *data)
{
    _Alignas(8) char record[RECORD_MOST];
    struct perf_event_header header;

    if (!event->page)
        return;
    const uint64_t head = __atomic_load_n(&event->page->data_head, __ATOMIC_ACQUIRE);
    uint64_t tail = event->page->data_tail;
    while (tail + sizeof header <= head) {
        copy_out(event, tail, &header, sizeof header);
        if (header.size < sizeof header)
            break;
        const size_t body = header.size - sizeof header;
        if (header.type == PERF_RECORD_SAMPLE && body <= sizeof record) {
            copy_out(event, tail + sizeof header, record, body);
            each(record, data);
        }
        tail += header.size;
    }
    __atomic_store_n(&event->page->data_tail, head, __ATOMIC_RELEASE);
}
