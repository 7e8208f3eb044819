// SPDX-License-Identifier: Apache-2.0
/* config.c - what can be set: the table of settings, and their values */
#include "daemon/config.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "common/command_line.h"
#include "common/text.h"
#include "common/util.h"
#include "daemon/config_internal.h"
#include "daemon/consumers/consumer_config.h"

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

static_assert(CONFIG_SETTINGS <= 32, "the sets of settings have 32 bits");

#define MEMBER(name) offsetof(struct config, name)
#define NEXT_RELAY CONFIG_NEXT_RELAY
#define RESTART CONFIG_RESTART
#define AT_ONCE CONFIG_AT_ONCE

const struct config_field config_fields[CONFIG_SETTINGS] = {
	[CONFIG_NETNS_DIR] = { "netns_dir", "netns-dir", CONFIG_KIND_DIRS,
			       MEMBER(netns_dirs), 0, 0, 0, RESTART },
	[CONFIG_RULES] = { "rules", "rules", CONFIG_KIND_DIRS,
			   MEMBER(rules_dirs), 0, 0, 0, RESTART },
	[CONFIG_RUNTIME_DIR] = { "runtime_dir", "runtime-dir", CONFIG_KIND_PATH,
				 MEMBER(runtime_dir), 0, 0, 0, RESTART },
	[CONFIG_RELAY] = { "relay", "relay", CONFIG_KIND_RELAY, MEMBER(relay),
			   0, 0, CONFIG_RELAY_OWN, RESTART },
	[CONFIG_RELAY_USER] = { "relay_user", "relay-user", CONFIG_KIND_USER,
				MEMBER(relay_user), 0, 0, 0, RESTART },
	[CONFIG_RELAY_PROGRAM] = { "relay_program", "relay-program",
				   CONFIG_KIND_PATH, MEMBER(relay_program), 0,
				   0, 0, RESTART },
	[CONFIG_WORKERS] = { "workers", "workers", CONFIG_KIND_NUMBER,
			     MEMBER(workers), 1, RELAY_WORKERS_MAX, 0,
			     NEXT_RELAY },
	[CONFIG_MAX_LISTENERS] = { "max_listeners", "max-listeners",
				   CONFIG_KIND_NUMBER, MEMBER(max_listeners), 1,
				   INT_MAX, 0, AT_ONCE },
	[CONFIG_MAX_LISTENERS_PER_NETNS] = { "max_listeners_per_netns",
					     "max-listeners-per-netns",
					     CONFIG_KIND_NUMBER,
					     MEMBER(max_per_netns), 1, INT_MAX,
					     1024, AT_ONCE },
	[CONFIG_MAX_ADDRESSES] = { "max_addresses", "max-addresses",
				   CONFIG_KIND_NUMBER, MEMBER(max_addresses), 1,
				   INT_MAX, 4096, AT_ONCE },
	[CONFIG_NETLINK_BUFFER] = { "netlink_buffer", "netlink-buffer",
				    CONFIG_KIND_BYTES,
				    MEMBER(netlink_buffer_bytes), 1, INT_MAX, 0,
				    RESTART },
	[CONFIG_REPORT_DIR] = { "report_dir", "report-dir", CONFIG_KIND_PATH,
				MEMBER(report_dir), 0, 0, 0, RESTART },
	[CONFIG_LOG_LEVEL] = { "log_level", "log-level", CONFIG_KIND_LEVEL,
			       MEMBER(log_level), 0, 0, LOG_LEVEL_INFO,
			       AT_ONCE },
	[CONFIG_LOG_FORMAT] = { "log_format", "log-format", CONFIG_KIND_FORMAT,
				MEMBER(log_format), 0, 0, LOG_FORMAT_AUTO,
				AT_ONCE },
	[CONFIG_ORPHAN_TIMEOUT] = { "orphan_timeout", NULL,
				    CONFIG_KIND_DURATION,
				    MEMBER(orphan_timeout_us), SECOND_MS,
				    HOUR_MS, MINUTE_MS *USEC_PER_MSEC,
				    AT_ONCE },
	[CONFIG_DRAIN_TIMEOUT] = { "drain_timeout", NULL, CONFIG_KIND_DURATION,
				   MEMBER(drain_timeout_us), SECOND_MS,
				   24 * HOUR_MS, 5 * MINUTE_MS *USEC_PER_MSEC,
				   AT_ONCE },
	[CONFIG_RELEASE_TIMEOUT] = { "release_timeout", NULL,
				     CONFIG_KIND_DURATION,
				     MEMBER(release_timeout_us), SECOND_MS,
				     HOUR_MS, 10 * SECOND_MS *USEC_PER_MSEC,
				     AT_ONCE },
	[CONFIG_CONSUMERS] = { "consumers", NULL, CONFIG_KIND_CONSUMERS,
			       MEMBER(consumers), 0, 0, 0, AT_ONCE },
	[CONFIG_CONTROL] = { "control", NULL, CONFIG_KIND_CONTROL,
			     MEMBER(control), 0, 0, 0, AT_ONCE },
};

