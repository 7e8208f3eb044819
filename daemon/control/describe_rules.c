// SPDX-License-Identifier: Apache-2.0
/* describe_rules.c - rules and rule files as JSON */
#include "daemon/control/describe_rules.h"

#include "common/util.h"
#include "daemon/json_build.h"
#include "rules/rules.h"

json_t *describe_rule(const struct rule_info *info,
		      const struct describe_counts *counts)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "name", json_text(info->name), "file",
			 json_text(info->file), "line", json_count(info->line),
			 "action", info->action, "match",
			 json_text(info->match), "listen",
			 json_text(info->listen), "serve",
			 json_text(info->serve), "provide",
			 info->provide ? json_text(info->provide) : json_null(),
			 "listeners", describe_counts(counts));
}

static json_t *describe_problem(const struct rules_error *error,
				const char *severity)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:o}", "file",
			 json_text(error->file), "line",
			 json_count(error->line), "column",
			 json_count(error->column), "severity", severity,
			 "message", json_text(error->message));
}

static json_t *describe_list(const struct rules_errors *errors,
			     const char *severity)
{
	json_t *array = json_array();

	for (size_t i = 0; errors && i < errors->n; i++)
		json_add(&array, describe_problem(&errors->list[i], severity));
	return array;
}

json_t *describe_problems(const struct rules_errors *errors)
{
	return describe_list(errors, "error");
}

json_t *describe_warnings(const struct ruleset *ruleset)
{
	struct rules_errors warnings = { 0 };
	json_t *array = NULL;

	if (ruleset_warn(ruleset, &warnings) == 0)
		array = describe_list(&warnings, "warning");
	rules_errors_done(&warnings);
	return array;
}

static json_t *describe_file(const struct rule_file_info *info)
{
	return json_pack("{s:o, s:o, s:b, s:o}", "path", json_text(info->path),
			 "rules", json_count(info->n_rules), "last_good",
			 info->last_good, "problems",
			 describe_problems(info->errors));
}

json_t *describe_files(const struct rule_store *rules)
{
	json_t *array = json_array();
	size_t n = rule_store_files(rules);

	for (size_t i = 0; i < n; i++) {
		struct rule_file_info info;

		rule_store_file_info(rules, i, &info);
		json_add(&array, describe_file(&info));
	}
	return array;
}
