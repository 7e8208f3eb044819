// SPDX-License-Identifier: Apache-2.0
/* rule_versions.c - the latest and the last good version of each rule file
 *
 * A last good version stays in force as a whole, even if an earlier file now
 * has a rule of the same name as one of its rules: a mistake in one file never
 * closes the listeners of another. Both rules then exist, and the error says
 * so.
 */
#include "rules/rule_versions.h"

#include <string.h>

#include "common/util.h"
#include "rules/load.h"
#include "rules/parse_rule.h"
#include "rules/rule_names.h"

struct rule_version *rule_version_new(const char *name, const char *path)
{
	struct rule_version *version = calloc(1, sizeof(*version));

	if (!version)
		return NULL;
	version->name = strdup(name);
	version->path = strdup(path);
	if (!version->name || !version->path)
		return rule_version_free(version);
	return version;
}

struct rule_version *rule_version_free(struct rule_version *version)
{
	if (!version)
		return NULL;
	rule_file_unref(version->latest);
	rule_file_unref(version->good);
	rules_errors_done(&version->problems);
	rules_errors_done(&version->errors);
	free(version->text);
	free(version->path);
	free(version->name);
	free(version);
	return NULL;
}

void rule_versions_done(struct rule_versions *versions)
{
	for (size_t i = 0; i < versions->n; i++)
		rule_version_free(versions->list[i]);
	free(TAKE_PTR(versions->list));
	versions->n = 0;
}

static bool text_is(const struct rule_version *version, const char *path,
		    const char *text, size_t len)
{
	return version->text && version->len == len &&
	       memcmp(version->text, text, len) == 0 &&
	       strcmp(version->path, path) == 0;
}

int rule_version_read(struct rule_version *version, const char *path)
{
	struct rules_errors problems = { 0 };
	struct rule_file *latest = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *own_path = strdup(path);
	size_t len = 0;
	int r, unreadable;

	version->file = file_id_get(path);
	unreadable = rule_text_read(path, NULL, &text, &len);
	if (unreadable == -ENOMEM || !own_path)
		return -ENOMEM;
	if (text && text_is(version, path, text, len))
		return 0;
	if (unreadable < 0)
		r = rules_errors_add(&problems, path, 0, 0,
				     rule_read_problem(unreadable));
	else
		r = parse_rules(path, text, len, &problems, &latest);
	if (r == -ENOMEM) {
		rules_errors_done(&problems);
		return r;
	}
	free(version->path);
	version->path = TAKE_PTR(own_path);
	free(version->text);
	version->text = TAKE_PTR(text);
	version->len = len;
	rule_file_unref(version->latest);
	version->latest = latest;
	rules_errors_done(&version->problems);
	version->problems = problems;
	return unreadable;
}

static int errors_copy(const struct rules_errors *from, struct rules_errors *to)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = rules_errors_add(to, from->list[i].file, from->list[i].line,
				     from->list[i].column,
				     from->list[i].message);
	return r;
}

static int add_taken(struct rules_errors *errors, const struct rule *rule,
		     const struct rule *first)
{
	_cleanup_free_ char *message = NULL;

	if (asprintf(&message, "rule name %s is taken by %s:%u",
		     QUOTE(rule->name), first->file, first->line) < 0) {
		message = NULL;
		return -ENOMEM;
	}
	return rules_errors_add(errors, rule->file, rule->line, rule->column,
				message);
}

/* struct decision - which version of one file is to be in force, and its
 * errors */
struct decision {
	struct rule_file *good; /* borrowed from the version */
	struct rules_errors errors;
};

static int decide(const struct rule_version *version, struct rule_names *names,
		  struct decision *decision)
{
	const struct rule_file *latest = version->latest;
	const struct rule *first;
	int r;

	r = errors_copy(&version->problems, &decision->errors);
	for (size_t i = 0; latest && i < latest->n_rules && r == 0; i++) {
		first = rule_names_find(names, latest->rules[i].name);
		if (first && decision->errors.n < RULES_ERRORS_MAX)
			r = add_taken(&decision->errors, &latest->rules[i],
				      first);
	}
	if (r < 0)
		return r;
	decision->good = version->latest && decision->errors.n == 0
				 ? version->latest
				 : version->good;
	if (!decision->good)
		return 0;
	for (size_t i = 0; i < decision->good->n_rules && r == 0; i++)
		r = rule_names_add(names, &decision->good->rules[i], &first);
	return r;
}

static int decide_all(const struct rule_versions *versions,
		      struct decision *decisions, struct ruleset **ret_ruleset)
{
	struct rule_names names = { 0 };
	_cleanup_free_ struct rule_file **files =
		calloc(versions->n ? versions->n : 1, sizeof(*files));
	struct ruleset *ruleset = NULL;
	size_t n_files = 0;
	int r = files ? 0 : -ENOMEM;

	for (size_t i = 0; i < versions->n && r == 0; i++) {
		r = decide(versions->list[i], &names, &decisions[i]);
		if (r == 0 && decisions[i].good)
			files[n_files++] = decisions[i].good;
	}
	rule_names_done(&names);
	if (r == 0)
		ruleset = ruleset_new(files, n_files);
	if (!ruleset)
		return -ENOMEM;
	*ret_ruleset = ruleset;
	return 0;
}

/* Puts one decision in force. Return: does anything differ? */
static bool commit(struct rule_version *version, struct decision *decision)
{
	bool last_good = decision->good && decision->errors.n > 0;
	bool changed = version->good != decision->good ||
		       version->last_good != last_good ||
		       !rules_errors_equal(&version->errors, &decision->errors);
	struct rule_file *good = decision->good ? rule_file_ref(decision->good)
						: NULL;

	rule_file_unref(version->good);
	version->good = good;
	version->last_good = last_good;
	rules_errors_done(&version->errors);
	version->errors = decision->errors;
	version->changed = changed;
	return changed;
}

int rule_versions_compose(struct rule_versions *versions,
			  struct ruleset **ret_ruleset, bool *ret_changed)
{
	size_t n = versions->n;
	_cleanup_free_ struct decision *decisions =
		calloc(n ? n : 1, sizeof(*decisions));
	bool changed = false;
	int r;

	if (!decisions)
		return -ENOMEM;
	r = decide_all(versions, decisions, ret_ruleset);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			changed |= commit(versions->list[i], &decisions[i]);
		else
			rules_errors_done(&decisions[i].errors);
	}
	if (r == 0)
		*ret_changed = changed;
	return r;
}