static const char *const default_netns_dirs[] = { "/run/netns",
						  "/run/docker/netns" };
static const char *const default_rules_dirs[] = { "/etc/berth/rules.d",
						  "/run/berth/rules.d",
						  "/usr/lib/berth/rules.d" };
static const char default_runtime_dir[] = "/run/berth";

/* The member of a setting; its type follows from the kind. */
static void *member(struct config *config, enum config_setting setting)
{
	return (char *)config + config_fields[setting].offset;
}

static const void *member_const(const struct config *config,
				enum config_setting setting)
{
	return (const char *)config + config_fields[setting].offset;
}

int config_relay_parse(const char *text, enum config_relay *ret_relay)
{
	if (strcmp(text, "own") != 0 && strcmp(text, "unit") != 0)
		return -EINVAL;
	*ret_relay = text[0] == 'o' ? CONFIG_RELAY_OWN : CONFIG_RELAY_UNIT;
	return 0;
}

const char *config_key(enum config_setting setting)
{
	return config_fields[setting].key;
}

enum config_effect config_effect_of(enum config_setting setting)
{
	return config_fields[setting].effect;
}

uint32_t config_settings(enum config_effect effect)
{
	uint32_t set = 0;

	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (config_fields[i].effect == effect)
			set |= UINT32_C(1) << i;
	}
	return set;
}

bool config_given(const struct config *config, enum config_setting setting)
{
	return config->given & (UINT32_C(1) << setting);
}

int config_dirs_add(struct config_dirs *dirs, const char *path)
{
	char **list = reallocarray(dirs->list, dirs->n + 1, sizeof(*list));
	size_t len = strlen(path);

	if (!list)
		return -ENOMEM;
	dirs->list = list;
	while (len > 1 && path[len - 1] == '/')
		len--;
	list[dirs->n] = strndup(path, len);
	if (!list[dirs->n])
		return -ENOMEM;
	dirs->n++;
	return 0;
}

static void dirs_done(struct config_dirs *dirs)
{
	while (dirs->n > 0)
		free(dirs->list[--dirs->n]);
	free(TAKE_PTR(dirs->list));
}

static void consumers_done(struct config *config)
{
	while (config->n_consumers > 0)
		free(config->consumers[--config->n_consumers].name);
	free(TAKE_PTR(config->consumers));
}

static void value_done(struct config *config, enum config_setting setting)
{
	char **text;

	switch (config_fields[setting].kind) {
	case CONFIG_KIND_NUMBER:
	case CONFIG_KIND_BYTES:
	case CONFIG_KIND_DURATION:
	case CONFIG_KIND_LEVEL:
	case CONFIG_KIND_FORMAT:
	case CONFIG_KIND_RELAY:
	case CONFIG_KIND_CONTROL:
		return;
	case CONFIG_KIND_USER:
	case CONFIG_KIND_PATH:
		text = member(config, setting);
		free(*text);
		*text = NULL;
		return;
	case CONFIG_KIND_DIRS:
		dirs_done(member(config, setting));
		return;
	case CONFIG_KIND_CONSUMERS:
		consumers_done(config);
		return;
	}
}

void config_done(struct config *config)
{
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++)
		value_done(config, (enum config_setting)i);
	config->given = 0;
}

static int dirs_copy(struct config_dirs *to, char *const *list, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = config_dirs_add(to, list[i]);
	return r;
}

static int text_copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int consumers_copy(struct config *config, const struct config *from)
{
	if (from->n_consumers == 0)
		return 0;
	config->consumers =
		calloc(from->n_consumers, sizeof(*config->consumers));
	if (!config->consumers)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_consumers; i++) {
		struct consumer_config *copy = &config->consumers[i];

		*copy = from->consumers[i];
		copy->name = strdup(from->consumers[i].name);
		if (!copy->name)
			return -ENOMEM;
		config->n_consumers++;
	}
	return 0;
}

/* @config has no value of its own there. */
static int value_copy(struct config *config, enum config_setting setting,
		      const struct config *from)
{
	const void *source = member_const(from, setting);
	void *target = member(config, setting);
	const struct config_dirs *dirs;

	switch (config_fields[setting].kind) {
	case CONFIG_KIND_NUMBER:
	case CONFIG_KIND_BYTES:
	case CONFIG_KIND_DURATION:
		memcpy(target, source, sizeof(uint64_t));
		return 0;
	case CONFIG_KIND_LEVEL:
		memcpy(target, source, sizeof(enum log_level));
		return 0;
	case CONFIG_KIND_FORMAT:
		memcpy(target, source, sizeof(enum log_format));
		return 0;
	case CONFIG_KIND_RELAY:
		memcpy(target, source, sizeof(enum config_relay));
		return 0;
	case CONFIG_KIND_USER:
	case CONFIG_KIND_PATH:
		return text_copy(target, *(char *const *)source);
	case CONFIG_KIND_DIRS:
		dirs = source;
		return dirs_copy(target, dirs->list, dirs->n);
	case CONFIG_KIND_CONSUMERS:
		return consumers_copy(config, from);
	case CONFIG_KIND_CONTROL:
		config->control = from->control;
		return 0;
	}
	return -EINVAL;
}

