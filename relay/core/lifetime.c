// SPDX-License-Identifier: Apache-2.0
/* lifetime.c - how long one client of a rule with a max_lifetime lives */
#include "relay/core/lifetime.h"

#include "relay/core/serving.h"

/* So fine is the choice. A limit has at most 42 bits: milliseconds of 32. */
#define FRACTION_BITS 20

/* Consecutive numbers have nothing to do with each other any more (splitmix64).
 */
static uint64_t mix(uint64_t number)
{
	number *= UINT64_C(0x9e3779b97f4a7c15);
	number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
	return number ^ (number >> 31);
}

uint64_t lifetime_us(uint64_t limit_us, uint64_t number)
{
	uint64_t fraction = mix(number) >> (64 - FRACTION_BITS);

	if (limit_us == 0)
		return SERVING_NEVER_US;
	return limit_us -
	       ((limit_us / LIFETIME_PART * fraction) >> FRACTION_BITS);
}
