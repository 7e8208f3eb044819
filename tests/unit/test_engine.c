// SPDX-License-Identifier: Apache-2.0
/* test_engine.c - what Docker's and podman's answers say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "hook/follow/engine.h"

#define ID "8cfa8af9322e4cb4d68b1be17f19771eb16b75d52643023a6a4c58a350e0091b"

static int list_parse(const char *text, struct engine_ids *ret_ids)
{
	return engine_list_parse(text, strlen(text), ret_ids);
}

static void test_list(void **state)
{
	struct engine_ids ids;

	(void)state;
	assert_int_equal(list_parse("[]", &ids), 0);
	assert_int_equal(ids.n, 0);
	engine_ids_done(&ids);
	assert_int_equal(list_parse("[{\"Id\":\"" ID "\",\"Names\":[\"/a\"]},"
				    /* No ids, or none that a URL may have. */
				    "{\"Id\":7},{},3,null,{\"Id\":\"\"},"
				    "{\"Id\":\"../x\"},{\"Id\":\"a b\"},"
				    "{\"Id\":\"ab\"}]",
				    &ids),
			 0);
	assert_int_equal(ids.n, 2);
	assert_string_equal(ids.list[0], ID);
	assert_string_equal(ids.list[1], "ab");
	engine_ids_done(&ids);
}

static void test_list_is_none(void **state)
{
	static const char *const texts[] = { "",  "{}",
					     "[", "null",
					     "x", "[{\"Id\":\"a\\u0000\"}]" };
	struct engine_ids ids;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(list_parse(texts[i], &ids), -EBADMSG);
}

static void test_list_is_bounded(void **state)
{
	size_t n = ENGINE_CONTAINERS_MAX + 1;
	_cleanup_free_ char *text = calloc(2 * n + 2, 1);
	struct engine_ids ids;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = i == 0 ? '[' : ',';
		text[2 * i + 1] = '1';
	}
	text[2 * n] = ']';
	assert_int_equal(list_parse(text, &ids), -E2BIG);
	/* One less is taken. */
	text[2] = text[3] = ' ';
	assert_int_equal(list_parse(text, &ids), 0);
	engine_ids_done(&ids);
}

/* A container with these texts in place of its state and so on. */
static int container_parse(const char *more, struct engine_container *ret)
{
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text, "{\"Id\":\"" ID "\"%s}", more) > 0);
	return engine_container_parse(text, strlen(text), "docker", ID, ret);
}

#define RUNNING ",\"State\":{\"Running\":true,\"Pid\":7}"

static void test_container(void **state)
{
	struct engine_container container;
	json_t *expected = json_pack("{s:s, s:{s:s, s:s}, s:s, s:s, s:i, s:s}",
				     "name", "web-1", "labels", "app", "web",
				     "io.kubernetes.pod.namespace", "shop",
				     "id", ID, "runtime", "docker", "pid", 7,
				     "pod_namespace", "shop");

	(void)state;
	assert_int_equal(
		container_parse(
			RUNNING
			",\"Name\":\"/web-1\",\"HostConfig\":{\"NetworkMode\":"
			"\"bridge\"},\"NetworkSettings\":{\"SandboxKey\":"
			"\"/run/docker/netns/1\"},\"Config\":{\"Labels\":{"
			"\"app\":\"web\",\"\":\"of no key\","
			"\"io.kubernetes.pod.namespace\":\"shop\"}}",
			&container),
		0);
	assert_true(container.running);
	assert_int_equal(container.pid, 7);
	assert_int_equal(container.network, ENGINE_NETWORK_OWN);
	assert_string_equal(container.path, "/run/docker/netns/1");
	assert_true(json_equal(container.parameters, expected));
	engine_container_done(&container);
	json_decref(expected);
}

static void test_container_without_much(void **state)
{
	struct engine_container container;
	json_t *expected = json_pack("{s:s, s:{}, s:s, s:s, s:i}", "name",
				     "8cfa8af9322e", "labels", "id", ID,
				     "runtime", "docker", "pid", 7);

	(void)state;
	assert_int_equal(
		container_parse(RUNNING
				",\"Name\":\"\",\"Config\":{\"Labels\":null},"
				"\"NetworkSettings\":{\"SandboxKey\":\"\"}",
				&container),
		0);
	assert_string_equal(container.path, "");
	assert_true(json_equal(container.parameters, expected));
	engine_container_done(&container);
	json_decref(expected);
}

