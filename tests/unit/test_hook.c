// SPDX-License-Identifier: Apache-2.0
/* test_hook.c - what berth-hook makes of what runtimes say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/container.h"
#include "common/util.h"
#include "hook/cni.h"
#include "hook/facts.h"
#include "hook/input.h"
#include "hook/oci.h"
#include "hook/settings.h"

#define ID "0123456789abcdef"

static json_t *json_of(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

static void assert_labels(const struct facts *facts, const char *expected)
{
	json_t *json = json_of(expected);

	if (!json_equal(facts->labels, json)) {
		char *got = json_dumps(facts->labels, JSON_COMPACT);

		fail_msg("labels are %s, not %s", got, expected);
	}
	json_decref(json);
}

static void test_annotations(void **state)
{
	static const char *const prefixes[] = { "shop.example/", "x" };
	static const struct {
		const char *annotations;
		const char *name;
		const char *pod_namespace;
		const char *runtime;
		const char *labels;
	} cases[] = {
		{ "{}", "0123456789ab", "", "oci", "{}" },
		{ "[]", "0123456789ab", "", "oci", "{}" },
		{ "{\"io.container.manager\":\"libpod\","
		  "\"io.berth.labels.app\":\"web\",\"app\":\"no\","
		  "\"io.berth.labels.\":\"no\",\"io.berth.labels.n\":7,"
		  "\"io.berth.name\":\"web-1\","
		  "\"io.berth.pod_namespace\":\"shop\"}",
		  "web-1", "shop", "podman", "{\"app\":\"web\"}" },
		/* What people wrote never beats what the runtime wrote. */
		{ "{\"io.kubernetes.cri-o.ContainerType\":\"container\","
		  "\"io.kubernetes.container.name\":\"nginx\","
		  "\"io.kubernetes.pod.name\":\"web-1\","
		  "\"io.kubernetes.pod.namespace\":\"shop\","
		  "\"io.berth.name\":\"x\",\"io.berth.pod_namespace\":\"y\","
		  "\"io.kubernetes.cri-o.Labels\":"
		  "\"{\\\"app\\\":\\\"web\\\",\\\"n\\\":1}\"}",
		  "nginx", "shop", "cri-o", "{\"app\":\"web\"}" },
		{ "{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\","
		  "\"io.kubernetes.container.name\":\"POD\","
		  "\"io.kubernetes.pod.name\":\"web-1\","
		  "\"io.kubernetes.cri-o.Labels\":\"{broken\"}",
		  "web-1", "", "cri-o", "{}" },
		{ "{\"io.kubernetes.cri.container-type\":\"container\","
		  "\"io.kubernetes.cri.container-name\":\"nginx\","
		  "\"io.kubernetes.cri.sandbox-name\":\"web-1\","
		  "\"io.kubernetes.cri.sandbox-namespace\":\"shop\"}",
		  "nginx", "shop", "containerd", "{}" },
		{ "{\"io.kubernetes.cri.container-type\":\"sandbox\","
		  "\"io.kubernetes.cri.sandbox-name\":\"web-1\"}",
		  "web-1", "", "containerd", "{}" },
		/* The later kind wins, and a prefix stays in the key. */
		{ "{\"io.berth.labels.x1\":\"c\",\"x1\":\"b\","
		  "\"io.kubernetes.cri-o.Labels\":\"{\\\"x1\\\":\\\"a\\\"}\","
		  "\"shop.example/tier\":\"front\"}",
		  "0123456789ab", "", "oci",
		  "{\"x1\":\"c\",\"shop.example/tier\":\"front\"}" },
	};
	const struct prefixes chosen = { (const char **)prefixes, 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *annotations = json_of(cases[i].annotations);
		struct facts facts;

		assert_int_equal(facts_init(&facts, ID, "oci"), 0);
		facts_add_annotations(&facts, annotations, &chosen);
		assert_string_equal(facts.id, ID);
		assert_string_equal(facts.name, cases[i].name);
		assert_string_equal(facts.pod_namespace,
				    cases[i].pod_namespace);
		assert_string_equal(facts.runtime, cases[i].runtime);
		assert_labels(&facts, cases[i].labels);
		assert_false(facts.dropped);
		facts_done(&facts);
		json_decref(annotations);
	}
}

