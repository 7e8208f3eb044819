// SPDX-License-Identifier: Apache-2.0
/* test_http_syntax.c - the words of HTTP: names and values of fields, hosts,
 * paths
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/http_syntax.h"
#include "common/util.h"

static void test_token(void **state)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool expected =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z') || (c && strchr(others, c));

		if (http_is_token(&byte, 1) != expected)
			fail_msg("byte %d", c);
	}
	assert_false(http_is_token("", 0));
	assert_true(http_is_token("X-Tenant", 8));
	assert_false(http_is_token("X Tenant", 8));
}

static void test_value(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;

		if (http_is_value(&byte, 1) !=
		    (c == '\t' || (c >= ' ' && c != 0x7f)))
			fail_msg("byte %d", c);
	}
	assert_true(http_is_value("", 0));
	assert_false(http_is_value("a\0b", 3));
	assert_false(http_is_value("a\r\nX: b", 7));
}

static void test_names(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} names[] = {
		{ "X-Forwarded-For", "x-forwarded-FOR", true },
		{ "X-Forwarded-For", "X_Forwarded_For", true },
		{ "X-Forwarded-For", "X.Forwarded~For", true },
		{ "X-Forwarded-For", "X-Forwarded-Fo", false },
		{ "X-Forwarded-For", "X-Forwarded-Fox", false },
		{ "X-Forwarded-For", "XForwardedFor", false },
		{ "X-1", "X-2", false },
		{ "X-1", "X--", false },
		/* differ by what makes a letter small */
		{ "A", "!", false },
		{ "a^", "a~", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *a = names[i].a, *b = names[i].b;

		if (http_name_equal(a, strlen(a), b, strlen(b)) !=
			    names[i].equal ||
		    http_name_equal(b, strlen(b), a, strlen(a)) !=
			    names[i].equal)
			fail_msg("%s, %s", a, b);
	}
}

static void test_reserved(void **state)
{
	static const char *const reserved[] = {
		"connection",	     "Content-Length", "content_length",
		"TRANSFER-ENCODING", "Upgrade",	       "te",
		"Trailer",	     "Keep-Alive",     "Proxy-Connection",
		"http2-settings",    "Expect",	       "Proxy-Authorization",
	};
	static const char *const others[] = { "Host", "Cookie", "Via",
					      "Content-Type", "Authorization" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (!http_name_reserved(reserved[i], strlen(reserved[i])))
			fail_msg("%s", reserved[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (http_name_reserved(others[i], strlen(others[i])))
			fail_msg("%s", others[i]);
	}
}

/* @name NULL: it is no host. */
static const struct {
	const char *text, *name;
	unsigned int port;
} hosts[] = {
	{ "example.org", "example.org", 0 },
	{ "Example.ORG:80", "Example.ORG", 80 },
	{ "example.org.:8080", "example.org", 8080 },
	{ "my_host~1", "my_host~1", 0 },
	{ "169.254.169.254", "169.254.169.254", 0 },
	{ "169.254.169.254:", "169.254.169.254", 0 },
	{ "[fe80::a9fe:a9fe]", "fe80::a9fe:a9fe", 0 },
	{ "[fe80::a9fe:a9fe%eth0]:80", "fe80::a9fe:a9fe", 80 },
	{ "[fe80::a9fe:a9fe%25eth0]", "fe80::a9fe:a9fe", 0 },
	{ "[fe80::1%25]", "fe80::1", 0 }, /* an interface called 25 */
	{ "a:65535", "a", 65535 },
	{ "", NULL, 0 },
	{ ".", NULL, 0 },
	{ ":80", NULL, 0 },
	{ "a:0", NULL, 0 },
	{ "a:65536", NULL, 0 },
	{ "a:18446744073709551696", NULL, 0 },
	{ "a:8o", NULL, 0 },
	{ "a:80:80", NULL, 0 },
	{ "a:-1", NULL, 0 },
	{ "a b", NULL, 0 },
	{ "a,b", NULL, 0 },
	{ "a/b", NULL, 0 },
	{ "user@a", NULL, 0 },
	{ "a%2e", NULL, 0 },
	{ "::1", NULL, 0 },
	{ "[::1", NULL, 0 },
	{ "[]", NULL, 0 },
	{ "[::1]80", NULL, 0 },
	{ "[::1]:80x", NULL, 0 },
	{ "[::1%]", NULL, 0 },
	{ "[::1%a b]", NULL, 0 },
	{ "[169.254.169.254]", NULL, 0 },
	{ "[example.org]", NULL, 0 },
	{ "\xc3\xa4", NULL, 0 },
};

static void test_hosts(void **state)
{
	struct http_host host;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		const char *name = hosts[i].name;

		if (http_host_parse(hosts[i].text, strlen(hosts[i].text),
				    &host) != (name != NULL))
			fail_msg("'%s'", hosts[i].text);
		if (!name)
			continue;
		if (host.name_len != strlen(name) ||
		    memcmp(host.name, name, host.name_len) != 0 ||
		    host.port != hosts[i].port)
			fail_msg("'%s': '%.*s', %u", hosts[i].text,
				 (int)host.name_len, host.name, host.port);
	}
	assert_false(http_host_parse("a\0b", 3, &host));
	assert_false(http_host_parse("[::1\0]", 6, &host));
}

static void test_allowed_hosts(void **state)
{
	static const struct {
		const char *host, *allowed;
		bool expected;
	} table[] = {
		{ "A.example", "a.EXAMPLE", true },
		{ "a.example.", "a.example", true },
		{ "a.example", "a.example.", true },
		{ "a.example:8080", "a.example", true },
		{ "a.example:8080", "a.example:8080", true },
		{ "a.example", "a.example:80", true },
		{ "a.example:80", "a.example:80", true },
		{ "a.example", "a.example:8080", false },
		{ "a.example:80", "a.example:8080", false },
		{ "b.example", "a.example", false },
		{ "a.example.org", "a.example", false },
		{ "xa.example", "a.example", false },
		{ "[::1]", "[0:0:0:0:0:0:0:1]:80", true },
		{ "[FE80::1%eth0]", "[fe80::1]", true },
		{ "[::1]", "[::2]", false },
	};
	struct http_host host, allowed;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_true(http_host_parse(table[i].host,
					    strlen(table[i].host), &host));
		assert_true(http_host_parse(
			table[i].allowed, strlen(table[i].allowed), &allowed));
		if (http_host_allowed(&host, &allowed) != table[i].expected)
			fail_msg("%s, %s", table[i].host, table[i].allowed);
	}
}

