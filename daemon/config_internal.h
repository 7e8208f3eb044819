/* SPDX-License-Identifier: Apache-2.0 */
/* config_internal.h - the table of settings: what each is called, and holds
 *
 * The command line, the file, the comparison of two configurations and the
 * texts about them all follow this table.
 */
#ifndef DAEMON_CONFIG_INTERNAL_H
#define DAEMON_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"

/** enum config_kind - what a setting holds, and the type of its member */
enum config_kind {
	CONFIG_KIND_NUMBER, /* uint64_t */
	CONFIG_KIND_BYTES, /* uint64_t */
	CONFIG_KIND_DURATION, /* uint64_t, in µs; the limits are in ms */
	CONFIG_KIND_LEVEL, /* enum log_level */
	CONFIG_KIND_FORMAT, /* enum log_format */
	CONFIG_KIND_RELAY, /* enum config_relay */
	CONFIG_KIND_USER, /* char *: a name or number */
	CONFIG_KIND_PATH, /* char * */
	CONFIG_KIND_DIRS, /* struct config_dirs */
	CONFIG_KIND_CONSUMERS, /* struct consumer_config *; there is one */
	CONFIG_KIND_CONTROL, /* struct config_control */
};

/**
 * struct config_field - one setting
 * @key:	in berthd.yaml
 * @option:	on the command line, without the dashes; NULL: none
 * @offset:	of its member in struct config
 * @min, @max:	of numbers; @initial is the default
 * @effect:	of a change
 */
struct config_field {
	const char *key;
	const char *option;
	enum config_kind kind;
	size_t offset;
	uint64_t min;
	uint64_t max;
	uint64_t initial;
	enum config_effect effect;
};

extern const struct config_field config_fields[CONFIG_SETTINGS];

#endif
