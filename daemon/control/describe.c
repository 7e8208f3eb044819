// SPDX-License-Identifier: Apache-2.0
/* describe.c - what berthd knows, as JSON
 *
 * Memory is the only thing that can fail here, and json_pack() and the
 * functions that end in _new() hand a NULL on: so only whole objects are
 * checked, at their end.
 */
#include "daemon/control/describe.h"

#include <linux/rtnetlink.h>
#include <string.h>

#include "binder/binder.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/control.h"
#include "daemon/json_text.h"
#include "daemon/reconcile.h"
#include "daemon/consumers/stats_counts.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

/* Whoever may write to a watched directory can fill it with plain files, but
 * nobody reads a thousand lines of them. */
#define NAMES_MAX 1000

/* What normal deletion needs: the kernel frees in the background. */
#define LINGERING_MIN_US USEC_PER_SEC

static json_t *json_nullable(json_t *value)
{
	return value ? value : json_null();
}

static json_t *json_count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *describe_errno(int error)
{
	const char *name = error ? strerrorname_np(error) : NULL;

	return json_nullable(name ? json_string(name) : NULL);
}

void describe_count(struct describe_counts *counts,
		    const struct listener *listener)
{
	switch (listener->state) {
	case LISTENER_OPEN:
		counts->open++;
		break;
	case LISTENER_WAITING:
		counts->waiting++;
		break;
	case LISTENER_REFUSED:
		counts->refused++;
		break;
	}
}

static struct describe_counts count_in(const struct control_view *view,
				       uint64_t netns_id)
{
	struct describe_counts counts = { .open = 0 };
	struct listener *listener = NULL;

	while ((listener = binder_next_in(view->binder, netns_id, listener)))
		describe_count(&counts, listener);
	return counts;
}

static json_t *describe_counts(const struct describe_counts *counts)
{
	return json_pack("{s:o, s:o, s:o}", "open", json_count(counts->open),
			 "waiting", json_count(counts->waiting), "refused",
			 json_count(counts->refused));
}

static json_t *describe_name(const char *dir, const char *name)
{
	return json_pack("{s:o, s:o}", "directory", json_text(dir), "name",
			 json_text(name));
}

static const char *scope_name(uint8_t scope)
{
	switch (scope) {
	case RT_SCOPE_UNIVERSE:
		return "global";
	case RT_SCOPE_SITE:
		return "site";
	case RT_SCOPE_LINK:
		return "link";
	case RT_SCOPE_HOST:
		return "host";
	default:
		return "nowhere";
	}
}

static json_t *describe_address(const struct netns *netns,
				const struct netns_address *address)
{
	const struct netns_interface *interface =
		netns_find_interface(netns, address->ifindex);
	char text[IP_TEXT_MAX];

	return json_pack("{s:s, s:i, s:o, s:s, s:b}", "address",
			 ip_addr_fmt(&address->addr, text), "prefix",
			 address->prefix_bits, "interface",
			 json_text(interface ? interface->ifname : ""), "scope",
			 scope_name(address->scope), "usable",
			 netns_address_usable(address));
}

static json_t *describe_addresses(const struct netns *netns)
{
	json_t *array = json_array();

	for (size_t i = 0; i < netns->n_addresses; i++) {
		if (json_array_append_new(
			    array,
			    describe_address(netns, &netns->addresses[i])) < 0)
			goto out;
	}
	return array;
out:
	json_decref(array);
	return NULL;
}

static json_t *describe_netns_names(const struct netns *netns)
{
	json_t *array = json_array();

	for (size_t i = 0; i < netns->n_names; i++) {
		if (json_array_append_new(
			    array, describe_name(netns->names[i].dir,
						 netns->names[i].name)) < 0)
			goto out;
	}
	return array;
out:
	json_decref(array);
	return NULL;
}

static json_t *describe_nsid(int nsid)
{
	return nsid < 0 ? json_null() : json_integer(nsid);
}

json_t *describe_namespace(const struct control_view *view,
			   const struct netns *netns)
{
	struct describe_counts counts = count_in(view, netns->id);

	return json_pack(
		"{s:o, s:b, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "id",
		json_count(netns->id), "host", netns->host, "names",
		describe_netns_names(netns), "nsid",
		describe_nsid(watcher_nsid(view->watcher, netns)),
		"addresses_known", netns->addresses_known, "addresses",
		describe_addresses(netns), "addresses_omitted",
		json_count(netns->addresses_omitted), "listeners",
		describe_counts(&counts), "listeners_omitted",
		json_count(reconcile_omitted(view->reconcile, netns->id)));
}

json_t *describe_pending(const struct watcher_pending *pending, uint64_t now_us)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o}", "directory",
			 json_text(pending->dir), "name",
			 json_text(pending->name), "reason", pending->reason,
			 "error", describe_errno(pending->error), "since_us",
			 json_count(now_us - pending->since_us));
}

