/* SPDX-License-Identifier: MIT */
/* Ways of moving bytes that the library does not have, in their plainest good form, and one function
 * for all those that it has. Each returns 0 or a negative errno. */
#ifndef MEASURE_WAYS_H
#define MEASURE_WAYS_H

#include "job.h"

int way_by_library(struct job *job);

int way_write(struct job *job);    /* write(2) or send(2) from memory */
int way_vmsplice(struct job *job); /* vmsplice(2), and splice(2) behind it where that is needed */
int way_msg_zerocopy(struct job *job); /* send(2) with MSG_ZEROCOPY, completions reaped */
int way_send_zc(struct job *job);      /* IORING_OP_SEND_ZC, some at once */
int way_aio(struct job *job);          /* O_DIRECT aio_read(3), some at once, and write(2) */
int way_io_uring(struct job *job);     /* the same by io_uring */

/* Into memory: */
int way_read(struct job *job);             /* read(2) or recv(2) */
int way_mmap(struct job *job);             /* a file mapped, and touched */
int way_vmsplice_in(struct job *job);      /* vmsplice(2) out of a pipe */
int way_zerocopy_receive(struct job *job); /* TCP_ZEROCOPY_RECEIVE, by the library's receiver */

/* For these: writes all of it, or leaves it where it is, if the sink is memory. */
int deliver(const struct job *job, const char *bytes, size_t length);
int write_all(int fd, const char *bytes, size_t length);

/* Memory for DEPTH reads of a chunk, aligned for O_DIRECT. 0 or -ENOMEM. */
int buffers_new(uint32_t chunk, char **ret);

#endif
