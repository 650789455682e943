// SPDX-License-Identifier: MIT
/*
 * produce SIZE CHUNK DATA HOW: a producer on standard output, as tight as it can be.
 *
 * DATA is constant (the same chunk again and again) or fresh (each word of it made anew). HOW is
 * write, or vmsplice: the same memory, overwritten whenever it is convenient. That is safe for
 * constant data only; with fresh data it shows what not caring would gain.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HUGE = 2 << 20, ROUND = 2 * HUGE };

static uint64_t counter;

static void make(char *into, size_t length)
{
    uint64_t *word = (void *)into;
    for (size_t i = 0; i < length / sizeof(*word); i++)
        word[i] = counter + i;
    counter += length / sizeof(*word);
}

static char *huge_memory(size_t length)
{
    char *memory =
        mmap(NULL, length + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        err(1, "mmap");
    memory += (HUGE - (uintptr_t)memory % HUGE) % HUGE;
    madvise(memory, length, MADV_HUGEPAGE);
    return memory;
}

static void send_all(const char *from, size_t length, int by_reference)
{
    while (length > 0) {
        struct iovec pages = {.iov_base = (void *)from, .iov_len = length};
        ssize_t sent = by_reference ? vmsplice(1, &pages, 1, 0) : write(1, from, length);
        if (sent < 0)
            err(1, "standard output");
        from += sent;
        length -= (size_t)sent;
    }
}

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(2, "produce SIZE CHUNK constant|fresh vmsplice|write");
    size_t size = strtoull(argv[1], NULL, 10), chunk = strtoull(argv[2], NULL, 10);
    int fresh = strcmp(argv[3], "fresh") == 0, by_reference = strcmp(argv[4], "vmsplice") == 0;
    if (chunk == 0 || chunk > ROUND || chunk % sizeof(uint64_t))
        errx(2, "a chunk is 8 bytes to 4 MiB, in words");
    char *memory = huge_memory(ROUND);
    make(memory, chunk);
    size_t at = 0;
    for (size_t done = 0; done < size; done += chunk) {
        if (fresh && by_reference && (at += chunk) + chunk > ROUND)
            at = 0;
        if (fresh)
            make(memory + at, chunk);
        send_all(memory + at, size - done < chunk ? size - done : chunk, by_reference);
    }
    return 0;
}
