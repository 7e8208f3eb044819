// SPDX-License-Identifier: Apache-2.0
/* test_config.c - berthd.yaml: golden pairs, and which value wins */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/accounts.h"
#include "daemon/config.h"
#include "daemon/config_internal.h"
#include "daemon/config_parse.h"
#include "daemon/config_store.h"
#include "daemon/consumers/consumer_config.h"
#include "rules/parse.h"
#include "tests/unit/golden_fixture.h"

/* Users and groups that every machine of this test has. */
static int fake_user(const char *text, struct account *ret_account)
{
	if (strcmp(text, "web") == 0 || strcmp(text, "berth-relay") == 0 ||
	    strcmp(text, "root") == 0)
		*ret_account = (struct account){ 101, 102, true };
	else if (strcmp(text, "4711") == 0)
		*ret_account = (struct account){ .uid = 4711 };
	else if (strcmp(text, "slow") == 0)
		return -EIO;
	else
		return text[0] == '9' ? -ERANGE : -ENOENT;
	return 0;
}

static int fake_group(const char *text, gid_t *ret_gid)
{
	if (strcmp(text, "www") != 0 && strcmp(text, "root") != 0 &&
	    strcmp(text, "berth") != 0 && strcmp(text, "slow") != 0)
		return text[0] == '9' ? -ERANGE : -ENOENT;
	if (text[0] == 's')
		return -EIO;
	*ret_gid = 200;
	return 0;
}

static const struct accounts fake_accounts = { fake_user, fake_group };

static void print_dirs(FILE *f, const struct config_dirs *dirs)
{
	for (size_t i = 0; i < dirs->n; i++)
		(void)fprintf(f, " %s", dirs->list[i]);
}

static void print_consumers(FILE *f, const struct config *config)
{
	for (size_t i = 0; i < config->n_consumers; i++) {
		const struct consumer_config *consumer = &config->consumers[i];

		(void)fprintf(f, "\n  %s %u:%u %04o %s", consumer->name,
			      consumer->uid, consumer->gid, consumer->mode,
			      consumer->close_when_absent ? "close" : "hold");
	}
}

static void print_control(FILE *f, const struct config_control *control)
{
	(void)fprintf(f, " %d:%d %04o", (int)control->access.uid,
		      (int)control->access.gid, control->access.mode);
	for (size_t i = 0; i < control->n_registrars; i++)
		(void)fprintf(f, " %u", control->registrars[i]);
	if (control->readers != CONFIG_NO_READERS)
		(void)fprintf(f, " readers %u", control->readers);
}

static void print_value(FILE *f, const struct config *config,
			const struct config_field *field)
{
	const void *value = (const char *)config + field->offset;

	switch (field->kind) {
	case CONFIG_KIND_NUMBER:
	case CONFIG_KIND_BYTES:
	case CONFIG_KIND_DURATION:
		(void)fprintf(f, " %llu", *(const unsigned long long *)value);
		break;
	case CONFIG_KIND_LEVEL:
		(void)fprintf(f, " %s",
			      log_level_name(*(const enum log_level *)value));
		break;
	case CONFIG_KIND_FORMAT:
		(void)fprintf(f, " %s",
			      log_format_name(*(const enum log_format *)value));
		break;
	case CONFIG_KIND_RELAY:
		(void)fprintf(f, " %s",
			      *(const enum config_relay *)value ? "unit"
								: "own");
		break;
	case CONFIG_KIND_USER:
	case CONFIG_KIND_PATH:
		(void)fprintf(f, " %s", *(char *const *)value);
		break;
	case CONFIG_KIND_DIRS:
		print_dirs(f, value);
		break;
	case CONFIG_KIND_CONSUMERS:
		print_consumers(f, config);
		break;
	case CONFIG_KIND_CONTROL:
		print_control(f, &config->control);
		break;
	}
}

