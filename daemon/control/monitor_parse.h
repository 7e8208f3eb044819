/* SPDX-License-Identifier: Apache-2.0 */
/* monitor_parse.h - the parameters of Monitor
 *
 * A pure function, as those of register_parse.h.
 */
#ifndef DAEMON_CONTROL_MONITOR_PARSE_H
#define DAEMON_CONTROL_MONITOR_PARSE_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/control/register_parse.h"

/**
 * struct monitor_filter - which events are wanted: all that is set holds
 * together; its texts are owned
 * @kinds:	a set of enum event_kind
 * @netns:	as find_is() takes it; NULL: of all, and those that are of none
 * @rule:	the name of a rule; NULL: whatever the rule, or without one
 */
struct monitor_filter {
	uint32_t kinds;
	char *netns;
	char *rule;
};

/**
 * monitor_parse() - the parameters of Monitor
 * @parameters:	an object, or NULL
 * @ret_filter:	to be freed with monitor_filter_done()
 *
 * Return: 0; -EINVAL with *@ret_problem filled in; -ENOMEM.
 */
int monitor_parse(const json_t *parameters, struct monitor_filter *ret_filter,
		  struct parameter_problem *ret_problem);

/** monitor_filter_done() - frees what it owns, not the struct */
void monitor_filter_done(struct monitor_filter *filter);

#endif
