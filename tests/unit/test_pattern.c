// SPDX-License-Identifier: Apache-2.0
/* test_pattern.c - patterns over names, templates, and near misses */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "rules/pattern.h"
#include "rules/suggest.h"
#include "rules/template.h"

static void test_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		enum pattern_kind kind;
		int matches;
	} cases[] = {
		{ "blue", "blue", PATTERN_EXACT, 1 },
		{ "blue", "blues", PATTERN_EXACT, 0 },
		{ "*", "", PATTERN_PREFIX, 1 },
		{ "*", ".hidden", PATTERN_PREFIX, 1 },
		{ "ns-*", "ns-", PATTERN_PREFIX, 1 },
		{ "ns-*", "ns", PATTERN_PREFIX, 0 },
		{ "*-ns", "a-ns", PATTERN_GLOB, 1 },
		{ "?s", "ns", PATTERN_GLOB, 1 },
		{ "?s", "s", PATTERN_GLOB, 0 },
		{ "[a-c]*", "bx", PATTERN_GLOB, 1 },
		{ "[!a-c]*", "bx", PATTERN_GLOB, 0 },
		{ "[]x]", "]", PATTERN_GLOB, 1 },
		{ "[^]x]", "]", PATTERN_GLOB, 0 },
		{ "\\*", "*", PATTERN_GLOB, 1 },
		{ "\\*", "a", PATTERN_GLOB, 0 },
		{ "a**", "ab", PATTERN_GLOB, 1 },
		{ "/b.*e/", "blue", PATTERN_REGEX, 1 },
		{ "/lu/", "blue", PATTERN_REGEX, 0 },
		{ "/blue|red/", "blues", PATTERN_REGEX, 0 },
		{ "/blue|red/", "red", PATTERN_REGEX, 1 },
		{ "/(?i)BLUE/", "blue", PATTERN_REGEX, 1 },
		{ "/./", "\xc3\xa4", PATTERN_REGEX, 1 },
		{ "/.*/", "\xff\xfe", PATTERN_REGEX, 0 },
		{ "/blue/",
		  "\xff"
		  "blue",
		  PATTERN_REGEX, 0 },
		{ "/blue/", "blue\xff", PATTERN_REGEX, 0 },
		{ "/a.c/", "a\nc", PATTERN_REGEX, 0 },
		{ "/.*\\/.*/", "a/b", PATTERN_REGEX, 1 },
	};
	char problem[PATTERN_PROBLEM_MAX];
	struct pattern pattern;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (pattern_parse(cases[i].pattern, &pattern, problem) < 0)
			fail_msg("%s: %s", cases[i].pattern, problem);
		if (pattern.kind != cases[i].kind ||
		    pattern_matches(&pattern, cases[i].name) !=
			    cases[i].matches)
			fail_msg("%s with %s", cases[i].pattern, cases[i].name);
		pattern_done(&pattern);
	}
}

static void test_negation(void **state)
{
	static const struct {
		const char *patterns[3];
		const char *name;
		int matches;
	} cases[] = {
		{ { "a*" }, "ab", 1 },
		{ { "a*", "!ab" }, "ab", 0 },
		{ { "!ab", "a*" }, "ab", 0 },
		{ { "!ab", "a*" }, "ac", 1 },
		{ { "!/a[bc]/", "*" }, "ac", 0 },
		{ { "!/a[bc]/", "*", "x" }, "ad", 1 },
		{ { "x", "y", "z" }, "a", 0 },
		{ { "*", "!/a.*/" }, "b", 1 },
		{ { "*", "!/a.*/" }, "b\xff", 0 },
		{ { "*", "!/(a|aa)+[bc]/" }, "b", 1 },
		{ { "*", "!/(a|aa)+[bc]/" },
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  0 },
	};
	char problem[PATTERN_PROBLEM_MAX];
	struct pattern patterns[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = 0;

		while (n < 3 && cases[i].patterns[n]) {
			assert_int_equal(pattern_parse(cases[i].patterns[n],
						       &patterns[n], problem),
					 0);
			n++;
		}
		assert_int_equal(patterns_match(patterns, n, cases[i].name),
				 cases[i].matches);
		while (n)
			pattern_done(&patterns[--n]);
	}
}