/* The settings that the text gives. */
static char *outcome(const char *name, const char *text, size_t len,
		     bool *ret_ok)
{
	struct rules_errors errors = { 0 };
	struct config config = { 0 };
	char *result = NULL;
	size_t size;
	FILE *f = open_memstream(&result, &size);
	int r;

	assert_non_null(f);
	r = config_parse(name, text, len, &fake_accounts, &errors, &config);
	for (size_t i = 0; i < errors.n; i++) {
		_cleanup_free_ char *line = rules_error_fmt(&errors.list[i]);

		(void)fprintf(f, "%s\n", line);
	}
	for (unsigned int i = 0; r == 0 && i < CONFIG_SETTINGS; i++) {
		if (!config_given(&config, (enum config_setting)i))
			continue;
		(void)fprintf(f, "%s", config_key((enum config_setting)i));
		print_value(f, &config, &config_fields[i]);
		(void)fprintf(f, "\n");
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(r, errors.n ? -EINVAL : 0);
	assert_true(errors.n <= RULES_ERRORS_MAX);
	rules_errors_done(&errors);
	config_done(&config);
	*ret_ok = r == 0;
	return result;
}

static void test_golden(void **state)
{
	(void)state;
	assert_int_equal(golden_check("tests/unit/config", outcome), 0);
}

static int group_berth(const char *text, gid_t *ret_gid)
{
	if (strcmp(text, "berth") != 0)
		return -ENOENT;
	*ret_gid = 300;
	return 0;
}

static int group_none(const char *text, gid_t *ret_gid)
{
	(void)text;
	(void)ret_gid;
	return -ENOENT;
}

/* The group of readers that there is without a word of it. */
static void test_default_readers(void **state)
{
	static const struct accounts with = { fake_user, group_berth };
	static const struct accounts without = { fake_user, group_none };
	static const struct {
		const char *text;
		gid_t readers, gid;
		mode_t mode;
	} cases[] = {
		{ "log_level: info\n", 300, 300, 0660 },
		{ "control:\n", 300, 300, 0660 },
		{ "control: { registrars: [ 4711 ] }\n", 300, 300, 0660 },
		{ "control: { group: berth }\n", (gid_t)-1, 300, 0660 },
		{ "control: { mode: 0600 }\n", (gid_t)-1, (gid_t)-1, 0600 },
		{ "control: { readers: }\n", (gid_t)-1, (gid_t)-1, 0600 },
		{ "control: { readers: berth }\n", 300, 300, 0660 },
		{ "control: { readers: berth, mode: 0666 }\n", 300, 300, 0666 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		struct rules_errors errors = { 0 };
		struct config config = { 0 }, file = { 0 };

		assert_int_equal(config_init(&config), 0);
		assert_int_equal(config_parse("x", text, strlen(text), &with,
					      &errors, &file),
				 0);
		assert_int_equal(config_overlay(&config, &file), 0);
		config_default_readers(&config.control, &with);
		assert_int_equal(config.control.readers, cases[i].readers);
		assert_int_equal(config.control.access.gid, cases[i].gid);
		assert_int_equal(config.control.access.mode, cases[i].mode);
		config_done(&file);
		config_done(&config);
		/* Where there is no such group. */
		assert_int_equal(config_init(&config), 0);
		config_default_readers(&config.control, &without);
		assert_int_equal(config.control.readers, CONFIG_NO_READERS);
		assert_int_equal(config.control.access.mode, 0600);
		config_done(&config);
	}
}

static void parse_into(const char *text, struct config *config)
{
	struct rules_errors errors = { 0 };

	assert_int_equal(config_parse("x", text, strlen(text), &fake_accounts,
				      &errors, config),
			 0);
}

/* A setting that is not among those given stays what it was, and a list is
 * replaced, not made longer. */
static void test_overlay(void **state)
{
	struct config config, over = { 0 };

	(void)state;
	assert_int_equal(config_init(&config), 0);
	assert_int_equal(config.netns_dirs.n, 2);
	assert_int_equal(config.rules_dirs.n, 3);
	assert_string_equal(config.runtime_dir, "/run/berth");
	assert_null(config.relay_user);
	assert_int_equal(config.max_per_netns, 1024);
	assert_int_equal(config.log_level, LOG_LEVEL_INFO);
	assert_int_equal(config.orphan_timeout_us, 60 * USEC_PER_SEC);
	assert_int_equal(config.drain_timeout_us, 300 * USEC_PER_SEC);
	assert_int_equal(config.release_timeout_us, 10 * USEC_PER_SEC);
	assert_int_equal(config.given, 0);
	parse_into("netns_dir: /a\nrelay_user: web\nlog_level: debug\n"
		   "consumers: {b: , a: {mode: 0666}}\n",
		   &over);
	assert_int_equal(config_overlay(&config, &over), 0);
	config_done(&over);
	assert_int_equal(config.netns_dirs.n, 1);
	assert_string_equal(config.netns_dirs.list[0], "/a");
	assert_string_equal(config.relay_user, "web");
	assert_string_equal(config.runtime_dir, "/run/berth");
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config.n_consumers, 2);
	assert_string_equal(config.consumers[0].name, "a");
	assert_int_equal(config.consumers[0].mode, 0666);
	assert_true(config_given(&config, CONFIG_CONSUMERS));
	assert_false(config_given(&config, CONFIG_RULES));
	config_done(&config);
}

/* One text for each setting, and no other: the settings that differ are found
 * one by one. */
static void test_differences(void **state)
{
	static const char *const texts[CONFIG_SETTINGS] = {
		[CONFIG_NETNS_DIR] = "netns_dir: [/run/netns, /run/x]",
		[CONFIG_RULES] = "rules: /etc/berth/rules.d",
		[CONFIG_RUNTIME_DIR] = "runtime_dir: /run/other",
		[CONFIG_RELAY] = "relay: unit",
		[CONFIG_RELAY_USER] = "relay_user: web",
		[CONFIG_RELAY_PROGRAM] = "relay_program: /bin/true",
		[CONFIG_WORKERS] = "workers: 2",
		[CONFIG_MAX_LISTENERS] = "max_listeners: 1",
		[CONFIG_MAX_LISTENERS_PER_NETNS] = "max_listeners_per_netns: 1",
		[CONFIG_MAX_ADDRESSES] = "max_addresses: 1",
		[CONFIG_NETLINK_BUFFER] = "netlink_buffer: 1MiB",
		[CONFIG_REPORT_DIR] = "report_dir: /run/report",
		[CONFIG_LOG_LEVEL] = "log_level: debug",
		[CONFIG_LOG_FORMAT] = "log_format: json",
		[CONFIG_ORPHAN_TIMEOUT] = "orphan_timeout: 1s",
		[CONFIG_DRAIN_TIMEOUT] = "drain_timeout: 1s",
		[CONFIG_RELEASE_TIMEOUT] = "release_timeout: 1s",
		[CONFIG_CONSUMERS] = "consumers: {a: }",
		[CONFIG_CONTROL] = "control: {mode: 0666}",
	};
	struct config defaults, config;

	(void)state;
	assert_int_equal(config_init(&defaults), 0);
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		struct config over = { 0 };

		assert_int_equal(config_init(&config), 0);
		assert_int_equal(config_differences(&config, &defaults), 0);
		parse_into(texts[i], &over);
		assert_int_equal(config_overlay(&config, &over), 0);
		assert_int_equal(config_differences(&config, &defaults),
				 UINT32_C(1) << i);
		assert_int_equal(config_differences(&defaults, &config),
				 UINT32_C(1) << i);
		config_done(&over);
		config_done(&config);
	}
	config_done(&defaults);
}

