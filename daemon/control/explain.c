// SPDX-License-Identifier: Apache-2.0
/* explain.c - why a namespace has the listeners it has, and lacks others
 *
 * What is wanted is computed anew, by the same pure function that decides
 * what is opened; what is open is looked up beside it.
 */
#include "daemon/control/explain.h"

#include <string.h>

#include "binder/binder.h"
#include "common/utf8.h"
#include "common/util.h"
#include "daemon/control/control.h"
#include "daemon/control/describe.h"
#include "daemon/json_text.h"
#include "daemon/reconcile.h"
#include "rules/plan.h"
#include "watcher/watcher.h"

/* More than a directory of namespaces ever holds in passing. */
#define ABSENT_MAX 4096

/**
 * struct wanted - what is looked for
 * @text:	as it was given
 * @plain:	with \xNN as the bytes they stand for, as replies write a name
 *		of any bytes; equal to @text for others
 */
struct wanted {
	const char *text;
	char *plain;
};

static void wanted_done(struct wanted *wanted)
{
	free(wanted->plain);
}

/* Is @path the directory, a slash and the name? */
static bool path_is(const char *path, const char *dir, const char *name)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/' &&
	       strcmp(path + len + 1, name) == 0;
}

static bool name_matches(const char *dir, const char *name,
			 const struct wanted *wanted)
{
	return strcmp(name, wanted->plain) == 0 ||
	       strcmp(name, wanted->text) == 0 ||
	       path_is(wanted->plain, dir, name) ||
	       path_is(wanted->text, dir, name);
}

static bool netns_matches(const struct netns *netns,
			  const struct wanted *wanted)
{
	if (strcmp(wanted->text, "host") == 0)
		return netns->host;
	for (size_t i = 0; i < netns->n_names; i++) {
		if (name_matches(netns->names[i].dir, netns->names[i].name,
				 wanted))
			return true;
	}
	return false;
}

static bool id_parse(const char *text, uint64_t *ret_id)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '-')
		return false;
	errno = 0;
	/* Ids with the highest bit set are negative in JSON. */
	*ret_id = *text == '-' ? (uint64_t)strtoll(text, &end, 10)
			       : strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && end != text;
}

int find_netns(struct watcher *watcher, const char *text,
	       struct netns *ret_netns[FIND_MAX], size_t *ret_n)
{
	_cleanup_(wanted_done) struct wanted wanted = { text,
							utf8_unescape(text) };
	struct netns *netns = NULL;
	uint64_t id;
	size_t n = 0;

	if (!wanted.plain)
		return -ENOMEM;
	while ((netns = watcher_next(watcher, netns))) {
		if (!netns_matches(netns, &wanted))
			continue;
		if (n < FIND_MAX)
			ret_netns[n] = netns;
		n++;
	}
	if (n == 0 && id_parse(text, &id)) {
		ret_netns[0] = watcher_find(watcher, id);
		n = ret_netns[0] ? 1 : 0;
	}
	*ret_n = n;
	return 0;
}

/* "directory/name" of the one name that was meant. */
static json_t *describe_candidate(const struct netns *netns,
				  const struct wanted *wanted)
{
	_cleanup_free_ char *path = NULL;
	const struct netns_name *name = netns->names;

	while (!name_matches(name->dir, name->name, wanted))
		name++;
	if (asprintf(&path, "%s/%s", name->dir, name->name) < 0) {
		path = NULL; /* asprintf(3) leaves it undefined */
		return NULL;
	}
	return json_text(path);
}

