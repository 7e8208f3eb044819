// SPDX-License-Identifier: Apache-2.0
/* control_namespaces.c - the method ListNamespaces */
#include "daemon/control/control_namespaces.h"

#include "common/util.h"
#include "daemon/control/absent.h"
#include "daemon/control/describe.h"
#include "daemon/control/describe_provided.h"
#include "daemon/control/describe_told.h"
#include "daemon/control/id_list.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "daemon/reconcile.h"
#include "watcher/watcher.h"

/** struct namespaces - the state of one list; @absent: NULL: not for the
 * caller */
struct namespaces {
	struct control_namespaces from;
	struct absent *absent;
	struct id_list ids;
};

static void namespaces_free(void *state)
{
	struct namespaces *list = state;

	absent_free(list->absent);
	id_list_done(&list->ids);
	free(list);
}

static int next_pending(void *state, json_t **ret_element)
{
	struct namespaces *list = state;

	return list->absent ? absent_next_pending(list->absent, ret_element)
			    : 0;
}

static int next_lingering(void *state, json_t **ret_element)
{
	struct namespaces *list = state;

	return list->absent ? absent_next_lingering(list->absent, ret_element)
			    : 0;
}

static int next_namespace(void *state, json_t **ret_element)
{
	struct namespaces *list = state;
	struct describe_counts counts;
	struct netns *netns = NULL;
	uint64_t id;

	while (!netns && (id = id_list_next(&list->ids)))
		netns = watcher_find(list->from.watcher, id);
	if (!netns)
		return 0;
	counts = describe_count_in(list->from.binder, netns->id);
	*ret_element = describe_namespace(
		netns, watcher_nsid(list->from.watcher, netns), &counts,
		reconcile_omitted(list->from.reconcile, netns->id));
	json_put(ret_element, "provided",
		 describe_provided(reconcile_provider(list->from.reconcile),
				   netns->id));
	return *ret_element ? 1 : -ENOMEM;
}

/* Names that lead nowhere, and namespaces without a name, are root's affair,
 * and readers'. */
static struct namespaces *namespaces_new(const struct control_namespaces *from)
{
	struct namespaces *list = calloc(1, sizeof(*list));
	struct netns *netns = NULL;
	int r = 0;

	if (!list)
		return NULL;
	list->from = *from;
	if (from->caller.reads) {
		list->absent = absent_new(from->watcher, from->binder,
					  from->consumers);
		r = list->absent ? 0 : -ENOMEM;
	}
	while (r == 0 && (netns = watcher_next(from->watcher, netns))) {
		if (caller_sees(&from->caller, netns))
			r = id_list_add(&list->ids, netns->id);
	}
	if (r == 0)
		return list;
	namespaces_free(list);
	return NULL;
}

static json_t *describe_lists(const struct control_namespaces *from,
			      const struct absent *absent)
{
	bool reads = from->caller.reads;
	size_t pending =
		reads ? watcher_pending_containers(from->watcher, NULL, 0) : 0;

	return json_pack("{s:o, s:o, s:o, s:o}", "pending_containers",
			 reads ? describe_pending_containers(from->watcher)
			       : json_array(),
			 "pending_containers_total", json_count(pending),
			 "pending_total",
			 json_count(absent ? absent_pending_total(absent) : 0),
			 "lingering_total",
			 json_count(absent ? absent_lingering_total(absent)
					   : 0));
}

void control_namespaces(struct varlink_call *call,
			const struct control_namespaces *from)
{
	static const struct varlink_array arrays[] = {
		{ "pending", next_pending },
		{ "lingering", next_lingering },
		{ "namespaces", next_namespace },
	};
	struct namespaces *list = namespaces_new(from);
	const struct varlink_list reply = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = namespaces_free,
		.state = list,
	};

	if (!list)
		varlink_reply(call, NULL);
	else
		varlink_reply_list(call, describe_lists(from, list->absent),
				   &reply);
}
