// SPDX-License-Identifier: Apache-2.0
/* config_store.c - the configuration in force, and the file on the disk */
#include "daemon/config_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/accounts.h"
#include "daemon/config_parse.h"
#include "rules/load.h"
#include "rules/parse.h"

struct config_store {
	struct config_source source;
	struct config config;
	struct rules_errors problems;
	uint32_t pending;
	bool has_file;
};

/* What one reading of the file gives. */
struct reading {
	struct config config; /* with the defaults and the command line */
	struct rules_errors problems;
	bool has_file;
};

static void reading_done(struct reading *reading)
{
	config_done(&reading->config);
	rules_errors_done(&reading->problems);
}

/* The settings of the file alone. Return: 0; -EINVAL; -ENOMEM. */
static int read_file(const struct config_source *source,
		     struct reading *reading, struct config *file)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = rule_text_read(source->path, NULL, &text, &len);

	reading->has_file = r != -ENOENT;
	if (r == -ENOENT && !source->must_exist)
		return 0;
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		r = rules_errors_add(&reading->problems, source->path, 0, 0,
				     rule_read_problem(r));
		return r < 0 ? r : -EINVAL;
	}
	return config_parse(source->path, text, len, &accounts_system,
			    &reading->problems, file);
}

/* Return: 0; -EINVAL, and @reading has what could be read; -ENOMEM. */
static int read_all(const struct config_source *source, struct reading *reading)
{
	struct config file = { 0 };
	int r = config_init(&reading->config), problems;

	if (r < 0)
		return r;
	problems = read_file(source, reading, &file);
	r = problems == -ENOMEM ? -ENOMEM
				: config_overlay(&reading->config, &file);
	config_done(&file);
	if (r == 0)
		r = config_overlay(&reading->config, source->command_line);
	if (r == 0)
		config_default_readers(&reading->config.control,
				       &accounts_system);
	return r < 0 ? r : problems;
}

int config_store_new(const struct config_source *source,
		     struct config_store **ret_store)
{
	struct config_store *store = malloc(sizeof(*store));

	if (!store)
		return -ENOMEM;
	*store = (struct config_store){ .source = *source };
	*ret_store = store;
	return 0;
}

struct config_store *config_store_free(struct config_store *store)
{
	if (!store)
		return NULL;
	config_done(&store->config);
	rules_errors_done(&store->problems);
	free(store);
	return NULL;
}

int config_store_load(struct config_store *store)
{
	struct reading reading = { 0 };
	int r = read_all(&store->source, &reading);

	if (r == -ENOMEM) {
		reading_done(&reading);
		return r;
	}
	config_done(&store->config);
	rules_errors_done(&store->problems);
	store->config = reading.config;
	store->problems = reading.problems;
	store->has_file = reading.has_file;
	return r;
}

int config_store_reload(struct config_store *store, uint32_t *ret_changed)
{
	const uint32_t fixed = config_settings(CONFIG_RESTART);
	struct reading reading = { 0 };
	uint32_t differences = 0;
	int r = read_all(&store->source, &reading);

	if (r == 0) {
		differences =
			config_differences(&store->config, &reading.config);
		r = config_copy(&reading.config, &store->config,
				differences & fixed);
	}
	if (r == -ENOMEM) {
		reading_done(&reading);
		return r;
	}
	rules_errors_done(&store->problems);
	store->problems = reading.problems;
	store->has_file = reading.has_file;
	if (r < 0) {
		config_done(&reading.config);
		return r;
	}
	config_done(&store->config);
	store->config = reading.config;
	store->pending = differences & fixed;
	*ret_changed = differences & ~fixed;
	return 0;
}

uint32_t config_store_pending(const struct config_store *store)
{
	return store->pending;
}

const struct config *config_store_config(const struct config_store *store)
{
	return &store->config;
}

const struct rules_errors *
config_store_problems(const struct config_store *store)
{
	return &store->problems;
}

/* Names the settings of @set, in one line. */
static void log_settings(const char *what, uint32_t set)
{
	char text[512] = "";
	size_t used = 0;

	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (set & UINT32_C(1) << i)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%s",
				used ? ", " : "",
				config_key((enum config_setting)
						   i)); /* fits: all keys do */
	}
	if (set)
		log_info("%s: %s", what, text);
}

void config_store_log(const struct config_store *store, uint32_t changed)
{
	const uint32_t relay = config_settings(CONFIG_NEXT_RELAY);

	for (size_t i = 0; i < store->problems.n; i++) {
		_cleanup_free_ char *text =
			rules_error_fmt(&store->problems.list[i]);

		log_error("%s; the configuration in force stays",
			  text ? text : store->source.path);
	}
	log_settings("settings that changed", changed & ~relay);
	log_settings("settings that hold for the next berth-relay",
		     changed & relay);
	log_settings("settings that hold when berthd is started again",
		     store->pending);
}

const char *config_store_path(const struct config_store *store)
{
	return store->source.path;
}

bool config_store_has_file(const struct config_store *store)
{
	return store->has_file;
}