json_t *find_candidates(struct netns *const netns[], size_t n, const char *text)
{
	_cleanup_(wanted_done) struct wanted wanted = { text,
							utf8_unescape(text) };
	json_t *array = wanted.plain ? json_array() : NULL;

	for (size_t i = 0; array && i < n && i < FIND_MAX; i++) {
		if (json_array_append_new(
			    array, describe_candidate(netns[i], &wanted)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

char *find_absence(const struct watcher *watcher, const char *text)
{
	char *message = NULL;
	size_t size;
	FILE *f = open_memstream(&message, &size);
	size_t n = watcher_dir_count(watcher);

	if (!f)
		return NULL;
	(void)fprintf(f, "no network namespace '%s' in", text);
	for (size_t i = 0; i < n; i++) {
		bool exists = false;
		const char *path = watcher_dir(watcher, i, &exists);

		(void)fprintf(f, "%s %s%s", i > 0 ? "," : "", path,
			      exists ? "" : " (does not exist)");
	}
	if (fclose(f) == 0)
		return message;
	free(message);
	return NULL;
}

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

static json_t *explain_rules(const struct ruleset *ruleset,
			     const struct netns *netns)
{
	json_t *array = json_array();
	size_t n = ruleset_size(ruleset);

	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(array, explain_rule(ruleset, i,
							      netns)) < 0) {
			json_decref(array);
			return NULL;
		}
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

static json_t *explain_spec(const struct listener_spec *spec,
			    const struct listener *row, uint64_t now_us)
{
	json_t *object =
		describe_join(describe_endpoint(&spec->endpoint),
			      json_pack("{s:o, s:o, s:o}", "interface",
					json_text(spec->ifname), "rule",
					json_text(spec->service->rule), "id",
					row ? json_integer((json_int_t)row->id)
					    : json_null()));

	if (row)
		return describe_attempt(object, row, now_us);
	return describe_join(object,
			     json_pack("{s:s, s:n, s:n, s:n, s:b}", "state",
				       "absent", "reason", "error",
				       "next_attempt_us", "delivered", false));
}

static json_t *explain_specs(const struct control_view *view,
			     const struct netns *netns, const struct plan *plan,
			     uint64_t now_us)
{
	json_t *array = json_array();
	struct rows rows = { .list = NULL };

	if (rows_collect(view->binder, netns->id, &rows) < 0)
		goto out;
	for (size_t i = 0; i < plan->n_specs; i++) {
		const struct listener_spec *spec = &plan->specs[i];
		const struct listener *row = rows_find(&rows, &spec->endpoint);

		if (json_array_append_new(array,
					  explain_spec(spec, row, now_us)) < 0)
			goto out;
	}
	free(rows.list);
	return array;
out:
	free(rows.list);
	json_decref(array);
	return NULL;
}

/* Why the kernel lets only one of the two exist. */
static const char *shadow_reason(const struct plan_shadow *shadow)
{
	const struct endpoint *loser = &shadow->endpoint;
	const struct endpoint *winner = &shadow->winner_endpoint;
	bool wildcard = endpoint_is_wildcard(loser);

	if (shadow->same_endpoint)
		return "both want the same, and it comes first";
	if (loser->protocol != winner->protocol)
		return "the two protocols share their ports";
	if (wildcard && endpoint_is_wildcard(winner))
		return "the two wildcards overlap";
	if (wildcard || endpoint_is_wildcard(winner))
		return "a wildcard and an address cannot share the port";
	return "both have the same address";
}

static json_t *explain_shadow(const struct plan_shadow *shadow)
{
	return describe_join(
		describe_endpoint(&shadow->endpoint),
		json_pack("{s:o, s:o, s:o, s:b, s:s}", "rule",
			  json_text(shadow->rule), "winner",
			  json_text(shadow->winner), "winner_endpoint",
			  describe_endpoint(&shadow->winner_endpoint),
			  "same_endpoint", shadow->same_endpoint, "reason",
			  shadow_reason(shadow)));
}

static json_t *explain_shadows(const struct plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->n_shadows; i++) {
		if (json_array_append_new(
			    array, explain_shadow(&plan->shadows[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *explain_present(const struct control_view *view, struct netns *netns,
			uint64_t now_us)
{
	struct plan plan;
	json_t *reply;

	if (reconcile_plan(view->reconcile, netns, &plan) < 0)
		return NULL;
	reply = json_pack(
		"{s:s, s:o, s:n, s:n, s:o, s:o, s:o, s:I, s:o}", "state",
		"present", "namespace", describe_namespace(view, netns),
		"pending", "lingering", "rules",
		explain_rules(rule_store_ruleset(view->rules), netns),
		"listeners", explain_specs(view, netns, &plan, now_us),
		"shadowed", explain_shadows(&plan), "omitted",
		(json_int_t)plan.omitted, "files", describe_files(view));
	plan_done(&plan);
	return reply;
}

/* Takes @pending and @lingering, of which one is JSON null. */
static int explain_without_netns(const struct control_view *view,
				 const char *state, json_t *pending,
				 json_t *lingering, json_t **ret_reply)
{
	json_t *reply = json_pack(
		"{s:s, s:n, s:o, s:o, s:[], s:[], s:[], s:i, s:o}", "state",
		state, "namespace", "pending", pending, "lingering", lingering,
		"rules", "listeners", "shadowed", "omitted", 0, "files",
		describe_files(view));

	if (!reply)
		return -ENOMEM;
	*ret_reply = reply;
	return 1;
}

static int explain_pending(const struct control_view *view,
			   const struct wanted *wanted, uint64_t now_us,
			   json_t **ret_reply)
{
	_cleanup_free_ struct watcher_pending *list =
		calloc(ABSENT_MAX, sizeof(*list));
	size_t n;

	if (!list)
		return -ENOMEM;
	n = watcher_pending_names(view->watcher, list, ABSENT_MAX);
	for (size_t i = 0; i < n && i < ABSENT_MAX; i++) {
		if (name_matches(list[i].dir, list[i].name, wanted))
			return explain_without_netns(view, "pending",
						     describe_pending(&list[i],
								      now_us),
						     json_null(), ret_reply);
	}
	return 0;
}

static int explain_lingering(const struct control_view *view,
			     const struct wanted *wanted, uint64_t now_us,
			     json_t **ret_reply)
{
	_cleanup_free_ struct watcher_lingering *list =
		calloc(ABSENT_MAX, sizeof(*list));
	uint64_t id = 0;
	size_t n;
	bool by_id;

	if (!list)
		return -ENOMEM;
	by_id = id_parse(wanted->text, &id);
	n = watcher_lingering(view->watcher, list, ABSENT_MAX);
	for (size_t i = 0; i < n && i < ABSENT_MAX; i++) {
		if ((by_id && list[i].netns_id == id) ||
		    name_matches("", list[i].name, wanted))
			return explain_without_netns(
				view, "lingering", json_null(),
				describe_lingering(view, &list[i], now_us),
				ret_reply);
	}
	return 0;
}

int explain_absent(const struct control_view *view, const char *text,
		   uint64_t now_us, json_t **ret_reply)
{
	_cleanup_(wanted_done) struct wanted wanted = { text,
							utf8_unescape(text) };
	int r;

	if (!wanted.plain)
		return -ENOMEM;
	r = explain_pending(view, &wanted, now_us, ret_reply);
	if (r == 0)
		r = explain_lingering(view, &wanted, now_us, ret_reply);
	return r;
}
