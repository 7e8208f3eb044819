// SPDX-License-Identifier: Apache-2.0
/* balance.c - which of several backends a client gets
 *
 * Theory of operation:
 *
 * Round robin is smooth and weighted, the algorithm of nginx (there in
 * src/http/ngx_http_upstream_round_robin.c): each candidate's turn grows by its
 * weight, the one with the largest is chosen, and its turn shrinks by the sum
 * of the weights. Three backends of weights 5, 1 and 1 are chosen as
 * A A B A C A A.
 * The turns are in struct target_health, so that all listeners of a rule and
 * all workers have the same: a thousand namespaces with one client each do not
 * all begin with the first backend. They outlive a reload, and clients of the
 * rule's versions before and after it mix. So the weights are scaled: their sum
 * is about TURN, however large they are, and a turn says for how many clients a
 * backend waits, whatever the weights were.
 * No lock is needed. Whoever adds the weights subtracts their sum, so the sum
 * of the turns stays what it was in whatever order the threads come. Two that
 * choose at the same moment may choose the same backend, which then waits
 * longer for its next turn.
 *
 * Least connections takes the backend with the fewest connections for its
 * weight. Those that are equal take turns.
 *
 * Hash is weighted rendezvous hashing (Thaler and Ravishankar, "Using
 * name-based mappings to increase hit rates", 1998; with weights Schindelhauer
 * and Schomaker, "Weighted distributed hash tables", 2005, the logarithmic
 * method): client and backend together make a number h, evenly spread over
 * (0, 1], and the backend with the smallest -log(h) / weight is chosen. No
 * number of one backend depends on another backend. So a backend that goes
 * gives up only its own clients, and one that comes takes only those that it
 * will have. The logarithm is made of integers: every machine finds the same.
 */
#include "relay/backend/balance.h"

#include <endian.h>
#include <string.h>

#include "common/ip.h"
#include "common/siphash.h"
#include "common/util.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

/* Bits behind the point of a logarithm. More would be noise: each step of
 * neg_log2() doubles the rounding error of 2^-31 of the step before. */
#define LOG_BITS 26

/* One client. All numbers up to 16 divide it, so that among few backends equal
 * turns are equal. It is more than the sum of all weights can be, and an int
 * has room for thousands of clients. */
#define TURN 720720

/* Takes the lowest bit out of *@set, which is not 0. Return: which it was. */
static unsigned int take_lowest(uint64_t *set)
{
	unsigned int index = (unsigned int)__builtin_ctzll(*set);

	*set &= *set - 1;
	return index;
}

/* Return: what a weight of 1 is worth, of TURN. */
static int scale(const struct serving *serving, uint64_t candidates)
{
	int total = 0;

	while (candidates)
		total += serving->backends[take_lowest(&candidates)].weight;
	return total > 0 ? TURN / total : 0; /* each candidate has a weight */
}

static int choose_in_turn(const struct serving *serving, uint64_t candidates)
{
	int best = -1, best_turn = 0, total = 0, unit;

	if (!candidates)
		return -1;
	if (!(candidates & (candidates - 1)))
		return (int)take_lowest(&candidates);
	unit = scale(serving, candidates);
	while (candidates) {
		unsigned int index = take_lowest(&candidates);
		const struct serving_backend *target =
			&serving->backends[index];
		int step = target->weight * unit;
		int turn = atomic_fetch_add_explicit(&target->health->turn,
						     step,
						     memory_order_relaxed) +
			   step;

		total += step;
		if (best >= 0 && turn <= best_turn)
			continue;
		best = (int)index;
		best_turn = turn;
	}
	atomic_fetch_sub_explicit(&serving->backends[best].health->turn, total,
				  memory_order_relaxed);
	return best;
}

/* Return: those of @candidates that have the fewest connections for their
 * weight. */
static uint64_t least_busy(const struct serving *serving, uint64_t candidates)
{
	uint64_t best_conns = 0, best_weight = 0, least = 0;

	while (candidates) {
		unsigned int index = take_lowest(&candidates);
		const struct serving_backend *target =
			&serving->backends[index];
		uint64_t weight = target->weight;
		uint64_t conns = atomic_load_explicit(
			&target->health->connections, memory_order_relaxed);

		/* conns / weight, without a division */
		if (least && conns * best_weight > best_conns * weight)
			continue;
		if (conns * best_weight < best_conns * weight)
			least = 0;
		if (!least) {
			best_conns = conns;
			best_weight = weight;
		}
		least |= UINT64_C(1) << index;
	}
	return least;
}

/* The last step of MurmurHash3: each bit of the result depends on all of
 * @value. */
static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	value = (value ^ (value >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return value ^ (value >> 33);
}

/* Return: -log2(@h / 2^64), with LOG_BITS bits behind the point. Each squaring
 * of a number from 1 to 2 gives the next bit of its logarithm. */
static uint64_t neg_log2(uint64_t h)
{
	unsigned int zeros = h ? (unsigned int)__builtin_clzll(h) : 63;
	uint64_t part = (h << zeros) >> 32; /* from 2^31: 1 to 2 */
	uint64_t log = 63 - zeros;

	for (int i = 0; i < LOG_BITS; i++) {
		uint64_t square = part * part;
		unsigned int bit = (unsigned int)(square >> 63);

		part = square >> (31 + bit);
		log = log << 1 | bit;
	}
	return (UINT64_C(64) << LOG_BITS) - log;
}

static int choose_by_hash(const struct serving *serving, uint64_t candidates,
			  uint64_t client)
{
	uint64_t best_log = 0, best_weight = 0;
	int best = -1;

	while (candidates) {
		unsigned int index = take_lowest(&candidates);
		const struct serving_backend *target =
			&serving->backends[index];
		uint64_t weight = target->weight;
		uint64_t log = neg_log2(mix(client ^ target->balance_id));

		/* log / weight, without a division */
		if (best >= 0 && log * best_weight >= best_log * weight)
			continue;
		best = (int)index;
		best_log = log;
		best_weight = weight;
	}
	return best;
}

int balance_choose(const struct serving *serving, uint64_t candidates,
		   uint64_t client)
{
	switch (serving->balance) {
	case SERVICE_BALANCE_ROUND_ROBIN:
		break;
	case SERVICE_BALANCE_LEAST_CONNECTIONS:
		candidates = least_busy(serving, candidates);
		break;
	case SERVICE_BALANCE_HASH:
		return choose_by_hash(serving, candidates, client);
	}
	return choose_in_turn(serving, candidates);
}

uint64_t balance_client(const struct ip_addr *address)
{
	/* Known to everybody, because every relay must find the same. It is no
	 * defence against clients who choose their addresses. */
	static const uint64_t key[2] = { UINT64_C(0x6265727468206261),
					 UINT64_C(0x6c616e6365206b31) };
	uint64_t words[3] = { address->family };

	_Static_assert(sizeof(address->bytes) == 2 * sizeof(words[0]), "fits");
	memcpy(&words[1], address->bytes, sizeof(address->bytes));
	words[1] = le64toh(words[1]);
	words[2] = le64toh(words[2]);
	return siphash(key, words, ARRAY_SIZE(words));
}
