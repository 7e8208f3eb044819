/* SPDX-License-Identifier: Apache-2.0 */
/* describe.h - what berthd knows, as JSON; doc/io.berth.varlink is the key
 *
 * All functions return a new reference, or NULL when memory is short.
 */
#ifndef DAEMON_CONTROL_DESCRIBE_H
#define DAEMON_CONTROL_DESCRIBE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct berth_counts;
struct control_view;
struct endpoint;
struct listener;
struct netns;
struct rule_info;
struct watcher_lingering;
struct watcher_pending;

/** struct describe_counts - listeners by state */
struct describe_counts {
	size_t open;
	size_t waiting;
	size_t refused;
};

/** describe_count() - one more listener */
void describe_count(struct describe_counts *counts,
		    const struct listener *listener);

/** describe_errno() - a positive errno's name; JSON null for 0 */
json_t *describe_errno(int error);

/* The types and replies of the same names. @now_us: monotonic */
json_t *describe_status(const struct control_view *view, uint64_t now_us);
json_t *describe_namespace(const struct control_view *view,
			   const struct netns *netns);
json_t *describe_pending(const struct watcher_pending *pending,
			 uint64_t now_us);
json_t *describe_lingering(const struct control_view *view,
			   const struct watcher_lingering *lingering,
			   uint64_t now_us);

/** describe_names() - ListNamespaces but for the namespaces */
json_t *describe_names(const struct control_view *view, uint64_t now_us);

/** describe_listener() - @counts: what its consumer counted; NULL: unknown */
json_t *describe_listener(const struct control_view *view,
			  const struct listener *listener,
			  const struct berth_counts *counts, uint64_t now_us);

/** describe_join() - @object with the members of @more; takes both, either may
 * be NULL: then so is the result */
json_t *describe_join(json_t *object, json_t *more);

/** describe_endpoint() - "protocol", "address" and "port", to be added to */
json_t *describe_endpoint(const struct endpoint *endpoint);

/** describe_attempt() - adds "state", "reason", "error", "next_attempt_us" and
 * "delivered" to @object, which it takes and returns */
json_t *describe_attempt(json_t *object, const struct listener *listener,
			 uint64_t now_us);
json_t *describe_rule(const struct rule_info *info,
		      const struct describe_counts *counts);
json_t *describe_files(const struct control_view *view);

#endif
