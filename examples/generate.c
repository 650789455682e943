/* SPDX-License-Identifier: MIT */
/*
 * generate [LINE]: writes LINE again and again until its reader leaves, at the speed of the pipe.
 *
 *     generate 'y' | head -n 3
 *
 * What is written never changes, so it is filled once into a constant loan: into a pipe the kernel
 * is handed references to its pages, and no byte is copied. Into anything else (a file, a socket, a
 * terminal) the same program works by what suits that.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <string.h>

/* As many whole lines as fit. Returns their length. */
static size_t fill_with_lines(char *memory, size_t size, const char *line)
{
    const size_t length = strlen(line) + 1;
    size_t filled = 0;

    while (filled + length <= size) {
        memcpy(memory + filled, line, length - 1);
        memory[filled + length - 1] = '\n';
        filled += length;
    }
    return filled;
}

static int generate(sluice_loan_pool *pool, sluice_loan_sink *sink, const char *line)
{
    sluice_loan *loan;
    int error = sluice_loan_get(pool, SLUICE_LOAN_CONSTANT, &loan);
    if (error < 0)
        return error;
    const size_t length =
        fill_with_lines(sluice_loan_data(loan), (size_t)sluice_loan_size(loan), line);
    error = length > 0 ? 0 : -E2BIG;
    while (error == 0)
        error = sluice_loan_send_all(loan, sink, 0, length, NULL);
    /* The pages may lie in the pipe, or anywhere beyond it, for as long as they like: they are not
     * written any more, and who has them keeps them. */
    sluice_loan_put(loan);
    return error;
}

int main(int argc, char **argv)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_endpoint *output = NULL;
    sluice_loan_pool *pool = NULL;
    sluice_loan_sink *sink = NULL;
    const struct sluice_loan_options options = {.size = sizeof options, .buffer_size = 1 << 20};
    int error = context ? 0 : -ENOMEM;

    if (error == 0)
        error = sluice_endpoint_from_fd(context, 1, SLUICE_BORROW, &output);
    if (error == 0)
        error = sluice_loan_pool_new(context, &options, &pool);
    if (error == 0)
        error = sluice_loan_sink_new(pool, output, NULL, &sink);
    if (error == 0)
        error = generate(pool, sink, argc > 1 ? argv[1] : "y");

    sluice_loan_sink_free(sink);
    sluice_loan_pool_free(pool);
    sluice_endpoint_free(output);
    sluice_context_free(context);
    if (error == -EPIPE) /* the reader has seen enough */
        return 0;
    fprintf(stderr, "generate: standard output: %s\n", strerror(-error));
    return 1;
}
