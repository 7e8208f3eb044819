/* SPDX-License-Identifier: Apache-2.0 */
/* config_parse.h - from the text of berthd.yaml to settings */
#ifndef DAEMON_CONFIG_PARSE_H
#define DAEMON_CONFIG_PARSE_H

#include <stddef.h>

#include "daemon/accounts.h"
#include "daemon/config.h"
#include "rules/parse.h"

/**
 * config_parse() - the settings of one file's text
 * @path:	for messages
 * @accounts:	where the users and groups are that it names
 * @errors:	problems are appended
 * @config:	empty before; gets what could be read, also when there are
 *		problems; config_done() in any case
 *
 * Return: 0; -EINVAL when problems were appended; -ENOMEM.
 */
int config_parse(const char *path, const char *text, size_t len,
		 const struct accounts *accounts, struct rules_errors *errors,
		 struct config *config);

/* The parts of it. */

/** config_parse_user() - a user by name or number. Return: false after a
 * report. */
bool config_parse_user(struct parse *parse, const struct yaml_node *node,
		       const struct accounts *accounts, const char *what,
		       struct account *ret_account);

/**
 * config_parse_access() - who may connect to a socket
 * @fields:	the keys `user`, `group` and `mode`, in this order; some or none
 *		are given
 * @access:	gets what is given. Where a group is and no mode, the mode lets
 *		it in.
 *
 * Reports what is wrong.
 */
void config_parse_access(struct parse *parse, const struct field *fields,
			 const struct accounts *accounts,
			 struct socket_access *access);

/** config_parse_control() - the section `control`. Return: false after a
 * report. */
bool config_parse_control(struct parse *parse, const struct yaml_node *node,
			  const struct accounts *accounts,
			  struct config_control *control);

/** config_parse_consumers() - the section `consumers`, into @config. Return:
 * false after a report. */
bool config_parse_consumers(struct parse *parse, const struct yaml_node *node,
			    const struct accounts *accounts,
			    struct config *config);

#endif
