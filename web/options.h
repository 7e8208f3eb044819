/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - berth-web's command line */
#ifndef WEB_OPTIONS_H
#define WEB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/log.h"
#include "web/listen.h"

#define OPTIONS_HOSTS_MAX 16

/**
 * struct options - what the command line says
 * @listen:	where to listen, unless the service manager does
 * @listen_text: as it was written
 * @hosts:	names that requests may call the server by
 */
struct options {
	struct listen_address listen;
	const char *listen_text;
	const char *runtime_dir;
	const char *hosts[OPTIONS_HOSTS_MAX];
	size_t n_hosts;
	unsigned long timeout_s;
	enum log_level log_level;
};

/**
 * web_options_parse() - reads the command line
 * Return: 0; -EINVAL after a message; 1: done, exit.
 */
int web_options_parse(int argc, char **argv, struct options *ret_options);

/** web_options_control() - berthd's control socket. Return: 0; -ENAMETOOLONG.
 */
int web_options_control(const struct options *options, char *path,
			size_t path_bytes);

#endif
