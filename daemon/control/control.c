// SPDX-License-Identifier: Apache-2.0
/* control.c - the methods of io.berth
 *
 * Lists are made element by element while the client reads, so they go by
 * ids: what a namespace or listener looks like is asked when its turn comes,
 * and one that has gone by then is left out.
 */
#include "daemon/control/control.h"

#include <string.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/util.h"
#include "daemon/control/control_stats.h"
#include "daemon/control/describe.h"
#include "daemon/control/explain.h"
#include "daemon/control/interface.h"
#include "daemon/json_text.h"
#include "daemon/consumers/stats.h"
#include "daemon/control/varlink.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

struct control {
	struct control_view view;
	struct varlink_server *server;
};

/**
 * struct id_list - the state of a list of namespaces or listeners
 * @view:	the control service's: it ends its connections first
 * @stats:	of listeners: a reference
 */
struct id_list {
	const struct control_view *view;
	struct stats_result *stats;
	size_t n;
	size_t next;
	size_t capacity;
	uint64_t *ids;
};

static struct id_list *id_list_new(const struct control_view *view)
{
	struct id_list *list = malloc(sizeof(*list));

	if (list)
		*list = (struct id_list){ .view = view };
	return list;
}

static void id_list_free(void *state)
{
	struct id_list *list = state;

	if (!list)
		return;
	stats_result_unref(list->stats);
	free(list->ids);
	free(list);
}

static int id_list_add(struct id_list *list, uint64_t id)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 64;
	uint64_t *ids;

	if (list->n == list->capacity) {
		ids = reallocarray(list->ids, capacity, sizeof(ids[0]));
		if (!ids)
			return -ENOMEM;
		list->ids = ids;
		list->capacity = capacity;
	}
	list->ids[list->n++] = id;
	return 0;
}

/* A reply to @call with what @list has, or "out of memory" with NULL. */
static void reply_list(struct varlink_call *call, json_t *parameters,
		       const char *member,
		       int (*next)(void *state, json_t **ret_element),
		       struct id_list *list)
{
	struct varlink_list reply = {
		.member = member,
		.next = next,
		.free = id_list_free,
		.state = list,
	};

	if (list) {
		varlink_reply_list(call, parameters, &reply);
		return;
	}
	json_decref(parameters);
	varlink_reply(call, NULL);
}

static void control_get_status(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;

	varlink_reply(call, describe_status(&control->view, monotonic_us()));
}

static int namespaces_next(void *state, json_t **ret_element)
{
	struct id_list *list = state;
	struct netns *netns = NULL;

	while (!netns && list->next < list->n)
		netns = watcher_find(list->view->watcher,
				     list->ids[list->next++]);
	if (!netns)
		return 0;
	*ret_element = describe_namespace(list->view, netns);
	return *ret_element ? 1 : -ENOMEM;
}

static void control_list_namespaces(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;
	struct id_list *list = id_list_new(&control->view);
	struct netns *netns = NULL;

	while (list && (netns = watcher_next(control->view.watcher, netns))) {
		if (id_list_add(list, netns->id) < 0) {
			id_list_free(list);
			list = NULL;
		}
	}
	reply_list(call, describe_names(&control->view, monotonic_us()),
		   "namespaces", namespaces_next, list);
}

static void error_no_such(struct varlink_call *call, struct watcher *watcher,
			  const char *text)
{
	_cleanup_free_ char *message = find_absence(watcher, text);

	varlink_error(call, "NoSuchNamespace",
		      json_pack("{s:s, s:o}", "namespace", text, "message",
				message ? json_text(message) : NULL));
}

static int listeners_next(void *state, json_t **ret_element)
{
	struct id_list *list = state;
	struct listener *listener = NULL;

	while (!listener && list->next < list->n)
		listener = binder_find(list->view->binder,
				       list->ids[list->next++]);
	if (!listener)
		return 0;
	*ret_element = describe_listener(
		list->view, listener,
		stats_result_listener(list->stats, listener), monotonic_us());
	return *ret_element ? 1 : -ENOMEM;
}

