/* SPDX-License-Identifier: MIT */
/* Files that are part of the page, as they are: see tools/embed. */
#ifndef CLI_BENCH_EMBEDDED_H
#define CLI_BENCH_EMBEDDED_H

#include <stddef.h>

extern const unsigned char embedded_style[], embedded_script[], embedded_chart[];
extern const size_t embedded_style_length, embedded_script_length,
    embedded_chart_length; /* chart: 0
                                                                      where there is no library */

#endif
