// SPDX-License-Identifier: Apache-2.0
/* test_varlink.c - what is answered to which message on the control socket */
#include "tests/unit/varlink_fixture.h"

#define INVALID(p)                                      \
	"{\"error\": \"" SERVICE "InvalidParameter\", " \
	"\"parameters\": {\"parameter\": \"" p "\"}}"

/** struct exchange - a call, and its reply */
struct exchange {
	const char *call;
	const char *reply;
};

static void assert_exchanges(const struct exchange *cases, size_t n)
{
	struct client client;

	assert_int_equal(client_open(&client, true), 0);
	for (size_t i = 0; i < n; i++) {
		client_call(&client, cases[i].call);
		client_await(&client, i + 1);
		assert_reply(&client, i, cases[i].reply);
	}
	client_close(&client);
}

static void test_dispatch(void **state)
{
	static const struct exchange cases[] = {
		{ "{\"method\": \"org.example.test.Echo\"}",
		  "{\"parameters\": {\"text\": null}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"text\": \"a\\u0001\xc3\xa4\"}}",
		  "{\"parameters\": {\"text\": \"a\\u0001\xc3\xa4\"}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "null, \"more\": true, \"org.example\": {}}",
		  "{\"parameters\": {\"text\": null}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"text\": null}, \"oneway\": false, \"upgrade\": null}",
		  "{\"parameters\": {\"text\": null}}" },
		{ "{\"method\": \"org.example.test.Fail\"}",
		  "{\"error\": \"org.example.test.Failed\", \"parameters\": "
		  "{\"code\": 7}}" },
		{ "{\"method\": \"org.example.test.Starve\"}",
		  "{\"error\": \"org.example.test.OutOfMemory\", "
		  "\"parameters\": {}}" },
		{ "{\"method\": \"org.example.test.Silent\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotImplemented\", \"parameters\": {\"method\": "
		  "\"org.example.test.Silent\"}}" },
		{ "{\"method\": \"org.example.test.Count\", \"parameters\": "
		  "{\"end\": \"3\"}}",
		  "{\"parameters\": {\"numbers\": [{\"n\": 0}, {\"n\": 1}, "
		  "{\"n\": 2}]}}" },
		{ "{\"method\": \"org.example.test.Count\", \"parameters\": "
		  "{\"end\": \"0\", \"head\": \"yes\"}}",
		  "{\"parameters\": {\"head\": true, \"numbers\": []}}" },
		{ "{\"method\": \"" SERVICE "GetInfo\"}",
		  "{\"parameters\": {\"vendor\": \"berth\", \"product\": "
		  "\"berthd\", \"version\": \"" BERTH_VERSION
		  "\", \"url\": \"\", \"interfaces\": "
		  "[\"org.varlink.service\", \"org.example.test\", "
		  "\"org.example.second\"]}}" },
		{ "{\"method\": \"" SERVICE
		  "GetInterfaceDescription\", \"parameters\": "
		  "{\"interface\": \"org.example.test\"}}",
		  "{\"parameters\": {\"description\": \"interface "
		  "org.example.test\\n\"}}" },
		{ "{\"method\": \"" SERVICE
		  "GetInterfaceDescription\", \"parameters\": "
		  "{\"interface\": \"org.example.other\"}}",
		  "{\"error\": \"" SERVICE
		  "InterfaceNotFound\", \"parameters\": {\"interface\": "
		  "\"org.example.other\"}}" },
		{ "{\"method\": \"" SERVICE "GetInterfaceDescription\"}",
		  INVALID("interface") },
		{ "{\"method\": \"org.example.other.Echo\"}",
		  "{\"error\": \"" SERVICE
		  "InterfaceNotFound\", \"parameters\": {\"interface\": "
		  "\"org.example.other\"}}" },
		{ "{\"method\": \"org.example.test.Nothing\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"org.example.test.Nothing\"}}" },
		{ "{\"method\": \"Echo\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"Echo\"}}" },
		{ "{\"method\": \"\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": \"\"}}" },
		{ "{\"method\": \"org.example.test.\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"org.example.test.\"}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"txt\": \"a\"}}",
		  INVALID("txt") },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"text\": 5}}",
		  INVALID("text") },
		{ "{\"method\": \"org.example.test.Count\", \"parameters\": "
		  "{\"end\": null}}",
		  INVALID("end") },
		{ "{\"method\": \"org.example.test.Fail\", \"parameters\": "
		  "{\"code\": 1}}",
		  INVALID("code") },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "[]}",
		  INVALID("parameters") },
		{ "{\"method\": \"org.example.test.Echo\", \"more\": 1}",
		  INVALID("more") },
		{ "{\"method\": \"org.example.test.Echo\", \"upgrade\": true}",
		  INVALID("upgrade") },
	};

	(void)state;
	assert_exchanges(cases, ARRAY_SIZE(cases));
}

