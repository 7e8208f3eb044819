/* SPDX-License-Identifier: Apache-2.0 */
/* health.h - can anybody reach a listener, and does somebody answer; pure */
#ifndef DAEMON_HEALTH_H
#define DAEMON_HEALTH_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/ip.h"

struct berth_counts;
struct listener;
struct netns;
struct netns_interface;

/** enum health_state - one word for each listener */
enum health_state {
	HEALTH_OK, /* nothing is known to be wrong */
	HEALTH_UNREACHABLE, /* no client can connect */
	HEALTH_BACKEND_DOWN, /* clients connect, and nobody answers */
	HEALTH_LIMITED, /* some clients are served, and others are not */
	HEALTH_UNKNOWN, /* it is not known whether clients can connect */
};

/** enum health_cause - why. Of addresses that lead to one listener the one with
 * the last cause counts. */
enum health_cause {
	HEALTH_CAUSE_NONE,
	HEALTH_NOT_LISTENING, /* waiting or refused, see listener.reason */
	HEALTH_ADDRESSES_UNKNOWN, /* not read yet */
	HEALTH_ADDRESSES_OMITTED, /* more than are kept, its own among them? */
	HEALTH_NO_ADDRESS, /* no interface has the address */
	HEALTH_LO_DOWN, /* only lo has it, or would have */
	HEALTH_INTERFACE_DOWN, /* all that have it are down */
	HEALTH_INTERFACE_GONE, /* that it is bound to */
	HEALTH_DAD_FAILED, /* duplicate address detection has failed */
	HEALTH_TENTATIVE, /* duplicate address detection runs */
	HEALTH_ONLY_OUTSIDE, /* lo is down: no client inside can connect */
	HEALTH_ONLY_INSIDE, /* the interface is down: no other client can */
	HEALTH_NO_CONSUMER, /* no consumer has it */
	HEALTH_BACKEND_DOWN_TOLD, /* the consumer told that all are down */
	HEALTH_SOCKET_MISSING, /* the UNIX socket does not exist */
	HEALTH_SOCKET_FORBIDDEN, /* the UNIX socket does not admit the relay */
	HEALTH_LIMIT, /* max_connections */
	HEALTH_BACKLOG_FULL,
	HEALTH_BACKLOG, /* clients wait in it; the state is HEALTH_OK */
};

#define HEALTH_CAUSES (HEALTH_BACKLOG + 1)

/** enum health_path - what connect(2) to a UNIX socket would find */
enum health_path {
	HEALTH_PATH_FINE, /* or it was not looked at */
	HEALTH_PATH_MISSING,
	HEALTH_PATH_NO_SOCKET, /* another kind of file */
	HEALTH_PATH_DIRECTORY, /* a directory on the way is closed */
	HEALTH_PATH_SOCKET, /* the socket itself admits others only */
};

/**
 * struct health_socket - the UNIX socket of a backend, and who may connect
 * @path:	of the socket; borrowed
 * @at:		what keeps others away: the socket, or a directory on the way;
 *		for HEALTH_PATH_DIRECTORY as many bytes of @path as it has
 * @uid, @gid, @mode: of that file
 * @relay_uid, @relay_gid: who would connect
 */
struct health_socket {
	enum health_path verdict;
	const char *path;
	size_t at;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	uid_t relay_uid;
	gid_t relay_gid;
};

/**
 * struct health_backends - what the consumer told of a listener's backends
 * @known:	it told anything
 * @all_down:	none of them takes clients
 * @reason:	a whole sentence, such as "127.0.0.1:53 refused 6 times, last
 *		3 s ago"; borrowed; NULL: nothing to be said
 */
struct health_backends {
	bool known;
	bool all_down;
	const char *reason;
};

/**
 * struct health_facts - what health is made of; all is borrowed
 * @listener:	of the binder's table
 * @netns:	its namespace, with its addresses; NULL: unknown
 * @interface:	fills in an interface of the namespace. Return: is it there?
 * @delivered:	a consumer has it
 * @counts:	what the consumer counted; NULL: unknown
 * @backlog:	clients that wait to be accepted; -1: unknown
 * @backlog_max: when new ones are refused; 0: unknown
 * @socket:	of its backend; NULL: it has none, or nobody has looked
 * @backends:	zero: unknown
 */
struct health_facts {
	const struct listener *listener;
	const struct netns *netns;
	bool (*interface)(const struct health_facts *facts, uint32_t ifindex,
			  struct netns_interface *ret_interface);
	bool delivered;
	const struct berth_counts *counts;
	int backlog;
	int backlog_max;
	const struct health_socket *socket;
	struct health_backends backends;
};

/**
 * struct health - the verdict
 * @addr, @ifname: the address that decides, and the interface that has it;
 *		AF_UNSPEC and "" where none has it
 * @number:	the limit, or the length of the backlog
 */
struct health {
	enum health_state state;
	enum health_cause cause;
	struct ip_addr addr;
	char ifname[IF_NAMESIZE];
	uint64_t number;
};

/* A path of a UNIX socket has 107 bytes, a backend's sentence maybe more. */
#define HEALTH_TEXT_MAX 512

/** health_of() - the verdict about one listener; no clock, no I/O but what
 * @interface of @facts does */
struct health health_of(const struct health_facts *facts);

/**
 * health_text() - why, as a sentence for people
 * @health:	what health_of() said of @facts
 * @buffer:	of HEALTH_TEXT_MAX
 *
 * Return: @buffer, borrowed text of @facts, or NULL: there is nothing to say.
 */
const char *health_text(const struct health *health,
			const struct health_facts *facts, char *buffer);

/** health_state_name() - "ok", "unreachable", "backend-down", "limited",
 * "unknown" */
const char *health_state_name(enum health_state state);

/** health_cause_name() - "no_address", "interface_down", … for metrics */
const char *health_cause_name(enum health_cause cause);

#endif
