// SPDX-License-Identifier: Apache-2.0
/* control_explain.c - the method Explain: why a namespace has the listeners it
 * has, and lacks others
 *
 * What is wanted is computed anew, by the same pure function that decides
 * what is opened; what is open is looked up beside it.
 */
#include "daemon/control/control_explain.h"

#include <string.h>

#include "binder/binder.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats.h"
#include "daemon/control/control_stats.h"
#include "daemon/control/describe.h"
#include "daemon/control/describe_provided.h"
#include "daemon/control/describe_rules.h"
#include "daemon/control/describe_told.h"
#include "daemon/control/find.h"
#include "daemon/control/port_holders.h"
#include "daemon/control/varlink.h"
#include "daemon/health_look.h"
#include "daemon/json_build.h"
#include "daemon/reconcile.h"
#include "rules/plan.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

static json_t *explain_rule(const struct ruleset *ruleset, size_t index,
			    const struct netns *netns)
{
	_cleanup_free_ char *reason = NULL;
	struct rule_info info;
	int r = plan_explain(ruleset, index, netns, &reason);

	if (r < 0)
		return NULL;
	ruleset_rule_info(ruleset, index, &info);
	return json_pack("{s:o, s:o, s:I, s:b, s:o}", "name",
			 json_text(info.name), "file", json_text(info.file),
			 "line", (json_int_t)info.line, "matches", r, "reason",
			 json_text(reason ? reason : ""));
}

/* For users, the rules that may apply to what they told: the others, and what
 * is wrong with files, are root's affair, and readers'. */
static json_t *explain_rules(const struct control_explain *from,
			     const struct netns *netns)
{
	const struct ruleset *ruleset = rule_store_ruleset(from->rules);
	bool reads = from->caller.reads;
	size_t n = ruleset_size(ruleset);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if (reads || ruleset_unprivileged(ruleset, i))
			json_add(&array, explain_rule(ruleset, i, netns));
	}
	return array;
}

/**
 * struct rows - the listeners of one namespace, sorted by endpoint, because
 * there may be thousands on both sides
 */
struct rows {
	struct listener **list;
	size_t n;
};

static int rows_compare(const void *a, const void *b)
{
	const struct listener *const *x = a, *const *y = b;

	return memcmp(&(*x)->endpoint, &(*y)->endpoint,
		      sizeof(struct endpoint));
}

static int rows_collect(struct binder *binder, uint64_t netns_id,
			struct rows *rows)
{
	struct listener *listener = NULL;
	size_t n = 0;

	while ((listener = binder_next_in(binder, netns_id, listener)))
		n++;
	rows->list = calloc(n + 1, sizeof(rows->list[0]));
	if (!rows->list)
		return -ENOMEM;
	while ((listener = binder_next_in(binder, netns_id, listener)))
		rows->list[rows->n++] = listener;
	qsort(rows->list, rows->n, sizeof(rows->list[0]), rows_compare);
	return 0;
}

static const struct listener *rows_find(const struct rows *rows,
					const struct endpoint *endpoint)
{
	struct listener key = { .endpoint = *endpoint };
	struct listener *pointer = &key, **found;

	found = bsearch(&pointer, rows->list, rows->n, sizeof(rows->list[0]),
			rows_compare);
	return found ? *found : NULL;
}

/* Listeners of one namespace whose ports are asked about: the kernel walks
 * through all sockets of the namespace for each, while berthd waits. */
#define HELD_MAX 8

/**
 * struct explained - the namespace at hand
 * @counted:	what the consumers answered
 * @view:	of the listener at hand
 * @netns_fd:	what watcher_open_netns() said, when it was asked: @opened
 * @held:	how many ports were asked about
 */
struct explained {
	const struct control_explain *from;
	const struct netns *netns;
	const struct stats_result *counted;
	struct health_view view;
	bool opened;
	int netns_fd;
	size_t held;
	uint64_t now_us;
};

static json_t *describe_holder(const struct port_holder *holder)
{
	char address[IP_TEXT_MAX];

	return json_pack("{s:s, s:I, s:I}", "address",
			 endpoint_addr_fmt(&holder->endpoint, address), "uid",
			 (json_int_t)holder->uid, "inode",
			 (json_int_t)holder->inode);
}

/* Which sockets of others keep the listener from its port: an array, null where
 * there are none, or where this is not known. */
static json_t *explain_holders(struct explained *explained,
			       const struct listener *row)
{
	struct port_holder holders[PORT_HOLDERS_MAX];
	json_t *array;
	int n;

	if (!row || row->state != LISTENER_WAITING ||
	    row->error != EADDRINUSE || row->blocked_by ||
	    explained->held++ >= HELD_MAX)
		return json_null();
	if (!explained->opened && !explained->netns->host)
		explained->netns_fd = watcher_open_netns(
			explained->from->watcher, explained->netns);
	explained->opened = true;
	if (explained->netns_fd < 0 && !explained->netns->host)
		return json_null();
	n = port_holders_find(explained->netns_fd, &row->endpoint, holders);
	if (n <= 0)
		return json_null();
	array = json_array();
	for (int i = 0; i < n; i++)
		json_add(&array, describe_holder(&holders[i]));
	return array;
}

