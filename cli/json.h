/* SPDX-License-Identifier: MIT */
/* What every JSON output of the command shares. Where there is no jansson, --json is refused. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "config.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#include <stdio.h>

#define JSON_REFUSED NULL

/* Any name as JSON: a byte that is no UTF-8 becomes U+FFFD. */
json_t *json_name(const char *name);

/* Prints the object, and a line's end, with one write, and lets the object go. */
void json_print(json_t *object, size_t flags, FILE *out);
#else
#define JSON_REFUSED "not in this build, which was made without jansson"
#endif

#endif
