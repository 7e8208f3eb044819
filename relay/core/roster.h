/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - all clients of a worker, to be listed and closed one by one
 *
 * Theory of operation: each client has an entry in a list, newest last, and a
 * number that no other has. The main thread sends a census round: a worker
 * that gets it looks at a bounded number of clients from where the last one
 * ended, notes what it finds, and gives it back. So no lock is needed, the
 * data path knows nothing of it, and nobody waits however many clients there
 * are.
 *
 * Where the last census ended is remembered as an entry. If that goes, a
 * neighbour takes its place: the numbers rise along the list, so that the
 * right place is always found from there.
 */
#ifndef RELAY_CORE_ROSTER_H
#define RELAY_CORE_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

struct roster_record;
struct serving;
struct worker;

/** enum roster_kind - a worker has a roster of each */
enum roster_kind {
	ROSTER_FLOWS,
	ROSTER_SESSIONS, /* of UDP */
	ROSTER_KINDS,
};

/**
 * struct roster_entry - inside of what is listed; zero-initialize
 * @number:	of the client in its roster; 0: it is in none
 * @began_us:	monotonic
 * @bytes_in, @bytes_out: from the client, and to it
 */
struct roster_entry {
	uint64_t number;
	uint64_t began_us;
	uint64_t bytes_in;
	uint64_t bytes_out;
	struct roster_entry *prev, *next;
};

/**
 * struct roster_ops - what the clients of a roster have in common
 * @describe:	fills what the entry does not know: all up to @idle_us
 * @end:	resets the client
 */
struct roster_ops {
	void (*describe)(const struct worker *worker,
			 const struct roster_entry *entry,
			 struct roster_record *record);
	void (*end)(struct worker *worker, struct roster_entry *entry);
};

/**
 * struct roster - zero-initialize
 * @entries:	the clients, in the order of their numbers
 * @at:		where the last census ended; NULL: anywhere
 * @last:	the number of the newest one
 */
struct roster {
	const struct roster_ops *ops;
	struct roster_entry *entries;
	struct roster_entry *at;
	uint64_t last;
};

/**
 * struct roster_record - a client, as it was found
 * @listener:	its id
 * @client, @client_port: of family AF_UNSPEC if not known
 * @local, @local_port: what the client connected to, likewise
 * @serving:	a reference
 * @backend:	its index in @serving, if that has any
 * @state:	static text
 */
struct roster_record {
	uint64_t listener;
	struct ip_addr client;
	struct ip_addr local;
	uint16_t client_port;
	uint16_t local_port;
	struct serving *serving;
	size_t backend;
	const char *state;
	uint64_t idle_us;
	uint64_t number;
	uint64_t age_us;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

/* With this many, an answer to berthd mostly fits into one datagram. */
#define CENSUS_RECORDS 48

/**
 * struct census - travels between the main thread and one worker at a time
 * @kind:	the roster that is meant
 * @closes:	the client @number is to be reset; else clients are listed
 * @number:	with @closes; else list those behind it, and in the end: the
 *last that was looked at
 * @listener:	list those of this listener only; 0: all
 * @until_us:	those that began later are not listed
 * @done:	the client was reset; or there is none left to be listed
 * @n:		how many there are in @records, with those of before
 */
struct census {
	enum roster_kind kind;
	bool closes;
	uint64_t number;
	uint64_t listener;
	uint64_t until_us;
	bool done;
	size_t n;
	struct roster_record records[CENSUS_RECORDS];
};

/** roster_add() - a client came */
void roster_add(struct roster *roster, const struct roster_ops *ops,
		struct roster_entry *entry, uint64_t now_us);

/** roster_remove() - a client goes; fine if it is not in the roster */
void roster_remove(struct roster *roster, struct roster_entry *entry);

/** struct roster_turn - whose roster it is, and when */
struct roster_turn {
	struct worker *worker;
	uint64_t now_us;
};

/** roster_census() - by the worker: does what @census wants, a bounded part */
void roster_census(struct roster *roster, struct census *census,
		   const struct roster_turn *turn);

#endif
