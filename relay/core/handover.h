/* SPDX-License-Identifier: Apache-2.0 */
/* handover.h - accepted connections that another worker is to serve */
#ifndef RELAY_CORE_HANDOVER_H
#define RELAY_CORE_HANDOVER_H

struct handover;
struct share;
struct sockaddr_storage;
struct worker;

/**
 * handover_give() - by the worker that accepted: gives a connection to the
 * worker of @to
 * @fd:		taken on success
 * @n_fds:	descriptors that were admitted for it, see admit_fds()
 * @from:	the client's address, AF_UNSPEC if it is not known
 *
 * Return: 0; -ENOMEM; -ESHUTDOWN: @to takes no client any more.
 */
int handover_give(struct share *to, int fd, unsigned int n_fds,
		  const struct sockaddr_storage *from);

/** handover_take() - by the other worker: serves all that it was given, also
 * for a listener that was withdrawn meanwhile, unless with `abort` */
void handover_take(struct worker *worker);

/** handover_drop() - by the main thread, for a worker that was joined: resets
 * all that it was given */
void handover_drop(struct worker *worker);

#endif
