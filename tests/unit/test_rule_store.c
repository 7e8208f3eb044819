// SPDX-License-Identifier: Apache-2.0
/* test_rule_store.c - the ruleset in force follows its directories
 *
 * A real loop, a real inotify instance, and a temporary directory. A test
 * waits for the change that it expects, never for time to pass. Where
 * something must not happen, the test makes a later change that must be
 * noticed, and looks then.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/util.h"
#include "rules/rules.h"

#define RULE(name)                                                           \
	"  - {name: " name ", listen: [{protocol: tcp, port: 1}], respond: " \
	"x}\n"
#define RULES "rules:\n"
#define PATIENCE_US (10 * USEC_PER_SEC)

/* struct fixture - two directories, "a" before "b", and a store on them */
struct fixture {
	char root[64];
	struct loop *loop;
	struct loop_timer *alarm;
	struct rule_store *store;
	const char *wanted;
	unsigned int changes;
};

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static char *at(const struct fixture *f, const char *name)
{
	static char path[8][256];
	static unsigned int next;
	char *result = path[next++ % ARRAY_SIZE(path)];

	(void)snprintf(result, sizeof(path[0]), "%s/%s", f->root, name);
	return result;
}

static int open_file(const struct fixture *f, const char *name, int flags)
{
	int fd = open(at(f, name), flags | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	return fd;
}

static void append(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	int fd = open_file(f, name, O_WRONLY | O_CREAT | O_TRUNC);

	append(fd, text);
	assert_int_equal(close(fd), 0);
}

static void make_dir(const struct fixture *f, const char *name)
{
	assert_int_equal(mkdir(at(f, name), 0755), 0);
}

static void link_to(const struct fixture *f, const char *target,
		    const char *name)
{
	assert_int_equal(symlink(target, at(f, name)), 0);
}

static void move(const struct fixture *f, const char *from, const char *to)
{
	assert_int_equal(rename(at(f, from), at(f, to)), 0);
}

/* The names of the rules in force, then of each file with errors its state:
 * "r1 r2 | 10.yaml:2 good" (two errors, the last good version in force). */
static char *state_text(const struct fixture *f)
{
	struct ruleset *ruleset = rule_store_ruleset(f->store);
	struct rule_file_info file;
	struct rule_info info;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (size_t i = 0; i < ruleset_size(ruleset); i++) {
		ruleset_rule_info(ruleset, i, &info);
		(void)fprintf(out, "%s%s", i ? " " : "", info.name);
	}
	for (size_t i = 0; i < rule_store_files(f->store); i++) {
		rule_store_file_info(f->store, i, &file);
		if (file.errors->n)
			(void)fprintf(out, " | %s:%zu%s",
				      file.path + strlen(f->root) + 1,
				      file.errors->n,
				      file.last_good ? " good" : "");
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

static bool state_is(const struct fixture *f, const char *wanted)
{
	_cleanup_free_ char *text = state_text(f);

	return strcmp(text, wanted) == 0;
}

static void changed_handler(void *user_data)
{
	struct fixture *f = user_data;

	f->changes++;
	if (f->wanted && state_is(f, f->wanted))
		loop_quit(f->loop, 0);
}

static void alarm_handler(void *user_data)
{
	struct fixture *f = user_data;

	loop_quit(f->loop, -ETIMEDOUT);
}

/* Runs the loop until the state is the wanted one. */
static void expect(struct fixture *f, const char *wanted)
{
	_cleanup_free_ char *text = NULL;

	if (!state_is(f, wanted)) {
		f->wanted = wanted;
		loop_timer_set(f->alarm, monotonic_us() + PATIENCE_US);
		assert_int_equal(loop_run(f->loop), 0);
		loop_timer_unset(f->alarm);
		f->wanted = NULL;
	}
	text = state_text(f);
	assert_string_equal(text, wanted);
}

/* Runs the loop for a while in which nothing is expected. */
static void idle(struct fixture *f, uint64_t us)
{
	loop_timer_set(f->alarm, monotonic_us() + us);
	(void)loop_run(f->loop);
}

static void start(struct fixture *f)
{
	const struct rule_store_ops ops = { .changed = changed_handler };
	_cleanup_free_ char *a = strdup(at(f, "a"));
	_cleanup_free_ char *b = strdup(at(f, "b"));
	const char *const dirs[] = { a, b };

	assert_int_equal(rule_store_new(f->loop, dirs, 2, &ops, f, &f->store),
			 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->root, sizeof(f->root),
		       "/tmp/berth-rule-store-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	make_dir(f, "a");
	make_dir(f, "b");
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(loop_timer_new(f->loop, alarm_handler, f, &f->alarm),
			 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rule_store_free(f->store);
	loop_timer_free(f->alarm);
	loop_free(f->loop);
	(void)nftw(f->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void test_precedence(void **state)
{
	struct fixture *f = *state;

	put(f, "b/20.yaml", RULES RULE("b20"));
	put(f, "b/10.yaml", RULES RULE("b10"));
	put(f, "a/15.yaml", RULES RULE("a15a") RULE("a15b"));
	put(f, "a/.30.yaml", RULES RULE("hidden"));
	put(f, "a/30.yaml.bak", RULES RULE("bak"));
	start(f);
	expect(f, "b10 a15a a15b b20");
	assert_int_equal(f->changes, 0);
	put(f, "a/20.yaml", RULES RULE("a20"));
	expect(f, "b10 a15a a15b a20");
	put(f, "a/10.yaml", "");
	expect(f, "a15a a15b a20");
	assert_int_equal(unlink(at(f, "a/10.yaml")), 0);
	expect(f, "b10 a15a a15b a20");
	link_to(f, "/dev/null", "a/10.yaml");
	expect(f, "a15a a15b a20");
	assert_int_equal(unlink(at(f, "a/20.yaml")), 0);
	assert_int_equal(unlink(at(f, "a/10.yaml")), 0);
	expect(f, "b10 a15a a15b b20");
}

static void test_last_good(void **state)
{
	struct fixture *f = *state;

	put(f, "a/10.yaml", RULES RULE("r1"));
	put(f, "a/20.yaml", "rules: [}\n");
	start(f);
	expect(f, "r1 | a/20.yaml:1");
	put(f, "a/10.yaml", RULES RULE("r1") "  - {}\n");
	expect(f, "r1 | a/10.yaml:3 good | a/20.yaml:1");
	put(f, "a/20.yaml", RULES RULE("r2"));
	expect(f, "r1 r2 | a/10.yaml:3 good");
	put(f, "a/10.yaml", RULES RULE("r1") RULE("r3"));
	expect(f, "r1 r3 r2");
	put(f, "a/10.yaml", "bad");
	expect(f, "r1 r3 r2 | a/10.yaml:1 good");
	/* Removed is not broken. */
	assert_int_equal(unlink(at(f, "a/10.yaml")), 0);
	expect(f, "r2");
}

/* A broken file over a good one: the good one stays, until a restart. */
static void test_broken_override(void **state)
{
	struct fixture *f = *state;

	put(f, "b/10.yaml", RULES RULE("r1"));
	start(f);
	put(f, "a/10.yaml", "bad");
	expect(f, "r1 | a/10.yaml:1 good");
	f->store = rule_store_free(f->store);
	start(f);
	expect(f, " | a/10.yaml:1");
}

static void test_duplicate_names(void **state)
{
	struct fixture *f = *state;

	put(f, "a/10.yaml", RULES RULE("r1"));
	put(f, "a/20.yaml", RULES RULE("r2"));
	put(f, "a/30.yaml", RULES RULE("r1"));
	start(f);
	expect(f, "r1 r2 | a/30.yaml:1");
	/* An earlier file takes the name of a later one, which stays. */
	put(f, "a/10.yaml", RULES RULE("r1") RULE("r2"));
	expect(f, "r1 r2 r2 | a/20.yaml:1 good | a/30.yaml:1");
	/* A new version of it is not in force while the name is taken. */
	put(f, "a/20.yaml", RULES RULE("r2") RULE("r4"));
	expect(f, "r1 r2 r2 | a/20.yaml:1 good | a/30.yaml:1");
	put(f, "a/10.yaml", RULES RULE("r5"));
	expect(f, "r5 r2 r4 r1");
}

static void test_error_texts(void **state)
{
	static const char *const wanted[] = {
		"a/10.yaml: is a directory, expected a file",
		"a/20.yaml: is not a regular file",
		"a/30.yaml: does not exist, or is a symbolic link to nowhere",
		"a/40.yaml: is larger than 1024 KiB, the limit for a file",
		"a/50.yaml:1:8: rules is \"1\", expected a list of rules",
	};
	struct fixture *f = *state;
	struct rule_file_info info;
	int fd;

	make_dir(f, "a/10.yaml");
	assert_int_equal(mkfifo(at(f, "a/20.yaml"), 0644), 0);
	link_to(f, "nowhere", "a/30.yaml");
	fd = open_file(f, "a/40.yaml", O_WRONLY | O_CREAT);
	assert_int_equal(ftruncate(fd, 1024 * 1024 + 1), 0);
	assert_int_equal(close(fd), 0);
	put(f, "a/50.yaml", "rules: 1");
	put(f, "b/60.yaml", RULES RULE("r6"));
	start(f);
	assert_int_equal(rule_store_files(f->store), 6);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		_cleanup_free_ char *text = NULL;

		rule_store_file_info(f->store, i, &info);
		assert_int_equal(info.errors->n, 1);
		text = rules_error_fmt(&info.errors->list[0]);
		assert_string_equal(text + strlen(f->root) + 1, wanted[i]);
	}
	rule_store_file_info(f->store, 5, &info);
	assert_int_equal(info.n_rules, 1);
}

/* Files that may be meant as rule files by their names are told, in order. */
static void test_misnamed(void **state)
{
	static const char *const wanted[] = { "a/20.YML", "a/30.yml",
					      "b/10.Yaml" };
	struct fixture *f = *state;
	struct rule_file_info info;
	char name[32];

	put(f, "a/30.yml", RULES RULE("yml"));
	put(f, "b/10.Yaml", RULES RULE("Yaml"));
	put(f, "a/20.YML", RULES RULE("YML"));
	put(f, "a/.40.yml", RULES RULE("hidden"));
	put(f, "a/50.yml~", RULES RULE("backup"));
	start(f);
	assert_int_equal(rule_store_files(f->store), 1);
	rule_store_file_info(f->store, 0, &info);
	assert_int_equal(info.n_rules, 0);
	assert_int_equal(info.errors->n, ARRAY_SIZE(wanted));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct rules_error *error = &info.errors->list[i];

		assert_string_equal(error->file + strlen(f->root) + 1,
				    wanted[i]);
		assert_non_null(strstr(error->message, "must end in .yaml"));
	}
	move(f, "a/30.yml", "a/30.yaml");
	assert_int_equal(unlink(at(f, "b/10.Yaml")), 0);
	assert_int_equal(unlink(at(f, "a/20.YML")), 0);
	expect(f, "yml");
	assert_int_equal(rule_store_files(f->store), 1);

	for (int i = 0; i < 2 * RULES_ERRORS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "a/%d.yml", i);
		put(f, name, "");
	}
	assert_int_equal(rule_store_reload(f->store), 0);
	assert_int_equal(rule_store_files(f->store), 2);
	rule_store_file_info(f->store, 1, &info);
	assert_int_equal(info.errors->n, RULES_ERRORS_MAX);
}

/* What an editor does: a new file, renamed over the old one. */
static void test_rename_over(void **state)
{
	struct fixture *f = *state;

	put(f, "a/10.yaml", RULES RULE("r1"));
	start(f);
	put(f, "a/10.yaml~", RULES RULE("r2"));
	move(f, "a/10.yaml~", "a/10.yaml");
	expect(f, "r2");
	move(f, "a/10.yaml", "a/05.yaml");
	put(f, "a/10.yaml", RULES RULE("r3"));
	expect(f, "r2 r3");
}

/* A file is not read before its writer closes it, valid YAML or not. */
static void test_writer_at_work(void **state)
{
	struct fixture *f = *state;
	int fd;

	put(f, "a/10.yaml", RULES RULE("r1"));
	start(f);
	fd = open_file(f, "a/10.yaml", O_WRONLY | O_TRUNC);
	append(fd, RULES RULE("r2"));
	put(f, "a/20.yaml", RULES RULE("r9"));
	expect(f, "r1 r9");
	append(fd, RULE("r3"));
	put(f, "a/20.yaml", RULES RULE("r8"));
	expect(f, "r1 r8");
	assert_int_equal(close(fd), 0);
	expect(f, "r2 r3 r8");
	/* One that is new contributes nothing, and hides nothing, till then. */
	put(f, "b/30.yaml", RULES RULE("r4"));
	expect(f, "r2 r3 r8 r4");
	fd = open_file(f, "a/30.yaml", O_WRONLY | O_CREAT | O_EXCL);
	append(fd, RULES);
	put(f, "a/20.yaml", RULES RULE("r7"));
	expect(f, "r2 r3 r7 r4");
	append(fd, RULE("r5"));
	assert_int_equal(close(fd), 0);
	expect(f, "r2 r3 r7 r5");
}

static void test_writer_that_never_closes(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = monotonic_us();
	int fd;

	start(f);
	fd = open_file(f, "a/10.yaml", O_WRONLY | O_CREAT);
	append(fd, RULES RULE("r1"));
	expect(f, "r1");
	assert_true(monotonic_us() - begin >= USEC_PER_SEC);
	assert_int_equal(close(fd), 0);
}

/* A hard link has no writer. */
static void test_hard_link(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = monotonic_us();

	put(f, "10", RULES RULE("r1"));
	start(f);
	assert_int_equal(link(at(f, "10"), at(f, "a/10.yaml")), 0);
	expect(f, "r1");
	assert_true(monotonic_us() - begin < USEC_PER_SEC);
}

/* A ConfigMap volume: links through "..data", which is swapped. */
static void test_configmap(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "a/..1");
	put(f, "a/..1/10.yaml", RULES RULE("r1"));
	put(f, "a/..1/20.yaml", RULES RULE("r2"));
	link_to(f, "..1", "a/..data");
	link_to(f, "..data/10.yaml", "a/10.yaml");
	link_to(f, "..data/20.yaml", "a/20.yaml");
	start(f);
	expect(f, "r1 r2");
	make_dir(f, "a/..2");
	put(f, "a/..2/10.yaml", RULES RULE("r3"));
	put(f, "a/..2/20.yaml", RULES RULE("r4"));
	link_to(f, "..2", "a/..data_tmp");
	move(f, "a/..data_tmp", "a/..data");
	expect(f, "r3 r4");
}

static void test_directories_come_and_go(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rmdir(at(f, "a")), 0);
	put(f, "b/10.yaml", RULES RULE("r1"));
	start(f);
	expect(f, "r1");
	make_dir(f, "a");
	put(f, "a/20.yaml", RULES RULE("r2"));
	expect(f, "r1 r2");
	move(f, "a", "elsewhere");
	expect(f, "r1");
	move(f, "elsewhere", "a");
	expect(f, "r1 r2");
	assert_int_equal(unlink(at(f, "a/20.yaml")), 0);
	assert_int_equal(rmdir(at(f, "a")), 0);
	expect(f, "r1");
	make_dir(f, "a");
	put(f, "a/10.yaml", RULES RULE("r3"));
	expect(f, "r3");
}

static void test_file_in_place_of_directory(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rmdir(at(f, "a")), 0);
	put(f, "a", "");
	put(f, "b/10.yaml", RULES RULE("r1"));
	start(f);
	expect(f, "r1 | a:1");
	put(f, "b/10.yaml", RULES RULE("r2"));
	expect(f, "r2 | a:1");
}

/* Many writes soon after one another are one change. */
static void test_coalescing(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 0; i < 20; i++) {
		put(f, "a/10.yaml", RULES RULE("r1"));
		put(f, "a/20.yaml", RULES);
	}
	put(f, "a/20.yaml", RULES RULE("r2"));
	expect(f, "r1 r2");
	/* One, unless the writes took longer than the store waits. */
	assert_true(f->changes <= 3);
}

