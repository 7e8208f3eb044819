// SPDX-License-Identifier: Apache-2.0
/* control_rules.c - the methods ListRules and Reload */
#include "daemon/control/control_rules.h"

#include <string.h>

#include "binder/binder.h"
#include "common/util.h"
#include "daemon/config_store.h"
#include "daemon/control/describe.h"
#include "daemon/control/describe_config.h"
#include "daemon/control/describe_rules.h"
#include "daemon/control/describe_told.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "rules/rules.h"

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

static struct rule_list *rule_list_new(struct ruleset *ruleset,
				       struct binder *binder)
{
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
	rule_list_count(list, binder);
	return list;
}

/* All but the list. Warnings take the time of comparing each rule with all
 * others, and so come for those who ask. */
static json_t *describe_head(const struct varlink_call *call,
			     const struct control_rules *from)
{
	const struct ruleset *ruleset = rule_store_ruleset(from->rules);
	json_t *warnings = varlink_call_bool(call, "warnings")
				   ? describe_warnings(ruleset)
				   : json_null();

	return json_pack("{s:o, s:o, s:o, s:o}", "files",
			 describe_files(from->rules), "container_files",
			 describe_container_files(from->containers_dir),
			 "config", describe_config(from->config), "warnings",
			 warnings);
}

void control_rules(struct varlink_call *call, const struct control_rules *from)
{
	static const struct varlink_array arrays[] = {
		{ "rules", rules_next },
	};
	struct rule_list *list =
		rule_list_new(rule_store_ruleset(from->rules), from->binder);
	const struct varlink_list reply = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = rule_list_free,
		.state = list,
	};

	if (list)
		varlink_reply_list(call, describe_head(call, from), &reply);
	else
		varlink_reply(call, NULL);
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

void control_reloaded(struct varlink_call *call,
		      const struct control_reload *reload)
{
	size_t problems = count_problems(reload->rules) +
			  config_store_problems(reload->config)->n;

	if (reload->result < 0)
		varlink_error(call, "ReloadFailed",
			      json_pack("{s:o, s:s}", "error",
					describe_errno(-reload->result),
					"message", strerror(-reload->result)));
	else
		varlink_reply(
			call,
			json_pack("{s:o, s:o, s:o, s:o}", "rules",
				  json_count(ruleset_size(
					  rule_store_ruleset(reload->rules))),
				  "problems", json_count(problems), "changed",
				  describe_settings(reload->changed), "config",
				  describe_config(reload->config)));
}
