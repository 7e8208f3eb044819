/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what happened, told to whoever listens at that moment
 *
 * Each part of berthd emits the events of what it owns. An event that nobody
 * wants costs one comparison: ask events_wanted() before an event is put
 * together.
 */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct endpoint;
struct ip_addr;

/** enum event_kind - see event_kind_name(); a set of them has bit 1 << kind */
enum event_kind {
	EVENT_NETNS_APPEARED, /* with its first name, or the host's own */
	EVENT_NETNS_NAMED, /* its names are others; netns is the first */
	EVENT_NETNS_GONE, /* its last name went */
	EVENT_NETNS_FREED, /* the kernel freed it */
	EVENT_CONTAINER_REGISTERED, /* and its namespace is known */
	EVENT_CONTAINER_GONE,
	EVENT_ADDRESS_ADDED, /* also: it became usable */
	EVENT_ADDRESS_GONE, /* also: it cannot be used any more */
	EVENT_LISTENER_OPENED,
	EVENT_LISTENER_WAITING, /* an attempt failed for another reason */
	EVENT_LISTENER_CLOSED,
	EVENT_BACKEND_DOWN,
	EVENT_BACKEND_UP,
	EVENT_RULE_LOADED, /* a file: the rules in it are in force */
	EVENT_RULE_REJECTED, /* a file: it has errors */
	EVENT_CONSUMER_COME,
	EVENT_CONSUMER_LOST,
	EVENT_LIMIT_REACHED,
};
#define EVENT_KINDS (EVENT_LIMIT_REACHED + 1u)
#define EVENT_ALL_KINDS ((UINT32_C(1) << EVENT_KINDS) - 1)

/**
 * struct event - what happened; members that do not apply are 0 or NULL
 * @time_us:	since 1970; events_emit() sets it
 * @netns:	how people call the namespace: netns_label()
 * @listener:	its id
 * @address:	of an interface, @ifname, with @prefix_bits
 * @backend:	as the rule names it
 * @pid:	of the consumer's process
 * @file:	of rules
 * @reason:	why, for people
 *
 * All that it points to is borrowed while events_emit() runs.
 */
struct event {
	enum event_kind kind;
	uint64_t time_us;
	uint64_t netns_id;
	const char *netns;
	const char *container;
	const char *rule;
	uint64_t listener;
	const struct endpoint *endpoint;
	const struct ip_addr *address;
	unsigned int prefix_bits;
	const char *ifname;
	const char *backend;
	const char *consumer;
	pid_t pid;
	const char *file;
	const char *reason;
};

/**
 * struct events_sink - somebody who listens; the caller's memory
 * @kinds:	which events it wants
 * @heard:	an event of them; it may neither emit events nor change the
 * sinks
 */
struct events_sink {
	uint32_t kinds;
	void (*heard)(const struct event *event, void *user_data);
	void *user_data;
	struct events_sink *prev, *next;
};

/**
 * struct events - the bus; zero-initialize
 * @wanted:	the kinds that any sink wants
 */
struct events {
	struct events_sink *sinks;
	uint32_t wanted;
};

/** event_kind_name() - Return: "namespace.appeared" and so on; static. */
const char *event_kind_name(enum event_kind kind);

/**
 * event_kinds_parse() - the kinds that a text means
 * @text:	the name of a kind, or what stands before its dot: "listener"
 *
 * Return: a set of kinds; 0: there is no such kind.
 */
uint32_t event_kinds_parse(const char *text);

/** events_listen() - @sink hears each event of its kinds from now on */
void events_listen(struct events *events, struct events_sink *sink);

/** events_leave() - @sink, which listens, hears no more */
void events_leave(struct events *events, struct events_sink *sink);

/** events_wanted() - Return: does anybody want events of this kind? With NULL
 * for @events nobody does. */
static inline bool events_wanted(const struct events *events,
				 enum event_kind kind)
{
	return events && (events->wanted & UINT32_C(1) << kind);
}

/** events_emit() - tells whoever wants it. @events: NULL is fine. */
void events_emit(struct events *events, const struct event *event);

#endif
