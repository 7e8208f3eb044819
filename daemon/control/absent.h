/* SPDX-License-Identifier: Apache-2.0 */
/* absent.h - names without a namespace and namespaces without a name, as lists
 *
 * A list is what there was at one moment, so it need not change while a client
 * reads it.
 */
#ifndef DAEMON_CONTROL_ABSENT_H
#define DAEMON_CONTROL_ABSENT_H

#include <jansson.h>
#include <stddef.h>

struct absent;
struct binder;
struct consumers;
struct watcher;

/**
 * absent_new() - all that there are now, up to a thousand of each kind
 * @watcher:	is asked in here only
 * @binder, @consumers: are asked what they hold when an element is made
 * Return: NULL: no memory.
 */
struct absent *absent_new(const struct watcher *watcher, struct binder *binder,
			  const struct consumers *consumers);

/** absent_free() - for struct varlink_list; NULL is fine */
void absent_free(void *absent);

/** absent_pending_total() - how many pending names there are, also those above
 * a thousand */
size_t absent_pending_total(const struct absent *absent);

/** absent_lingering_total() - how many lingering namespaces there are, also
 * those above a thousand */
size_t absent_lingering_total(const struct absent *absent);

/** absent_next_pending() - for struct varlink_array: the type Pending
 * Return: 1; 0: that was all; -ENOMEM. */
int absent_next_pending(void *absent, json_t **ret_element);

/** absent_next_lingering() - the same, the type Lingering: those whose name
 * went more than a second ago */
int absent_next_lingering(void *absent, json_t **ret_element);

#endif
