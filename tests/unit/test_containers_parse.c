// SPDX-License-Identifier: Apache-2.0
/* test_containers_parse.c - files in containers.d, and what is wrong with them
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/containers_parse.h"
#include "rules/rules.h"

static void print_told(FILE *f, const struct container_told *told)
{
	const struct container *c = &told->container;

	(void)fprintf(f, "%s %d %s %s %s %s",
		      told->netns_path ? told->netns_path : "-", (int)c->pid,
		      c->name, *c->pod_namespace ? c->pod_namespace : "-",
		      *c->id ? c->id : "-", *c->runtime ? c->runtime : "-");
	for (size_t i = 0; i < c->n_labels; i++)
		(void)fprintf(f, " %s=%s", c->labels[i].key,
			      c->labels[i].value);
	(void)fputc('\n', f);
}

/* What the text says, or what is wrong with it. */
static char *outcome(const char *text, size_t len)
{
	struct rules_errors errors = { 0 };
	struct told_list told = { 0 };
	char *result = NULL;
	size_t size;
	FILE *f = open_memstream(&result, &size);
	int r = containers_parse("f", text, len, &errors, &told);

	assert_non_null(f);
	assert_int_equal(r, errors.n ? -EINVAL : 0);
	for (size_t i = 0; i < told.n; i++)
		print_told(f, &told.list[i]);
	for (size_t i = 0; i < errors.n; i++) {
		_cleanup_free_ char *error = rules_error_fmt(&errors.list[i]);

		(void)fprintf(f, "%s\n", error);
	}
	assert_int_equal(fclose(f), 0);
	told_list_done(&told);
	rules_errors_done(&errors);
	return result;
}

static const struct {
	const char *text;
	const char *outcome;
} cases[] = {
	{ "{\"netns\": \"/run/netns/blue\", \"name\": \"web\"}",
	  "/run/netns/blue 0 web - - -\n" },
	{ "{\"pid\": 17, \"name\": \"web\", \"pod_namespace\": \"shop\","
	  " \"labels\": {\"tier\": \"front\", \"app\": \"web\"},"
	  " \"id\": \"a1\", \"runtime\": \"podman\"}",
	  "- 17 web shop a1 podman app=web tier=front\n" },
	{ "[{\"netns\": \"/n/a\", \"pid\": 1, \"name\": \"x\"},"
	  " {\"netns\": \"/n/a\", \"name\": \"x\", \"labels\": {}}]",
	  "/n/a 1 x - - -\n/n/a 0 x - - -\n" },
	{ "[]", "" },
	{ "{\"pid\": 1, \"name\": \"x\", \"id\": \"\","
	  " \"labels\": {\"a\": \"\", \"b c\": \"1\\n2\", \"ü\": \"€\"}}",
	  "- 1 x - - - a= b c=1\n2 ü=€\n" },
	{ "", "f:1:1: the text ends here, expected a value: \"text\", a "
	      "number, true, false, null, [ or {\n" },
	{ "\"x\"", "f:1:1: the file is \"x\", expected an object, or a list "
		   "of objects\n" },
	{ "[5]",
	  "f:1:2: a container is \"5\", expected a mapping with the keys: "
	  "netns, pid, name, pod_namespace, labels, id, runtime\n" },
	{ "{\"nets\": \"/n/a\", \"pid\": 1, \"name\": \"x\"}",
	  "f:1:2: unknown key \"nets\" in a container; did you mean "
	  "\"netns\"?\n" },
	{ "{\"pid\": 1, \"name\": \"x\",\n \"pid\": 2}",
	  "f:2:2: key \"pid\" stands twice in a container, first on line "
	  "1\n" },
	{ "{\"name\": \"x\"}",
	  "f:1:1: a container needs \"netns\", a path, or \"pid\"\n" },
	{ "{\"pid\": 1}", "f:1:1: a container needs \"name\"\n" },
	{ "{\"pid\": 1, \"name\": \"\"}",
	  "f:1:1: a container needs \"name\"\n" },
	{ "{\"pid\": \"1\", \"name\": 5}",
	  "f:1:9: pid is the text \"1\", expected a number without quotes\n"
	  "f:1:22: name is \"5\", expected a text\n" },
	{ "{\"pid\": 0, \"name\": \"x\"}",
	  "f:1:9: pid is \"0\", expected a number from 1 to 4194304\n" },
	{ "{\"pid\": 1.5, \"name\": \"x\"}",
	  "f:1:9: pid is \"1.5\", expected a number from 1 to 4194304\n" },
	{ "{\"pid\": -1, \"name\": \"a\\nb\"}",
	  "f:1:9: pid is \"-1\", expected a number from 1 to 4194304\n"
	  "f:1:21: name is \"a\\nb\", which has a control character in "
	  "it\n" },
	{ "{\"netns\": \"run/netns/a\", \"name\": \"x\"}",
	  "f:1:11: netns is \"run/netns/a\", expected an absolute path such "
	  "as /run/netns/blue\n" },
	{ "{\"netns\": \"/run/netns/\", \"name\": \"x\"}",
	  "f:1:11: netns is \"/run/netns/\", expected an absolute path such "
	  "as /run/netns/blue\n" },
	{ "{\"netns\": null, \"name\": \"x\"}",
	  "f:1:11: netns is nothing, expected an absolute path such as "
	  "/run/netns/blue\n" },
	{ "{\"pid\": 1, \"name\": \"x\", \"labels\": [\"a\"]}",
	  "f:1:35: labels is a list, expected an object such as {\"app\": "
	  "\"web\"}\n" },
	{ "{\"pid\": 1, \"name\": \"x\", \"labels\": {\"a\": 1, \"\": \"b\","
	  " \"c\": null}}",
	  "f:1:41: label \"a\" is \"1\", expected a text in double quotes\n"
	  "f:1:44: an empty key in labels, expected the key of a label\n"
	  "f:1:58: label \"c\" is nothing, expected a text in double "
	  "quotes\n" },
	{ "{\"pid\": 1, \"name\": \"x\", \"labels\": {\"a\": \"1\","
	  " \"b\": \"2\", \"a\": \"3\"}}",
	  "f:1:56: label \"a\" stands twice\n" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *result = outcome(cases[i].text, strlen(cases[i].text));

		assert_string_equal(result, cases[i].outcome);
		free(result);
	}
}

