// SPDX-License-Identifier: MIT
/*
 * lend SIZE CHUNK DATA: ceilings/produce.c as a user of the library writes it, with loans of CHUNK
 * bytes. Says on standard error by which way they went.
 */
#include <err.h>
#include <inttypes.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t counter;

static void make(void *into, size_t length)
{
    uint64_t *word = into;
    for (size_t i = 0; i < length / sizeof(*word); i++)
        word[i] = counter + i;
    counter += length / sizeof(*word);
}

static void check(int error, const char *what)
{
    if (error < 0)
        errx(1, "%s: %s", what, strerror(-error));
}

static void say_ways(const sluice_loan_sink *sink)
{
    struct sluice_loan_choice choice = {.size = sizeof(choice)};
    for (unsigned i = 0; sluice_loan_sink_choice(sink, i, &choice) == 0; i++)
        if (choice.bytes)
            fprintf(stderr, "%s %" PRIu64 "\n", sluice_loan_way_name(choice.way), choice.bytes);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        errx(2, "lend SIZE CHUNK constant|fresh");
    uint64_t size = strtoull(argv[1], NULL, 10), chunk = strtoull(argv[2], NULL, 10);
    int fresh = strcmp(argv[3], "fresh") == 0;
    struct sluice_loan_options options = {.size = sizeof(options), .buffer_size = chunk};
    sluice_endpoint *endpoint;
    sluice_loan_pool *pool;
    sluice_loan_sink *sink;
    sluice_loan *loan = NULL;

    sluice_context *context = sluice_context_new(NULL, NULL);
    if (!context)
        errx(1, "no context");
    check(sluice_endpoint_from_fd(context, 1, SLUICE_BORROW, &endpoint), "standard output");
    check(sluice_loan_pool_new(context, &options, &pool), "pool");
    check(sluice_loan_sink_new(pool, endpoint, NULL, &sink), "sink");
    for (uint64_t done = 0; done < size; done += chunk) {
        if (fresh || !loan) {
            sluice_loan_put(loan);
            check(sluice_loan_get(pool, fresh ? 0 : SLUICE_LOAN_CONSTANT, &loan), "loan");
            make(sluice_loan_data(loan), chunk);
        }
        uint64_t length = size - done < chunk ? size - done : chunk;
        check(sluice_loan_send_all(loan, sink, 0, length, NULL), "send");
    }
    say_ways(sink);
    sluice_loan_put(loan);
    sluice_loan_sink_free(sink);
    check(sluice_loan_pool_free(pool), "free");
    sluice_endpoint_free(endpoint);
    sluice_context_free(context);
    return 0;
}
