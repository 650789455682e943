/* SPDX-License-Identifier: MIT */
/* Ending a stream socket so that nothing is lost on the way. */
#ifndef CLI_END_H
#define CLI_END_H

#include <stdint.h>

/*
 * shutdown(SHUT_WR), and then waits, for `linger` nanoseconds at most, until the peer ends its
 * side: closing earlier, with input unread, would turn into a reset, which throws away what the
 * peer has not read yet. Input that arrives is dropped. Returns 0; -ETIMEDOUT if by then not all
 * was acknowledged; -ECONNRESET …; `ret_unsent` is what was not (SIOCOUTQ).
 */
int end_stream(int fd, uint64_t linger, uint64_t *ret_unsent);

#endif
