/* SPDX-License-Identifier: Apache-2.0 */
/* config_store.h - the configuration in force
 *
 * The defaults, over them berthd.yaml, over that the command line. Read again,
 * a file with problems changes nothing.
 */
#ifndef DAEMON_CONFIG_STORE_H
#define DAEMON_CONFIG_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"

struct config_store;
struct rules_errors;

/**
 * struct config_source - where a configuration comes from
 * @path:	of the file
 * @must_exist:	is its absence a problem?
 * @command_line: what was given there
 */
struct config_source {
	const char *path;
	bool must_exist;
	const struct config *command_line;
};

/**
 * config_store_new() - without the file yet: config_store_load() reads it
 * @source:	copied, but for what it points to, which outlives the store
 *
 * Return: 0 or -ENOMEM.
 */
int config_store_new(const struct config_source *source,
		     struct config_store **ret_store);

/** config_store_free() - NULL is fine. Returns NULL. */
struct config_store *config_store_free(struct config_store *store);

/**
 * config_store_load() - reads the file, for the first time: all of it is in
 * force then
 *
 * Return: 0; -EINVAL: see config_store_problems(), and what could be read is
 * in force; -ENOMEM.
 */
int config_store_load(struct config_store *store);

/**
 * config_store_reload() - reads the file again
 * @ret_changed: the settings that are others now, see config_differences()
 *
 * Settings that need a restart keep their values, and wait.
 * Return: 0; -EINVAL: see config_store_problems(), and nothing changed;
 * -ENOMEM: likewise, without a look at the file.
 */
int config_store_reload(struct config_store *store, uint32_t *ret_changed);

/** config_store_pending() - the set of the settings that were written other
 * values since the start, which take effect when berthd is started again */
uint32_t config_store_pending(const struct config_store *store);

/** config_store_config() - what is in force, borrowed until the next change */
const struct config *config_store_config(const struct config_store *store);

/** config_store_problems() - of the file as it was last read; borrowed until
 * the next time */
const struct rules_errors *
config_store_problems(const struct config_store *store);

/** config_store_log() - tells the log of problems, of what @changed, and of
 * what waits for a restart */
void config_store_log(const struct config_store *store, uint32_t changed);

/** config_store_path() - of the file; borrowed */
const char *config_store_path(const struct config_store *store);

/** config_store_has_file() - was there a file when it was last read? */
bool config_store_has_file(const struct config_store *store);

#endif