static void test_plain_paths(void **state)
{
	static const char *const plain[] = {
		"/",
		"/latest",
		"/latest/",
		"/latest/meta-data/x",
		"/a.b/.c",
		"/...",
		"/a..b/..c/d.",
		"/a%20b",
		"/%61",
		"/%c3%a4",
		"/a;b=c",
		"/a,b:c@d!$&'()*+=~",
		"/a|b^c",
		"/.well-known",
	};
	static const char *const others[] = {
		"",	     "*",	   "latest",
		"//",	     "//latest",   "/a//b",
		"/a//",	     "/.",	   "/..",
		"/a/.",	     "/a/..",	   "/a/../b",
		"/a/./b",    "/..;/b",	   "/a/..;x=y/b",
		"/.;/b",     "/..%20",	   "/a/.%2e/b",
		"/a/%2e%2E", "/a%2fb",	   "/a%2Fb",
		"/a%5cb",    "/a%5Cb",	   "/a\\b",
		"/a%00",     "/a%0d%0a",   "/a%7f",
		"/a%c0%ae",  "/a%C1%9c",   "/a%ff",
		"/a%f5",     "/a%25",	   "/a%252e%252e",
		"/a%",	     "/a%2",	   "/a%zz",
		"/a%2/b",    "/a/..%3b/b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (!http_path_plain(plain[i], strlen(plain[i])))
			fail_msg("%s", plain[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (http_path_plain(others[i], strlen(others[i])))
			fail_msg("%s", others[i]);
	}
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *path, *prefix;
		bool under;
	} table[] = {
		{ "/latest", "/latest", true },
		{ "/latest/", "/latest", true },
		{ "/latest/x", "/latest", true },
		{ "/latest2", "/latest", false },
		{ "/lates", "/latest", false },
		{ "/Latest", "/latest", false },
		{ "/latest/x", "/latest/", true },
		{ "/latest/", "/latest/", true },
		{ "/latest", "/latest/", false },
		{ "/", "/", true },
		{ "/x", "/", true },
		{ "/x", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (http_path_under(table[i].path, strlen(table[i].path),
				    table[i].prefix) != table[i].under)
			fail_msg("%s, %s", table[i].path, table[i].prefix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_allowed_hosts),
		cmocka_unit_test(test_plain_paths),
		cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
