// SPDX-License-Identifier: Apache-2.0
/* test_registrations_file.c - registrations outlive berthd in a file */
#include "registrations_fixture.h"

#include "daemon/registrations_file.h"
#include "daemon/registrations_text.h"

static struct registrations_file *open_file(struct fixture *f)
{
	struct registrations_file *file = NULL;

	assert_int_equal(
		registrations_file_new(f->loop, f->base, f->watcher, &file), 0);
	return file;
}

static const char *file_path(const struct fixture *f)
{
	static char buffer[128];

	(void)snprintf(buffer, sizeof(buffer), "%s/registrations.json",
		       f->base);
	return buffer;
}

static size_t file_has(const struct fixture *f)
{
	json_t *json = json_load_file(file_path(f), 0, NULL);
	size_t n;

	assert_non_null(json);
	n = json_array_size(json_object_get(json, "registrations"));
	json_decref(json);
	return n;
}

static void write_file(const struct fixture *f, const char *text)
{
	FILE *file = fopen(file_path(f), "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_killed_and_started_anew(void **state)
{
	const struct container_label labels[] = { { "app", "web" },
						  { "tier", "\"\n" } };
	struct fixture *f = *state;
	pid_t pid = make_process(), ended = make_process();
	struct registration_told one = told_pid("web", pid);
	struct registrations_file *file;
	const struct container *container;
	uint64_t id;

	one.container.labels = labels;
	one.container.n_labels = ARRAY_SIZE(labels);
	one.container.id = "c1";
	one.container.runtime = "podman";
	one.container.pod_namespace = "shop";
	one.uid = 1000;
	one.source = REGISTRATION_HOOK;
	start(f, 0);
	file = open_file(f);
	assert_false(registrations_file_step(file));
	assert_int_equal(access(file_path(f), F_OK), -1);
	id = register_one(f, one);
	(void)register_one(f, told_pid("ended", ended));
	one.transient = true;
	one.container.id = "c2";
	(void)register_one(f, one);
	registrations_file_changed(file);
	assert_false(registrations_file_step(file));
	assert_int_equal(file_has(f), 2); /* now, in case berthd is killed */
	registrations_file_free(file);
	end_process(ended);
	begin_again(f);
	file = open_file(f);
	settle(f);
	assert_int_equal(count(f), 1);
	container = find(f, "web")->containers[0];
	assert_string_equal(container->name, "web");
	assert_string_equal(container->pod_namespace, "shop");
	assert_string_equal(container->id, "c1");
	assert_string_equal(container->runtime, "podman");
	assert_int_equal(container->uid, 0);
	assert_int_equal(container->pid, pid);
	assert_int_equal(container->n_labels, 2);
	assert_string_equal(container_label(container, "tier"), "\"\n");
	assert_int_equal(watcher_find_registration(f->watcher, id)->uid, 1000);
	assert_int_equal(watcher_find_registration(f->watcher, id)->source,
			 REGISTRATION_HOOK);
	assert_true(register_one(f, told_pid("other", pid)) > id);
	(void)registrations_file_step(file); /* what was forgotten */
	assert_int_equal(file_has(f), 2);
	end_process(pid);
	registrations_file_free(file);
}

/* After it was written it rests; the last changes are written at the end. */
static void test_rests(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registrations_file *file;
	uint64_t id;

	start(f, 0);
	file = open_file(f);
	id = register_one(f, told_pid("web", pid));
	registrations_file_changed(file);
	assert_false(registrations_file_step(file));
	assert_true(watcher_unregister(f->watcher, id));
	registrations_file_changed(file);
	assert_false(registrations_file_step(file));
	assert_int_equal(file_has(f), 1);
	registrations_file_free(file);
	assert_int_equal(file_has(f), 0);
	end_process(pid);
}

static void test_slices(void **state)
{
	struct fixture *f = *state;
	pid_t pids[3];
	struct registrations_file *file;
	char id[16];

	start(f, 0);
	file = open_file(f);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		struct registration_told one;

		pids[i] = make_process();
		one = told_pid("web", pids[i]);
		one.container.id = id;
		for (unsigned int k = 0; k < 30; k++) {
			(void)snprintf(id, sizeof(id), "%zu-%u", i, k);
			(void)register_one(f, one);
		}
	}
	registrations_file_changed(file);
	assert_true(registrations_file_step(file));
	assert_int_equal(access(file_path(f), F_OK), -1);
	assert_true(watcher_unregister(
		f->watcher, watcher_next_registration(f->watcher, NULL)->id));
	assert_false(registrations_file_step(file));
	assert_int_equal(file_has(f), 90); /* it was written already */
	registrations_file_changed(file);
	registrations_file_free(file);
	assert_int_equal(file_has(f), 89);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		end_process(pids[i]);
}

static void test_lies(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{",
		"{\"registrations\": 1}",
		"{\"registrations\": [1, null, {}]}",
		"{\"registrations\": [{\"id\": \"1\", \"uid\": 0, "
		"\"namespace\": \"4711\", \"container\": {\"name\": \"x\", "
		"\"pod_namespace\": \"\", \"id\": \"\", \"runtime\": \"\", "
		"\"pid\": 1, \"uid\": 0, \"labels\": {}}, \"pid\": 1, "
		"\"process\": \"1\", \"named\": true}]}",
		"{\"registrations\": [{\"id\": \"1\", \"uid\": 0, "
		"\"namespace\": \"1\", \"container\": {\"name\": \"x\", "
		"\"pod_namespace\": \"\", \"id\": \"\", \"runtime\": \"\", "
		"\"pid\": 0, \"uid\": 0, \"labels\": {}}, \"handle\": "
		"{\"type\": 241, \"bytes\": \"0100000000000000\"}, "
		"\"named\": true}]}",
	};
	struct fixture *f = *state;

	prepare_start(f, 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		write_file(f, texts[i]);
		registrations_file_free(open_file(f));
		assert_int_equal(count(f), 0);
	}
}

static json_t *registration_json(void)
{
	return json_pack("{s:s, s:i, s:s, s:b, s:i, s:s, s:s, s:{s:i, s:s}, "
			 "s:{s:s, s:s, s:s, s:s, s:i, s:i, s:{s:s}}}",
			 "id", "18446744073709551615", "uid", 1, "namespace",
			 "2", "named", 1, "pid", 3, "process", "4", "path",
			 "/run/x", "handle", "type", 241, "bytes", "00ff",
			 "container", "name", "x", "pod_namespace", "", "id",
			 "", "runtime", "", "pid", 0, "uid", 0, "labels", "a",
			 "b");
}

static void test_read(void **state)
{
	static const struct {
		const char *key, *value; /* of the object, as JSON */
	} wrong[] = {
		{ "id", "1" },
		{ "id", "\"\"" },
		{ "id", "\"-1\"" },
		{ "id", "\"18446744073709551616\"" },
		{ "id", "\"0\"" },
		{ "namespace", "\"1 \"" },
		{ "uid", "-1" },
		{ "uid", "4294967295" },
		{ "pid", "0" },
		{ "pid", "4294967297" },
		{ "process", "\"x\"" },
		{ "path", "1" },
		{ "path", "\"relative\"" },
		{ "handle", "{\"type\": 1, \"bytes\": \"0\"}" },
		{ "handle", "{\"type\": 1, \"bytes\": \"0g\"}" },
		{ "handle", "{\"type\": -1, \"bytes\": \"00\"}" },
		{ "container", "{}" },
		{ "container", "[]" },
	};
	struct registration_kept kept;
	json_t *json = registration_json();

	(void)state;
	assert_int_equal(registrations_text_read(json, &kept), 0);
	assert_true(kept.registration.id == UINT64_MAX);
	assert_int_equal(kept.registration.handle.n, 2);
	assert_int_equal(kept.registration.handle.bytes[1], 0xff);
	assert_int_equal(kept.registration.task.number, 3);
	assert_int_equal(kept.container.n_labels, 1);
	registration_kept_done(&kept);
	json_decref(json);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		json = registration_json();
		assert_int_equal(json_object_set_new(json, wrong[i].key,
						     json_loads(wrong[i].value,
								JSON_DECODE_ANY,
								NULL)),
				 0);
		assert_int_equal(registrations_text_read(json, &kept), -EINVAL);
		json_decref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_killed_and_started_anew,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_rests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
