// SPDX-License-Identifier: Apache-2.0
/* lingering.c - namespaces without a name that the kernel has not freed */
#include "watcher/lingering.h"

#include "common/util.h"

/* Other programs can pin namespaces for ever. 100 bytes each: 1.6 MB. */
#define LINGERING_MAX 16384

static void remnant_remove(struct lingering *lingering, struct remnant *remnant)
{
	/* NOLINTNEXTLINE: the analyzer takes the table to be empty */
	HASH_DELETE(by_nsid, lingering->by_nsid, remnant);
	/* The analyzer thinks that it may be in one of the tables only.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DELETE(by_id, lingering->by_id, remnant);
	free(remnant->name);
	free(remnant);
}

static struct remnant *find_nsid(const struct lingering *lingering, int nsid)
{
	struct remnant *remnant;

	HASH_FIND(by_nsid, lingering->by_nsid, &nsid, sizeof(nsid), remnant);
	return remnant;
}

static struct remnant *find_id(const struct lingering *lingering, uint64_t id)
{
	struct remnant *remnant;

	HASH_FIND(by_id, lingering->by_id, &id, sizeof(id), remnant);
	return remnant;
}

int lingering_add(struct lingering *lingering, uint64_t netns_id, int nsid,
		  char *name, uint64_t since_us)
{
	_cleanup_free_ char *own_name = name;
	struct remnant *remnant = find_nsid(lingering, nsid);

	if (remnant)
		remnant_remove(lingering, remnant);
	if (lingering_count(lingering) >= LINGERING_MAX)
		return -ENOSPC;
	remnant = calloc(1, sizeof(*remnant));
	if (!remnant)
		return -ENOMEM;
	remnant->netns_id = netns_id;
	remnant->nsid = nsid;
	remnant->since_us = since_us;
	remnant->round = lingering->round;
	HASH_ADD(by_nsid, lingering->by_nsid, nsid, sizeof(nsid), remnant);
	if (!remnant->by_nsid.tbl) {
		free(remnant);
		return -ENOMEM;
	}
	HASH_ADD(by_id, lingering->by_id, netns_id, sizeof(netns_id), remnant);
	if (!remnant->by_id.tbl) {
		HASH_DELETE(by_nsid, lingering->by_nsid, remnant);
		free(remnant);
		return -ENOMEM;
	}
	remnant->name = TAKE_PTR(own_name);
	return 0;
}

bool lingering_freed(struct lingering *lingering, int nsid,
		     void (*freed)(uint64_t netns_id, uint64_t since_us,
				   void *user_data),
		     void *user_data)
{
	struct remnant *remnant = find_nsid(lingering, nsid);

	if (!remnant)
		return false;
	freed(remnant->netns_id, remnant->since_us, user_data);
	remnant_remove(lingering, remnant);
	return true;
}

int lingering_take_id(struct lingering *lingering, uint64_t netns_id)
{
	struct remnant *remnant = find_id(lingering, netns_id);
	int nsid;

	if (!remnant)
		return -1;
	nsid = remnant->nsid;
	remnant_remove(lingering, remnant);
	return nsid;
}

void lingering_check_begin(struct lingering *lingering)
{
	lingering->round++;
}

void lingering_check_seen(struct lingering *lingering, int nsid)
{
	struct remnant *remnant = find_nsid(lingering, nsid);

	if (remnant)
		remnant->round = lingering->round;
}

void lingering_check_end(struct lingering *lingering,
			 void (*freed)(uint64_t netns_id, uint64_t since_us,
				       void *user_data),
			 void *user_data)
{
	struct remnant *remnant, *next;

	HASH_ITER (by_nsid, lingering->by_nsid, remnant, next) {
		if (remnant->round == lingering->round)
			continue;
		freed(remnant->netns_id, remnant->since_us, user_data);
		remnant_remove(lingering, remnant);
	}
}

size_t lingering_count(const struct lingering *lingering)
{
	return HASH_CNT(by_nsid, lingering->by_nsid);
}

size_t lingering_list(const struct lingering *lingering,
		      struct watcher_lingering *ret_list, size_t max)
{
	const struct remnant *remnant = lingering->by_nsid;

	for (size_t i = 0; i < max && remnant;
	     i++, remnant = remnant->by_nsid.next)
		ret_list[i] = (struct watcher_lingering){
			.netns_id = remnant->netns_id,
			.name = remnant->name ? remnant->name : "",
			.nsid = remnant->nsid,
			.since_us = remnant->since_us,
		};
	return lingering_count(lingering);
}

const char *lingering_name(const struct lingering *lingering, uint64_t netns_id)
{
	const struct remnant *remnant = find_id(lingering, netns_id);

	return remnant ? remnant->name : NULL;
}

void lingering_done(struct lingering *lingering)
{
	struct remnant *remnant, *next;

	HASH_ITER (by_nsid, lingering->by_nsid, remnant, next)
		remnant_remove(lingering, remnant);
}