static int add_all_listeners(struct binder *binder, struct id_list *list)
{
	struct listener *listener = NULL;

	while ((listener = binder_next(binder, listener))) {
		if (id_list_add(list, listener->id) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_listeners_in(struct binder *binder, uint64_t netns_id,
			    struct id_list *list)
{
	struct listener *listener = NULL;

	while ((listener = binder_next_in(binder, netns_id, listener))) {
		if (id_list_add(list, listener->id) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* All listeners, or those of the namespaces that @text means. */
static int add_listeners(const struct control_view *view, const char *text,
			 struct id_list *list)
{
	struct netns *netns[FIND_MAX];
	size_t n;
	int r;

	if (!text)
		return add_all_listeners(view->binder, list);
	r = find_netns(view->watcher, text, netns, &n);
	if (r == 0 && n == 0)
		r = -ENOENT;
	for (size_t i = 0; r == 0 && i < n && i < FIND_MAX; i++)
		r = add_listeners_in(view->binder, netns[i]->id, list);
	return r;
}

static void reply_listeners(struct varlink_call *call,
			    struct stats_result *result, void *state)
{
	struct id_list *list = state;

	list->stats = stats_result_ref(result);
	reply_list(call,
		   json_pack("{s:o}", "silent", control_silent_json(result)),
		   "listeners", listeners_next, list);
}

static void control_list_listeners(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;
	const char *text = varlink_call_string(call, "namespace");
	struct id_list *list = id_list_new(&control->view);
	const struct stats_reply reply = {
		.reply = reply_listeners,
		.free = id_list_free,
		.state = list,
	};
	int r = list ? add_listeners(&control->view, text, list) : -ENOMEM;

	if (r == 0) {
		control_ask_stats(call, control->view.stats, &reply);
		return;
	}
	id_list_free(list);
	if (r == -ENOENT)
		error_no_such(call, control->view.watcher, text);
	else
		varlink_reply(call, NULL);
}

static void control_get_stats(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;

	control_stats(call, control->view.stats);
}

/** struct rule_count - the listeners of the rule at @index of a ruleset */
struct rule_count {
	const char *name; /* the ruleset's, as is @file */
	const char *file;
	size_t index;
	struct describe_counts counts;
};

/**
 * struct rule_list - the state of the list of rules
 * @ruleset:	a reference: a reload does not disturb the list
 * @counts:	in the order of the ruleset once the listeners are counted
 */
struct rule_list {
	struct ruleset *ruleset;
	struct rule_count *counts;
	size_t n;
	size_t next;
};

static void rule_list_free(void *state)
{
	struct rule_list *list = state;

	free(list->counts);
	ruleset_unref(list->ruleset);
	free(list);
}

static int rules_next(void *state, json_t **ret_element)
{
	struct rule_list *list = state;
	struct rule_info info;

	if (list->next >= list->n)
		return 0;
	ruleset_rule_info(list->ruleset, list->next, &info);
	*ret_element = describe_rule(&info, &list->counts[list->next].counts);
	list->next++;
	return *ret_element ? 1 : -ENOMEM;
}

static int rule_count_by_name(const void *a, const void *b)
{
	const struct rule_count *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->file, y->file);
}

static int rule_count_by_index(const void *a, const void *b)
{
	const struct rule_count *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* One pass over the table: ten milliseconds for 100,000 listeners. */
static void rule_list_count(struct rule_list *list, struct binder *binder)
{
	struct listener *listener = NULL;
	struct rule_count *count;

	qsort(list->counts, list->n, sizeof(*count), rule_count_by_name);
	while ((listener = binder_next(binder, listener))) {
		struct rule_count key = { .name = listener->service->rule,
					  .file = listener->service->file };

		count = bsearch(&key, list->counts, list->n, sizeof(*count),
				rule_count_by_name);
		if (count)
			describe_count(&count->counts, listener);
	}
	qsort(list->counts, list->n, sizeof(*count), rule_count_by_index);
}

static struct rule_list *rule_list_new(const struct control_view *view)
{
	struct ruleset *ruleset = rule_store_ruleset(view->rules);
	size_t n = ruleset_size(ruleset);
	struct rule_list *list = malloc(sizeof(*list));
	struct rule_count *counts = calloc(n + 1, sizeof(*counts));

	if (!list || !counts) {
		free(list);
		free(counts);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		struct rule_info info;

		ruleset_rule_info(ruleset, i, &info);
		counts[i].name = info.name;
		counts[i].file = info.file;
		counts[i].index = i;
	}
	*list = (struct rule_list){
		.ruleset = ruleset_ref(ruleset),
		.counts = counts,
		.n = n,
	};
	rule_list_count(list, view->binder);
	return list;
}

static void control_list_rules(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;
	struct rule_list *list = rule_list_new(&control->view);
	struct varlink_list reply = {
		.member = "rules",
		.next = rules_next,
		.free = rule_list_free,
		.state = list,
	};

	if (!list)
		varlink_reply(call, NULL);
	else
		varlink_reply_list(call,
				   json_pack("{s:o}", "files",
					     describe_files(&control->view)),
				   &reply);
}

static size_t count_problems(const struct rule_store *rules)
{
	size_t n = rule_store_files(rules), problems = 0;

	for (size_t i = 0; i < n; i++) {
		struct rule_file_info info;

		rule_store_file_info(rules, i, &info);
		problems += info.errors ? info.errors->n : 0;
	}
	return problems;
}

static void control_reload(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;
	const struct control_view *view = &control->view;
	struct ruleset *ruleset;
	int r;

	log_info("control: a client asks to reload");
	r = view->reload(view->user_data);
	if (r < 0) {
		varlink_error(call, "ReloadFailed",
			      json_pack("{s:o, s:s}", "error",
					describe_errno(-r), "message",
					strerror(-r)));
		return;
	}
	ruleset = rule_store_ruleset(view->rules);
	varlink_reply(call,
		      json_pack("{s:I, s:I}", "rules",
				(json_int_t)ruleset_size(ruleset), "problems",
				(json_int_t)count_problems(view->rules)));
}

static void explain_none(struct varlink_call *call,
			 const struct control_view *view, const char *text)
{
	json_t *reply = NULL;
	int r = explain_absent(view, text, monotonic_us(), &reply);

	if (r == 0)
		error_no_such(call, view->watcher, text);
	else
		varlink_reply(call, reply);
}

static void explain_several(struct varlink_call *call,
			    struct netns *const netns[], size_t n,
			    const char *text)
{
	varlink_error(call, "AmbiguousNamespace",
		      json_pack("{s:s, s:o}", "namespace", text, "candidates",
				find_candidates(netns, n, text)));
}

static void control_explain(struct varlink_call *call, void *user_data)
{
	struct control *control = user_data;
	const struct control_view *view = &control->view;
	const char *text = varlink_call_string(call, "namespace");
	struct netns *netns[FIND_MAX];
	size_t n;

	if (find_netns(view->watcher, text, netns, &n) < 0)
		varlink_reply(call, NULL);
	else if (n == 0)
		explain_none(call, view, text);
	else if (n > 1)
		explain_several(call, netns, n, text);
	else
		varlink_reply(call,
			      explain_present(view, netns[0], monotonic_us()));
}

static const struct varlink_parameter listeners_parameters[] = {
	{ "namespace", false },
};

static const struct varlink_parameter explain_parameters[] = {
	{ "namespace", true },
};

static const struct varlink_method control_methods[] = {
	{ .name = "GetStatus", .handler = control_get_status },
	{ .name = "ListNamespaces", .handler = control_list_namespaces },
	{ .name = "ListListeners",
	  .parameters = listeners_parameters,
	  .n_parameters = ARRAY_SIZE(listeners_parameters),
	  .handler = control_list_listeners },
	{ .name = "GetStats", .handler = control_get_stats },
	{ .name = "ListRules", .handler = control_list_rules },
	{ .name = "Reload", .handler = control_reload },
	{ .name = "Explain",
	  .parameters = explain_parameters,
	  .n_parameters = ARRAY_SIZE(explain_parameters),
	  .handler = control_explain },
};

static const struct varlink_interface control_interface = {
	.name = "io.berth",
	.description = interface_text,
	.methods = control_methods,
	.n_methods = ARRAY_SIZE(control_methods),
};

int control_new(struct loop *loop, const char *path,
		const struct control_view *view, struct control **ret_control)
{
	struct control *control = malloc(sizeof(*control));
	int r;

	if (!control)
		return -ENOMEM;
	*control = (struct control){ .view = *view };
	r = varlink_server_new(loop, &control_interface, control,
			       &control->server);
	if (r == 0)
		r = varlink_server_listen(control->server, path);
	if (r < 0) {
		control_free(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

struct control *control_free(struct control *control)
{
	if (!control)
		return NULL;
	varlink_server_free(control->server);
	free(control);
	return NULL;
}
