/* SPDX-License-Identifier: MIT */
/*
 * The memory of loans. Fresh pages are what makes lending by reference safe where nobody tells when
 * the old ones are let go; they are cheap only as huge pages, a whole slab at a time: one page
 * fault and one clearing for 2 MiB, where 512 small ones cost several times a copy (docs/loans.md).
 */
#include "loan.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../sys.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum {
    HUGE = 2 << 20, /* the size of a huge page where they are of use; of others it is a multiple or
                       a part, and nothing breaks */
    /* What is worth a huge page: a constant loan, others. */
    CONSTANT_HUGE = 64 << 10,
    FRESH_HUGE = 1 << 20,
};

static size_t round_up(size_t value, size_t to)
{
    return (value + to - 1) / to * to;
}

static int slab_map(struct loan_slab *slab)
{
    const size_t slack = slab->huge ? HUGE : 0;
    int error = sys_mmap(slab->size + slack, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &slab->mapping);

    if (error < 0)
        return error;
    slab->mapped = slab->size + slack;
    slab->memory = slab->mapping;
    if (slab->huge) {
        slab->memory = (char *)round_up((uintptr_t)slab->mapping, HUGE);
        sys_madvise(slab->memory, slab->size, MADV_HUGEPAGE); /* or small pages */
    }
    for (unsigned i = 0; i < slab->count; i++)
        slab->loan[i].data = slab->memory + i * slab->loan[i].pool->loan_size;
    return 0;
}

int loan_slab_new(struct sluice_loan_pool *pool, size_t size, unsigned count, bool constant,
                  struct loan_slab **ret)
{
    struct loan_slab *slab = calloc(1, sizeof *slab + count * sizeof *slab->loan);

    if (!slab)
        return -ENOMEM;
    slab->count = count;
    slab->size = size * count;
    slab->huge = slab->size >= (constant ? CONSTANT_HUGE : FRESH_HUGE);
    if (slab->huge)
        slab->size = round_up(slab->size, HUGE); /* nothing shares its last huge page */
    for (unsigned i = 0; i < count; i++)
        slab->loan[i] =
            (struct sluice_loan){.pool = pool, .slab = slab, .constant = constant, .memfd = -1};
    const int error = slab_map(slab);
    if (error < 0) {
        free(slab);
        return error == -EAGAIN ? -ENOMEM : error; /* mlockall and its limit */
    }
    *ret = slab;
    return 0;
}

void loan_slab_free(struct loan_slab *slab)
{
    if (slab->mapping)
        sys_munmap(slab->mapping, slab->mapped);
    free(slab);
}

/* Locked memory (mlockall) lets go of its pages only if it is told to in so many words. */
static bool drop_pages(void *memory, size_t size)
{
    return sys_madvise(memory, size, MADV_DONTNEED) >= 0 ||
           sys_madvise(memory, size, MADV_DONTNEED_LOCKED) >= 0;
}

bool loan_slab_replace(struct loan_slab *slab)
{
    if (drop_pages(slab->memory, slab->size))
        return true;
    /* An older kernel's locked memory: other memory takes its place. */
    sys_munmap(slab->mapping, slab->mapped);
    slab->mapping = NULL;
    return slab_map(slab) >= 0;
}

bool loan_slab_replace_one(struct sluice_loan *loan)
{
    return drop_pages(loan->data, loan->pool->loan_size);
}