static void put_absent(json_t **object)
{
	json_put(object, "health",
		 json_string(health_state_name(HEALTH_UNKNOWN)));
	json_put(object, "health_reason", json_null());
	json_put(object, "state", json_string("absent"));
	json_put(object, "reason", json_null());
	json_put(object, "error", json_null());
	json_put(object, "next_attempt_us", json_null());
	json_put(object, "delivered", json_false());
}

static void put_present(json_t **object, struct explained *explained,
			const struct listener *row)
{
	struct berth_counts counts;
	bool known = stats_result_listener(explained->counted, row, &counts);

	describe_attempt(object, row, explained->now_us);
	health_look(&explained->from->health, row, known ? &counts : NULL,
		    &explained->view);
	describe_health(object, &explained->view.facts);
}

static json_t *explain_spec(struct explained *explained,
			    const struct listener_spec *spec,
			    const struct listener *row)
{
	json_t *object = describe_endpoint(&spec->endpoint);

	json_put(&object, "interface", json_text(spec->ifname));
	json_put(&object, "rule", json_text(spec->service->rule));
	json_put(&object, "id", row ? json_count(row->id) : json_null());
	if (row)
		put_present(&object, explained, row);
	else
		put_absent(&object);
	json_put(&object, "held_by", explain_holders(explained, row));
	return object;
}

static json_t *explain_specs(const struct control_explain *from,
			     const struct netns *netns, const struct plan *plan,
			     const struct stats_result *counted)
{
	struct explained explained = { .from = from,
				       .netns = netns,
				       .counted = counted,
				       .netns_fd = -1,
				       .now_us = monotonic_us() };
	struct rows rows = { .list = NULL };
	json_t *array;

	if (rows_collect(from->binder, netns->id, &rows) < 0)
		return NULL;
	array = json_array();
	for (size_t i = 0; i < plan->n_specs; i++) {
		const struct listener_spec *spec = &plan->specs[i];

		json_add(&array,
			 explain_spec(&explained, spec,
				      rows_find(&rows, &spec->endpoint)));
	}
	free(rows.list);
	if (explained.netns_fd >= 0)
		(void)close(explained.netns_fd); /* only entered */
	return array;
}

static const char *conflict_reason(enum endpoint_conflict conflict)
{
	switch (conflict) {
	case ENDPOINT_COMPATIBLE:
		break;
	case ENDPOINT_SAME:
		return "both want the same, and it comes first";
	case ENDPOINT_PORTS:
		return "the two protocols share their ports";
	case ENDPOINT_WILDCARDS:
		return "the two wildcards overlap";
	case ENDPOINT_WILDCARD:
		return "a wildcard and an address cannot share the port";
	case ENDPOINT_ADDRESS:
		return "both have the same address";
	}
	return "";
}

static json_t *explain_shadow(const struct plan_shadow *shadow)
{
	enum endpoint_conflict conflict =
		endpoint_conflict(&shadow->endpoint, &shadow->winner_endpoint);
	json_t *object = describe_endpoint(&shadow->endpoint);

	json_put(&object, "rule", json_text(shadow->rule));
	json_put(&object, "winner", json_text(shadow->winner));
	json_put(&object, "winner_endpoint",
		 describe_endpoint(&shadow->winner_endpoint));
	json_put(&object, "same_endpoint",
		 json_boolean(conflict == ENDPOINT_SAME));
	json_put(&object, "reason", json_string(conflict_reason(conflict)));
	return object;
}

static json_t *explain_shadows(const struct plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->n_shadows; i++)
		json_add(&array, explain_shadow(&plan->shadows[i]));
	return array;
}

static json_t *explain_namespace(const struct control_explain *from,
				 const struct netns *netns)
{
	struct describe_counts counts =
		describe_count_in(from->binder, netns->id);

	json_t *object = describe_namespace(
		netns, watcher_nsid(from->watcher, netns), &counts,
		reconcile_omitted(from->reconcile, netns->id));

	json_put(&object, "provided",
		 describe_provided(reconcile_provider(from->reconcile),
				   netns->id));
	return object;
}

static json_t *explain_provisions(const struct control_explain *from,
				  const struct netns *netns,
				  const struct plan *plan)
{
	return describe_provisions(reconcile_provider(from->reconcile),
				   netns->id, plan->provisions,
				   plan->n_provisions, monotonic_us());
}

/** struct drains - a list in the making */
struct drains {
	const struct netns *netns;
	json_t *array;
};

static int add_drain(const struct consumer_draining *info, void *user_data)
{
	struct drains *drains = user_data;

	json_add(&drains->array,
		 describe_draining(info, netns_label(drains->netns), NULL,
				   monotonic_us()));
	return drains->array ? 0 : -ENOMEM;
}

