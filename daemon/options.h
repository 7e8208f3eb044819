/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - berthd's command line */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/log.h"

/**
 * struct options - what the command line says; texts are borrowed from argv
 * @netns_dirs, @rules_dirs: absolute; owned
 * @relay_user:	NULL: see privileges_find_user()
 * @workers:	0: the relay's default
 * @max_listeners: 0: as many as the descriptor limit lets be
 */
struct options {
	char **netns_dirs;
	size_t n_netns_dirs;
	char **rules_dirs;
	size_t n_rules_dirs;
	const char *runtime_dir;
	const char *relay_user;
	const char *relay_program;
	unsigned int workers;
	size_t max_listeners;
	size_t max_per_netns;
	size_t max_addresses;
	size_t netlink_buffer_bytes;
	enum log_level log_level;
	bool check;
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
