/* SPDX-License-Identifier: MIT */
/* The ends of the unit tests serve here, too. */
#include "tests/unit/ends.c"