/* Touching a file, or a file that is none of ours, changes nothing. */
static void test_no_change(void **state)
{
	struct fixture *f = *state;
	struct ruleset *before;

	put(f, "a/10.yaml", RULES RULE("r1"));
	start(f);
	before = rule_store_ruleset(f->store);
	assert_int_equal(ruleset_size(before), 1);
	put(f, "a/10.yaml", RULES RULE("r1"));
	put(f, "a/.10.yaml.swp", "x");
	put(f, "a/README", "x");
	idle(f, 200 * USEC_PER_MSEC);
	assert_int_equal(rule_store_reload(f->store), 0);
	assert_int_equal(f->changes, 0);
	expect(f, "r1");
}

static void test_reload(void **state)
{
	struct fixture *f = *state;

	put(f, "rules", RULES RULE("r1"));
	link_to(f, "../rules", "a/10.yaml");
	start(f);
	expect(f, "r1");
	/* A link's target out of the directories is not watched. */
	put(f, "rules", RULES RULE("r2"));
	assert_int_equal(rule_store_reload(f->store), 0);
	assert_int_equal(f->changes, 1);
	expect(f, "r2");
	put(f, "rules", "bad");
	assert_int_equal(rule_store_reload(f->store), 0);
	assert_int_equal(f->changes, 2);
	expect(f, "r2 | a/10.yaml:1 good");
}