static void check_differ(const char *const *texts, size_t n,
			 enum config_setting setting)
{
	struct config *configs = calloc(n, sizeof(*configs));

	assert_non_null(configs);
	for (size_t i = 0; i < n; i++)
		parse_into(texts[i], &configs[i]);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++)
			assert_int_equal(config_differences(&configs[i],
							    &configs[j]),
					 i == j ? 0 : UINT32_C(1) << setting);
	}
	for (size_t i = 0; i < n; i++)
		config_done(&configs[i]);
	free(configs);
}

static void test_control_differs(void **state)
{
	static const char *const texts[] = {
		"control: {user: web}",
		"control: {user: 4711}",
		"control: {group: www}",
		"control: {group: www, mode: 0666}",
		"control: {group: www, registrars: web}",
		"control: {group: www, registrars: [web, 4711]}",
		"control: {group: www, registrars: [4711, web]}",
	};

	(void)state;
	check_differ(texts, ARRAY_SIZE(texts), CONFIG_CONTROL);
}

static void test_consumers_differ(void **state)
{
	static const char *const texts[] = {
		"consumers: {a: {user: web}}",
		"consumers: {b: {user: web}}",
		"consumers: {a: {user: 4711, group: www}}",
		"consumers: {a: {user: web, mode: 0666}}",
		"consumers: {a: {user: web, when_absent: close}}",
		"consumers: {a: {user: web}, b: {}}",
	};

	(void)state;
	check_differ(texts, ARRAY_SIZE(texts), CONFIG_CONSUMERS);
}

/* Users and groups of this system: root is known everywhere. */
static void test_accounts(void **state)
{
	struct account account;
	gid_t gid = 77;

	(void)state;
	assert_int_equal(accounts_system.user("root", &account), 0);
	assert_true(account.known && account.uid == 0 && account.gid == 0);
	assert_int_equal(accounts_system.user("0", &account), 0);
	assert_true(account.known && account.uid == 0);
	assert_int_equal(accounts_system.user("4294967294", &account), 0);
	assert_false(account.known);
	assert_int_equal(account.uid, 4294967294U);
	assert_int_equal(accounts_system.user("4294967295", &account), -ERANGE);
	assert_int_equal(accounts_system.user("99999999999999999999", &account),
			 -ERANGE);
	assert_int_equal(accounts_system.user("-1", &account), -ENOENT);
	assert_int_equal(accounts_system.user("no such user", &account),
			 -ENOENT);
	assert_int_equal(accounts_system.group("no such group", &gid), -ENOENT);
	assert_int_equal(accounts_system.group("4294967295", &gid), -ERANGE);
	assert_int_equal(gid, 77);
	assert_int_equal(accounts_system.group("root", &gid), 0);
	assert_int_equal(gid, 0);
	assert_int_equal(accounts_system.group("4711", &gid), 0);
	assert_int_equal(gid, 4711);
}