static json_t *explain_draining(const struct control_explain *from,
				const struct netns *netns)
{
	struct drains drains = { .netns = netns, .array = json_array() };

	(void)consumers_each_draining(from->consumers, netns->id, add_drain,
				      &drains); /* then it has no array */
	return drains.array;
}

/* May have addresses observed. */
static json_t *explain_present(const struct control_explain *from,
			       struct netns *netns,
			       const struct stats_result *counted)
{
	bool reads = from->caller.reads;
	struct plan plan;
	json_t *reply;

	if (reconcile_plan(from->reconcile, netns, &plan) < 0)
		return NULL;
	reply = json_pack(
		"{s:s, s:o, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"state", "present", "namespace", explain_namespace(from, netns),
		"pending", "lingering", "rules", explain_rules(from, netns),
		"listeners", explain_specs(from, netns, &plan, counted),
		"draining", explain_draining(from, netns), "provisions",
		explain_provisions(from, netns, &plan), "shadowed",
		explain_shadows(&plan), "omitted", json_count(plan.omitted),
		"files", reads ? describe_files(from->rules) : json_array(),
		"container_files",
		reads ? describe_container_files(from->containers_dir)
		      : json_array());
	plan_done(&plan);
	return reply;
}

/* Takes @pending and @lingering, of which one is JSON null. */
static json_t *explain_absent(const struct control_explain *from,
			      const char *state, json_t *pending,
			      json_t *lingering)
{
	return json_pack(
		"{s:s, s:n, s:o, s:o, s:[], s:[], s:[], s:[], s:[], s:i, s:o, "
		"s:o}",
		"state", state, "namespace", "pending", pending, "lingering",
		lingering, "rules", "listeners", "draining", "provisions",
		"shadowed", "omitted", 0, "files", describe_files(from->rules),
		"container_files",
		describe_container_files(from->containers_dir));
}

static json_t *explain_lingering(const struct control_explain *from,
				 const struct watcher_lingering *lingering)
{
	struct describe_counts counts =
		describe_count_in(from->binder, lingering->netns_id);

	return describe_lingering(lingering, counts.open, from->consumers,
				  monotonic_us());
}

/* There is no namespace of that name: it is pending or lingers, or is none. */
static void reply_absent(struct varlink_call *call,
			 const struct control_explain *from, const char *text)
{
	struct watcher_pending pending;
	struct watcher_lingering lingering;
	bool reads = from->caller.reads;
	int r = reads ? find_pending(from->watcher, text, &pending) : 0;

	if (r > 0) {
		varlink_reply(call,
			      explain_absent(from, "pending",
					     describe_pending(&pending,
							      monotonic_us()),
					     json_null()));
		return;
	}
	if (r == 0 && reads)
		r = find_lingering(from->watcher, text, &lingering);
	if (r > 0)
		varlink_reply(
			call,
			explain_absent(from, "lingering", json_null(),
				       explain_lingering(from, &lingering)));
	else if (r == 0)
		find_error(call, from->watcher, &from->caller, text);
	else
		varlink_reply(call, NULL);
}

/**
 * struct explaining - a call that waits for the consumers
 * @text:	what the caller calls the namespace
 */
struct explaining {
	struct control_explain from;
	uint64_t netns_id;
	char text[];
};

static void explaining_reply(struct varlink_call *call,
			     struct stats_result *result, void *state)
{
	struct explaining *explaining = state;
	const struct control_explain *from = &explaining->from;
	struct netns *netns = watcher_find(from->watcher, explaining->netns_id);

	if (netns)
		varlink_reply(call, explain_present(from, netns, result));
	else
		reply_absent(call, from, explaining->text);
	free(explaining);
}

static void explain_asking(struct varlink_call *call,
			   const struct control_explain *from,
			   const struct netns *netns, const char *text)
{
	size_t len = strlen(text);
	struct explaining *explaining = malloc(sizeof(*explaining) + len + 1);
	const struct control_asking asking = {
		.reply = explaining_reply,
		.free = free,
		.state = explaining,
	};

	if (!explaining) {
		varlink_reply(call, NULL);
		return;
	}
	*explaining =
		(struct explaining){ .from = *from, .netns_id = netns->id };
	memcpy(explaining->text, text, len + 1);
	control_ask(call, from->stats, &asking);
}

void control_explain(struct varlink_call *call,
		     const struct control_explain *from)
{
	const char *text = varlink_call_string(call, "namespace");
	struct netns *netns[FIND_MAX];
	size_t n;

	if (find_netns(from->watcher, &from->caller, text, netns, &n) < 0)
		varlink_reply(call, NULL);
	else if (n == 0)
		reply_absent(call, from, text);
	else if (n > 1)
		find_ambiguous(call, netns, n, text);
	else
		explain_asking(call, from, netns[0], text);
}
