/* SPDX-License-Identifier: Apache-2.0 */
/* tcp.h - connections: accepting, their life and their end */
#ifndef RELAY_TCP_TCP_H
#define RELAY_TCP_TCP_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct pollable;
struct share;
struct sockaddr_storage;
struct worker;

/** tcp_listener_handler() - a struct share's handler: accepts */
void tcp_listener_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events);

/** tcp_accepted() - serves the connection @fd, which is taken and admitted */
void tcp_accepted(struct worker *worker, struct share *share, int fd,
		  const struct sockaddr_storage *from);

/** tcp_share_abort() - resets all connections of the share */
void tcp_share_abort(struct worker *worker, struct share *share);

/**
 * tcp_shed() - resets the worker's newest connection
 *
 * The newest, because the table was not full before it came.
 * Return: false when there is none.
 */
bool tcp_shed(struct worker *worker);

/** tcp_socket_state() - Return: TCP_ESTABLISHED and so on; or -errno, for other
 * sockets too. */
int tcp_socket_state(int fd);

/**
 * tcp_socket_unacked() - bytes that wait for the peer, of MPTCP and UNIX too
 * Return: how many, the end counts for one; -errno.
 */
int tcp_socket_unacked(int fd);

/** tcp_socket_is_through() - has the kernel nothing left to do for it? */
bool tcp_socket_is_through(int fd);

/** tcp_conn_run() - goes on with what worker_again() postponed */
void tcp_conn_run(struct worker *worker, struct conn *conn);

/** tcp_conn_next_ready() - the link of worker.ready */
struct conn **tcp_conn_next_ready(struct conn *conn);

#endif
