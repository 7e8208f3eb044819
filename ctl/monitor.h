/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - berthctl monitor: a line for each event, while it happens */
#ifndef CTL_MONITOR_H
#define CTL_MONITOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/client.h"
#include "ctl/exit_code.h"

/* More than there are kinds. */
#define MONITOR_KINDS_MAX 64u

/** struct monitor_options - which events are wanted; borrowed from the command
 * line. @too_many: more kinds were given than MONITOR_KINDS_MAX */
struct monitor_options {
	const char *kinds[MONITOR_KINDS_MAX];
	size_t n_kinds;
	bool too_many;
	const char *rule;
};

/** monitor_options_take() - an option of monitor's: "kind" or "rule" */
void monitor_options_take(struct monitor_options *options, const char *name,
			  const char *value);

/** monitor_options_given() - Return: was any given? */
bool monitor_options_given(const struct monitor_options *options);

/** monitor_parameters() - of the call. @netns: NULL: of all. Return: NULL: no
 * memory. */
json_t *monitor_parameters(const struct monitor_options *options,
			   const char *netns);

/**
 * monitor_show() - prints events until berthd ends, or the process is told to
 * (SIGINT, SIGTERM: it exits with EXIT_OK), or nobody reads stdout any more
 * @client:	has called Monitor
 * @json:	a JSON object a line
 * @fail:	says what an error of berthd means
 *
 * Return: 0 with *@ret_code; -errno of client_next(): berthd is gone.
 */
int monitor_show(struct client *client, bool json,
		 enum exit_code (*fail)(const struct client_reply *reply),
		 enum exit_code *ret_code);

#endif
