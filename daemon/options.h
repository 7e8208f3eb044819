/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - berthd's command line */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config.h"

/**
 * struct options - what the command line says
 * @given:	the settings among it; owned
 * @config_path: absolute, of berthd.yaml; owned
 * @config_named: --config was given
 * @live:	the check also asks berthd for its namespaces
 * @check_paths: borrowed from argv
 */
struct options {
	struct config given;
	char *config_path;
	bool config_named;
	bool check;
	bool live;
	const char *const *check_paths;
	size_t n_check_paths;
};

/**
 * options_parse() - reads argv; answers --help and --version itself
 * Return: 0; 1 when the program is done (print nothing more, exit 0);
 * -EINVAL after saying what is wrong on stderr; -ENOMEM.
 */
int options_parse(int argc, char **argv, struct options *ret_options);

/** options_done() - frees what options_parse() allocated */
void options_done(struct options *options);

#endif
