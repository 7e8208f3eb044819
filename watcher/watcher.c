// SPDX-License-Identifier: Apache-2.0
/* watcher.c - which network namespaces exist, their names and addresses
 *
 * Puts the parts together: registry.c holds the namespaces, follow.c keeps
 * their names up to date, monitor.c their nsids, interfaces and addresses,
 * containers.c what was told of their containers, registrations.c who
 * registered any. These four do not know one another: what one has to ask or
 * tell another goes through here.
 */
#include "watcher/watcher.h"

#include "common/util.h"
#include "watcher/containers.h"
#include "watcher/follow.h"
#include "watcher/monitor.h"
#include "watcher/netns_path.h"
#include "watcher/news.h"
#include "watcher/registrations.h"
#include "watcher/registry.h"

/**
 * struct watcher - see watcher.h
 * @host_told:	the owner was told of the host's namespace
 * @settled:	all that existed at the start was looked at
 */
struct watcher {
	struct watcher_ops ops;
	void *user_data;
	struct registry registry;
	struct follow *follow;
	struct monitor *monitor;
	struct containers *containers;
	struct registrations *registrations;
	bool host_told;
	bool settled;
};

static void tell_changed(struct watcher *watcher, struct tracked *tracked)
{
	watcher->ops.changed(&tracked->netns, watcher->user_data);
}

static void names_changed(struct tracked *tracked, void *user_data)
{
	struct watcher *watcher = user_data;

	news_names(&watcher->ops.news, &tracked->netns,
		   /* is_new= */ !tracked->told);
	tracked->told = true;
	monitor_added(watcher->monitor, tracked);
	containers_names_changed(watcher->containers, tracked);
	tell_changed(watcher, tracked);
}

/* The containers outlive their namespace, and may be in another one later. */
static void tell_containers_gone(const struct watcher *watcher,
				 const struct netns *netns)
{
	struct netns empty = *netns;

	empty.n_containers = 0;
	news_containers(&watcher->ops.news, &empty, netns->containers,
			netns->n_containers);
}

static void last_name_gone(struct tracked *tracked, void *user_data)
{
	struct watcher *watcher = user_data;

	if (registrations_keep(watcher->registrations, tracked))
		return;
	tell_containers_gone(watcher, &tracked->netns);
	watcher->ops.gone(&tracked->netns, watcher->user_data);
	monitor_gone(watcher->monitor, tracked);
	registrations_gone(watcher->registrations, tracked);
	containers_gone(watcher->containers, tracked);
	registry_remove(&watcher->registry, tracked);
}

static int open_registered(const char *name, struct resolution *ret,
			   const char **ret_reason, void *user_data)
{
	struct watcher *watcher = user_data;

	return registrations_open(watcher->registrations, name, ret,
				  ret_reason);
}

static const struct follow_ops follow_ops = {
	.changed = names_changed,
	.gone = last_name_gone,
	.open_registered = open_registered,
};

static int open_tracked(const struct tracked *tracked, void *user_data)
{
	struct watcher *watcher = user_data;

	return follow_open_netns(watcher->follow, tracked);
}

static void recheck(struct tracked *tracked, void *user_data)
{
	struct watcher *watcher = user_data;

	follow_recheck(watcher->follow, tracked);
}

static const char *watched_dir(const char *dir, void *user_data)
{
	const struct watcher *watcher = user_data;

	return follow_watched_dir(watcher->follow, dir);
}

static struct tracked *find_in(const char *dir, const char *name,
			       void *user_data)
{
	const struct watcher *watcher = user_data;

	return follow_find_in(watcher->follow, dir, name);
}

static int resolve_path(const struct netns_path *path, struct resolution *ret,
			const char **ret_reason, void *user_data)
{
	(void)user_data;
	return netns_path_resolve(path, ret, ret_reason);
}

/* A namespace that has lost its last name is about to be told gone. */
static bool is_there(const struct tracked *tracked)
{
	return tracked->netns.n_names > 0 || tracked->netns.host;
}

static void containers_changed(struct tracked *tracked, void *user_data)
{
	if (is_there(tracked))
		tell_changed(user_data, tracked);
}

static void containers_rebuilt(struct tracked *tracked,
			       const struct container *const *before, size_t n,
			       void *user_data)
{
	const struct watcher *watcher = user_data;

	news_containers(&watcher->ops.news, &tracked->netns, before, n);
}

static const struct containers_ops containers_ops = {
	.watched_dir = watched_dir,
	.find = find_in,
	.resolve = resolve_path,
	.changed = containers_changed,
	.rebuilt = containers_rebuilt,
};

static void look_at(const char *path, void *user_data)
{
	const struct watcher *watcher = user_data;
	struct netns_path split;
	const char *dir;

	if (netns_path_split(path, &split) < 0)
		return;
	netns_path_follow_links(&split);
	dir = follow_watched_dir(watcher->follow, split.dir);
	if (dir)
		follow_look_at(watcher->follow, dir, split.name);
}

