/* SPDX-License-Identifier: Apache-2.0 */
/* describe_event.h - an event as JSON */
#ifndef DAEMON_CONTROL_DESCRIBE_EVENT_H
#define DAEMON_CONTROL_DESCRIBE_EVENT_H

#include <jansson.h>

struct event;

/** describe_event() - Event of the interface: only what applies has a member.
 * Return: a new reference; NULL: out of memory. */
json_t *describe_event(const struct event *event);

#endif
