// SPDX-License-Identifier: Apache-2.0
/* control_listeners.c - the method ListListeners */
#include "daemon/control/control_listeners.h"

#include "binder/binder.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats.h"
#include "daemon/control/caller.h"
#include "daemon/control/control_stats.h"
#include "daemon/control/describe.h"
#include "daemon/control/find.h"
#include "daemon/control/id_list.h"
#include "daemon/control/varlink.h"
#include "daemon/health_look.h"
#include "watcher/watcher.h"

/**
 * struct listeners - the state of one list
 * @counted:	what the consumers answered: a reference
 * @view:	of the listener at hand
 * @ids:	of the table
 * @draining, @pids: of listeners that are closed, and who holds each: after a
 *		takeover one that is open may drain, too
 */
struct listeners {
	struct caller caller;
	struct binder *binder;
	struct watcher *watcher;
	struct consumers *consumers;
	struct stats_result *counted;
	struct health_source source;
	struct health_view view;
	struct id_list ids;
	struct id_list draining;
	struct id_list pids;
};

static void listeners_free(void *state)
{
	struct listeners *list = state;

	stats_result_unref(list->counted);
	id_list_done(&list->ids);
	id_list_done(&list->draining);
	id_list_done(&list->pids);
	free(list);
}

/* Return: 1; 0: that was all; -ENOMEM. A namespace that is gone has no name to
 * be listed under, and its connections are reset: those that are left count
 * for it where it lingers. */
static int draining_next(struct listeners *list, json_t **ret_element)
{
	const struct netns *netns;
	struct consumer_draining info;
	struct berth_counts counts;
	bool known;
	uint64_t id;

	while ((id = id_list_next(&list->draining))) {
		if (!consumers_find_draining(list->consumers, id,
					     (pid_t)id_list_next(&list->pids),
					     &info))
			continue;
		netns = watcher_find(list->watcher, info.netns_id);
		if (!netns)
			continue;
		known = stats_result_draining(list->counted, id,
					      info.service->consumer, &counts);
		*ret_element = describe_draining(&info, netns_label(netns),
						 known ? &counts : NULL,
						 monotonic_us());
		return *ret_element ? 1 : -ENOMEM;
	}
	return 0;
}

static int listeners_next(void *state, json_t **ret_element)
{
	struct listeners *list = state;
	struct listener *listener = NULL;
	const struct netns *netns;
	struct berth_counts counts;
	bool known;
	uint64_t id;

	while (!listener && (id = id_list_next(&list->ids)))
		listener = binder_find(list->binder, id);
	if (!listener)
		return draining_next(list, ret_element);
	known = stats_result_listener(list->counted, listener, &counts);
	health_look(&list->source, listener, known ? &counts : NULL,
		    &list->view);
	netns = list->view.facts.netns;
	*ret_element = describe_listener(&list->view.facts,
					 netns ? netns_label(netns) : "",
					 monotonic_us());
	return *ret_element ? 1 : -ENOMEM;
}

static int add_draining(const struct consumer_draining *info, void *user_data)
{
	struct listeners *list = user_data;

	if (id_list_add(&list->draining, info->id) < 0)
		return -ENOMEM;
	return id_list_add(&list->pids, (uint64_t)info->pid);
}

static int add_all(struct listeners *list)
{
	struct listener *listener = NULL;

	while ((listener = binder_next(list->binder, listener))) {
		if (id_list_add(&list->ids, listener->id) < 0)
			return -ENOMEM;
	}
	return consumers_each_draining(list->consumers, 0, add_draining, list);
}

static int add_in(struct listeners *list, uint64_t netns_id)
{
	struct listener *listener = NULL;

	while ((listener = binder_next_in(list->binder, netns_id, listener))) {
		if (id_list_add(&list->ids, listener->id) < 0)
			return -ENOMEM;
	}
	return consumers_each_draining(list->consumers, netns_id, add_draining,
				       list);
}

/* Those of the namespaces that exist for the caller. */
static int add_seen(struct listeners *list)
{
	struct netns *netns = NULL;
	int r = 0;

	while (r == 0 && (netns = watcher_next(list->watcher, netns))) {
		if (caller_sees(&list->caller, netns))
			r = add_in(list, netns->id);
	}
	return r;
}

/* All listeners, or those of the namespaces that @text means. */
static int add_wanted(struct listeners *list, const char *text)
{
	struct netns *netns[FIND_MAX];
	size_t n;
	int r;

	if (!text)
		return list->caller.reads ? add_all(list) : add_seen(list);
	r = find_netns(list->watcher, &list->caller, text, netns, &n);
	if (r == 0 && n == 0)
		r = -ENOENT;
	for (size_t i = 0; r == 0 && i < n && i < FIND_MAX; i++)
		r = add_in(list, netns[i]->id);
	return r;
}

static void listeners_reply(struct varlink_call *call,
			    struct stats_result *result, void *state)
{
	static const struct varlink_array arrays[] = {
		{ "listeners", listeners_next },
	};
	struct listeners *list = state;
	const struct varlink_list reply = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = listeners_free,
		.state = list,
	};

	list->counted = stats_result_ref(result);
	varlink_reply_list(call,
			   json_pack("{s:o}", "silent", control_silent(result)),
			   &reply);
}

void control_listeners(struct varlink_call *call, const struct caller *caller,
		       struct binder *binder,
		       const struct health_source *source,
		       struct consumers *consumers, struct stats *stats)
{
	const char *text = varlink_call_string(call, "namespace");
	struct listeners *list = calloc(1, sizeof(*list));
	const struct control_asking asking = {
		.reply = listeners_reply,
		.free = listeners_free,
		.state = list,
	};
	int r;

	if (!list) {
		varlink_reply(call, NULL);
		return;
	}
	list->caller = *caller;
	list->binder = binder;
	list->watcher = source->watcher;
	list->consumers = consumers;
	list->source = *source;
	r = add_wanted(list, text);
	if (r == 0) {
		control_ask(call, stats, &asking);
		return;
	}
	listeners_free(list);
	if (r == -ENOENT)
		find_error(call, source->watcher, caller, text);
	else
		varlink_reply(call, NULL);
}