struct file {
	char path[64];
	struct config given;
	struct config_store *store;
};

static void file_write(const struct file *file, const char *text)
{
	FILE *f = fopen(file->path, "we");

	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void file_open(struct file *file, bool must_exist, const char *given)
{
	struct config_source source = {
		.path = file->path,
		.must_exist = must_exist,
		.command_line = &file->given,
	};

	*file = (struct file){ .path = "/tmp/berth-test_config-XXXXXX" };
	(void)close(mkstemp(file->path)); /* the name is what is needed */
	assert_int_equal(unlink(file->path), 0);
	parse_into(given, &file->given);
	assert_int_equal(config_store_new(&source, &file->store), 0);
}

static void file_done(struct file *file)
{
	(void)unlink(file->path); /* may be gone */
	config_store_free(file->store);
	config_done(&file->given);
}

/* The file wins over the defaults, the command line over the file. */
static void test_store(void **state)
{
	const struct config *config;
	struct file file;

	(void)state;
	file_open(&file, /* must_exist= */ false, "workers: 2\nrules: /r");
	config = config_store_config(file.store);
	assert_int_equal(config_store_load(file.store), 0);
	assert_false(config_store_has_file(file.store));
	assert_string_equal(config_store_path(file.store), file.path);
	assert_int_equal(config->workers, 2);
	assert_int_equal(config->max_addresses, 4096);
	file_write(&file, "workers: 3\nrules: [/a, /b]\nmax_addresses: 9\n");
	assert_int_equal(config_store_load(file.store), 0);
	assert_true(config_store_has_file(file.store));
	assert_int_equal(config->workers, 2);
	assert_int_equal(config->max_addresses, 9);
	assert_int_equal(config->rules_dirs.n, 1);
	assert_string_equal(config->rules_dirs.list[0], "/r");
	file_done(&file);
}

static void test_store_problems(void **state)
{
	const struct rules_errors *problems;
	struct file file;

	(void)state;
	file_open(&file, /* must_exist= */ true, "");
	problems = config_store_problems(file.store);
	assert_int_equal(config_store_load(file.store), -EINVAL);
	assert_int_equal(problems->n, 1);
	assert_string_equal(problems->list[0].file, file.path);
	assert_non_null(strstr(problems->list[0].message, "does not exist"));
	assert_int_equal(mkdir(file.path, 0700), 0);
	assert_int_equal(config_store_load(file.store), -EINVAL);
	assert_non_null(strstr(problems->list[0].message, "is a directory"));
	assert_int_equal(rmdir(file.path), 0);
	file_write(&file, "workers: x\nlog_level: debug\n");
	assert_int_equal(config_store_load(file.store), -EINVAL);
	assert_int_equal(problems->n, 1);
	assert_int_equal(problems->list[0].line, 1);
	assert_int_equal(config_store_config(file.store)->log_level,
			 LOG_LEVEL_DEBUG);
	file_write(&file, "");
	assert_int_equal(config_store_load(file.store), 0);
	assert_int_equal(problems->n, 0);
	file_done(&file);
}

/* Takes the "#" from the front of lines that are settings. */
static void uncomment(char *text)
{
	char *line = text;

	while (line) {
		if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z')
			line[0] = ' ';
		else if (strncmp(line, "#  ", 3) == 0)
			line[0] = ' ';
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

/* The example that is given out shows each setting, and is free of errors as it
 * is and with all of it in force. */
static void test_contrib(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct config config = { 0 };
	size_t len;

	(void)state;
	text = golden_read("contrib/berthd.yaml", &len);
	assert_non_null(text);
	parse_into(text, &config);
	assert_int_equal(config.given, 0);
	uncomment(text);
	parse_into(text, &config);
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (!config_given(&config, (enum config_setting)i))
			fail_msg("contrib/berthd.yaml does not show %s",
				 config_key((enum config_setting)i));
	}
	config_done(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_default_readers),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_consumers_differ),
		cmocka_unit_test(test_control_differs),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_store_problems),
		cmocka_unit_test(test_contrib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
