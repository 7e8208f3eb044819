// SPDX-License-Identifier: Apache-2.0
/* udp_answers.c - recognizes datagrams that are answers of the relay's own
 * listeners
 *
 * Theory of operation: somebody may forge a datagram to one listener so that it
 * seems to come from another one. The answer goes to the other listener, which
 * answers it, and so on for ever. So if a listener answers to a port that some
 * listener has, both ends of the answer are noted. If a datagram comes from
 * such a port, its ends are looked up: if it is an answer that was just sent,
 * it is not answered. The ends are the same in every namespace, as long as
 * nothing translates addresses.
 *
 * Clients on such a port are seldom. Nearly all of them are not the relay, but
 * servers that ask each other, from port 53 to port 53. They are served,
 * because no listener of the relay has sent what they send.
 *
 * The table has a fixed size, and the oldest note makes room. A flood of
 * forged sources may push a note out in the moments that an answer takes, but
 * not every note, and one is enough to end the circle. Notes are hashes. They
 * are written and read without a lock: one that is half written matches
 * nothing.
 */
#include "relay/udp/udp_answers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/ip.h"
#include "common/siphash.h"
#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/udp/udp_address.h"

/* How long an answer is recognized: longer than it travels on one host, even
 * through a slow link of a test bed; short enough that a program which takes
 * the port of a listener that is gone is served soon. */
#define FRESH_US (10 * USEC_PER_SEC)

/* How many notes there are, and how many of them are a group, in which the
 * oldest makes room. Powers of two. */
#define NOTES 4096
#define GROUP 4

struct note {
	_Atomic uint64_t hash;
	_Atomic uint64_t at_us;
};

static struct note notes[NOTES];
static uint64_t secret[2];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void secret_init(void)
{
	siphash_secret(secret);
}

/* Return: the hash of the ends of a datagram from @from to @to, which @listener
 * sent or received; ports in host byte order. */
static uint64_t hash_ends(const struct listener *listener,
			  const struct ip_addr *from, uint16_t from_port,
			  const struct ip_addr *to, uint16_t to_port)
{
	/* A datagram that cannot leave its namespace has the same ends as
	 * others, elsewhere. */
	bool inside = ip_addr_is_loopback(from) || ip_addr_equal(from, to);
	uint64_t words[6] = {
		(uint64_t)from->family << 40 | (uint64_t)to->family << 32 |
			(uint64_t)from_port << 16 | to_port,
		inside ? listener->netns_id : UINT64_MAX,
	};

	memcpy(&words[2], from->bytes, sizeof(from->bytes));
	memcpy(&words[4], to->bytes, sizeof(to->bytes));
	(void)pthread_once(&secret_once, secret_init);
	return siphash(secret, words, ARRAY_SIZE(words));
}

static struct note *group_of(uint64_t hash)
{
	return &notes[hash % (NOTES / GROUP) * GROUP];
}

void udp_answers_note(const struct listener *listener,
		      const struct udp_key *key, uint64_t now_us)
{
	struct ip_addr client, local;
	struct note *group, *place;
	uint64_t hash, at_us, oldest_us = UINT64_MAX;

	udp_key_ends(key, &client, &local);
	hash = hash_ends(listener, &local, listener->port, &client,
			 ntohs(key->port));
	place = group = group_of(hash);
	for (size_t i = 0; i < GROUP; i++) {
		at_us = atomic_load_explicit(&group[i].at_us,
					     memory_order_relaxed);
		if (atomic_load_explicit(&group[i].hash,
					 memory_order_relaxed) == hash)
			at_us = 0;
		if (at_us < oldest_us) {
			oldest_us = at_us;
			place = &group[i];
		}
	}
	atomic_store_explicit(&place->hash, hash, memory_order_relaxed);
	atomic_store_explicit(&place->at_us, now_us, memory_order_release);
}

bool udp_answers_has(const struct listener *listener, const struct udp_key *key,
		     uint64_t now_us)
{
	struct ip_addr client, local;
	struct note *group;
	uint64_t hash, at_us;

	udp_key_ends(key, &client, &local);
	hash = hash_ends(listener, &client, ntohs(key->port), &local,
			 listener->port);
	group = group_of(hash);
	for (size_t i = 0; i < GROUP; i++) {
		at_us = atomic_load_explicit(&group[i].at_us,
					     memory_order_acquire);
		if (at_us > 0 && now_us < at_us + FRESH_US &&
		    atomic_load_explicit(&group[i].hash,
					 memory_order_relaxed) == hash)
			return true;
	}
	return false;
}
