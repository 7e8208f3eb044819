// SPDX-License-Identifier: Apache-2.0
/* rule.c - rules, the files they come from, and the set in force */
#include "rules/rule.h"

#include <assert.h>
#include <string.h>

#include "common/util.h"

static void patterns_free(struct pattern *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pattern_done(&patterns[i]);
	free(patterns);
}

static void match_done(struct match *match)
{
	patterns_free(match->namespaces, match->n_namespaces);
	patterns_free(match->interfaces, match->n_interfaces);
	patterns_free(match->containers, match->n_containers);
	patterns_free(match->pod_namespaces, match->n_pod_namespaces);
	selector_done(&match->labels);
	selector_done(&match->unless_labels);
	for (size_t i = 0; i < match->n_dirs; i++)
		free(match->dirs[i]);
	free(match->dirs);
	free(match->addresses);
}

void rule_done(struct rule *rule)
{
	match_done(&rule->match);
	for (size_t i = 0; i < rule->n_listens; i++) {
		free(rule->listens[i].ports);
		free(rule->listens[i].literals);
		service_unref(rule->listens[i].service);
	}
	free(rule->listens);
	free(rule->name);
	free(rule->match_text);
	free(rule->listen_text);
	free(rule->serve_text);
	free(rule->provisions);
	free(rule->provide_text);
}

bool rule_uses_addresses(const struct rule *rule)
{
	for (size_t i = 0; i < rule->n_listens; i++) {
		if (rule->listens[i].address == LISTEN_EACH ||
		    rule->listens[i].address == LISTEN_ALL)
			return true;
	}
	return rule->match.on_addresses;
}

struct rule_file *rule_file_new(const char *path)
{
	struct rule_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->refs = 1;
	file->path = strdup(path);
	return file->path ? file : rule_file_unref(file);
}

struct rule_file *rule_file_ref(struct rule_file *file)
{
	file->refs++;
	return file;
}

struct rule_file *rule_file_unref(struct rule_file *file)
{
	if (!file)
		return NULL;
	assert(file->refs > 0);
	if (--file->refs > 0)
		return NULL;
	for (size_t i = 0; i < file->n_rules; i++)
		rule_done(&file->rules[i]);
	free(file->rules);
	free(file->path);
	free(file);
	return NULL;
}

struct ruleset *ruleset_new(struct rule_file *const *files, size_t n)
{
	struct ruleset *ruleset = calloc(1, sizeof(*ruleset));
	size_t total = 0;

	if (!ruleset)
		return NULL;
	ruleset->refs = 1;
	for (size_t i = 0; i < n; i++)
		total += files[i]->n_rules;
	ruleset->files = calloc(n ? n : 1, sizeof(struct rule_file *));
	ruleset->rules = calloc(total ? total : 1, sizeof(struct rule *));
	if (!ruleset->files || !ruleset->rules)
		return ruleset_unref(ruleset);
	for (size_t i = 0; i < n; i++) {
		ruleset->files[ruleset->n_files++] = rule_file_ref(files[i]);
		for (size_t k = 0; k < files[i]->n_rules; k++)
			ruleset->rules[ruleset->n_rules++] =
				&files[i]->rules[k];
	}
	return ruleset;
}

struct ruleset *ruleset_ref(struct ruleset *ruleset)
{
	ruleset->refs++;
	return ruleset;
}

struct ruleset *ruleset_unref(struct ruleset *ruleset)
{
	if (!ruleset)
		return NULL;
	assert(ruleset->refs > 0);
	if (--ruleset->refs > 0)
		return NULL;
	for (size_t i = 0; i < ruleset->n_files; i++)
		rule_file_unref(ruleset->files[i]);
	free(ruleset->files);
	free(ruleset->rules);
	free(ruleset);
	return NULL;
}

bool ruleset_same_files(const struct ruleset *a, const struct ruleset *b)
{
	if (!a || !b || a->n_files != b->n_files)
		return a == b;
	for (size_t i = 0; i < a->n_files; i++) {
		if (a->files[i] != b->files[i])
			return false;
	}
	return true;
}

size_t ruleset_size(const struct ruleset *ruleset)
{
	return ruleset->n_rules;
}

bool ruleset_unprivileged(const struct ruleset *ruleset, size_t index)
{
	assert(index < ruleset->n_rules);
	return ruleset->rules[index]->match.unprivileged;
}

bool ruleset_has(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->n_rules; i++) {
		if (strcmp(ruleset->rules[i]->name, name) == 0)
			return true;
	}
	return false;
}

void ruleset_rule_info(const struct ruleset *ruleset, size_t index,
		       struct rule_info *ret_info)
{
	const struct rule *rule;
	const char *consumer = NULL;

	assert(index < ruleset->n_rules);
	rule = ruleset->rules[index];
	if (rule->action == SERVICE_HANDOFF && rule->n_listens > 0)
		consumer = rule->listens[0].service->consumer;
	*ret_info = (struct rule_info){
		.name = rule->name,
		.file = rule->file,
		.line = rule->line,
		.action = service_action_name(rule->action),
		.match = rule->match_text,
		.listen = rule->listen_text,
		.serve = rule->serve_text,
		.provide = rule->provide_text,
		.consumer = consumer,
	};
}
