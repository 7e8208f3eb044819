/* SPDX-License-Identifier: Apache-2.0 */
/* admit.h - which clients of connections and associations are let in
 *
 * All of it is for the share's worker.
 */
#ifndef RELAY_CORE_ADMIT_H
#define RELAY_CORE_ADMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/berth.h"

struct admission_turn;
struct share;
struct sockaddr_storage;
struct worker;

/** admit_fds() - how many descriptors does each client of the share need? */
unsigned int admit_fds(const struct share *share);

/**
 * admit_take() - takes room for one more client
 * @met:	which limit left none, where there is none; NULL is fine
 *
 * Return: is there room?
 */
bool admit_take(struct share *share, enum berth_limit *met);

/** admit_give() - a client ended, or was not served: gives its room back, and
 * those @n_fds of its descriptors that admit_give_fds() did not */
void admit_give(struct share *share, unsigned int n_fds);

/** admit_give_fds() - gives back @n_fds descriptors of a client that goes on */
void admit_give_fds(struct share *share, unsigned int n_fds);

/** admit_turn() - what the share's namespace had of this turn of the worker */
struct admission_turn *admit_turn(const struct worker *worker,
				  const struct share *share);

/** admit_bytes() - @n bytes of the share's namespace were read in this turn */
void admit_bytes(const struct worker *worker, const struct share *share,
		 size_t n);

/** admit_turn_is_over() - did the share's namespace have its bytes of this
 * turn? Then it waits for the next one. */
bool admit_turn_is_over(const struct worker *worker, const struct share *share);

#endif