json_t *describe_lingering(const struct control_view *view,
			   const struct watcher_lingering *lingering,
			   uint64_t now_us)
{
	struct describe_counts counts = count_in(view, lingering->netns_id);
	size_t withdrawn =
		consumers_holds(view->consumers, lingering->netns_id);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "id",
			 json_count(lingering->netns_id), "name",
			 json_text(lingering->name), "nsid",
			 describe_nsid(lingering->nsid), "since_us",
			 json_count(now_us - lingering->since_us),
			 "open_listeners", json_count(counts.open),
			 "withdrawn_listeners", json_count(withdrawn));
}

/* Those that have lingered for longer than normal deletion takes. */
static json_t *describe_all_lingering(const struct control_view *view,
				      uint64_t now_us, size_t *ret_total)
{
	struct watcher_lingering *list = calloc(NAMES_MAX, sizeof(*list));
	json_t *array = list ? json_array() : NULL;
	size_t total = 0, young = 0;

	if (array)
		total = watcher_lingering(view->watcher, list, NAMES_MAX);
	for (size_t i = 0; i < total && i < NAMES_MAX; i++) {
		if (now_us - list[i].since_us < LINGERING_MIN_US) {
			young++;
			continue;
		}
		if (json_array_append_new(
			    array, describe_lingering(view, &list[i], now_us)) <
		    0) {
			json_decref(array);
			array = NULL;
		}
	}
	free(list);
	*ret_total = total - young;
	return array;
}

static json_t *describe_all_pending(const struct control_view *view,
				    uint64_t now_us, size_t *ret_total)
{
	struct watcher_pending *list = calloc(NAMES_MAX, sizeof(*list));
	json_t *array = list ? json_array() : NULL;
	size_t total = 0;

	if (array)
		total = watcher_pending_names(view->watcher, list, NAMES_MAX);
	for (size_t i = 0; i < total && i < NAMES_MAX; i++) {
		if (json_array_append_new(
			    array, describe_pending(&list[i], now_us)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	free(list);
	*ret_total = total;
	return array;
}

json_t *describe_names(const struct control_view *view, uint64_t now_us)
{
	size_t n_pending, n_lingering;
	json_t *pending = describe_all_pending(view, now_us, &n_pending);
	json_t *lingering = describe_all_lingering(view, now_us, &n_lingering);

	return json_pack("{s:o, s:o, s:o, s:o}", "pending", pending,
			 "pending_total", json_count(n_pending), "lingering",
			 lingering, "lingering_total", json_count(n_lingering));
}

json_t *describe_join(json_t *object, json_t *more)
{
	int r = object && more ? json_object_update(object, more) : -1;

	json_decref(more);
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *describe_endpoint(const struct endpoint *endpoint)
{
	char address[IP_TEXT_MAX];

	return json_pack("{s:s, s:s, s:i}", "protocol",
			 protocol_name(endpoint->protocol), "address",
			 endpoint_addr_fmt(endpoint, address), "port",
			 endpoint->port);
}

json_t *describe_attempt(json_t *object, const struct listener *listener,
			 uint64_t now_us)
{
	bool waiting = listener->state == LISTENER_WAITING;
	bool open = listener->state == LISTENER_OPEN;
	uint64_t next_us = waiting ? listener->next_attempt_us : 0;
	json_t *part;

	part = json_pack(
		"{s:s, s:o, s:o, s:o, s:b}", "state",
		listener_state_name(listener->state), "reason",
		open || !listener->reason ? json_null()
					  : json_text(listener->reason),
		"error", describe_errno(waiting ? listener->error : 0),
		"next_attempt_us",
		!next_us ? json_null()
			 : json_count(next_us > now_us ? next_us - now_us : 0),
		"delivered", consumers_delivered(listener));
	return describe_join(object, part);
}

static json_t *describe_place(const struct control_view *view,
			      const struct listener *listener)
{
	const struct netns *netns =
		watcher_find(view->watcher, listener->netns_id);
	const struct service *service = listener->service;
	const struct endpoint *endpoint = &listener->endpoint;
	char address[IP_TEXT_MAX];

	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:i, s:o, s:o, s:s, s:o}",
			 "id", json_count(listener->id), "namespace",
			 json_text(netns ? netns_label(netns) : ""),
			 "namespace_id", json_count(listener->netns_id),
			 "protocol", protocol_name(endpoint->protocol),
			 "address", endpoint_addr_fmt(endpoint, address),
			 "port", endpoint->port, "interface",
			 json_text(listener->ifname), "rule",
			 json_text(service->rule), "action",
			 service_action_name(service->action), "consumer",
			 json_text(service->consumer));
}

json_t *describe_listener(const struct control_view *view,
			  const struct listener *listener,
			  const struct berth_counts *counts, uint64_t now_us)
{
	json_t *object = describe_attempt(describe_place(view, listener),
					  listener, now_us);

	return describe_join(
		object,
		json_pack(
			"{s:o, s:o, s:o}", "blocked_by",
			listener->blocked_by ? json_count(listener->blocked_by)
					     : json_null(),
			"attempts", json_count(listener->attempts), "counters",
			counts ? stats_counts_json(counts) : json_null()));
}

json_t *describe_rule(const struct rule_info *info,
		      const struct describe_counts *counts)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "name",
			 json_text(info->name), "file", json_text(info->file),
			 "line", json_count(info->line), "action", info->action,
			 "match", json_text(info->match), "listen",
			 json_text(info->listen), "serve",
			 json_text(info->serve), "listeners",
			 describe_counts(counts));
}

