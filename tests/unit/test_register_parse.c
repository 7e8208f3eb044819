// SPDX-License-Identifier: Apache-2.0
/* test_register_parse.c - which parameters Register, Unregister and Wait take
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/container.h"
#include "common/util.h"
#include "daemon/control/register_parse.h"

enum method { REGISTER, UNREGISTER, WAIT };

static json_t *load(const char *text)
{
	json_t *root = json_loads(text, JSON_ALLOW_NUL, NULL);

	assert_non_null(root);
	return root;
}

static int parse(enum method method, const json_t *root, bool has_fd,
		 struct parameter_problem *problem)
{
	struct register_told registered;
	struct unregister_told unregistered;
	struct wait_told waited;
	int r;

	switch (method) {
	case REGISTER:
		r = register_parse(root, has_fd, &registered, problem);
		if (r == 0)
			register_told_done(&registered);
		return r;
	case UNREGISTER:
		return unregister_parse(root, &unregistered, problem);
	case WAIT:
		return wait_parse(root, &waited, problem);
	}
	return 0;
}

/* @parameter: the one that is wrong; NULL: none is */
struct expectation {
	enum method method;
	const char *text;
	bool has_fd;
	const char *parameter;
	const char *expected;
};

static const struct expectation expectations[] = {
	{ REGISTER, "{\"path\": \"/run/netns/blue\", \"name\": \"a\"}", false,
	  NULL, NULL },
	{ REGISTER, "{\"pid\": 1, \"name\": \"a\", \"wait_ms\": 60000}", false,
	  NULL, NULL },
	{ REGISTER, "{\"fd\": 0, \"pid\": 4194304, \"name\": \"a\"}", true,
	  NULL, NULL },
	{ REGISTER,
	  "{\"path\": \"/a\", \"pid\": null, \"fd\": null, \"name\": \"a\", "
	  "\"labels\": null, \"id\": null, \"end_with_connection\": null}",
	  true, NULL, NULL },
	{ REGISTER, "{\"name\": \"a\"}", true, "path",
	  "expected path, fd or pid" },
	{ REGISTER, "{\"path\": \"/a\", \"fd\": 0, \"name\": \"a\"}", true,
	  "path", "expected either path or fd" },
	{ REGISTER, "{\"fd\": 0, \"name\": \"a\"}", false, "fd",
	  "expected a descriptor attached to the call" },
	{ REGISTER, "{\"fd\": 1, \"name\": \"a\"}", true, "fd",
	  "expected a number from 0 to 0" },
	{ REGISTER, "{\"path\": \"a\", \"name\": \"a\"}", false, "path",
	  "expected an absolute path such as /run/netns/blue" },
	{ REGISTER, "{\"path\": \"/run/\", \"name\": \"a\"}", false, "path",
	  "expected an absolute path such as /run/netns/blue" },
	{ REGISTER, "{\"path\": \"\", \"name\": \"a\"}", false, "path",
	  "expected an absolute path such as /run/netns/blue" },
	{ REGISTER, "{\"path\": \"/a\\u0000b\", \"name\": \"a\"}", false,
	  "path", "expected a text without NUL" },
	{ REGISTER, "{\"path\": 7, \"name\": \"a\"}", false, "path",
	  "expected a text" },
	{ REGISTER, "{\"pid\": 0, \"name\": \"a\"}", false, "pid",
	  "expected a number from 1 to 4194304" },
	{ REGISTER, "{\"pid\": 4194305, \"name\": \"a\"}", false, "pid",
	  "expected a number from 1 to 4194304" },
	{ REGISTER, "{\"pid\": \"7\", \"name\": \"a\"}", false, "pid",
	  "expected a number from 1 to 4194304" },
	{ REGISTER, "{\"pid\": 7.0, \"name\": \"a\"}", false, "pid",
	  "expected a number from 1 to 4194304" },
	{ REGISTER, "{\"pid\": 7}", false, "name",
	  "expected the container's name" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"\"}", false, "name",
	  "expected the container's name" },
	{ REGISTER, "{\"pid\": 7, \"name\": [\"a\"]}", false, "name",
	  "expected a text" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"id\": \"\\u0000\"}", false,
	  "id", "expected a text without NUL" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"labels\": []}", false,
	  "labels", "expected an object such as {\"app\": \"web\"}" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"labels\": {\"a\": 1}}",
	  false, "labels",
	  "expected an object of texts such as {\"app\": \"web\"}" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"labels\": {\"a\": null}}",
	  false, "labels",
	  "expected an object of texts such as {\"app\": \"web\"}" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"labels\": {\"\": \"b\"}}",
	  false, "labels", "expected keys of labels, found an empty one" },
	{ REGISTER,
	  "{\"pid\": 7, \"name\": \"a\", \"labels\": {\"a\": \"\\u0000\"}}",
	  false, "labels", "expected texts without NUL" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"end_with_connection\": 1}",
	  false, "end_with_connection", "expected true or false" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"wait_ms\": 60001}", false,
	  "wait_ms", "expected a number from 0 to 60000" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"wait_ms\": -1}", false,
	  "wait_ms", "expected a number from 0 to 60000" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"netns\": \"/a\"}", false,
	  "netns", "there is no such parameter" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"source\": \"runtime\"}",
	  false, NULL, NULL },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"source\": \"file\"}",
	  false, "source", "expected hook or runtime" },
	{ REGISTER, "{\"pid\": 7, \"name\": \"a\", \"source\": \"registered\"}",
	  false, "source", "expected hook or runtime" },
	{ UNREGISTER, "{\"registration\": \"17\"}", false, NULL, NULL },
	{ UNREGISTER, "{\"id\": \"17\"}", false, NULL, NULL },
	{ UNREGISTER, "{\"name\": \"a\", \"pod_namespace\": \"b\"}", false,
	  NULL, NULL },
	{ UNREGISTER, "{}", false, "name",
	  "expected one of registration, id and name" },
	{ UNREGISTER, "{\"id\": \"a\", \"name\": \"a\"}", false, "name",
	  "expected one of registration, id and name" },
	{ UNREGISTER, "{\"id\": \"a\", \"pod_namespace\": \"a\"}", false,
	  "pod_namespace", "expected name beside it" },
	{ UNREGISTER, "{\"registration\": \"x\"}", false, "registration",
	  "expected what Register replied" },
	{ UNREGISTER, "{\"registration\": 17}", false, "registration",
	  "expected a text" },
	{ WAIT, "{\"name\": \"a\"}", false, NULL, NULL },
	{ WAIT, "{\"name\": \"a\", \"timeout_ms\": 0}", false, NULL, NULL },
	{ WAIT, "{}", false, "name",
	  "expected the name of a namespace or container" },
	{ WAIT, "{\"name\": \"a\", \"timeout_ms\": \"1s\"}", false,
	  "timeout_ms", "expected a number from 0 to 3600000" },
	{ WAIT, "{\"name\": \"a\", \"namespace\": \"a\"}", false, "namespace",
	  "there is no such parameter" },
};

