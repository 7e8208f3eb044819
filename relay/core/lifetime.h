/* SPDX-License-Identifier: Apache-2.0 */
/* lifetime.h - how long one client of a rule with a max_lifetime lives
 *
 * If all lived equally long, clients that came together, after a restart or
 * when a backend came back, would end together, and come back together again.
 * So each has a length of its own, within the last part of what the rule
 * allows. Nothing is stored for that: the length follows from the number that
 * the client has in its roster.
 */
#ifndef RELAY_CORE_LIFETIME_H
#define RELAY_CORE_LIFETIME_H

#include <stdint.h>

/** One of so many parts of the limit, the last one, is what the lengths are
 * spread over. */
#define LIFETIME_PART 5

/**
 * lifetime_us() - how long does a client live?
 * @limit_us:	what the rule allows; 0: any time
 * @number:	of the client in its roster
 *
 * Return: the same for the same arguments: without a limit SERVING_NEVER_US;
 * else at most @limit_us, and not less than what is before its last part. Over
 * all numbers each length in between is equally frequent.
 */
uint64_t lifetime_us(uint64_t limit_us, uint64_t number);

#endif