int config_copy(struct config *config, const struct config *from, uint32_t set)
{
	int r = 0;

	for (unsigned int i = 0; i < CONFIG_SETTINGS && r == 0; i++) {
		if (!(set & UINT32_C(1) << i))
			continue;
		value_done(config, (enum config_setting)i);
		r = value_copy(config, (enum config_setting)i, from);
	}
	return r;
}

int config_init(struct config *config)
{
	const struct config defaults = {
		.given = UINT32_C(1) << CONFIG_NETNS_DIR |
			 UINT32_C(1) << CONFIG_RULES |
			 UINT32_C(1) << CONFIG_RUNTIME_DIR,
		.netns_dirs = { (char **)default_netns_dirs,
				ARRAY_SIZE(default_netns_dirs) },
		.rules_dirs = { (char **)default_rules_dirs,
				ARRAY_SIZE(default_rules_dirs) },
		.runtime_dir = (char *)default_runtime_dir,
	};
	int r;

	*config = (struct config){ 0 };
	config->control = (struct config_control){
		.access = { .uid = (uid_t)-1,
			    .gid = (gid_t)-1,
			    .mode = SOCKET_MODE_PRIVATE },
		.readers = CONFIG_NO_READERS,
	};
	r = config_overlay(config, &defaults);
	config->given = 0;
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		void *target = member(config, (enum config_setting)i);
		uint64_t initial = config_fields[i].initial;

		if (config_fields[i].kind == CONFIG_KIND_LEVEL)
			*(enum log_level *)target = (enum log_level)initial;
		else if (initial)
			*(uint64_t *)target = initial;
	}
	return r;
}

int config_overlay(struct config *config, const struct config *over)
{
	int r = config_copy(config, over, over->given);

	config->given |= over->given;
	return r;
}

static bool dirs_equal(const struct config_dirs *a, const struct config_dirs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	}
	return true;
}

static bool consumers_equal(const struct config *a, const struct config *b)
{
	if (a->n_consumers != b->n_consumers)
		return false;
	for (size_t i = 0; i < a->n_consumers; i++) {
		const struct consumer_config *x = &a->consumers[i];
		const struct consumer_config *y = &b->consumers[i];

		if (strcmp(x->name, y->name) != 0 || x->uid != y->uid ||
		    x->gid != y->gid || x->mode != y->mode ||
		    x->close_when_absent != y->close_when_absent)
			return false;
	}
	return true;
}

bool config_control_equal(const struct config_control *a,
			  const struct config_control *b)
{
	return socket_access_equal(&a->access, &b->access) &&
	       a->readers == b->readers && a->n_registrars == b->n_registrars &&
	       (a->n_registrars == 0 ||
		memcmp(a->registrars, b->registrars,
		       a->n_registrars * sizeof(*a->registrars)) == 0);
}

static bool value_equal(const struct config *a, const struct config *b,
			enum config_setting setting)
{
	const void *x = member_const(a, setting), *y = member_const(b, setting);

	switch (config_fields[setting].kind) {
	case CONFIG_KIND_NUMBER:
	case CONFIG_KIND_BYTES:
	case CONFIG_KIND_DURATION:
		return memcmp(x, y, sizeof(uint64_t)) == 0;
	case CONFIG_KIND_LEVEL:
		return memcmp(x, y, sizeof(enum log_level)) == 0;
	case CONFIG_KIND_FORMAT:
		return memcmp(x, y, sizeof(enum log_format)) == 0;
	case CONFIG_KIND_RELAY:
		return a->relay == b->relay;
	case CONFIG_KIND_USER:
	case CONFIG_KIND_PATH:
		return text_equal(*(char *const *)x, *(char *const *)y);
	case CONFIG_KIND_DIRS:
		return dirs_equal(x, y);
	case CONFIG_KIND_CONSUMERS:
		return consumers_equal(a, b);
	case CONFIG_KIND_CONTROL:
		return config_control_equal(&a->control, &b->control);
	}
	return false;
}

uint32_t config_differences(const struct config *a, const struct config *b)
{
	uint32_t set = 0;

	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (!value_equal(a, b, (enum config_setting)i))
			set |= UINT32_C(1) << i;
	}
	return set;
}