static void test_parameters(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		const struct expectation *expectation = &expectations[i];
		struct parameter_problem problem = { .parameter = "" };
		json_t *root = load(expectation->text);
		int r = parse(expectation->method, root, expectation->has_fd,
			      &problem);

		if (r != (expectation->parameter ? -EINVAL : 0))
			fail_msg("%s: %d (%s: %s)", expectation->text, r,
				 problem.parameter, problem.expected);
		if (expectation->parameter) {
			assert_string_equal(problem.parameter,
					    expectation->parameter);
			assert_string_equal(problem.expected,
					    expectation->expected);
		}
		json_decref(root);
	}
}

static void test_none(void **state)
{
	struct parameter_problem problem;

	(void)state;
	assert_int_equal(parse(REGISTER, NULL, false, &problem), -EINVAL);
	assert_int_equal(parse(UNREGISTER, NULL, false, &problem), -EINVAL);
	assert_int_equal(parse(WAIT, NULL, false, &problem), -EINVAL);
}

static void test_what_is_told(void **state)
{
	json_t *root =
		load("{\"path\": \"/run/netns/b\\\\xff\", \"pid\": 7, "
		     "\"name\": \"web-1\", \"pod_namespace\": \"shop\", "
		     "\"labels\": {\"tier\": \"front\", \"app\": \"web\"}, "
		     "\"id\": \"0c5b\", \"runtime\": \"podman\", "
		     "\"end_with_connection\": true, \"wait_ms\": 250, "
		     "\"source\": \"hook\"}");
	struct parameter_problem problem;
	struct register_told told;

	(void)state;
	assert_int_equal(register_parse(root, false, &told, &problem), 0);
	assert_string_equal(told.path, "/run/netns/b\xff");
	assert_false(told.fd);
	assert_int_equal(told.container.pid, 7);
	assert_string_equal(told.container.name, "web-1");
	assert_string_equal(told.container.pod_namespace, "shop");
	assert_string_equal(told.container.id, "0c5b");
	assert_string_equal(told.container.runtime, "podman");
	assert_int_equal(told.container.n_labels, 2);
	assert_string_equal(told.container.labels[0].key, "app");
	assert_string_equal(container_label(&told.container, "tier"), "front");
	assert_true(told.end_with_connection);
	assert_int_equal(told.source, REGISTRATION_HOOK);
	assert_int_equal(told.wait_us, 250000);
	register_told_done(&told);
	json_decref(root);
}

