/* SPDX-License-Identifier: MIT */
/* What must hold whatever the fuzzer makes up. */
#ifndef TEST_MUST_H
#define TEST_MUST_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* libFuzzer calls it, and nobody declares it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#endif