static void test_second_interface(void **state)
{
	static const struct exchange cases[] = {
		{ "{\"method\": \"" SERVICE
		  "GetInterfaceDescription\", \"parameters\": "
		  "{\"interface\": \"org.example.second\"}}",
		  "{\"parameters\": {\"description\": \"interface "
		  "org.example.second\\n\"}}" },
		/* Its errors are the first one's. */
		{ "{\"method\": \"org.example.second.Fail\"}",
		  "{\"error\": \"org.example.test.Failed\", "
		  "\"parameters\": {\"code\": 7}}" },
		{ "{\"method\": \"org.example.second.Closed\"}",
		  "{\"error\": \"org.example.test.NotPermitted\", "
		  "\"parameters\": {\"reason\": \"not for you\"}}" },
		{ "{\"method\": \"org.example.second.Echo\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"org.example.second.Echo\"}}" },
		{ "{\"method\": \"org.example.second.Each\", "
		  "\"parameters\": {\"end\": \"3\"}}",
		  "{\"error\": \"" SERVICE
		  "ExpectedMore\", \"parameters\": {}}" },
	};

	(void)state;
	assert_exchanges(cases, ARRAY_SIZE(cases));
}

/* A caller whom a method is not for hears nothing of its parameters. */
static void test_refused(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Closed\", "
			     "\"parameters\": {\"x\": 1}}");
	client_await(&client, 1);
	assert_reply(&client, 0,
		     "{\"error\": \"org.example.test.NotPermitted\", "
		     "\"parameters\": {\"reason\": \"not for you\"}}");
	client_close(&client);
}

/* The descriptions are parsed by other people's programs. */
static void test_service_description(void **state)
{
	struct client client;
	const char *text;
	json_t *reply;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"" SERVICE
			     "GetInterfaceDescription\", \"parameters\": "
			     "{\"interface\": \"org.varlink.service\"}}");
	client_await(&client, 1);
	reply = client_reply(&client, 0);
	text = json_string_value(json_object_get(
		json_object_get(reply, "parameters"), "description"));
	assert_non_null(text);
	assert_non_null(strstr(text, "\ninterface org.varlink.service\n"));
	assert_non_null(strstr(text, "\nmethod GetInfo() -> ("));
	json_decref(reply);
	client_close(&client);
}

static void test_no_call(void **state)
{
	static const char *const cases[] = {
		"",
		"{",
		"[]",
		"17",
		"{}",
		"{\"method\": 1}",
		"{\"method\": \"a\", \"method\": \"b\"}",
		"{\"method\": \"\xff\"}",
		"{\"method\": \"\\u0000\"}",
		"GET / HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct client client;
		json_t *reply;

		assert_int_equal(client_open(&client, true), 0);
		client_call(&client, cases[i]);
		/* What follows is not looked at. */
		client_call(&client, "{\"method\": \"org.example.test.Echo\"}");
		client_await_eof(&client);
		assert_int_equal(client.replies, 1);
		reply = client_reply(&client, 0);
		assert_string_equal(
			json_string_value(json_object_get(reply, "error")),
			"org.example.test.InvalidRequest");
		json_decref(reply);
		client_close(&client);
		run_until(done_no_conns);
	}
}

static void test_deep_nesting(void **state)
{
	char text[VARLINK_REQUEST_MAX];
	struct client client;

	(void)state;
	memset(text, '[', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(client_open(&client, true), 0);
	client_send(&client, text, sizeof(text));
	client_await_eof(&client);
	assert_int_equal(client.replies, 1);
	client_close(&client);
}

static void test_oneway(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Echo\", "
			     "\"oneway\": true}");
	client_call(&client, "{\"method\": \"org.example.test.Fail\", "
			     "\"oneway\": true}");
	client_call(&client, "{\"method\": \"org.example.none.Echo\", "
			     "\"oneway\": true}");
	client_call(&client, "{\"method\": \"org.example.test.Count\", "
			     "\"oneway\": true, \"parameters\": {\"end\": "
			     "\"5\"}}");
	client_call(&client, "{\"method\": \"org.example.test.Echo\", "
			     "\"parameters\": {\"text\": \"last\"}}");
	client_await(&client, 1);
	assert_reply(&client, 0, "{\"parameters\": {\"text\": \"last\"}}");
	assert_int_equal(bench.lists_freed, 1);
	assert_int_equal(bench.elements_made, 0);
	client_close(&client);
}

/* Puts the replies to one call together. Return: how many there were. */
static size_t collect(const struct client *client, json_t *whole)
{
	bool continues = true;
	size_t i;

	for (i = 0; continues; i++) {
		json_t *reply = client_reply(client, i), *value, *array;
		json_t *parameters = json_object_get(reply, "parameters");
		const char *key;

		assert_true(i < client->replies);
		continues = json_is_true(json_object_get(reply, "continues"));
		assert_int_equal(json_object_size(reply), continues ? 2 : 1);
		json_object_foreach (parameters, key, value) {
			array = json_object_get(whole, key);
			if (!array)
				json_object_set(whole, key, value);
			else if (json_is_array(array))
				json_array_extend(array, value);
			else
				assert_true(json_equal(array, value));
		}
		json_decref(reply);
	}
	return i;
}