/* What is no UTF-8, or would be none when cut, JSON cannot say. */
static void test_utf8(void **state)
{
	struct facts facts;

	(void)state;
	assert_int_equal(facts_init(&facts, "0123456789a\xc3\xa9z", "oci"), 0);
	assert_string_equal(facts.name, "0123456789a");
	facts_set_name(&facts, "\xff");
	facts_set_pod_namespace(&facts, "a\xc3");
	assert_string_equal(facts.name, "0123456789a");
	assert_string_equal(facts.pod_namespace, "");
	facts_set_name(&facts, "\xc3\xa9");
	assert_string_equal(facts.name, "\xc3\xa9");
	facts_done(&facts);
}

/* berthd takes what stays within its limits, so that one huge annotation does
 * not cost a container its other labels. */
static void test_limits(void **state)
{
	struct facts facts;
	json_t *value = json_string("v"), *huge;
	char *text = calloc(1, CONTAINER_BYTES_MAX + 1);
	char key[16];

	(void)state;
	memset(text, 'a', CONTAINER_BYTES_MAX);
	huge = json_string(text);
	assert_int_equal(facts_init(&facts, text, "oci"), 0);
	assert_string_equal(facts.id, "");
	assert_int_equal(strlen(facts.name), FACTS_SHORT_ID);
	facts_set_name(&facts, text);
	assert_int_equal(strlen(facts.name), FACTS_SHORT_ID);
	facts_add_label(&facts, "first", value);
	assert_false(facts.dropped);
	facts_add_label(&facts, "huge", huge);
	facts_add_label(&facts, "first", huge);
	assert_true(facts.dropped);
	assert_labels(&facts, "{\"first\":\"v\"}");
	for (int i = 0; i < 2 * (int)CONTAINER_LABELS_MAX; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		facts_add_label(&facts, key, value);
	}
	assert_int_equal(json_object_size(facts.labels), CONTAINER_LABELS_MAX);
	/* One that is there may change. */
	json_decref(value);
	value = json_string("other");
	facts_add_label(&facts, "first", value);
	assert_string_equal(
		json_string_value(json_object_get(facts.labels, "first")),
		"other");
	facts_done(&facts);
	json_decref(value);
	json_decref(huge);
	free(text);
}

