/* SPDX-License-Identifier: Apache-2.0 */
/* sctp.h - SCTP associations: accepting, their life and their end */
#ifndef RELAY_SCTP_SCTP_H
#define RELAY_SCTP_SCTP_H

#include <stdbool.h>
#include <stdint.h>

struct pollable;
struct share;
struct sockaddr_storage;
struct worker;

/** sctp_listener_handler() - a struct share's handler, one-to-one: accepts */
void sctp_listener_handler(struct worker *worker, struct pollable *pollable,
			   uint32_t events);

/** sctp_shared_handler() - a struct share's handler, one-to-many: receives */
void sctp_shared_handler(struct worker *worker, struct pollable *pollable,
			 uint32_t events);

/** sctp_accepted() - serves the association of its own socket @fd, which is
 * taken and admitted; from where: a client that is gone again has no
 * getpeername(2) */
void sctp_accepted(struct worker *worker, struct share *share, int fd,
		   const struct sockaddr_storage *from);

/**
 * sctp_shared_open() - one-to-many: takes over the socket's associations
 *
 * The share is registered in the epoll set already.
 * Return: 0 or -errno.
 */
int sctp_shared_open(struct worker *worker, struct share *share);

/** sctp_shared_close() - aborts them all; the socket can be closed then */
void sctp_shared_close(struct worker *worker, struct share *share);

/** sctp_share_follow() - one-to-one: its associations get the addresses that
 * the listening socket has by now, and lose those that it lost */
void sctp_share_follow(struct worker *worker, struct share *share);

/** sctp_share_abort() - aborts all associations of the share */
void sctp_share_abort(struct worker *worker, struct share *share);

/** sctp_shed() - aborts the worker's newest. Return: false: there is none. */
bool sctp_shed(struct worker *worker);

/** sctp_run_ready() - goes on with those that had more to do, each once.
 * worker.sctp_ready tells whether there are any. */
void sctp_run_ready(struct worker *worker);

#endif
