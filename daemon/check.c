// SPDX-License-Identifier: Apache-2.0
/* check.c - berthd --check */
#include "daemon/check.h"

#include <string.h>

#include "common/util.h"
#include "daemon/check_live.h"
#include "daemon/config_store.h"
#include "daemon/options.h"
#include "rules/rules.h"

#define CONFIG_FILE_NAME "berthd.yaml"

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

static void print_problems(const struct rules_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		_cleanup_free_ char *text = rules_error_fmt(&errors->list[i]);

		fprintf(stderr, "%s\n", text ? text : "out of memory");
	}
}

/* Prints them as compilers do: "file:line:column: warning: text". Return: 0 or
 * -ENOMEM. */
static int print_warnings(const struct ruleset *ruleset, size_t *ret_n)
{
	struct rules_errors warnings = { 0 };
	int r = ruleset_warn(ruleset, &warnings);

	for (size_t i = 0; i < warnings.n && r == 0; i++) {
		const struct rules_error *warning = &warnings.list[i];

		fprintf(stderr, "%s:%u:%u: warning: %s\n", warning->file,
			warning->line, warning->column, warning->message);
	}
	*ret_n = warnings.n;
	rules_errors_done(&warnings);
	return r;
}

static void print_verdict(const struct ruleset *ruleset, size_t n_warnings)
{
	size_t n = ruleset_size(ruleset);

	printf("%zu rule%s, no problems", n, n == 1 ? "" : "s");
	if (n_warnings > 0)
		printf(", %zu warning%s", n_warnings,
		       n_warnings == 1 ? "" : "s");
	printf("\n");
}

/* Return: the exit status. */
static int out_of_memory(void)
{
	fputs("berthd: out of memory\n", stderr);
	return 1;
}

/* Return: the exit status. */
static int check_rules(const char *const *paths, size_t n)
{
	struct rules_errors errors = { 0 };
	struct ruleset *ruleset = NULL;
	size_t n_warnings;
	int status;

	if (ruleset_load(paths, n, &errors, &ruleset) < 0 ||
	    ruleset_check(ruleset, &errors) < 0 ||
	    print_warnings(ruleset, &n_warnings) < 0) {
		ruleset_unref(ruleset);
		rules_errors_done(&errors);
		return out_of_memory();
	}
	print_problems(&errors);
	status = errors.n > 0;
	if (status == 0)
		print_verdict(ruleset, n_warnings);
	ruleset_unref(ruleset);
	rules_errors_done(&errors);
	return status;
}

/* Return: the exit status. */
static int check_store(const struct config_store *store)
{
	const struct rules_errors *problems = config_store_problems(store);

	print_problems(problems);
	if (problems->n > 0)
		return 1;
	if (config_store_has_file(store))
		printf("%s: no problems\n", config_store_path(store));
	return 0;
}

/* Return: the exit status. */
static int check_config(const char *path)
{
	static const struct config nothing;
	const struct config_source source = {
		.path = path,
		.must_exist = true,
		.command_line = &nothing,
	};
	struct config_store *store = NULL;
	int status;

	if (config_store_new(&source, &store) < 0 ||
	    config_store_load(store) == -ENOMEM)
		status = out_of_memory();
	else
		status = check_store(store);
	config_store_free(store);
	return status;
}

static bool is_config(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, CONFIG_FILE_NAME) == 0;
}

/* Return: the exit status. */
static int check_named(const char *const *paths, size_t n)
{
	const char **rules = calloc(n, sizeof(*rules));
	size_t n_rules = 0;
	int status = 0;

	if (!rules)
		return out_of_memory();
	for (size_t i = 0; i < n; i++) {
		if (!is_config(paths[i]))
			rules[n_rules++] = paths[i];
		else if (check_config(paths[i]) != 0)
			status = 1;
	}
	if (n_rules > 0 && check_rules(rules, n_rules) != 0)
		status = 1;
	free(rules);
	return status;
}

static int check_all(const struct options *options,
		     const struct config_store *store)
{
	const struct config *config = config_store_config(store);
	int status = 0;

	if (options->config_named || options->n_check_paths == 0)
		status = check_store(store);
	if (options->n_check_paths > 0)
		return check_named(options->check_paths,
				   options->n_check_paths) |
		       status;
	return check_rules((const char *const *)config->rules_dirs.list,
			   config->rules_dirs.n) |
	       status;
}

int check(const struct options *options, const struct config_store *store)
{
	int status;

	if (check_paths(options->check_paths, options->n_check_paths) > 0)
		return 1;
	status = check_all(options, store);
	if (status != 0 || !options->live)
		return status;
	return check_live(config_store_config(store), options->check_paths,
			  options->n_check_paths);
}