static json_t *describe_problems(const struct rules_errors *errors)
{
	json_t *array = json_array();

	for (size_t i = 0; errors && i < errors->n; i++) {
		const struct rules_error *error = &errors->list[i];

		if (json_array_append_new(
			    array,
			    json_pack("{s:o, s:o, s:o, s:o}", "file",
				      json_text(error->file), "line",
				      json_count(error->line), "column",
				      json_count(error->column), "message",
				      json_text(error->message))) < 0)
			goto out;
	}
	return array;
out:
	json_decref(array);
	return NULL;
}

static json_t *describe_file(const struct rule_file_info *info)
{
	return json_pack("{s:o, s:o, s:b, s:o}", "path", json_text(info->path),
			 "rules", json_count(info->n_rules), "last_good",
			 info->last_good, "problems",
			 describe_problems(info->errors));
}

json_t *describe_files(const struct control_view *view)
{
	json_t *array = json_array();
	size_t n = rule_store_files(view->rules);

	for (size_t i = 0; i < n; i++) {
		struct rule_file_info info;

		rule_store_file_info(view->rules, i, &info);
		if (json_array_append_new(array, describe_file(&info)) < 0)
			goto out;
	}
	return array;
out:
	json_decref(array);
	return NULL;
}

static json_t *describe_directories(const struct control_view *view)
{
	json_t *array = json_array();
	size_t n = watcher_dir_count(view->watcher);

	for (size_t i = 0; i < n; i++) {
		bool exists = false;
		const char *path = watcher_dir(view->watcher, i, &exists);

		if (json_array_append_new(array, json_pack("{s:o, s:b}", "path",
							   json_text(path),
							   "exists", exists)) <
		    0)
			goto out;
	}
	return array;
out:
	json_decref(array);
	return NULL;
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

static json_t *describe_consumers(const struct control_view *view)
{
	json_t *array = json_array();
	size_t n = consumers_count(view->consumers);

	for (size_t i = 0; i < n; i++) {
		struct consumer_info info;

		consumers_get_info(view->consumers, i, &info);
		if (json_array_append_new(array, describe_consumer(&info)) < 0)
			goto out;
	}
	return array;
out:
	json_decref(array);
	return NULL;
}

static json_t *describe_binder(const struct control_view *view)
{
	struct binder_stats stats;

	binder_get_stats(view->binder, &stats);
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "open",
			 json_count(stats.open), "waiting",
			 json_count(stats.waiting), "refused",
			 json_count(stats.refused), "opened_total",
			 json_count(stats.opened), "failed_total",
			 json_count(stats.failed));
}

static json_t *describe_events(const struct watcher_stats *stats)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "names",
			 json_count(stats->names_events), "netlink",
			 json_count(stats->netlink_events), "names_overflows",
			 json_count(stats->names_overflows),
			 "netlink_overflows",
			 json_count(stats->netlink_overflows), "resyncs",
			 json_count(stats->resyncs));
}

static json_t *describe_freed(const struct watcher_stats *stats)
{
	return json_pack("{s:o, s:o, s:o}", "count", json_count(stats->freed),
			 "last_us", json_count(stats->freed_last_us), "max_us",
			 json_count(stats->freed_max_us));
}

static size_t count_namespaces(const struct control_view *view)
{
	struct netns *netns = NULL;
	size_t n = 0;

	while ((netns = watcher_next(view->watcher, netns)))
		n++;
	return n;
}

json_t *describe_status(const struct control_view *view, uint64_t now_us)
{
	struct ruleset *ruleset = rule_store_ruleset(view->rules);
	struct watcher_stats stats;
	size_t n_lingering;
	json_t *lingering = describe_all_lingering(view, now_us, &n_lingering);

	watcher_get_stats(view->watcher, &stats);
	return json_pack(
		"{s:s, s:i, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
		" s:o, s:o}",
		"version", BERTH_VERSION, "pid", (int)getpid(), "uptime_us",
		json_count(now_us - view->started_us), "settled",
		watcher_settled(view->watcher), "directories",
		describe_directories(view), "namespaces",
		json_count(count_namespaces(view)), "pending",
		json_count(watcher_pending_names(view->watcher, NULL, 0)),
		"listeners", describe_binder(view), "rules",
		json_count(ruleset_size(ruleset)), "files",
		describe_files(view), "consumers", describe_consumers(view),
		"events", describe_events(&stats), "freed",
		describe_freed(&stats), "lingering", lingering);
}
