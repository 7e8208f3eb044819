/* SPDX-License-Identifier: Apache-2.0 */
/* handover.h - accepted connections that another worker is to serve */
#ifndef RELAY_CORE_HANDOVER_H
#define RELAY_CORE_HANDOVER_H

struct handover;
struct share;
struct sockaddr_storage;
struct worker;

/**
 * handover_give() - by the worker that accepted: @to's worker shall serve it
 * @fd:		taken on success
 * @n_fds:	admitted for it, see admit_fds()
 * @from:	where it comes from
 *
 * Return: 0 or -ENOMEM.
 */
int handover_give(struct share *to, int fd, unsigned int n_fds,
		  const struct sockaddr_storage *from);

/** handover_take() - by that worker: serves all that it was given */
void handover_take(struct worker *worker);

/** handover_drop() - of a worker that ended: resets all that it was given */
void handover_drop(struct worker *worker);

#endif
