// SPDX-License-Identifier: Apache-2.0
/* check_live.c - what would rule files do to the namespaces that there are? */
#include "daemon/check_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/util.h"
#include "daemon/config.h"
#include "daemon/netns_json.h"
#include "rules/plan.h"

#define LISTENERS_MAX 100000u /* of a namespace; enough for all ports */
#define NAMES_SHOWN 8u /* of the namespaces where a rule holds */
#define PATIENCE_US (30 * USEC_PER_SEC)

/**
 * struct live_rule - a rule of the files that are checked
 * @index:	in the ruleset with them
 * @names:	of the first namespaces where it holds, owned
 */
struct live_rule {
	size_t index;
	size_t n_matches;
	char *names[NAMES_SHOWN];
};

/**
 * struct live - the state of one check_live()
 * @now, @then:	the rules without and with the files
 * @unknown:	namespaces whose addresses berthd did not look at, but a rule
 *		would
 * @changes:	text of what would change in the namespaces so far
 */
struct live {
	struct ruleset *now, *then;
	struct live_rule *rules;
	size_t n_rules;
	size_t n_netns, unknown;
	size_t opened, closed, changed;
	FILE *changes;
};

/* Namespaces */

static int compare_specs(const void *a, const void *b)
{
	const struct listener_spec *sa = a, *sb = b;

	return memcmp(&sa->endpoint, &sb->endpoint, sizeof(sa->endpoint));
}

static void print_change(struct live *live, char sign,
			 const struct listener_spec *spec,
			 const struct netns *netns, const char *rule)
{
	char text[ENDPOINT_TEXT_MAX];

	fprintf(live->changes, "%c %s in %s (rule '%s%s%s')\n", sign,
		endpoint_fmt(&spec->endpoint, text), netns_label(netns),
		rule ? rule : spec->service->rule, rule ? "' -> '" : "",
		rule ? spec->service->rule : "");
}

/* Walks two sorted lists side by side. */
static void print_changes(struct live *live, const struct netns *netns,
			  const struct plan *now, const struct plan *then)
{
	size_t i = 0, j = 0;

	while (i < now->n_specs || j < then->n_specs) {
		const struct listener_spec *a = &now->specs[i];
		const struct listener_spec *b = &then->specs[j];
		int order = i == now->n_specs	 ? 1
			    : j == then->n_specs ? -1
						 : compare_specs(a, b);

		if (order < 0) {
			print_change(live, '-', a, netns, NULL);
			live->closed++;
		} else if (order > 0) {
			print_change(live, '+', b, netns, NULL);
			live->opened++;
		} else if (strcmp(a->service->rule, b->service->rule) != 0) {
			print_change(live, '~', b, netns, a->service->rule);
			live->changed++;
		}
		i += order <= 0;
		j += order >= 0;
	}
}

static int compare_plans(struct live *live, const struct netns *netns)
{
	struct plan now, then;
	int r = plan_make(live->now, netns, LISTENERS_MAX, &now);

	if (r < 0)
		return r;
	r = plan_make(live->then, netns, LISTENERS_MAX, &then);
	if (r < 0) {
		plan_done(&now);
		return r;
	}
	if (now.n_specs > 0)
		qsort(now.specs, now.n_specs, sizeof(now.specs[0]),
		      compare_specs);
	if (then.n_specs > 0)
		qsort(then.specs, then.n_specs, sizeof(then.specs[0]),
		      compare_specs);
	print_changes(live, netns, &now, &then);
	live->unknown += then.needs_addresses;
	plan_done(&now);
	plan_done(&then);
	return 0;
}

static int note_match(const struct live *live, struct live_rule *rule,
		      const struct netns *netns)
{
	_cleanup_free_ char *reason = NULL;
	int r = plan_explain(live->then, rule->index, netns, &reason);

	if (r <= 0)
		return r;
	if (rule->n_matches < NAMES_SHOWN) {
		char *name = strdup(netns_label(netns));

		if (!name)
			return -ENOMEM;
		rule->names[rule->n_matches] = name;
	}
	rule->n_matches++;
	return 0;
}

static int look_at(struct live *live, const json_t *json)
{
	struct netns netns;
	int r = netns_from_json(json, &netns);

	if (r < 0)
		return r;
	live->n_netns++;
	for (size_t i = 0; i < live->n_rules && r == 0; i++)
		r = note_match(live, &live->rules[i], &netns);
	if (r == 0)
		r = compare_plans(live, &netns);
	netns_json_done(&netns);
	return r;
}

/* Asking berthd */

static int read_reply(struct live *live, struct client *client,
		      bool *ret_continues)
{
	struct client_reply reply;
	json_t *json;
	size_t i;
	int r = client_next(client, NULL, &reply);

	if (r < 0)
		return r;
	*ret_continues = reply.continues;
	if (reply.error)
		r = -EACCES;
	json_array_foreach (json_object_get(reply.parameters, "namespaces"), i,
			    json) {
		if (r == 0)
			r = look_at(live, json);
	}
	client_reply_done(&reply);
	return r;
}

