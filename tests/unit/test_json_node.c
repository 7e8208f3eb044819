// SPDX-License-Identifier: Apache-2.0
/* test_json_node.c - JSON as a tree with positions, and what is no JSON */
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
#include "rules/json_node.h"

static void print_node(FILE *f, const struct yaml_node *node)
{
	bool mapping = node->kind == NODE_MAPPING;

	(void)fprintf(f, "%u:%u", node->line, node->column);
	if (node->kind == NODE_SCALAR) {
		(void)fprintf(f, node->plain ? "%s" : "'%s'", node->text);
		return;
	}
	(void)fputc(mapping ? '{' : '[', f);
	for (size_t i = 0; i < node->n; i++) {
		(void)fputs(i == 0 ? "" : mapping && i % 2 ? "=" : " ", f);
		print_node(f, &node->items[i]);
	}
	(void)fputc(mapping ? '}' : ']', f);
}

static const struct {
	const char *text;
	const char *tree;
} trees[] = {
	{ "{}", "1:1{}" },
	{ " [ ] ", "1:2[]" },
	{ "\"\"", "1:1''" },
	{ "{\"a\":1,\"b\":[true,false,null,-0.5e+3]}",
	  "1:1{1:2'a'=1:6"
	  "1 1:8'b'=1:12[1:13true 1:18false 1:24null "
	  "1:29-0.5e+3]}" },
	{ "{\n\t\"a\" :\r\n  \"b\"\n}", "1:1{2:2'a'=3:3'b'}" },
	{ "\xef\xbb\xbf[1]", "1:1[1:2"
			     "1]" },
	{ "[\"é\",2]", "1:1[1:2'é' 1:6"
		       "2]" },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "1:1'\"\\/\b\f\n\r\t'" },
	{ "\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "1:1'Aé€😀'" },
};

static void test_trees(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		struct yaml_problem problem;
		struct yaml_node *root = NULL;
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		assert_non_null(f);
		if (json_read(trees[i].text, strlen(trees[i].text), &root,
			      &problem) != 0)
			fail_msg("%s: %s", trees[i].text, problem.message);
		print_node(f, root);
		(void)fclose(f);
		assert_string_equal(text, trees[i].tree);
		free(text);
		yaml_node_free(root);
	}
}

#define VALUE "expected a value: \"text\", a number, true, false, null, [ or {"

static const struct {
	const char *text;
	const char *problem;
} problems[] = {
	{ "", "1:1 the text ends here, " VALUE },
	{ " \n ", "2:2 the text ends here, " VALUE },
	{ "{", "1:2 the text ends here, expected a key in double quotes" },
	{ "{a: 1}", "1:2 found \"a\", expected a key in double quotes" },
	{ "{\"a\" 1}", "1:6 found \"1\", expected \":\" behind the key" },
	{ "{\"a\": 1,}", "1:9 found \"}\", expected a key in double quotes" },
	{ "{\"a\": 1 \"b\"}", "1:9 found \"\"\", expected \",\" or \"}\"" },
	{ "[1,]", "1:4 found \"]\", " VALUE },
	{ "[1", "1:3 the text ends here, expected \",\" or \"]\"" },
	{ "[1] 2", "1:5 found \"2\", expected nothing behind the value" },
	{ "'a'", "1:1 found \"'\", " VALUE },
	{ "True", "1:1 found \"True\", " VALUE },
	{ "01", "1:1 found \"01\", " VALUE },
	{ "1.", "1:1 found \"1.\", " VALUE },
	{ "-", "1:1 found \"-\", " VALUE },
	{ "0x10", "1:1 found \"0x10\", " VALUE },
	{ "\"ab",
	  "1:4 the text ends here, expected a double quote at the end of the "
	  "text" },
	{ "\"a\nb\"",
	  "1:3 byte 0x0a within a text, expected an escape such as \\n, or a "
	  "double quote at its end" },
	{ "\"\\x41\"",
	  "1:3 found \"x\", expected an escape such as \\n or \\u00e9" },
	{ "\"\\u00g0\"", "1:6 found \"g\", expected four hexadecimal digits" },
	{ "\"\\u0000\"", "1:4 \\u0000 is in no text that berth knows" },
	{ "\"\\ude00\"",
	  "1:4 the second half of a character without the first" },
	{ "\"\\ud83d\"",
	  "1:4 the first half of a character without the second" },
	{ "\"\\ud83d\\u0041\"",
	  "1:4 the first half of a character without the second" },
	{ "[\"\xff\"]", "1:3 byte 0xff is no UTF-8, expected text in UTF-8" },
	{ "[\"\xc3\"]", "1:3 byte 0xc3 is no UTF-8, expected text in UTF-8" },
	{ "\xff", "1:1 found byte 0xff, " VALUE },
	{ "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "1:17 more than 16 levels" },
};

static void test_problems(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(problems); i++) {
		struct yaml_problem problem;
		struct yaml_node *root = NULL;
		char text[YAML_PROBLEM_MAX + 32];

		assert_int_equal(json_read(problems[i].text,
					   strlen(problems[i].text), &root,
					   &problem),
				 -EINVAL);
		(void)snprintf(text, sizeof(text), "%u:%u %s", problem.line,
			       problem.column, problem.message);
		assert_string_equal(text, problems[i].problem);
	}
}

/* Cut off anywhere, it is refused: half a file never counts. */
static void test_cut_off(void **state)
{
	static const char text[] = "{\"a\": [\"\\u00e9\", {\"b\": \"é\"}]}";

	(void)state;
	for (size_t len = 0; len + 1 < sizeof(text); len++) {
		struct yaml_problem problem;
		struct yaml_node *root = NULL;

		assert_int_equal(json_read(text, len, &root, &problem),
				 -EINVAL);
	}
}

static void test_limits(void **state)
{
	const size_t len = YAML_TEXT_MAX + 1;
	struct yaml_problem problem;
	struct yaml_node *root = NULL;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	assert_int_equal(json_read(text, len, &root, &problem), -EINVAL);
	assert_string_equal(problem.message, "larger than 1024 KiB, the limit "
					     "for a file");
	text[0] = '[';
	for (size_t i = 1; i + 1 < len; i += 2) {
		text[i] = '1';
		text[i + 1] = ',';
	}
	assert_int_equal(json_read(text, len - 1, &root, &problem), -EINVAL);
	assert_string_equal(problem.message, "more than 100000 values");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