static void test_container_of_the_host(void **state)
{
	struct engine_container container;

	(void)state;
	assert_int_equal(container_parse(RUNNING ",\"Name\":\"/a\","
						 "\"HostConfig\":{"
						 "\"NetworkMode\":\"host\"}",
					 &container),
			 0);
	assert_int_equal(container.network, ENGINE_NETWORK_HOST);
	engine_container_done(&container);
}

static void test_container_does_not_run(void **state)
{
	static const char *const texts[] = {
		",\"State\":{\"Running\":false,\"Pid\":7}",
		",\"State\":{\"Running\":true,\"Pid\":0}",
		",\"State\":{\"Running\":\"yes\",\"Pid\":7}",
		",\"State\":{}",
	};
	struct engine_container container;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(container_parse(texts[i], &container), 0);
		assert_false(container.running);
		assert_int_equal(container.pid, 0);
		assert_null(container.parameters);
		engine_container_done(&container);
	}
}

static void test_container_is_none(void **state)
{
	static const char *const texts[] = {
		"",
		",\"State\":7",
		",\"State\":{\"Running\":true,\"Pid\":-1}",
		",\"State\":{\"Running\":true,\"Pid\":4294967296}",
		RUNNING, /* no name */
		RUNNING ",\"Name\":7",
		RUNNING ",\"Name\":\"/a\",\"Config\":{\"Labels\":[]}",
		RUNNING ",\"Name\":\"/a\",\"Config\":{\"Labels\":{\"a\":1}}",
		RUNNING ",\"Name\":\"/a\\u0000b\"",
		RUNNING ",\"Name\":\"/\xff\"",
		RUNNING ",\"Id\":\"another\",\"Name\":\"/a\"",
	};
	struct engine_container container;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(container_parse(texts[i], &container),
				 -EBADMSG);
	assert_int_equal(engine_container_parse("[]", 2, "docker", ID,
						&container),
			 -EBADMSG);
	assert_int_equal(engine_container_parse("", 0, "docker", ID,
						&container),
			 -EBADMSG);
}

#define EVENT(type, action, id)                                        \
	"{\"Type\":\"" type "\",\"Action\":\"" action "\",\"Actor\":{" \
	"\"ID\":\"" id "\",\"Attributes\":{\"name\":\"a\"}}}"

static void test_events(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ EVENT("container", "start", ID), 1 },
		{ EVENT("container", "die", ID), 1 },
		{ EVENT("container", "died", ID), 1 },
		{ EVENT("container", "stop", ID), 1 },
		{ EVENT("container", "restart", ID), 1 },
		{ EVENT("container", "rename", ID), 1 },
		{ EVENT("container", "update", ID), 1 },
		{ EVENT("container", "destroy", ID), 1 },
		{ EVENT("container", "remove", ID), 1 },
		{ EVENT("container", "cleanup", ID), 1 },
		{ EVENT("container", "of the future", ID), 1 },
		{ "{\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\"}}", 1 },
		{ EVENT("container", "create", ID), 0 },
		{ EVENT("container", "pause", ID), 0 },
		{ EVENT("container", "unpause", ID), 0 },
		{ EVENT("container", "exec_create: sh -c true", ID), 0 },
		{ EVENT("container", "exec_die", ID), 0 },
		{ EVENT("container", "health_status: healthy", ID), 0 },
		{ EVENT("container", "health_status", ID), 0 },
		{ EVENT("network", "connect", ID), 0 },
		{ EVENT("container", "start", ""), -EBADMSG },
		{ EVENT("container", "start", "a/b"), -EBADMSG },
		{ EVENT("container", "start", ID ID "x"), -EBADMSG },
		{ "{\"Type\":\"container\",\"Action\":\"start\"}", -EBADMSG },
		{ "{\"Type\":\"container\"}", -EBADMSG },
		{ "[]", -EBADMSG },
		{ "x", -EBADMSG },
	};
	char id[ENGINE_ID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		*id = '\0';
		assert_int_equal(engine_event_parse(cases[i].text,
						    strlen(cases[i].text), id),
				 cases[i].r);
		assert_string_equal(id, cases[i].r == 1 ? ID : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_is_none),
		cmocka_unit_test(test_list_is_bounded),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_container_without_much),
		cmocka_unit_test(test_container_of_the_host),
		cmocka_unit_test(test_container_does_not_run),
		cmocka_unit_test(test_container_is_none),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
