// SPDX-License-Identifier: Apache-2.0
/* watcher.c - which network namespaces exist, their names and addresses
 *
 * Puts the parts together: follow.c for the names (with dirwatch, mounts,
 * processes, resolve, names), monitor.c for what is inside (with netlink,
 * observed, lingering); registry.c is what both know.
 */
#include "watcher/watcher.h"

#include "common/log.h"
#include "common/util.h"
#include "watcher/watcher_internal.h"

int watcher_new(struct loop *loop, const struct watcher_config *config,
		const struct watcher_ops *ops, void *user_data,
		struct watcher **ret_watcher)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	int r;

	if (!watcher)
		return -ENOMEM;
	watcher->loop = loop;
	watcher->ops = *ops;
	watcher->user_data = user_data;
	watcher->mounts = config->mounts;
	watcher->max_addresses = config->max_addresses;
	r = follow_open(watcher, config->dirs, config->n_dirs);
	if (r == 0)
		r = monitor_open(watcher, config->netlink_buffer_bytes);
	if (r < 0) {
		watcher_free(watcher);
		return r;
	}
	*ret_watcher = watcher;
	return 0;
}

struct watcher *watcher_free(struct watcher *watcher)
{
	if (!watcher)
		return NULL;
	follow_close(watcher);
	monitor_close(watcher);
	registry_done(&watcher->registry);
	free(watcher);
	return NULL;
}

void watcher_tell_changed(struct watcher *watcher, struct tracked *tracked)
{
	if (tracked->nsid == NSID_NONE && !tracked->nsid_waiting)
		monitor_added(watcher, tracked);
	watcher->ops.changed(&tracked->netns, watcher->user_data);
}

void watcher_tell_gone(struct watcher *watcher, struct tracked *tracked)
{
	watcher->ops.gone(&tracked->netns, watcher->user_data);
	monitor_gone(watcher, tracked);
	registry_remove(&watcher->registry, tracked);
}

bool watcher_step(struct watcher *watcher)
{
	bool more;

	if (!watcher->host_told) {
		watcher->host_told = true;
		watcher->ops.changed(&names_host(watcher->names)->netns,
				     watcher->user_data);
	}
	names_flush(watcher->names, loop_now_us(watcher->loop));
	more = follow_step(watcher);
	more |= monitor_step(watcher);
	more |= names_flush_due(watcher->names);
	if (!watcher->settled && !follow_scanning(watcher))
		watcher->settled = true;
	return more;
}

bool watcher_batch_end(struct watcher *watcher, bool idle)
{
	follow_batch_end(watcher);
	if (idle && monitor_assign_step(watcher))
		return true;
	return watcher->stale_id || names_flush_due(watcher->names);
}

bool watcher_settled(const struct watcher *watcher)
{
	return watcher->settled;
}

int watcher_open_netns(struct watcher *watcher, const struct netns *netns)
{
	const struct tracked *tracked = tracked_of(netns);
	struct resolution resolution;
	const char *reason;
	int result, fresh_fd;

	if (netns->host)
		return -EINVAL;
	fresh_fd = follow_take_fresh(watcher, tracked);
	if (fresh_fd >= 0)
		return fresh_fd;
	result = -ESTALE;
	for (size_t i = 0; i < netns->n_names; i++) {
		int fd = resolve_open(netns->names[i].dir, netns->names[i].name,
				      netns->id, &resolution, &reason);

		if (fd == -ENOENT || fd == -ENOLINK || fd == -EMEDIUMTYPE)
			continue;
		if (fd < 0) {
			result = fd;
			continue;
		}
		if (resolution.pid_fd >= 0)
			(void)close(resolution.pid_fd);
		if (names_is_same(tracked, &resolution))
			return fd;
		(void)close(fd);
	}
	if (result == -ESTALE)
		follow_stale(watcher, tracked);
	return result;
}

int watcher_observe_addresses(struct watcher *watcher, struct netns *netns)
{
	return monitor_observe(watcher, tracked_of(netns));
}

struct netns *watcher_next(struct watcher *watcher, struct netns *previous)
{
	struct tracked *tracked = previous ? tracked_of(previous)->by_id.next
					   : watcher->registry.by_id;

	while (tracked && tracked->netns.n_names == 0 && !tracked->netns.host)
		tracked = tracked->by_id.next;
	return tracked ? &tracked->netns : NULL;
}

struct netns *watcher_find(struct watcher *watcher, uint64_t netns_id)
{
	struct tracked *tracked = registry_find(&watcher->registry, netns_id);

	if (!tracked || (tracked->netns.n_names == 0 && !tracked->netns.host))
		return NULL;
	return &tracked->netns;
}

const struct netns *watcher_find_name(const struct watcher *watcher,
				      const char *name)
{
	const struct tracked *tracked = names_lookup(watcher->names, name);

	return tracked ? &tracked->netns : NULL;
}

int watcher_nsid(const struct watcher *watcher, const struct netns *netns)
{
	(void)watcher;
	return tracked_of(netns)->nsid;
}

size_t watcher_pending_names(const struct watcher *watcher,
			     struct watcher_pending *ret_pending, size_t max)
{
	return names_pending(watcher->names, ret_pending, max);
}

size_t watcher_lingering(const struct watcher *watcher,
			 struct watcher_lingering *ret_lingering, size_t max)
{
	const struct remnant *remnant = watcher->lingering.by_nsid;

	for (size_t i = 0; i < max && remnant;
	     i++, remnant = remnant->by_nsid.next)
		ret_lingering[i] = (struct watcher_lingering){
			.netns_id = remnant->netns_id,
			.name = remnant->name ? remnant->name : "",
			.nsid = remnant->nsid,
			.since_us = remnant->since_us,
		};
	return lingering_count(&watcher->lingering);
}

void watcher_get_stats(const struct watcher *watcher,
		       struct watcher_stats *ret_stats)
{
	*ret_stats = watcher->stats;
	ret_stats->netlink_events = netlink_events_count(watcher->events);
	ret_stats->names_overflows = dirwatch_overflows(watcher->dirwatch);
}

size_t watcher_dir_count(const struct watcher *watcher)
{
	return watcher->n_scans;
}

const char *watcher_dir(const struct watcher *watcher, size_t index,
			bool *ret_exists)
{
	*ret_exists = dirwatch_exists(watcher->dirwatch, index);
	return dirwatch_path(watcher->dirwatch, index);
}
