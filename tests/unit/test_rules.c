// SPDX-License-Identifier: Apache-2.0
/* test_rules.c - golden pairs: rule files and their results, the rules as
 * status output shows them
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/template.h"
#include "tests/unit/golden_fixture.h"

static void print_rules(FILE *f, struct rule_file *file)
{
	struct ruleset *ruleset = ruleset_new(&file, 1);
	struct rule_info info;

	assert_non_null(ruleset);
	for (size_t i = 0; i < ruleset_size(ruleset); i++) {
		ruleset_rule_info(ruleset, i, &info);
		(void)fprintf(f,
			      "%s (%s:%u)\n  match   %s\n  listen  %s\n"
			      "  %-7s %s\n",
			      info.name, info.file, info.line, info.match,
			      info.listen, info.action, info.serve);
		if (info.provide)
			(void)fprintf(f, "  provide %s\n", info.provide);
	}
	ruleset_unref(ruleset);
}

/* What the parser makes of the text, as the golden files have it. */
static char *outcome(const char *name, const char *text, size_t len,
		     bool *ret_ok)
{
	struct rules_errors errors = { 0 };
	struct rule_file *file = NULL;
	char *result = NULL;
	size_t size;
	FILE *f = open_memstream(&result, &size);
	int r;

	assert_non_null(f);
	r = parse_rules(name, text, len, &errors, &file);
	for (size_t i = 0; i < errors.n; i++) {
		_cleanup_free_ char *line = rules_error_fmt(&errors.list[i]);

		(void)fprintf(f, "%s\n", line);
	}
	if (r == 0)
		print_rules(f, file);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(r, errors.n ? -EINVAL : 0);
	assert_true(errors.n <= RULES_ERRORS_MAX);
	rules_errors_done(&errors);
	rule_file_unref(file);
	*ret_ok = r == 0;
	return result;
}

static void test_golden(void **state)
{
	(void)state;
	assert_int_equal(golden_check("tests/unit/rules", outcome), 0);
}

static int is_yaml(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

/* The files that are given out as examples are free of errors. */
static void test_contrib(void **state)
{
	static const char *const dirs[] = { "contrib/rules.d" };
	struct rules_errors errors = { 0 };
	struct ruleset *ruleset;
	struct dirent **entries;
	int n = scandir(dirs[0], &entries, is_yaml, alphasort);

	(void)state;
	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	assert_int_equal(ruleset_load(dirs, 1, &errors, &ruleset), 0);
	for (size_t i = 0; i < errors.n; i++)
		print_error("%s:%u: %s\n", errors.list[i].file,
			    errors.list[i].line, errors.list[i].message);
	assert_int_equal(errors.n, 0);
	assert_true(ruleset_size(ruleset) >= (size_t)n);
	ruleset_unref(ruleset);
}

/* A text larger than a file may be, and one with too many values. */
static void test_bounds(void **state)
{
	size_t size = YAML_TEXT_MAX + 1;
	char *text = malloc(size);
	char *result;
	bool ok;

	(void)state;
	assert_non_null(text);
	memset(text, '#', size);
	result = outcome("big", text, size, &ok);
	assert_string_equal(
		result, "big: larger than 1024 KiB, the limit for a file\n");
	free(result);
	result = outcome("big", text, size - 1, &ok);
	assert_true(ok);
	free(result);
	for (size_t i = 0; i < size; i++)
		text[i] = i % 2 ? 'a' : ',';
	text[0] = '[';
	result = outcome("big", text, size - 1, &ok);
	assert_string_equal(result, "big:1:200000: more than 100000 values in "
				    "one file\n");
	free(result);
	free(text);
}

/* Fields that no status text shows. */
static void test_service(void **state)
{
	static const char yaml[] =
		"rules:\n"
		"- {name: a, listen: [{protocol: tcp, port: 1, address: each, "
		"mark: 7}], forward: {to: 'unix:/${namespace}/${port}', "
		"connect_timeout: 1500ms, drain_timeout: 2m}}\n"
		"- {name: b, listen: [{protocol: tcp, port: 1}], handoff: c}\n"
		"- {name: d, listen: [{protocol: tcp, port: 1}], "
		"respond: ack}\n";
	struct rules_errors errors = { 0 };
	const struct service *service;
	struct rule_file *file;

	(void)state;
	assert_int_equal(parse_rules("x", yaml, strlen(yaml), &errors, &file),
			 0);
	service = file->rules[0].listens[0].service;
	assert_string_equal(service->rule, "a");
	assert_string_equal(service->consumer, SERVICE_RELAY);
	assert_int_equal(service->action, SERVICE_FORWARD);
	assert_int_equal(service->connect_timeout_ms, 1500);
	assert_int_equal(service->drain_timeout_ms, 120000);
	assert_int_equal(service->options.mark, 7);
	assert_int_equal(service->options.backlog, SERVICE_UNSET);
	assert_int_equal(file->rules[0].listens[0].uses,
			 TEMPLATE_NAMESPACE | TEMPLATE_PORT);
	service = file->rules[1].listens[0].service;
	assert_string_equal(service->consumer, "c");
	assert_int_equal(service->action, SERVICE_HANDOFF);
	service = file->rules[2].listens[0].service;
	assert_string_equal(service->consumer, SERVICE_RELAY);
	assert_string_equal(service->text, "ack");
	rule_file_unref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_contrib),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