/* Names are a container's choice: none may keep the daemon busy. */
static void test_hostile_name(void **state)
{
	static const char *const texts[] = {
		"/(a+)+$x/",
		"/(a|aa)+[bc]/",
		"/(.*)*(.*)*(.*)*b/",
		"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
		"a*[a]*?*a*[a]*?*a*[a]*?*a*[a]*?*b",
	};
	char name[256], problem[PATTERN_PROBLEM_MAX];
	struct pattern pattern;
	uint64_t begin;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(pattern_parse(texts[i], &pattern, problem), 0);
		begin = monotonic_us();
		assert_false(pattern_matches(&pattern, name));
		/* Without a limit: years. */
		assert_true(monotonic_us() - begin < USEC_PER_SEC);
		pattern_done(&pattern);
	}
}

static void test_suggest(void **state)
{
	static const char *const known[] = { "namespace", "directory", "host",
					     "any4",	  "any6",      "to" };
	static const struct {
		const char *word, *suggestion;
	} cases[] = {
		{ "namespcae", "namespace" },
		{ "namspac", "namespace" },
		{ "NAMESPACE", "namespace" },
		{ "hots", "host" },
		{ "hosts", "host" },
		{ "hxxt", NULL },
		{ "any5", NULL },
		{ "dir", "directory" },
		{ "di", NULL },
		{ "any", NULL },
		{ "ot", NULL },
		{ "", NULL },
		{ "a-word-that-is-longer-than-all-of-them", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *found =
			suggest(cases[i].word, known, ARRAY_SIZE(known));

		if (strcmp(found ? found : "nothing",
			   cases[i].suggestion ? cases[i].suggestion
					       : "nothing") != 0)
			fail_msg("%s: %s", cases[i].word,
				 found ? found : "nothing");
	}
}

static void test_expand(void **state)
{
	static const struct {
		const char *text, *namespace, *addr, *wanted;
		size_t size;
		int result;
	} cases[] = {
		{ "unix:/x", "a", "10.0.0.1", "unix:/x", 64, 0 },
		{ "unix:/${namespace}.s", "a", "10.0.0.1", "unix:/a.s", 64, 0 },
		{ "unix:/${interface}${port}", "a", "10.0.0.1", "unix:/if99",
		  64, 0 },
		{ "unix:/${address}", "a", "::1", "unix:/::1", 64, 0 },
		{ "${address}:${port}", "a", "::1", "[::1]:99", 64, 0 },
		{ "tcp://[${address}]:1", "a", "::1", "tcp://[::1]:1", 64, 0 },
		{ "${address}:1", "a", "10.0.0.1", "10.0.0.1:1", 64, 0 },
		{ "unix:/$x$", "a", "::1", "unix:/$x$", 64, 0 },
		{ "unix:/${namespace}", "a/b", "::1", "", 64, -EPERM },
		{ "unix:/${namespace}", "..", "::1", "", 64, -EPERM },
		{ "unix:/${namespace}", "a..", "::1", "", 64, -EPERM },
		{ "unix:/${namespace}", ".", "::1", "", 64, -EPERM },
		{ "unix:/${namespace}", "", "::1", "", 64, -EPERM },
		{ "unix:/${namespace}", "${port}", "::1", "unix:/${port}", 64,
		  0 },
		{ "unix:/abc", "a", "::1", "unix:/abc", 10, 0 },
		{ "unix:/abcd", "a", "::1", "", 10, -E2BIG },
		{ "unix:/${namespace}", "abcd", "::1", "", 10, -E2BIG },
		{ "unix:/${namespace}", "abc", "::1", "unix:/abc", 10, 0 },
	};
	char problem[TEMPLATE_PROBLEM_MAX], buffer[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct template_values values = {
			.namespace = cases[i].namespace,
			.ifname = "if",
			.port = 99,
		};

		assert_int_equal(ip_addr_parse(cases[i].addr, &values.addr), 0);
		assert_true(template_check(cases[i].text, problem) >= 0);
		assert_int_equal(template_expand(cases[i].text, &values, buffer,
						 cases[i].size),
				 cases[i].result);
		if (cases[i].result == 0)
			assert_string_equal(buffer, cases[i].wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_negation),
		cmocka_unit_test(test_hostile_name),
		cmocka_unit_test(test_suggest),
		cmocka_unit_test(test_expand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