static bool name_taken(const char *name, void *user_data)
{
	const struct watcher *watcher = user_data;

	return follow_find_name(watcher->follow, name);
}

static void name_add(const char *name, void *user_data)
{
	const struct watcher *watcher = user_data;

	follow_registered(watcher->follow, name, /* is_there= */ true);
}

static void name_remove(const char *name, void *user_data)
{
	const struct watcher *watcher = user_data;

	follow_registered(watcher->follow, name, /* is_there= */ false);
}

static int tell_containers(const char *source,
			   const struct container_told *told, size_t n,
			   void *user_data)
{
	const struct watcher *watcher = user_data;

	return containers_tell(watcher->containers, source, told, n);
}

static void registration_ended(const struct registration *registration,
			       const char *reason, void *user_data)
{
	const struct watcher *watcher = user_data;

	watcher->ops.registration_ended(registration, reason,
					watcher->user_data);
}

static void registrations_changed(void *user_data)
{
	const struct watcher *watcher = user_data;

	watcher->ops.registrations_changed(watcher->user_data);
}

static const struct registrations_ops registrations_ops = {
	.look_at = look_at,
	.taken = name_taken,
	.name_add = name_add,
	.name_remove = name_remove,
	.tell = tell_containers,
	.ended = registration_ended,
	.changed = registrations_changed,
};

static void addresses_changed(struct tracked *tracked, void *user_data)
{
	tell_changed(user_data, tracked);
}

static void freed(uint64_t netns_id, uint64_t elapsed_us, void *user_data)
{
	struct watcher *watcher = user_data;

	watcher->ops.freed(netns_id, elapsed_us, watcher->user_data);
}

static const struct monitor_ops monitor_ops = {
	.open_netns = open_tracked,
	.recheck = recheck,
	.changed = addresses_changed,
	.freed = freed,
};

static int open_parts(struct watcher *watcher, struct loop *loop,
		      const struct watcher_config *config)
{
	const struct follow_config follow = {
		.loop = loop,
		.registry = &watcher->registry,
		.mounts = config->mounts,
		.dirs = config->dirs,
		.n_dirs = config->n_dirs,
	};
	const struct monitor_config monitor = {
		.loop = loop,
		.registry = &watcher->registry,
		.max_addresses = config->max_addresses,
		.buffer_bytes = config->netlink_buffer_bytes,
		.news = &watcher->ops.news,
	};
	int r;

	watcher->containers =
		containers_new(&watcher->registry, &containers_ops, watcher);
	if (!watcher->containers)
		return -ENOMEM;
	r = registrations_new(loop, &watcher->registry, &registrations_ops,
			      watcher, &watcher->registrations);
	if (r < 0)
		return r;
	r = follow_new(&follow, &follow_ops, watcher, &watcher->follow);
	return r < 0 ? r
		     : monitor_new(&monitor, &monitor_ops, watcher,
				   &watcher->monitor);
}

int watcher_new(struct loop *loop, const struct watcher_config *config,
		const struct watcher_ops *ops, void *user_data,
		struct watcher **ret_watcher)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	int r;

	if (!watcher)
		return -ENOMEM;
	watcher->ops = *ops;
	watcher->user_data = user_data;
	watcher->ops.news.user_data = user_data;
	r = open_parts(watcher, loop, config);
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
	registrations_free(watcher->registrations);
	follow_free(watcher->follow);
	monitor_free(watcher->monitor);
	containers_free(watcher->containers);
	registry_done(&watcher->registry);
	free(watcher);
	return NULL;
}

bool watcher_step(struct watcher *watcher)
{
	bool more;

	if (!watcher->host_told) {
		watcher->host_told = true;
		watcher->registry.host->told = true;
		tell_changed(watcher, watcher->registry.host);
	}
	(void)registrations_step(watcher->registrations); /* before the flush */
	more = follow_step(watcher->follow);
	more |= monitor_step(watcher->monitor);
	more |= containers_step(watcher->containers);
	if (!watcher->settled && !follow_scanning(watcher->follow)) {
		watcher->settled = true;
		registrations_settled(watcher->registrations);
	}
	more |= registrations_step(watcher->registrations);
	more |= follow_step_due(watcher->follow);
	return more;
}

bool watcher_batch_end(struct watcher *watcher, bool idle)
{
	follow_batch_end(watcher->follow);
	if (idle && monitor_assign_step(watcher->monitor))
		return true;
	return follow_step_due(watcher->follow);
}

bool watcher_settled(const struct watcher *watcher)
{
	return watcher->settled;
}

int watcher_open_netns(struct watcher *watcher, const struct netns *netns)
{
	return follow_open_netns(watcher->follow, tracked_of(netns));
}

int watcher_observe_addresses(struct watcher *watcher, struct netns *netns)
{
	return monitor_observe(watcher->monitor, tracked_of(netns));
}

int watcher_read_addresses(struct watcher *watcher, struct netns *netns)
{
	return monitor_read(watcher->monitor, tracked_of(netns));
}

