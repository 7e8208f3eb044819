// SPDX-License-Identifier: Apache-2.0
/* limiter.c - how much clients had lately, of what a rule limits
 *
 * Theory of operation: an entry is a window of one client, in one namespace,
 * for one limit. Clients choose how many there are, because nobody stops them
 * from using many addresses. So each namespace has a list of its own entries,
 * and what makes room for a new one is its own entry that was not used for
 * longest: whatever a namespace does, it makes those of no other be forgotten.
 * A client that is forgotten begins anew.
 *
 * A namespace is in one of several shards, each with a lock, so that workers
 * rarely wait for each other. An entry whose windows are over says nothing any
 * more. With each client two entries of the shard are looked at for that, one
 * after the other. So entries of namespaces that are gone go, too.
 *
 * A limit is known by a number that is made of what the rule says. So windows
 * outlive a reload that leaves the limit as it is, and those of a limit that
 * was changed are left to become old.
 */
#include "relay/core/limiter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/siphash.h"
#include "common/util.h"
#include "relay/core/rate_window.h"

/* Powers of two. */
#define SHARDS 16
#define BUCKETS 8192
#define NETNS_BUCKETS 256

/* Entries take 112 bytes: 1 MiB for a namespace with as many clients as it may
 * have, and 32 MiB for all. Beyond that each namespace still has some, 8 KiB.
 */
#define NETNS_ENTRIES 8192
#define ALL_ENTRIES (256 * 1024)
#define OWN_ENTRIES 64

/* Entries that are looked at for each client, whether they are over. */
#define SWEEP 2

/**
 * struct limiter_netns - of a namespace that has entries
 * @entries:	a utlist.h list, those not used for longest first
 */
struct limiter_netns {
	struct limiter_netns *next_in_bucket;
	uint64_t id;
	size_t n;
	struct limiter_entry *entries;
};

/**
 * struct limiter_entry - see the file's head
 * @prev, @next: in limiter_netns.entries
 * @all_prev, @all_next: in limiter_shard.all
 * @client:	of IPv6, only the bits that count
 */
struct limiter_entry {
	struct limiter_entry *next_in_bucket;
	struct limiter_entry *prev, *next;
	struct limiter_entry *all_prev, *all_next;
	struct limiter_netns *netns;
	uint64_t limit_id;
	uint64_t per_us;
	struct rate_window window;
	struct ip_addr client;
};

/**
 * struct limiter_shard - some of the namespaces
 * @hand:	the entry in @all that is looked at next; NULL: the first
 */
struct limiter_shard {
	pthread_mutex_t lock;
	struct limiter_netns *netns[NETNS_BUCKETS];
	struct limiter_entry *buckets[BUCKETS];
	struct limiter_entry *all;
	struct limiter_entry *hand;
};

static struct limiter_shard shards[SHARDS] = {
	[0 ... SHARDS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER },
};
static atomic_size_t n_entries;
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;
static uint64_t secret[2];

static void make_secret(void)
{
	siphash_secret(secret);
}

static uint64_t netns_hash(uint64_t netns_id)
{
	return siphash(secret, &netns_id, 1);
}

static struct limiter_entry **bucket_of(struct limiter_shard *shard,
					uint64_t netns_id, uint64_t limit_id,
					const struct ip_addr *client)
{
	uint64_t words[5] = { netns_id, limit_id, client->family };

	_Static_assert(sizeof(client->bytes) == 2 * sizeof(words[0]), "fits");
	memcpy(&words[3], client->bytes, sizeof(client->bytes));
	return &shard->buckets[siphash(secret, words, ARRAY_SIZE(words)) %
			       BUCKETS];
}

/* Namespaces */

static struct limiter_netns **netns_link(struct limiter_shard *shard,
					 uint64_t netns_id)
{
	struct limiter_netns **link =
		&shard->netns[netns_hash(netns_id) / SHARDS % NETNS_BUCKETS];

	while (*link && (*link)->id != netns_id)
		link = &(*link)->next_in_bucket;
	return link;
}

static void netns_free_if_empty(struct limiter_shard *shard,
				struct limiter_netns *netns)
{
	struct limiter_netns **link;

	if (netns->n > 0)
		return;
	link = netns_link(shard, netns->id);
	*link = netns->next_in_bucket;
	free(netns);
}

/* Return: NULL: no memory. */
static struct limiter_netns *netns_get(struct limiter_shard *shard,
				       uint64_t netns_id)
{
	struct limiter_netns **link = netns_link(shard, netns_id);
	struct limiter_netns *netns = *link;

	if (netns)
		return netns;
	netns = calloc(1, sizeof(*netns));
	if (netns)
		netns->id = netns_id;
	*link = netns;
	return netns;
}

/* Entries */

