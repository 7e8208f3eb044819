// SPDX-License-Identifier: Apache-2.0
/* test_awaited.c - consumers of an earlier berthd, and how long they are
 * awaited
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/consumers/awaited.h"

struct fixture {
	struct loop *loop;
	struct awaited *awaited;
	char told[64];
};

static void ended(const char *name, bool late, void *user_data)
{
	struct fixture *f = user_data;
	size_t used = strlen(f->told);

	assert_false(awaited_has(f->awaited, name));
	snprintf(f->told + used, sizeof(f->told) - used, "%s%s ", name,
		 late ? " late" : "");
	loop_quit(f->loop, 0);
}

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ .told = "" };
	*state = &fixture;
	log_init("test", LOG_LEVEL_ERROR);
	assert_int_equal(loop_new(&fixture.loop), 0);
	return awaited_new(fixture.loop, ended, &fixture, &fixture.awaited);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->awaited = awaited_free(f->awaited);
	f->loop = loop_free(f->loop);
	return 0;
}

static pid_t child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct known_consumer known_of(const char *name, pid_t pid)
{
	struct known_consumer known = { .pid = pid };

	snprintf(known.name, sizeof(known.name), "%s", name);
	known.started = known_started(pid);
	assert_int_not_equal(known.started, 0);
	return known;
}

static void test_process_that_ends(void **state)
{
	struct fixture *f = *state;
	pid_t pid = child();
	struct known_consumer known = known_of("web", pid);

	awaited_process(f->awaited, &known);
	assert_true(awaited_has(f->awaited, "web"));
	assert_false(awaited_has(f->awaited, "other"));
	end(pid);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->told, "web ");
	assert_false(awaited_any(f->awaited));

	/* It is not there any more. */
	awaited_process(f->awaited, &known);
	assert_false(awaited_any(f->awaited));
}

static void test_process_that_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct known_consumer known = known_of("web", getpid());

	awaited_process(f->awaited, &known);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->told, "web late ");
}

static void test_other_process_with_the_pid(void **state)
{
	struct fixture *f = *state;
	struct known_consumer known = known_of("web", getpid());

	known.started++;
	awaited_process(f->awaited, &known);
	assert_false(awaited_any(f->awaited));
}

static void test_connected(void **state)
{
	struct fixture *f = *state;
	pid_t pid = child();
	struct known_consumer known = known_of("web", pid);

	awaited_process(f->awaited, &known);
	assert_int_equal(awaited_extend(f->awaited, "web"), 0);
	assert_int_equal(awaited_extend(f->awaited, "dns"), 0);
	/* From now on its connection tells whether it lives. */
	end(pid);
	assert_true(awaited_has(f->awaited, "web"));
	awaited_end(f->awaited, "web");
	assert_string_equal(f->told, "web ");
	awaited_end(f->awaited, "web");
	assert_string_equal(f->told, "web ");
	while (awaited_any(f->awaited))
		assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->told, "web dns late ");
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_file(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"consumers\": {}}",
		"{\"consumers\": [1]}",
		"{\"consumers\": [{\"name\": \"\", \"pid\": 1, \"started\": "
		"1}]}",
		"{\"consumers\": [{\"name\": \"a\", \"pid\": 0, \"started\": "
		"1}]}",
		"{\"consumers\": [{\"name\": \"a\", \"pid\": 4294967297, "
		"\"started\": 1}]}",
		"{\"consumers\": [{\"name\": \"a\", \"pid\": \"1\", "
		"\"started\": 1}]}",
	};
	static struct known_consumer list[KNOWN_MAX];
	char dir[] = "/tmp/berth-known-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/consumers.json", dir);
	assert_int_equal(known_load(path, list), 0);
	list[0] = known_of("gone", getpid());
	list[0].started--;
	list[1] = known_of("web", getpid());
	assert_int_equal(known_save(path, list, 2), 0);
	memset(list, 0, sizeof(list));
	assert_int_equal(known_load(path, list), 1);
	assert_string_equal(list[0].name, "web");
	assert_int_equal(list[0].pid, getpid());
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text(path, bad[i]);
		assert_int_equal(known_load(path, list), -EINVAL);
	}
	(void)unlink(path);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(known_load(path, list), -ELOOP);
	(void)unlink(path);
	/* Nothing is left over, and what cannot be written says so. */
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(known_save(path, list, 0), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_process_that_ends),
		TEST(test_process_that_says_nothing),
		TEST(test_other_process_with_the_pid),
		TEST(test_connected),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
