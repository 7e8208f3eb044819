// SPDX-License-Identifier: Apache-2.0
/* test_web_cache.c - one question a second, however many ask it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/util.h"
#include "web/cache.h"
#include "web/document.h"
#include "web/question.h"

#define T0 (100 * USEC_PER_SEC)

static struct question of(const char *path, const char *value)
{
	struct question question = { .route = route_find(path) };

	assert_non_null(question.route);
	question.values[0] = (char *)value;
	return question;
}

static struct document *document_of(const char *text)
{
	struct body body = { .text = NULL };
	struct document *document;

	assert_int_equal(body_add_text(&body, text), 0);
	document = document_new(200, DOCUMENT_JSON, &body);
	assert_non_null(document);
	return document;
}

static struct cache_entry *find(struct cache *cache, const char *path,
				const char *value, uint64_t now_us)
{
	const struct question question = of(path, value);
	struct cache_entry *entry = NULL;

	assert_int_equal(cache_find(cache, &question, now_us, &entry), 0);
	return entry;
}

static void answer(struct cache *cache, struct cache_entry *entry,
		   const char *text, uint64_t now_us)
{
	struct document *document = document_of(text);

	cache_answer(cache, entry, document, now_us);
	document_unref(document);
}

/* Whoever asks the same waits for the same; in the order of asking. */
static void test_shared(void **state)
{
	struct cache_entry *status, *blue, *red;
	struct cache *cache;

	(void)state;
	assert_int_equal(cache_new(&cache), 0);
	assert_null(cache_next(cache));
	status = find(cache, "/api/v1/status", NULL, T0);
	blue = find(cache, "/api/v1/explain", "blue", T0);
	red = find(cache, "/api/v1/explain", "red", T0);
	assert_ptr_not_equal(blue, red);
	assert_ptr_equal(find(cache, "/api/v1/explain", "blue", T0), blue);
	assert_ptr_equal(cache_next(cache), status);
	answer(cache, status, "{}", T0);
	assert_ptr_equal(cache_next(cache), blue);
	assert_string_equal(cache_question(blue)->values[0], "blue");
	answer(cache, blue, "blue", T0 + 1);
	assert_ptr_equal(find(cache, "/api/v1/explain", "blue", T0 + 2), blue);
	assert_memory_equal(cache_document(blue)->text, "blue", 4);
	assert_null(cache_document(red));
	cache_free(cache);
}

static void test_a_second(void **state)
{
	struct cache_entry *entry;
	struct cache *cache;

	(void)state;
	assert_int_equal(cache_new(&cache), 0);
	answer(cache, find(cache, "/api/v1/status", NULL, T0), "1", T0);
	assert_true(cache_expire(cache, T0) == T0 + USEC_PER_SEC);
	entry = find(cache, "/api/v1/status", NULL, T0 + USEC_PER_SEC - 1);
	assert_non_null(cache_document(entry));
	entry = find(cache, "/api/v1/status", NULL, T0 + USEC_PER_SEC);
	assert_null(cache_document(entry));
	assert_ptr_equal(cache_next(cache), entry);
	/* What is wanted waits as long as it takes. */
	assert_true(cache_expire(cache, T0 + 60 * USEC_PER_SEC) == 0);
	assert_ptr_equal(cache_next(cache), entry);
	cache_answer(cache, entry, NULL, T0);
	assert_null(cache_next(cache));
	cache_free(cache);
}

/* What a reader still has does not go with its entry. */
static void test_readers(void **state)
{
	struct document *document = document_of("old");
	struct cache *cache;
	size_t total = 0;

	(void)state;
	document_count(document, &total);
	assert_int_equal(cache_new(&cache), 0);
	cache_answer(cache, find(cache, "/api/v1/status", NULL, T0), document,
		     T0);
	(void)cache_expire(cache, T0 + USEC_PER_SEC);
	assert_int_equal(total, 3);
	assert_memory_equal(document->text, "old", 3);
	document_unref(document);
	assert_int_equal(total, 0);
	cache_free(cache);
}

/* Answers give way to questions; questions do not. */
static void test_full(void **state)
{
	const struct question one_more = of("/api/v1/explain", "more");
	struct cache_entry *entry = NULL;
	struct cache *cache;
	char name[16];

	(void)state;
	assert_int_equal(cache_new(&cache), 0);
	for (int i = 0; i < 32; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		(void)find(cache, "/api/v1/explain", name, T0);
	}
	assert_int_equal(cache_find(cache, &one_more, T0, &entry), -EAGAIN);
	assert_non_null(find(cache, "/api/v1/explain", "7", T0));
	answer(cache, cache_next(cache), "0", T0);
	assert_int_equal(cache_find(cache, &one_more, T0, &entry), 0);
	assert_int_equal(cache_find(cache, &one_more, T0, &entry), 0);
	assert_null(cache_document(entry));
	assert_string_equal(cache_question(cache_next(cache))->values[0], "1");
	cache_free(cache);
}

static void test_routes(void **state)
{
	const struct route *route = route_find("/api/v1/connections");

	(void)state;
	assert_null(route_find(""));
	assert_null(route_find("//"));
	assert_null(route_find("/api/v1/status/"));
	assert_null(route_find("/api/v1/Status"));
	assert_int_equal(route_find("/")->kind, ROUTE_PAGE);
	assert_int_equal(route_parameter(route, "target"), 0);
	assert_int_equal(route_parameter(route, "rule"), 2);
	assert_int_equal(route_parameter(route, "x"), -1);
	assert_int_equal(route_parameter(route_find("/"), "x"), -1);
	assert_int_equal(route_type_of("/api/x"), DOCUMENT_JSON);
	assert_int_equal(route_type_of("/x"), DOCUMENT_TEXT);
}

static void test_body(void **state)
{
	struct body body = { .text = NULL };
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 1; i <= 64; i++) {
		assert_int_equal(body_add(&body, text, sizeof(text)), 0);
		assert_int_equal(body.len, i * sizeof(text));
	}
	assert_int_equal(body_add(&body, text, SIZE_MAX / 2), -EFBIG);
	assert_int_equal(body_add(&body, text, 1), -EFBIG);
	assert_null(document_new(200, DOCUMENT_JSON, &body));
	assert_null(body.text);
}

static void test_errors(void **state)
{
	struct document *json =
		document_error(404, DOCUMENT_JSON, "no\"", "a\\b");
	struct document *text = document_error(404, DOCUMENT_HTML, "no", "a<b");
	const char expected[] =
		"{\"error\":\"no\\\"\",\"message\":\"a\\\\b\"}\n";

	(void)state;
	assert_int_equal(json->len, strlen(expected));
	assert_memory_equal(json->text, expected, json->len);
	assert_int_equal(text->type, DOCUMENT_TEXT);
	assert_memory_equal(text->text, "a<b\n", text->len);
	document_unref(json);
	document_unref(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),	cmocka_unit_test(test_a_second),
		cmocka_unit_test(test_readers), cmocka_unit_test(test_full),
		cmocka_unit_test(test_routes),	cmocka_unit_test(test_body),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