/* Takes @entry out of everything but its namespace's existence. */
static void entry_free(struct limiter_shard *shard, struct limiter_entry *entry)
{
	struct limiter_netns *netns = entry->netns;
	struct limiter_entry **link =
		bucket_of(shard, netns->id, entry->limit_id, &entry->client);

	while (*link != entry)
		link = &(*link)->next_in_bucket;
	*link = entry->next_in_bucket;
	if (shard->hand == entry)
		shard->hand = entry->all_next;
	DL_DELETE2(shard->all, entry, all_prev, all_next);
	DL_DELETE(netns->entries, entry);
	netns->n--;
	free(entry);
	(void)atomic_fetch_sub(&n_entries, 1);
}

static void sweep(struct limiter_shard *shard, uint64_t now_us)
{
	for (int i = 0; i < SWEEP && shard->all; i++) {
		struct limiter_entry *entry = shard->hand ? shard->hand
							  : shard->all;
		struct limiter_netns *netns = entry->netns;

		shard->hand = entry->all_next;
		if (!rate_window_is_over(&entry->window, entry->per_us, now_us))
			continue;
		entry_free(shard, entry);
		netns_free_if_empty(shard, netns);
	}
}

static bool netns_is_full(const struct limiter_netns *netns)
{
	return netns->n >= NETNS_ENTRIES ||
	       (netns->n >= OWN_ENTRIES &&
		atomic_load(&n_entries) >= ALL_ENTRIES);
}

/* Return: the entry, perhaps a new one; NULL: no memory. */
static struct limiter_entry *entry_get(struct limiter_shard *shard,
				       struct limiter_netns *netns,
				       const struct limiter_limit *limit,
				       const struct ip_addr *client)
{
	struct limiter_entry **bucket =
		bucket_of(shard, netns->id, limit->id, client);
	struct limiter_entry *entry = *bucket;

	while (entry &&
	       (entry->netns != netns || entry->limit_id != limit->id ||
		!ip_addr_equal(&entry->client, client)))
		entry = entry->next_in_bucket;
	if (entry) {
		DL_DELETE(netns->entries, entry);
		DL_APPEND(netns->entries, entry);
		return entry;
	}
	if (netns_is_full(netns))
		entry_free(shard, netns->entries);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->netns = netns;
	entry->limit_id = limit->id;
	entry->per_us = limit->rate.per_ms * USEC_PER_MSEC;
	entry->client = *client;
	entry->next_in_bucket = *bucket;
	*bucket = entry;
	DL_APPEND(netns->entries, entry);
	DL_APPEND2(shard->all, entry, all_prev, all_next);
	netns->n++;
	(void)atomic_fetch_add(&n_entries, 1);
	return entry;
}

/* Clients */

/* The client as the limit counts it. Link-local addresses of one network have
 * all the same prefix. */
static struct ip_addr counted_as(const struct ip_addr *client,
				 const struct rate_limit *rate)
{
	struct ip_addr addr = *client;

	if (addr.family != AF_INET6 || ip_addr_is_link_local(&addr))
		return addr;
	for (unsigned int bit = rate->ipv6_prefix; bit < 128; bit++)
		addr.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return addr;
}

/* Return: how long the client has to be silent; 0: it may have one more. */
static uint64_t take(struct limiter_shard *shard, struct limiter_netns *netns,
		     const struct limiter_limit *limit,
		     const struct ip_addr *client, uint64_t now_us)
{
	struct ip_addr counted = counted_as(client, &limit->rate);
	struct limiter_entry *entry = entry_get(shard, netns, limit, &counted);

	if (!entry || rate_window_add(&entry->window, entry->per_us, now_us) <=
			      limit->rate.count)
		return 0;
	return rate_window_wait_us(&entry->window, limit->rate.count,
				   entry->per_us, now_us);
}

bool limiter_take(const struct limiter_limit *limits, size_t n,
		  uint64_t netns_id, const struct ip_addr *client,
		  uint64_t now_us, uint64_t *ret_wait_us)
{
	struct limiter_shard *shard;
	struct limiter_netns *netns;
	uint64_t wait_us = 0;

	if (n == 0)
		return true;
	(void)pthread_once(&secret_once, make_secret); /* cannot fail */
	shard = &shards[netns_hash(netns_id) % SHARDS];
	(void)pthread_mutex_lock(&shard->lock);
	sweep(shard, now_us);
	netns = netns_get(shard, netns_id);
	for (size_t i = 0; netns && i < n; i++) {
		uint64_t us = take(shard, netns, &limits[i], client, now_us);

		wait_us = us > wait_us ? us : wait_us;
	}
	if (netns)
		netns_free_if_empty(shard, netns);
	(void)pthread_mutex_unlock(&shard->lock);
	if (wait_us > 0 && ret_wait_us)
		*ret_wait_us = wait_us;
	return wait_us == 0;
}

size_t limiter_entries(void)
{
	return atomic_load(&n_entries);
}

void limiter_forget(void)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct limiter_shard *shard = &shards[i];

		while (shard->all) {
			struct limiter_netns *netns = shard->all->netns;

			entry_free(shard, shard->all);
			netns_free_if_empty(shard, netns);
		}
	}
}
