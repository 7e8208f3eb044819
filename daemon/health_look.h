/* SPDX-License-Identifier: Apache-2.0 */
/* health_look.h - finds out what the health of a listener is made of */
#ifndef DAEMON_HEALTH_LOOK_H
#define DAEMON_HEALTH_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "common/netns.h"
#include "daemon/consumers/backends.h"
#include "daemon/health.h"

/* Interfaces that matter for a listener: lo, and those with its address. */
#define HEALTH_INTERFACES 4

struct backends;
struct relay_user;
struct watcher;

/**
 * struct health_source - whom to ask
 * @relay_user:	whom berth-relay runs as; NULL: berthd does not start it, or
 *		the caller is not to hear of files: no socket is looked at
 * @brief:	for sums that are made in some milliseconds: no backlog counts,
 *and interfaces are asked for once while listeners of one namespace follow one
 *another
 * @backends:	what consumers told of them
 * @names_backends: the caller may hear where a rule forwards to
 */
struct health_source {
	struct watcher *watcher;
	bool brief;
	const struct relay_user *relay_user;
	const struct backends *backends;
	bool names_backends;
};

/**
 * struct health_view - the facts about one listener, and what they borrow; to
 * be used for one listener after the other, zero at first
 * @path:	of the UNIX socket that was looked at last
 * @looked_us:	when; monotonic
 * @interfaces:	@n_interfaces of the namespace @netns_id, that were asked for
 *		since @asked_us; monotonic. Those that are not there have no
 *		name.
 * @sentence:	about its backends
 */
struct health_view {
	struct health_facts facts;
	struct netns_interface interfaces[HEALTH_INTERFACES];
	size_t n_interfaces;
	uint64_t netns_id;
	uint64_t asked_us;
	struct health_socket socket;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	uint64_t looked_us;
	char sentence[BACKENDS_SENTENCE_MAX];
};

/**
 * health_look() - finds out all about one listener, now
 * @listener:	of the binder's table, borrowed, as long as @view->facts is used
 * @counts:	what its consumer counted, borrowed likewise; NULL: unknown
 *
 * The first look at a namespace has its addresses read, and kept from then on.
 */
void health_look(const struct health_source *source,
		 const struct listener *listener,
		 const struct berth_counts *counts, struct health_view *view);

#endif
