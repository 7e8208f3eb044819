// SPDX-License-Identifier: Apache-2.0
/* check.c - berthd --check */
#include "daemon/check.h"

#include <string.h>

#include "common/util.h"
#include "rules/rules.h"

/* What a person names must be there; of directories that are watched, any may
 * be missing. Return: how many are not. */
static size_t check_paths(const char *const *paths, size_t n)
{
	size_t missing = 0;

	for (size_t i = 0; i < n; i++) {
		if (access(paths[i], F_OK) == 0)
			continue;
		fprintf(stderr, "%s: %s; expected a file or a directory\n",
			paths[i], strerror(errno));
		missing++;
	}
	return missing;
}

int check_rules(const char *const *paths, size_t n, bool must_exist)
{
	struct rules_errors errors = { 0 };
	struct ruleset *ruleset = NULL;
	int status;

	if (must_exist && check_paths(paths, n) > 0)
		return 1;
	if (ruleset_load(paths, n, &errors, &ruleset) < 0 ||
	    ruleset_check(ruleset, &errors) < 0) {
		fputs("berthd: out of memory\n", stderr);
		ruleset_unref(ruleset);
		rules_errors_done(&errors);
		return 1;
	}
	for (size_t i = 0; i < errors.n; i++) {
		_cleanup_free_ char *text = rules_error_fmt(&errors.list[i]);

		fprintf(stderr, "%s\n", text ? text : "out of memory");
	}
	status = errors.n > 0;
	if (status == 0)
		printf("%zu rule%s, no problems\n", ruleset_size(ruleset),
		       ruleset_size(ruleset) == 1 ? "" : "s");
	ruleset_unref(ruleset);
	rules_errors_done(&errors);
	return status;
}