struct netns *watcher_next(struct watcher *watcher, struct netns *previous)
{
	struct tracked *tracked = previous ? tracked_of(previous)->by_id.next
					   : watcher->registry.by_id;

	while (tracked && !is_there(tracked))
		tracked = tracked->by_id.next;
	return tracked ? &tracked->netns : NULL;
}

struct netns *watcher_find(struct watcher *watcher, uint64_t netns_id)
{
	struct tracked *tracked = registry_find(&watcher->registry, netns_id);

	return tracked && is_there(tracked) ? &tracked->netns : NULL;
}

const struct netns *watcher_find_name(const struct watcher *watcher,
				      const char *name)
{
	const struct tracked *tracked = follow_find_name(watcher->follow, name);

	return tracked ? &tracked->netns : NULL;
}

int watcher_find_path(struct watcher *watcher, const char *path,
		      struct netns **ret_netns, const char **ret_reason)
{
	struct resolution resolution;
	struct netns_path split;
	struct tracked *tracked;
	const char *dir;
	int r = netns_path_split(path, &split);

	*ret_reason = "is no absolute path of a file";
	if (r < 0)
		return r;
	netns_path_follow_links(&split);
	dir = follow_watched_dir(watcher->follow, split.dir);
	tracked = dir ? follow_find_in(watcher->follow, dir, split.name) : NULL;
	if (!tracked) {
		r = netns_path_resolve(&split, &resolution, ret_reason);
		if (r < 0)
			return r;
		*ret_reason = "is a namespace that has no name in a watched "
			      "directory";
		tracked = netns_path_find(&watcher->registry, &resolution);
	}
	if (!tracked || !is_there(tracked))
		return -ESTALE;
	*ret_netns = &tracked->netns;
	return 0;
}

int watcher_tell_containers(struct watcher *watcher, const char *source,
			    const struct container_told *told, size_t n)
{
	return containers_tell(watcher->containers, source, told, n);
}

size_t watcher_pending_containers(const struct watcher *watcher,
				  struct watcher_pending_container *ret_pending,
				  size_t max)
{
	return containers_pending(watcher->containers, ret_pending, max);
}

size_t watcher_container_count(const struct watcher *watcher)
{
	return containers_count(watcher->containers);
}

int watcher_register(struct watcher *watcher,
		     const struct registration_told *told, uint64_t *ret_id,
		     const char **ret_reason)
{
	return registrations_add(watcher->registrations, told, ret_id,
				 ret_reason);
}

bool watcher_unregister(struct watcher *watcher, uint64_t id)
{
	return registrations_end(watcher->registrations, id);
}

const struct registration *
watcher_find_registration(const struct watcher *watcher, uint64_t id)
{
	return registrations_find(watcher->registrations, id);
}

const struct registration *
watcher_find_registration_key(const struct watcher *watcher, uid_t uid,
			      const struct container *container)
{
	return registrations_find_key(watcher->registrations, uid, container);
}

const struct registration *
watcher_next_registration(const struct watcher *watcher,
			  const struct registration *previous)
{
	return registrations_next(watcher->registrations, previous);
}

size_t watcher_registration_count(const struct watcher *watcher,
				  size_t *ret_held)
{
	return registrations_count(watcher->registrations, ret_held);
}

int watcher_restore_registration(struct watcher *watcher,
				 const struct registration *was,
				 const char **ret_reason)
{
	return registrations_restore(watcher->registrations, was, ret_reason);
}

int watcher_nsid(const struct watcher *watcher, const struct netns *netns)
{
	(void)watcher;
	return tracked_of(netns)->nsid;
}

size_t watcher_pending_names(const struct watcher *watcher,
			     struct watcher_pending *ret_pending, size_t max)
{
	return follow_pending(watcher->follow, ret_pending, max);
}

size_t watcher_unreadable_names(const struct watcher *watcher)
{
	return follow_unreadable(watcher->follow);
}

const char *watcher_last_name(const struct watcher *watcher, uint64_t netns_id)
{
	const struct tracked *tracked =
		registry_find(&watcher->registry, netns_id);

	if (tracked)
		return tracked->last_name;
	return monitor_last_name(watcher->monitor, netns_id);
}

size_t watcher_lingering(const struct watcher *watcher,
			 struct watcher_lingering *ret_lingering, size_t max)
{
	return monitor_lingering(watcher->monitor, ret_lingering, max);
}

void watcher_set_max_addresses(struct watcher *watcher, size_t max_addresses)
{
	monitor_set_max_addresses(watcher->monitor, max_addresses);
}

void watcher_get_stats(const struct watcher *watcher,
		       struct watcher_stats *ret_stats)
{
	monitor_get_stats(watcher->monitor, ret_stats);
	follow_get_stats(watcher->follow, ret_stats);
}

size_t watcher_dir_count(const struct watcher *watcher)
{
	return follow_dir_count(watcher->follow);
}

const char *watcher_dir(const struct watcher *watcher, size_t index,
			bool *ret_exists)
{
	return follow_dir(watcher->follow, index, ret_exists);
}
