/* SPDX-License-Identifier: Apache-2.0 */
/* balance.h - which of several backends a client gets
 *
 * Callable by any thread.
 */
#ifndef RELAY_BACKEND_BALANCE_H
#define RELAY_BACKEND_BALANCE_H

#include <stdint.h>

struct ip_addr;
struct serving;

/**
 * balance_choose() - chooses a backend as the rule's `balance` says
 * @candidates:	bit i: backend i may be chosen; its weight is not 0
 * @client:	with SERVICE_BALANCE_HASH: balance_client() of the client
 *
 * With the other two, the choice counts as a turn of that backend.
 * Return: its index; -1: there are no candidates.
 */
int balance_choose(const struct serving *serving, uint64_t candidates,
		   uint64_t client);

/** balance_client() - a number for a client's address, the same in every relay
 * and at every time */
uint64_t balance_client(const struct ip_addr *address);

#endif
