/* SPDX-License-Identifier: MIT */
/*
 * The system calls of a server, beside those that move data (lib/sys.h): they return what the kernel
 * returns, a negative errno on failure, and leave errno as it was. Real functions, so that tests can
 * stand in for each of them (the linker's --wrap).
 */
#ifndef SERVER_NET_H
#define SERVER_NET_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int net_socket(int domain, int type, int protocol);
int net_bind(int fd, const struct sockaddr *address, socklen_t length);
int net_listen(int fd, int backlog);
int net_accept(int fd, struct sockaddr *ret, socklen_t *ret_length, int flags);
int net_connect(int fd, const struct sockaddr *address, socklen_t length);
int net_shutdown(int fd, int how);
int net_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int net_getsockname(int fd, struct sockaddr *ret, socklen_t *ret_length);

int net_epoll_create(void);
int net_epoll_control(int epoll, int operation, int fd, struct epoll_event *event);
/* timeout: nanoseconds, -1: for ever. */
int net_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout);

#endif
