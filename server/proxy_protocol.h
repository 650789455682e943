/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, versions 1 and 2: the header by which a proxy tells whose connection it hands
 * on. Pure functions over bytes.
 *
 * What is not a whole and exact header is refused at the first byte that shows it: whoever may
 * reach a port that expects headers can claim any address, so nothing is guessed at.
 */
#ifndef SERVER_PROXY_PROTOCOL_H
#define SERVER_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "peer.h"

/* The protocol lets a version 2 header have 64 KiB of extensions; more than this is refused here. */
#define PROXY_HEADER_MAX 4096
#define PROXY_LINE_MAX   107 /* version 1, with its end of line */

enum proxy_version { PROXY_V1 = 1, PROXY_V2 = 2 };

struct proxy_header {
    enum proxy_version version;
    bool local;    /* the proxy's own connection, a health check: the addresses are the socket's */
    bool datagram; /* the client came by datagrams (QUIC) */
    /* Length 0: not said, the addresses are the socket's. A UNIX one may fill all of sun_path, without
     * a NUL. */
    struct peer source, destination;
};

/* Looks for a header at the beginning of `data`. A version 2 header's extensions (TLVs) are skipped, but
 * for a checksum, which must be right. Returns its length when it is whole; 0 when these
 * bytes can begin one but more are needed; -EPROTO when no bytes after these can make it a header,
 * or -EMSGSIZE when it is longer than PROXY_HEADER_MAX, with the reason in *ret_why (a constant).
 * `ret` is untouched unless the header is whole. */
ssize_t proxy_parse(const uint8_t *data, size_t length, struct proxy_header *ret,
                    const char **ret_why);

/* Writes a header; only `local`, `datagram` and the addresses of `header` count. Version 1 has no place
 * for UNIX addresses: UNKNOWN. An IPv4 and an IPv6 address together are written as IPv6. Returns its
 * length, or -EMSGSIZE: larger than `room`; PROXY_WRITE_MAX is always enough. */
#define PROXY_WRITE_MAX 232
ssize_t proxy_write(enum proxy_version version, const struct proxy_header *header, uint8_t *data,
                    size_t room);

#endif