static void test_state(void **state)
{
	static const struct {
		const char *text;
		int r;
		bool ended;
		pid_t pid;
	} cases[] = {
		{ "{\"id\":\"a\",\"status\":\"creating\",\"pid\":7}", 0, false,
		  7 },
		{ "{\"id\":\"a\",\"status\":\"created\"}", 0, false, 0 },
		{ "{\"id\":\"a\",\"status\":\"running\",\"pid\":-1}", 0, false,
		  0 },
		{ "{\"id\":\"a\",\"status\":\"x\",\"pid\":99999999999}", 0,
		  false, 0 },
		{ "{\"id\":\"a\",\"status\":\"stopped\",\"pid\":\"7\"}", 0,
		  true, 0 },
		{ "{\"id\":\"\",\"status\":\"stopped\"}", -EINVAL, false, 0 },
		{ "{\"id\":7,\"status\":\"stopped\"}", -EINVAL, false, 0 },
		{ "{\"status\":\"stopped\"}", -EINVAL, false, 0 },
		{ "{\"id\":\"a\"}", -EINVAL, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *json = json_of(cases[i].text);
		struct oci_state got = { .id = "untouched" };

		assert_int_equal(oci_state_parse(json, &got), cases[i].r);
		assert_int_equal(got.ended, cases[i].ended);
		assert_int_equal(got.pid, cases[i].pid);
		assert_string_equal(got.id,
				    cases[i].r == 0 ? "a" : "untouched");
		json_decref(json);
	}
}

static void test_network(void **state)
{
	static const struct {
		const char *text;
		enum oci_network network;
		const char *path;
	} cases[] = {
		{ "{}", OCI_NETWORK_SHARED, NULL },
		{ "{\"linux\":{\"namespaces\":[7,{\"type\":\"pid\"}]}}",
		  OCI_NETWORK_SHARED, NULL },
		{ "{\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":"
		  "\"/p\"},{\"type\":\"network\"}]}}",
		  OCI_NETWORK_OWN, NULL },
		{ "{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":"
		  "\"\"}]}}",
		  OCI_NETWORK_OWN, NULL },
		{ "{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":"
		  "\"/run/netns/a\"}]}}",
		  OCI_NETWORK_PATH, "/run/netns/a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *json = json_of(cases[i].text);
		const char *path = NULL;

		assert_int_equal(oci_network(json, &path), cases[i].network);
		assert_int_equal(path != NULL, cases[i].path != NULL);
		if (path)
			assert_string_equal(path, cases[i].path);
		json_decref(json);
	}
}

static void test_cni_facts(void **state)
{
	const struct cni_env env = { .command = "ADD", .container_id = ID };
	const struct prefixes none = { NULL, 0 };
	char args[] = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;;x;"
		      "K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=" ID;
	json_t *conf = json_of(
		"{\"name\":\"pods\",\"args\":{\"cni\":{\"labels\":["
		"{\"key\":\"app\",\"value\":\"web\"},{\"key\":7},7,"
		"{\"key\":\"n\",\"value\":7}]}},"
		"\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":{"
		"\"io.berth.labels.tier\":\"front\","
		"\"io.kubernetes.pod.name\":\"another's\","
		"\"io.berth.labels.berth.io/cni-network\":\"another\"}}}");
	struct facts facts;

	(void)state;
	assert_int_equal(cni_facts(&env, conf, args, &none, &facts), 0);
	assert_string_equal(facts.id, ID);
	assert_string_equal(facts.name, "web-1");
	assert_string_equal(facts.pod_namespace, "shop");
	assert_string_equal(facts.runtime, "cni");
	assert_labels(&facts, "{\"app\":\"web\",\"tier\":\"front\","
			      "\"berth.io/cni-network\":\"pods\"}");
	facts_done(&facts);
	json_decref(conf);
}

static void test_cni_answers(void **state)
{
	json_t *conf = json_of("{\"cniVersion\":\"0.4.0\",\"prevResult\":"
			       "{\"cniVersion\":\"0.4.0\",\"ips\":[{\"z\":1,"
			       "\"a\":1.5}]},\"cni.dev/valid-attachments\":"
			       "[{\"containerID\":\"a\",\"ifname\":\"e\"},7]}");
	json_t *alone = json_of("{\"cniVersion\":\"1.0.0\"}"), *got;
	char *text;

	(void)state;
	got = cni_result(conf);
	text = json_dumps(got, JSON_COMPACT);
	assert_string_equal(text, "{\"cniVersion\":\"0.4.0\",\"ips\":"
				  "[{\"z\":1,\"a\":1.5}]}");
	free(text);
	json_decref(got);
	got = cni_result(alone);
	assert_true(json_equal(got, alone));
	json_decref(got);
	assert_true(cni_is_valid(conf, "a"));
	assert_false(cni_is_valid(conf, "b"));
	assert_true(cni_is_valid(alone, "b"));
	got = cni_versions(alone);
	text = json_dumps(got, JSON_COMPACT);
	assert_string_equal(text, "{\"cniVersion\":\"1.0.0\","
				  "\"supportedVersions\":[\"0.3.0\",\"0.3.1\","
				  "\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
	free(text);
	json_decref(got);
	json_decref(conf);
	json_decref(alone);
}

static void test_settings_of_conf(void **state)
{
	static const struct {
		const char *text;
		const char *dir;
		unsigned int timeout_ms;
		size_t n_prefixes;
	} cases[] = {
		{ "{}", "/run/berth", SETTINGS_TIMEOUT_MS, 0 },
		{ "{\"runtimeDir\":\"/x\",\"timeoutMs\":5,"
		  "\"annotationPrefixes\":[\"a\",\"b\"]}",
		  "/x", 5, 2 },
		{ "{\"runtimeDir\":7,\"timeoutMs\":0,"
		  "\"annotationPrefixes\":[7]}",
		  "/run/berth", SETTINGS_TIMEOUT_MS, 0 },
		{ "{\"timeoutMs\":60001,\"annotationPrefixes\":{}}",
		  "/run/berth", SETTINGS_TIMEOUT_MS, 0 },
		{ "{\"timeoutMs\":\"1s\"}", "/run/berth", SETTINGS_TIMEOUT_MS,
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *json = json_of(cases[i].text);
		struct settings settings;

		settings_init(&settings);
		settings_read(&settings, json);
		assert_string_equal(settings.runtime_dir, cases[i].dir);
		assert_int_equal(settings.timeout_ms, cases[i].timeout_ms);
		assert_int_equal(settings.prefixes.n, cases[i].n_prefixes);
		settings_done(&settings);
		json_decref(json);
	}
}

static int read_pipe(const char *text, bool end, uint64_t limit_us,
		     json_t **ret_json)
{
	int fds[2], r;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	if (end)
		close(fds[1]);
	r = input_read(fds[0], monotonic_us() + limit_us, ret_json);
	close(fds[0]);
	if (!end)
		close(fds[1]);
	return r;
}

static void test_input(void **state)
{
	const uint64_t long_us = 30 * USEC_PER_SEC;
	const uint64_t short_us = 10 * USEC_PER_MSEC;
	json_t *json = NULL;

	(void)state;
	assert_int_equal(read_pipe("{\"a\":1}", true, long_us, &json), 0);
	json_decref(json);
	json = NULL;
	assert_int_equal(read_pipe("", true, long_us, &json), -EPROTO);
	assert_int_equal(read_pipe("[]", true, long_us, &json), -EPROTO);
	assert_int_equal(read_pipe("{", true, long_us, &json), -EPROTO);
	assert_int_equal(read_pipe("{}", false, short_us, &json), -ETIMEDOUT);
	assert_null(json);
}

static void test_input_of_files(void **state)
{
	char path[] = "/tmp/berth-hook-XXXXXX";
	int fd = mkstemp(path);
	const uint64_t deadline = monotonic_us() + 30 * USEC_PER_SEC;
	json_t *json = NULL;

	(void)state;
	assert_int_equal(ftruncate(fd, INPUT_MAX + 1), 0);
	assert_int_equal(input_read_file(path, deadline, &json), -EFBIG);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(write(fd, "{}", 2), 2);
	assert_int_equal(input_read_file(path, deadline, &json), 0);
	json_decref(json);
	close(fd);
	unlink(path);
	assert_int_equal(input_read_file(path, deadline, &json), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(input_read_file(path, deadline, &json), -EINVAL);
	unlink(path);
}

/* Brackets that never end must not cost the stack. */
static void test_input_deep(void **state)
{
	char path[] = "/tmp/berth-hook-XXXXXX";
	int fd = mkstemp(path);
	char *text = malloc(1024 * 1024);
	json_t *json = NULL;

	(void)state;
	memset(text, '[', 1024 * 1024);
	assert_int_equal(write(fd, "{\"a\":", 5), 5);
	assert_int_equal(write(fd, text, 1024 * 1024), 1024 * 1024);
	assert_int_equal(input_read_file(path,
					 monotonic_us() + 30 * USEC_PER_SEC,
					 &json),
			 -EPROTO);
	free(text);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_cni_facts),
		cmocka_unit_test(test_cni_answers),
		cmocka_unit_test(test_settings_of_conf),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_input_of_files),
		cmocka_unit_test(test_input_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
