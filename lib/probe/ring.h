/* SPDX-License-Identifier: MIT */
/* The little that a probe needs of io_uring: one zero-copy send, and what the kernel says of it. */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Returns 0 or a negative errno; -ENOSYS also if the library was built without liburing. */
int ring_new(void **ret);
void ring_free(void *ring); /* NULL is ignored */

/* IORING_OP_SEND_ZC, and waits for both its completions. *ret_copied: what the notification says.
 * Returns the bytes sent, or a negative errno. */
ssize_t ring_send_zc(void *ring, int fd, const void *bytes, size_t length, bool *ret_copied);

#endif
