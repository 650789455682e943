/* SPDX-License-Identifier: MIT */
/*
 * Memory does not grow with what is moved: neither with the size of the file nor with that of a
 * chunk. What a transfer holds is its buffer and its pipe.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

enum { MIB = 1 << 20, MOST = 8 * MIB };

/* Anonymous memory of this process, in bytes. 0: it is not told. */
static size_t anonymous(void)
{
    char text[4096];
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    size_t kib = 0;

    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *at = strstr(text, "RssAnon:");
    return at && sscanf(at, "RssAnon: %zu", &kib) == 1 ? kib * 1024 : 0;
}

/* The thread sanitizer keeps a shadow of all memory, which is anonymous, too. */
#if defined(__SANITIZE_THREAD__)
#define SHADOWED 1
#elif defined(__has_feature)
#define SHADOWED __has_feature(thread_sanitizer)
#else
#define SHADOWED 0
#endif

struct measured {
    size_t begun, most;
};

static int measure(const struct sluice_progress *progress, void *data)
{
    struct measured *measured = data;
    const size_t now = anonymous();
    (void)progress;
    if (now > measured->most)
        measured->most = now;
    return 0;
}

static void memory_stays_where_it_is(void **state)
{
    static const struct {
        enum end_kind sink;
        enum sluice_method method;
    } ways[] = {
        {END_NULL, SLUICE_METHOD_AUTO},       {END_NULL, SLUICE_METHOD_SPLICE},
        {END_NULL, SLUICE_METHOD_SENDFILE},   {END_NULL, SLUICE_METHOD_MMAP_WRITE},
        {END_NULL, SLUICE_METHOD_READ_WRITE}, {END_FILE, SLUICE_METHOD_READ_WRITE},
        {END_FILE, SLUICE_METHOD_COPY_RANGE},
    };
    static const uint32_t chunks[] = {0, 64 * MIB, UINT32_MAX};

    (void)state;
    if (SHADOWED || anonymous() == 0) {
        print_message("SKIP: what memory is used cannot be told\n");
        return;
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            const size_t length = (size_t)(ways[i].sink == END_FILE ? 48 : 96) * MIB;
            struct measured measured = {0};
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};

            options.method = ways[i].method;
            options.chunk = chunks[c];
            options.progress = measure;
            options.progress_data = &measured;
            end_open_source(&rig.source, END_FILE, "", 0, NULL);
            assert_int_equal(ftruncate(rig.source.fd, rig.source.start + (off_t)length), 0);
            end_open_sink(&rig.sink, ways[i].sink, NULL);
            rig_start(&rig, &options);
            measured.begun = measured.most = anonymous();
            assert_int_equal(rig_run(&rig, 20), 0);
            assert_int_equal(sluice_transfer_delivered(rig.transfer), length);
            const size_t grown = measured.most - measured.begun + rig_ledger(&rig).pipe_got;
            if (grown > MOST)
                print_error("%s to %s, chunk %u: %zu KiB\n", sluice_method_name(ways[i].method),
                            end_name(ways[i].sink), chunks[c], grown / 1024);
            assert_true(grown <= MOST);
            rig_stop(&rig);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_stays_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
