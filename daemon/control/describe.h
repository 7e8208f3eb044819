/* SPDX-License-Identifier: Apache-2.0 */
/* describe.h - namespaces and listeners as JSON; doc/io.berth.varlink is the
 * key
 *
 * Functions that return JSON return a new reference, or NULL: no memory.
 */
#ifndef DAEMON_CONTROL_DESCRIBE_H
#define DAEMON_CONTROL_DESCRIBE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct berth_counts;
struct binder;
struct consumer_draining;
struct consumers;
struct endpoint;
struct health_facts;
struct listener;
struct netns;
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

/** describe_count_in() - Return: the listeners of one namespace. */
struct describe_counts describe_count_in(struct binder *binder,
					 uint64_t netns_id);

/** describe_counts() - the type Counts */
json_t *describe_counts(const struct describe_counts *counts);

/** describe_errno() - a positive errno's name; JSON null for 0 */
json_t *describe_errno(int error);

/**
 * describe_namespace() - the type Namespace, but for "provided"
 * @nsid:	-1: none yet
 * @counts:	its listeners
 * @omitted:	how many more are wanted than the limit allows
 */
json_t *describe_namespace(const struct netns *netns, int nsid,
			   const struct describe_counts *counts,
			   size_t omitted);

/** describe_pending() - the type Pending. @now_us: monotonic */
json_t *describe_pending(const struct watcher_pending *pending,
			 uint64_t now_us);

/**
 * describe_lingering() - the type Lingering
 * @open:	listeners that berthd still holds
 * @consumers:	are asked what they hold
 * @now_us:	monotonic
 */
json_t *describe_lingering(const struct watcher_lingering *lingering,
			   size_t open, const struct consumers *consumers,
			   uint64_t now_us);

/** describe_endpoint() - "protocol", "address" and "port", to be added to */
json_t *describe_endpoint(const struct endpoint *endpoint);

/**
 * describe_attempt() - puts "state", "reason", "error", "next_attempt_us" and
 * "delivered" of @listener into *@object, as json_put() does
 * @now_us:	monotonic
 */
void describe_attempt(json_t **object, const struct listener *listener,
		      uint64_t now_us);

/** describe_container_of() - adds the member "container" of the types Listener
 * and Connection: the last one, and left out when it is null, because most of
 * very many elements have none */
void describe_container_of(json_t **object, const struct listener *listener);

/** describe_health() - puts "health" and "health_reason" into *@object, as
 * json_put() does */
void describe_health(json_t **object, const struct health_facts *facts);

/**
 * describe_listener() - the type Listener
 * @facts:	about the listener
 * @label:	what its namespace is called
 * @now_us:	monotonic
 */
json_t *describe_listener(const struct health_facts *facts, const char *label,
			  uint64_t now_us);

/** describe_draining() - the type Listener, of one that drains; else as
 * describe_listener() */
json_t *describe_draining(const struct consumer_draining *info,
			  const char *label, const struct berth_counts *counts,
			  uint64_t now_us);

#endif
