/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - what can be set, by the command line and by berthd.yaml */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"
#include "daemon/socket_access.h"

struct accounts;
struct consumer_config;

/** enum config_setting - one setting; a set of them has bit 1 << setting */
enum config_setting {
	CONFIG_NETNS_DIR,
	CONFIG_RULES,
	CONFIG_RUNTIME_DIR,
	CONFIG_RELAY,
	CONFIG_RELAY_USER,
	CONFIG_RELAY_PROGRAM,
	CONFIG_WORKERS,
	CONFIG_MAX_LISTENERS,
	CONFIG_MAX_LISTENERS_PER_NETNS,
	CONFIG_MAX_ADDRESSES,
	CONFIG_NETLINK_BUFFER,
	CONFIG_REPORT_DIR,
	CONFIG_LOG_LEVEL,
	CONFIG_LOG_FORMAT,
	CONFIG_ORPHAN_TIMEOUT,
	CONFIG_DRAIN_TIMEOUT,
	CONFIG_RELEASE_TIMEOUT,
	CONFIG_CONSUMERS,
	CONFIG_CONTROL,
};
#define CONFIG_SETTINGS (CONFIG_CONTROL + 1u)

/** enum config_relay - who starts berth-relay */
enum config_relay {
	CONFIG_RELAY_OWN, /* berthd */
	CONFIG_RELAY_UNIT, /* the service manager: it is a unit of its own */
};

/** config_relay_parse() - "own" or "unit". Return: 0 or -EINVAL. */
int config_relay_parse(const char *text, enum config_relay *ret_relay);

/** struct config_dirs - absolute paths without slashes at the end; owned */
struct config_dirs {
	char **list;
	size_t n;
};

/* Programs that ask a runtime on root's behalf: there are few runtimes. */
#define CONFIG_REGISTRARS_MAX 16u

/* The group of readers where the configuration says nothing of who may use the
 * control socket. */
#define CONFIG_READERS "berth"
#define CONFIG_NO_READERS ((gid_t)-1)

/**
 * struct config_control - who may use the control socket
 * @access_given: somebody wrote whose it is, its mode or its readers
 * @readers:	the group that may see everything, or CONFIG_NO_READERS
 * @registrars:	users whose word on containers counts as root's
 */
struct config_control {
	struct socket_access access;
	bool access_given;
	gid_t readers;
	uid_t registrars[CONFIG_REGISTRARS_MAX];
	size_t n_registrars;
};

/** config_control_equal() - Return: are they the same? */
bool config_control_equal(const struct config_control *a,
			  const struct config_control *b);

/**
 * struct config - the value of each setting; what it points to is its own
 * @given:	which settings have a value that somebody wrote
 * @relay_user:	NULL: see privileges_find_user()
 * @relay_program: NULL: see struct relay_process_config
 * @workers:	0: the relay's default
 * @max_listeners: 0: as many as the descriptor limit lets be
 * @netlink_buffer_bytes: 0: the watcher's default
 * @report_dir:	where metrics are reported; NULL: nowhere
 * @orphan_timeout_us: after which a consumer without berthd lets go of all
 * @drain_timeout_us: for connections that only end
 * @release_timeout_us: for consumers, to let go of a dead namespace
 * @consumers:	by name
 */
struct config {
	uint32_t given;
	struct config_dirs netns_dirs;
	struct config_dirs rules_dirs;
	char *runtime_dir;
	enum config_relay relay;
	char *relay_user;
	char *relay_program;
	uint64_t workers;
	uint64_t max_listeners;
	uint64_t max_per_netns;
	uint64_t max_addresses;
	uint64_t netlink_buffer_bytes;
	char *report_dir;
	enum log_level log_level;
	enum log_format log_format;
	uint64_t orphan_timeout_us;
	uint64_t drain_timeout_us;
	uint64_t release_timeout_us;
	struct consumer_config *consumers;
	size_t n_consumers;
	struct config_control control;
};

/** config_key() - how berthd.yaml calls a setting: "max_listeners"; static */
const char *config_key(enum config_setting setting);

/** enum config_effect - when a change of a setting takes effect */
enum config_effect {
	CONFIG_AT_ONCE,
	CONFIG_NEXT_RELAY, /* when a berth-relay is started the next time */
	CONFIG_RESTART, /* when berthd is */
};

/** config_effect_of() - when a change of @setting takes effect */
enum config_effect config_effect_of(enum config_setting setting);

/** config_settings() - the set of the settings with that effect */
uint32_t config_settings(enum config_effect effect);

/** config_given() - has @config a value for it that somebody wrote? */
bool config_given(const struct config *config, enum config_setting setting);

/** config_init() - every setting at its default, none given. Return: 0 or
 * -ENOMEM; config_done() in any case. */
int config_init(struct config *config);

/**
 * config_default_readers() - where the configuration says nothing of who may
 * use the control socket, the group CONFIG_READERS may read, if there is one
 */
void config_default_readers(struct config_control *control,
			    const struct accounts *accounts);

/** config_copy() - the values of @set in @config become those of @from. Return:
 * 0 or -ENOMEM. */
int config_copy(struct config *config, const struct config *from, uint32_t set);

/** config_overlay() - every setting that @over has given becomes @config's, as
 * a copy. Return: 0 or -ENOMEM. */
int config_overlay(struct config *config, const struct config *over);

/** config_differences() - the set of the settings whose values differ */
uint32_t config_differences(const struct config *a, const struct config *b);

/** config_dirs_add() - appends a copy of @path, without slashes at its end.
 * Return: 0 or -ENOMEM. */
int config_dirs_add(struct config_dirs *dirs, const char *path);

/** config_done() - frees what @config points to; it has no values then */
void config_done(struct config *config);

#endif