static void test_defaults(void **state)
{
	json_t *root = load("{\"pid\": 7, \"name\": \"a\"}");
	json_t *wait = load("{\"name\": \"a\"}");
	struct parameter_problem problem;
	struct register_told told;
	struct wait_told waited;

	(void)state;
	assert_int_equal(register_parse(root, true, &told, &problem), 0);
	assert_null(told.path);
	assert_false(told.fd);
	assert_false(told.end_with_connection);
	assert_int_equal(told.wait_us, 0);
	assert_string_equal(told.container.id, "");
	assert_int_equal(told.container.n_labels, 0);
	register_told_done(&told);
	assert_int_equal(wait_parse(wait, &waited, &problem), 0);
	assert_int_equal(waited.timeout_us, 30 * USEC_PER_SEC);
	json_decref(root);
	json_decref(wait);
}

/* A container with @n labels with values of @len bytes. */
static json_t *with_labels(size_t n, size_t len)
{
	json_t *labels = json_object();
	char key[32], *value = malloc(len + 1);

	memset(value, 'v', len);
	value[len] = '\0';
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "%zu", i);
		assert_int_equal(json_object_set_new(labels, key,
						     json_string(value)),
				 0);
	}
	free(value);
	return json_pack("{s:i, s:s, s:o}", "pid", 7, "name", "a", "labels",
			 labels);
}

static void assert_labels(json_t *root, const char *problem_begins)
{
	struct parameter_problem problem = { .parameter = "" };
	int r = parse(REGISTER, root, false, &problem);

	json_decref(root);
	if (!problem_begins) {
		assert_int_equal(r, 0);
		return;
	}
	assert_int_equal(r, -EINVAL);
	assert_string_equal(problem.parameter, "labels");
	assert_memory_equal(problem.expected, problem_begins,
			    strlen(problem_begins));
}

static void test_bounds(void **state)
{
	char name[CONTAINER_TEXT_MAX + 2];
	struct parameter_problem problem;
	json_t *root;

	(void)state;
	assert_labels(with_labels(CONTAINER_LABELS_MAX, 1), NULL);
	assert_labels(with_labels(CONTAINER_LABELS_MAX + 1, 1),
		      "expected at most 256 labels, found 257");
	assert_labels(with_labels(1, CONTAINER_BYTES_MAX / 2), NULL);
	assert_labels(with_labels(1, CONTAINER_BYTES_MAX),
		      "expected a container of at most 65536 bytes, found ");
	memset(name, 'n', sizeof(name));
	name[CONTAINER_TEXT_MAX + 1] = '\0';
	root = json_pack("{s:i, s:s}", "pid", 7, "name", name);
	assert_int_equal(parse(REGISTER, root, false, &problem), -EINVAL);
	assert_string_equal(problem.expected,
			    "expected at most 512 bytes, found 513");
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