static bool done_last_reply(struct bench *b)
{
	static const char goes_on[] = "\"continues\":true}";
	const struct client *client = b->client;
	const size_t len = sizeof(goes_on);

	return client->eof ||
	       (client->replies > 0 && !client->data[client->len - 1] &&
		(client->len < len ||
		 strcmp(client->data + client->len - len, goes_on) != 0));
}

static void client_await_last(struct client *client)
{
	bench.client = client;
	run_until(done_last_reply);
	assert_false(client->eof);
}

/* In several replies and in one: the same. */
static void test_more(void **state)
{
	static const char *const ends[] = { "0", "1", "2", "5000" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		json_t *whole = json_object(), *one = json_object();
		struct client several, single;
		char call[128];
		size_t n;

		assert_int_equal(client_open(&several, true), 0);
		assert_int_equal(client_open(&single, true), 0);
		(void)sprintf(call, HALVES("%s", "true"), ends[i]);
		client_call(&several, call);
		client_await_last(&several);
		(void)sprintf(call, HALVES("%s", "false"), ends[i]);
		client_call(&single, call);
		client_await_last(&single);
		n = collect(&several, whole);
		assert_int_equal(n, several.replies);
		assert_in_range(
			n, (size_t)strtoul(ends[i], NULL, 10) > 100 ? 2 : 1,
			1 + (size_t)strtoul(ends[i], NULL, 10) / 100);
		assert_int_equal(collect(&single, one), 1);
		assert_true(json_equal(whole, one));
		assert_int_equal(json_array_size(json_object_get(whole, "low")),
				 (size_t)strtoul(ends[i], NULL, 10) / 2);
		assert_int_equal(
			json_array_size(json_object_get(whole, "names")), 1);
		json_decref(whole);
		json_decref(one);
		client_close(&several);
		client_close(&single);
	}
	assert_int_equal(bench.lists_freed, 2 * ARRAY_SIZE(ends));
}

static void call_each(struct client *client, int end)
{
	char call[128];

	(void)sprintf(call,
		      "{\"method\": \"org.example.second.Each\", \"more\": "
		      "true, \"parameters\": {\"end\": \"%d\"}}",
		      end);
	client_call(client, call);
	client_await_last(client);
}

/* A reply for each element; only the last one says that it is. */
static void test_each_alone(void **state)
{
	static const int ends[] = { 1, 2, 3000 };
	struct client client;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		assert_int_equal(client_open(&client, true), 0);
		call_each(&client, ends[i]);
		assert_int_equal(client.replies, ends[i]);
		for (int n = 0; n < ends[i]; n++) {
			char expected[64];

			(void)sprintf(expected,
				      n + 1 < ends[i]
					      ? "{\"parameters\": {\"n\": %d}, "
						"\"continues\": true}"
					      : "{\"parameters\": {\"n\": %d}}",
				      n);
			assert_reply(&client, (size_t)n, expected);
		}
		client_close(&client);
	}
	assert_int_equal(bench.lists_freed, ARRAY_SIZE(ends));
}

/* Memory ends in the middle: so does the connection, and nothing is left. */
static void test_each_without_memory(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.second.Each\", "
			     "\"more\": true, \"parameters\": {\"end\": "
			     "\"5\", \"fail\": \"yes\"}}");
	client_await_eof(&client);
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

/* A connection serves the next call when the last reply is sent. */
static void test_more_then_another(void **state)
{
	json_t *whole = json_object();
	struct client client;
	size_t n;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, COUNT_MORE("3000"));
	client_call(&client, "{\"method\": \"org.example.test.Echo\"}");
	client_await_last(&client);
	n = collect(&client, whole);
	assert_in_range(n, 2, 3000 / 100);
	client_await(&client, n + 1);
	assert_reply(&client, n, "{\"parameters\": {\"text\": null}}");
	assert_int_equal(json_array_size(json_object_get(whole, "numbers")),
			 3000);
	json_decref(whole);
	client_close(&client);
}

/* No reply is the last one: the client learns of it by the connection's end. */
static void test_more_without_memory(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Count\", "
			     "\"more\": true, \"parameters\": {\"end\": "
			     "\"3000\", \"fail\": \"yes\"}}");
	client_await_eof(&client);
	assert_true(client.replies > 0);
	for (size_t i = 0; i < client.replies; i++) {
		json_t *reply = client_reply(&client, i);

		assert_true(json_is_true(json_object_get(reply, "continues")));
		json_decref(reply);
	}
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_dispatch),
		BENCH_TEST(test_second_interface),
		BENCH_TEST(test_refused),
		BENCH_TEST(test_service_description),
		BENCH_TEST(test_no_call),
		BENCH_TEST(test_deep_nesting),
		BENCH_TEST(test_oneway),
		BENCH_TEST(test_more),
		BENCH_TEST(test_each_alone),
		BENCH_TEST(test_each_without_memory),
		BENCH_TEST(test_more_then_another),
		BENCH_TEST(test_more_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
