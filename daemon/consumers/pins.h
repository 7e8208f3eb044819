/* SPDX-License-Identifier: Apache-2.0 */
/* pins.h - what processes had of namespaces when their connection ended
 *
 * A process that lives on without its connection may have kept descriptors of a
 * namespace, and the kernel does not free the namespace before they are closed.
 * Nobody can ask the process any more, so berthd keeps in mind what it had, for
 * people who wonder why a namespace stays.
 */
#ifndef DAEMON_CONSUMERS_PINS_H
#define DAEMON_CONSUMERS_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/endpoint.h"
#include "daemon/consumers/handshake.h"

/** How many listeners of a pin are named. The others are only counted. */
#define PIN_ENDPOINTS_MAX 4

/** Of how many namespaces what one process had is kept: 250 bytes each. */
#define PINS_MAX 16384

/** How many processes of one consumer are kept in mind: of a consumer that
 * starts again and again the earliest is forgotten, and no other consumer's. */
#define PINNERS_PER_CONSUMER_MAX 4

/** How many are kept in mind of all consumers. */
#define PINNERS_MAX 64

/**
 * struct pin - what a process has, or had, of one namespace
 * @told_us:	when it was first told to close something of it; monotonic. 0:
 *		never
 * @n_listeners: among them those of which only connections are left
 * @sockets:	it may have sockets that berthd made for backends in there
 * @endpoints:	of the first @n_listeners
 */
struct pin {
	uint64_t netns_id;
	uint64_t told_us;
	size_t n_listeners;
	bool sockets;
	struct endpoint endpoints[PIN_ENDPOINTS_MAX];
	UT_hash_handle hh;
};

/**
 * struct pinner - a process that had a connection
 * @consumer:	the name of the consumer that it was
 * @started:	as of known_started(): another process may have the pid by now
 * @since_us:	when the connection ended; monotonic
 */
struct pinner {
	char *consumer;
	struct consumer_peer peer;
	uint64_t started;
	uint64_t since_us;
	struct pin *pins;
	struct pinner *prev, *next;
};

/** struct pinners - those of all consumers, oldest first; zero-initialize */
struct pinners {
	struct pinner *list;
	size_t n;
};

/** pin_add_listener() - counts one more, and names it while there is room */
void pin_add_listener(struct pin *pin, const struct endpoint *endpoint);

/** pin_add_told() - the process was told at @told_us to close something; 0: it
 * was not */
void pin_add_told(struct pin *pin, uint64_t told_us);

/** pinner_new() - a process that has nothing yet. Return: NULL: no memory. */
struct pinner *pinner_new(const char *consumer,
			  const struct consumer_peer *peer, uint64_t started,
			  uint64_t now_us);

/** pinner_free() - NULL is fine. Returns NULL. */
struct pinner *pinner_free(struct pinner *pinner);

/** pinner_get() - what it had of @netns_id, to be added to. Return: NULL: there
 * is no memory, or it has PINS_MAX. */
struct pin *pinner_get(struct pinner *pinner, uint64_t netns_id);

/** pinner_find() - what it had of @netns_id; NULL: nothing */
const struct pin *pinner_find(const struct pinner *pinner, uint64_t netns_id);

/** pinner_alive() - does the process live? Not while it is unknown when it was
 * started. */
bool pinner_alive(const struct pinner *pinner);

/**
 * pinners_add() - keeps @pinner in mind, if it had anything
 * @pinner:	taken; NULL is fine
 *
 * Processes that have ended, and never failed to do what they were told, are
 * forgotten. If more than PINNERS_PER_CONSUMER_MAX of its consumer are left, or
 * more than PINNERS_MAX in all, so is the oldest of them.
 */
void pinners_add(struct pinners *pinners, struct pinner *pinner);

/** pinners_returned() - the process has a connection again: it is forgotten
 * what it had, but for what it was told to close */
void pinners_returned(struct pinners *pinners, pid_t pid, uint64_t started);

/** pinners_freed() - the kernel freed @netns_id: it is forgotten who had
 * something of it */
void pinners_freed(struct pinners *pinners, uint64_t netns_id);

/** pinners_done() - forgets all of them */
void pinners_done(struct pinners *pinners);

#endif
