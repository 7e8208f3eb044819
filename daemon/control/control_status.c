// SPDX-License-Identifier: Apache-2.0
/* control_status.c - the method GetStatus */
#include "daemon/control/control_status.h"

#include "binder/binder.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/absent.h"
#include "daemon/control/describe_config.h"
#include "daemon/control/describe_rules.h"
#include "daemon/control/describe_told.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "daemon/reconcile.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

static json_t *describe_directories(const struct watcher *watcher)
{
	json_t *array = json_array();
	size_t n = watcher_dir_count(watcher);

	for (size_t i = 0; i < n; i++) {
		bool exists = false;
		const char *path = watcher_dir(watcher, i, &exists);

		json_add(&array, json_pack("{s:o, s:b}", "path",
					   json_text(path), "exists", exists));
	}
	return array;
}

static json_t *describe_consumer(const struct consumer_info *info)
{
	return json_pack(
		"{s:o, s:b, s:o, s:o, s:o, s:o}", "name", json_text(info->name),
		"connected", info->connected, "pid",
		info->connected ? json_integer(info->pid) : json_null(),
		"delivered", json_count(info->delivered), "undelivered",
		json_count(info->undelivered), "withdrawn",
		json_count(info->withdrawn));
}

static json_t *describe_consumers(const struct consumers *consumers)
{
	json_t *array = json_array();
	size_t n = consumers_count(consumers);

	for (size_t i = 0; i < n; i++) {
		struct consumer_info info;

		consumers_get_info(consumers, i, &info);
		json_add(&array, describe_consumer(&info));
	}
	return array;
}

static json_t *describe_table(const struct binder *binder)
{
	struct binder_stats stats;

	binder_get_stats(binder, &stats);
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "open",
			 json_count(stats.open), "waiting",
			 json_count(stats.waiting), "refused",
			 json_count(stats.refused), "opened_total",
			 json_count(stats.opened), "failed_total",
			 json_count(stats.failed));
}

static json_t *describe_events(const struct watcher_stats *stats,
			       uint64_t planned)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "names",
			 json_count(stats->names_events), "netlink",
			 json_count(stats->netlink_events), "names_overflows",
			 json_count(stats->names_overflows),
			 "netlink_overflows",
			 json_count(stats->netlink_overflows), "resyncs",
			 json_count(stats->resyncs), "planned",
			 json_count(planned));
}

static json_t *describe_freed(const struct watcher_stats *stats)
{
	return json_pack("{s:o, s:o, s:o}", "count", json_count(stats->freed),
			 "last_us", json_count(stats->freed_last_us), "max_us",
			 json_count(stats->freed_max_us));
}

static size_t count_namespaces(struct watcher *watcher)
{
	struct netns *netns = NULL;
	size_t n = 0;

	while ((netns = watcher_next(watcher, netns)))
		n++;
	return n;
}

static json_t *describe_registrations(const struct watcher *watcher)
{
	size_t held = 0, n = watcher_registration_count(watcher, &held);

	return json_pack("{s:o, s:o}", "count", json_count(n), "held",
			 json_count(held));
}

static json_t *describe_status(const struct control_status *status)
{
	struct watcher_stats stats;

	watcher_get_stats(status->watcher, &stats);
	return json_pack(
		"{s:s, s:i, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
		" s:o, s:o, s:o, s:o, s:o, s:o}",
		"version", BERTH_VERSION, "pid", (int)getpid(), "uptime_us",
		json_count(monotonic_us() - status->started_us), "settled",
		watcher_settled(status->watcher), "config",
		describe_config(status->config), "directories",
		describe_directories(status->watcher), "namespaces",
		json_count(count_namespaces(status->watcher)), "pending",
		json_count(watcher_pending_names(status->watcher, NULL, 0)),
		"containers",
		json_count(watcher_container_count(status->watcher)),
		"pending_containers",
		json_count(
			watcher_pending_containers(status->watcher, NULL, 0)),
		"registrations", describe_registrations(status->watcher),
		"container_files",
		describe_container_files(status->containers_dir), "listeners",
		describe_table(status->binder), "rules",
		json_count(ruleset_size(rule_store_ruleset(status->rules))),
		"files", describe_files(status->rules), "consumers",
		describe_consumers(status->consumers), "events",
		describe_events(&stats, reconcile_planned(status->reconcile)),
		"freed", describe_freed(&stats));
}

void control_status(struct varlink_call *call,
		    const struct control_status *status)
{
	static const struct varlink_array arrays[] = {
		{ "lingering", absent_next_lingering },
	};
	struct absent *absent =
		absent_new(status->watcher, status->binder, status->consumers);
	struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = absent_free,
		.state = absent,
	};

	if (absent)
		varlink_reply_list(call, describe_status(status), &list);
	else
		varlink_reply(call, NULL);
}
