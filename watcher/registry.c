// SPDX-License-Identifier: Apache-2.0
/* registry.c - the namespaces that are watched, by id and by nsid */
#include "watcher/registry.h"

#include "common/util.h"
#include "watcher/resolve.h"

struct tracked *registry_add(struct registry *registry, uint64_t id)
{
	struct tracked *tracked = calloc(1, sizeof(*tracked));

	if (!tracked)
		return NULL;
	tracked->netns.id = id;
	tracked->netns.since_us = monotonic_us();
	tracked->nsid = NSID_NONE;
	HASH_ADD(by_id, registry->by_id, netns.id, sizeof(id), tracked);
	if (!tracked->by_id.tbl) {
		free(tracked);
		return NULL;
	}
	return tracked;
}

void registry_remove(struct registry *registry, struct tracked *tracked)
{
	(void)registry_set_nsid(registry, tracked, NSID_NONE, false);
	HASH_DELETE(by_id, registry->by_id, tracked);
	free(tracked->netns.names);
	free(tracked->netns.interfaces);
	free(tracked->netns.addresses);
	free(tracked->netns.containers);
	free(tracked->container_facts);
	free(tracked->last_name);
	free(tracked);
}

void registry_done(struct registry *registry)
{
	struct tracked *tracked, *next;

	HASH_ITER (by_id, registry->by_id, tracked, next)
		registry_remove(registry, tracked);
}

struct tracked *registry_find(const struct registry *registry, uint64_t id)
{
	struct tracked *tracked;

	HASH_FIND(by_id, registry->by_id, &id, sizeof(id), tracked);
	return tracked;
}

struct tracked *registry_find_nsid(const struct registry *registry, int nsid)
{
	struct tracked *tracked;

	HASH_FIND(by_nsid, registry->by_nsid, &nsid, sizeof(nsid), tracked);
	return tracked;
}

int registry_set_nsid(struct registry *registry, struct tracked *tracked,
		      int nsid, bool announced)
{
	struct tracked *other;

	tracked->nsid_announced = announced;
	if (nsid == tracked->nsid)
		return 0;
	if (tracked->nsid != NSID_NONE)
		HASH_DELETE(by_nsid, registry->by_nsid, tracked);
	tracked->nsid = NSID_NONE;
	if (nsid == NSID_NONE)
		return 0;
	other = registry_find_nsid(registry, nsid);
	if (other) {
		HASH_DELETE(by_nsid, registry->by_nsid, other);
		other->nsid = NSID_NONE;
	}
	tracked->nsid = nsid;
	HASH_ADD(by_nsid, registry->by_nsid, nsid, sizeof(nsid), tracked);
	if (!tracked->by_nsid.tbl) {
		tracked->nsid = NSID_NONE;
		return -ENOMEM;
	}
	return 0;
}

bool tracked_is(const struct tracked *tracked,
		const struct resolution *resolution)
{
	if (resolution->cookie)
		return tracked->netns.id == resolution->cookie;
	return tracked->dev == resolution->dev &&
	       tracked->inode == resolution->inode;
}