static void test_not_utf8(void **state)
{
	static const char text[] = "{\"pid\": 1, \"name\": \"\xe9\"}";
	char *result = outcome(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(result, "f:1:21: byte 0xe9 is no UTF-8, expected "
				    "text in UTF-8\n");
	free(result);
}

static char *text_of(const char *fmt, int a, int b)
{
	char *text = NULL;

	assert_true(asprintf(&text, fmt, a, "", b, "") > 0);
	return text;
}

static void test_limits(void **state)
{
	char *text = text_of("{\"pid\":1,\"name\":\"%0*s%0*s\"}", 0, 513);
	char *result = outcome(text, strlen(text));

	(void)state;
	assert_string_equal(result, "f:1:17: name is a text of 513 bytes, "
				    "expected at most 512\n");
	free(text);
	free(result);
	text = text_of("{\"pid\":1,\"name\":\"x\",\"labels\":{\"%*s\":"
		       "\"%*s\"}}",
		       40000, 40000);
	result = outcome(text, strlen(text));
	assert_non_null(strstr(result, "f:1:1: the container \"x\" takes 80"));
	free(text);
	free(result);
}

static void test_many_labels(void **state)
{
	char *text = NULL, *result;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_non_null(f);
	(void)fputs("{\"pid\":1,\"name\":\"x\",\"labels\":{", f);
	for (unsigned int i = 0; i <= CONTAINER_LABELS_MAX; i++)
		(void)fprintf(f, "%s\"%u\":\"\"", i ? "," : "", i);
	(void)fputs("}}", f);
	assert_int_equal(fclose(f), 0);
	result = outcome(text, size);
	assert_string_equal(result, "f:1:30: labels has 257 labels, expected "
				    "at most 256\n");
	free(text);
	free(result);
}

/* Half a file is never taken for a whole one. */
static void test_cut_off(void **state)
{
	const char *text = cases[1].text;

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		char *result = outcome(text, len);

		assert_int_equal(strncmp(result, "f:1:", 4), 0);
		free(result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_labels),
		cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
