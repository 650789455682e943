/* SPDX-License-Identifier: MIT */
/* liburing, where the library is built with it, and what its headers may be too old for. */
#ifndef SLUICE_URING_H
#define SLUICE_URING_H

#ifdef HAVE_LIBURING
#include <liburing.h>

/* Of Linux 6.2. */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif
#endif

#endif