static int ask(struct live *live, const char *runtime_dir)
{
	const struct client_call call = {
		.method = "io.berth.ListNamespaces",
		.parameters = json_object(),
		.deadline_us = monotonic_us() + PATIENCE_US,
	};
	_cleanup_free_ char *path = NULL;
	struct client *client = NULL;
	bool continues = true;
	int r;

	if (asprintf(&path, "%s/control.sock", runtime_dir) < 0) {
		path = NULL;
		json_decref(call.parameters);
		return -ENOMEM;
	}
	r = client_call(path, &call, &client);
	while (r == 0 && continues)
		r = read_reply(live, client, &continues);
	client_free(client);
	if (r < 0)
		fprintf(stderr, "berthd: cannot ask berthd at %s: %s\n", path,
			strerror(-r));
	return r;
}

/* Rules */

/* Was the rule file named, or is it in a directory that was? */
static bool is_among(const char *file, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* What was named without a directory is in this one. */
		if (strncmp(file, "./", 2) == 0 &&
		    strcmp(file + 2, paths[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(paths[i]);

		if (strncmp(file, paths[i], len) == 0 &&
		    (file[len] == '\0' || file[len] == '/' ||
		     (len > 0 && paths[i][len - 1] == '/')))
			return true;
	}
	return false;
}

static int choose_rules(struct live *live, const char *const *paths, size_t n)
{
	size_t size = ruleset_size(live->then);

	live->rules = calloc(size + 1, sizeof(*live->rules));
	if (!live->rules)
		return -ENOMEM;
	for (size_t i = 0; i < size; i++) {
		struct rule_info info;

		ruleset_rule_info(live->then, i, &info);
		if (n == 0 || is_among(info.file, paths, n))
			live->rules[live->n_rules++].index = i;
	}
	return 0;
}

/* What is wrong in the files of either was said by `--check` itself, or is the
 * running berthd's to say. */
static int load(const char *const *paths, size_t n, struct ruleset **ret)
{
	struct rules_errors errors = { 0 };
	int r = ruleset_load_installed(paths, n, &errors, ret);

	rules_errors_done(&errors);
	return r;
}

static int load_rules(struct live *live, const struct config *config,
		      const char *const *paths, size_t n)
{
	const char *const *dirs = (const char *const *)config->rules_dirs.list;
	size_t n_dirs = config->rules_dirs.n;
	_cleanup_free_ const char **all = calloc(n + n_dirs, sizeof(*all));

	if (!all)
		return -ENOMEM;
	/* The first one of a name counts. */
	for (size_t i = 0; i < n + n_dirs; i++)
		all[i] = i < n ? paths[i] : dirs[i - n];
	if (load(dirs, n_dirs, &live->now) < 0 ||
	    load(all, n + n_dirs, &live->then) < 0)
		return -ENOMEM;
	return choose_rules(live, paths, n);
}

/* Words */

static void print_rule(const struct live *live, const struct live_rule *rule)
{
	struct rule_info info;

	ruleset_rule_info(live->then, rule->index, &info);
	if (rule->n_matches == 0)
		fprintf(stderr,
			"%s:%u:1: warning: rule '%s' holds in none of the %zu "
			"namespaces that there are now\n",
			info.file, info.line, info.name, live->n_netns);
	else
		printf("rule '%s' holds in %zu of %zu namespaces:", info.name,
		       rule->n_matches, live->n_netns);
	for (size_t i = 0; i < rule->n_matches && i < NAMES_SHOWN; i++)
		printf("%s %s", i ? "," : "", rule->names[i]);
	if (rule->n_matches > 0)
		printf("%s\n", rule->n_matches > NAMES_SHOWN ? ", …" : "");
}

static void print_all(const struct live *live, const char *changes)
{
	for (size_t i = 0; i < live->n_rules; i++)
		print_rule(live, &live->rules[i]);
	fputs(changes, stdout);
	printf("%zu listeners would be opened, %zu closed, %zu given to "
	       "another rule\n",
	       live->opened, live->closed, live->changed);
	if (live->unknown > 0)
		printf("the addresses of %zu namespaces are not known yet: "
		       "what depends on them is not listed\n",
		       live->unknown);
}

static void live_done(struct live *live)
{
	for (size_t i = 0; i < live->n_rules; i++) {
		for (size_t k = 0; k < NAMES_SHOWN; k++)
			free(live->rules[i].names[k]);
	}
	free(live->rules);
	ruleset_unref(live->now);
	ruleset_unref(live->then);
}

int check_live(const struct config *config, const char *const *paths, size_t n)
{
	_cleanup_free_ char *changes = NULL;
	struct live live = { 0 };
	size_t size;
	int r = load_rules(&live, config, paths, n);

	live.changes = open_memstream(&changes, &size);
	if (!live.changes)
		r = -ENOMEM;
	if (r == 0)
		r = ask(&live, config->runtime_dir);
	else
		fputs("berthd: out of memory\n", stderr);
	if (live.changes && fclose(live.changes) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		print_all(&live, changes);
	live_done(&live);
	return r == 0 ? 0 : 1;
}