/* A ruleset outlives the change that replaced it. */
static void test_reference(void **state)
{
	struct fixture *f = *state;
	struct ruleset *kept;
	struct rule_info info;

	put(f, "a/10.yaml", RULES RULE("r1"));
	start(f);
	kept = ruleset_ref(rule_store_ruleset(f->store));
	put(f, "a/10.yaml", RULES RULE("r2"));
	expect(f, "r2");
	ruleset_rule_info(kept, 0, &info);
	assert_string_equal(info.name, "r1");
	ruleset_unref(kept);
}

/* Without descriptors nothing can be read: what was known stays, and it is read
 * as soon as there are some again. */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;

	put(f, "a/10.yaml", RULES RULE("r1"));
	put(f, "b/20.yaml", RULES RULE("r2"));
	start(f);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	put(f, "a/10.yaml", RULES RULE("r3"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(rule_store_reload(f->store), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(state_is(f, "r1 r2 | a/10.yaml:1 good | b/20.yaml:1 good "
				"| a:2"));
	expect(f, "r3 r2");
}

static void test_relative_path(void **state)
{
	const struct rule_store_ops ops = { .changed = changed_handler };
	static const char *const dirs[] = { "rules.d" };
	struct fixture *f = *state;

	assert_int_equal(rule_store_new(f->loop, dirs, 1, &ops, f, &f->store),
			 -EINVAL);
}

/* Appends the errors to @ret_text, one a line, without the root. */
static size_t load(const struct fixture *f, const char *const *paths, size_t n,
		   char *ret_text, size_t size)
{
	struct rules_errors errors = { 0 };
	struct ruleset *ruleset;
	size_t n_rules, used = 0;

	*ret_text = '\0';
	assert_int_equal(ruleset_load(paths, n, &errors, &ruleset), 0);
	for (size_t i = 0; i < errors.n; i++) {
		_cleanup_free_ char *text = rules_error_fmt(&errors.list[i]);

		used += (size_t)snprintf(ret_text + used, size - used, "%s\n",
					 text + strlen(f->root) + 1);
	}
	n_rules = ruleset_size(ruleset);
	ruleset_unref(ruleset);
	rules_errors_done(&errors);
	return n_rules;
}

static void test_load(void **state)
{
	struct fixture *f = *state;
	const char *paths[3];
	char text[1024], root[64], wanted[1024];

	put(f, "a/10.yaml", RULES RULE("r1"));
	put(f, "b/10.yaml", "hidden: bad");
	put(f, "b/20.yaml", RULES RULE("r2"));
	put(f, "other", RULES RULE("r1") RULE("r3"));
	put(f, "bad.yaml", "rules: 1");
	paths[0] = at(f, "a");
	paths[1] = at(f, "b");
	paths[2] = at(f, "missing");
	assert_int_equal(load(f, paths, 3, text, sizeof(text)), 2);
	assert_string_equal(text, "");
	/* Named files hide nothing; a taken name is the later file's error. */
	(void)snprintf(root, sizeof(root), "%s", f->root);
	paths[1] = at(f, "other");
	paths[2] = at(f, "missing.yaml");
	(void)snprintf(wanted, sizeof(wanted),
		       "missing.yaml: does not exist, or is a symbolic link to "
		       "nowhere\n"
		       "other:2:12: rule name \"r1\" is taken by "
		       "%s/a/10.yaml:2\n",
		       root);
	assert_int_equal(load(f, paths, 3, text, sizeof(text)), 1);
	assert_string_equal(text, wanted);
	paths[0] = at(f, "bad.yaml");
	assert_int_equal(load(f, paths, 1, text, sizeof(text)), 0);
	assert_string_equal(text, "bad.yaml:1:8: rules is \"1\", expected a "
				  "list of rules\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_precedence),
		TEST(test_last_good),
		TEST(test_broken_override),
		TEST(test_duplicate_names),
		TEST(test_misnamed),
		TEST(test_error_texts),
		TEST(test_rename_over),
		TEST(test_writer_at_work),
		TEST(test_writer_that_never_closes),
		TEST(test_hard_link),
		TEST(test_configmap),
		TEST(test_directories_come_and_go),
		TEST(test_file_in_place_of_directory),
		TEST(test_coalescing),
		TEST(test_no_change),
		TEST(test_reload),
		TEST(test_reference),
		TEST(test_no_descriptors),
		TEST(test_relative_path),
		TEST(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
