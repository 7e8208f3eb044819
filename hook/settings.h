/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - what can be set: as options of an OCI hook, or as keys of a CNI
 * configuration */
#ifndef HOOK_SETTINGS_H
#define HOOK_SETTINGS_H

#include <jansson.h>
#include <stdio.h>

#include "hook/facts.h"

#define SETTINGS_TIMEOUT_MS 1000u
#define SETTINGS_TIMEOUT_MS_MAX 60000u

/**
 * struct settings - what is set; what was not, or wrongly, has its default
 * @timeout_ms:	how long all may take
 * @prefixes:	the list is owned, its texts are borrowed
 */
struct settings {
	const char *runtime_dir;
	unsigned int timeout_ms;
	struct prefixes prefixes;
};

/** settings_init() - the defaults */
void settings_init(struct settings *settings);

/** enum settings_action - what the command line asks for */
enum settings_action {
	SETTINGS_RUN,
	SETTINGS_HELP,
	SETTINGS_VERSION,
};

/**
 * settings_parse() - the command line; texts are borrowed
 *
 * Complains about what is wrong, and leaves it out: a typing error in a file of
 * hooks.d keeps no container from starting.
 */
enum settings_action settings_parse(struct settings *settings, int argc,
				    char **argv);

/** settings_read() - the same of a CNI configuration's keys */
void settings_read(struct settings *settings, const json_t *conf);

/** settings_usage() - prints the help */
void settings_usage(FILE *out);

/** settings_done() - frees what the settings have */
void settings_done(struct settings *settings);

#endif
