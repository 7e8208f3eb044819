/* SPDX-License-Identifier: Apache-2.0 */
/* target_health.h - how a backend is, for all listeners of a rule
 *
 * Theory of operation: each backend of a serving has a struct target_health. It
 * is shared by all servings of the rule (health_teller.h), so that a failure
 * that one worker or namespace met is known to all. What clients meet is kept
 * in atomic words, which are only read while all is well; relay/backend changes
 * them. Each change of them is news for the main thread, which tells berthd and
 * the log: one at a time, however often the words change meanwhile.
 */
#ifndef RELAY_CORE_TARGET_HEALTH_H
#define RELAY_CORE_TARGET_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/protocol.h"

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct check;

/** So many lines of the log about one backend of a rule are printed in one
 * interval. */
#define TARGET_LOG_BURST 5u
#define TARGET_LOG_INTERVAL_US UINT64_C(5000000)

/**
 * struct target_news - what the main thread has not heard of yet
 * @fd:		wakes it, see wakeup.h; borrowed
 * @list:	backends of which there are news
 * @unused:	some backend has no serving any more
 */
struct target_news {
	int fd;
	pthread_mutex_t lock;
	STAILQ_HEAD(, target_health) list;
	atomic_bool unused;
};

/**
 * struct target_told - what berthd was told of a backend
 * @known:	anything
 * @checked:	a check tries it
 * @connections: that it has; said when somebody asks, see
 *		health_teller_count()
 */
struct target_told {
	bool known;
	bool down;
	bool checked;
	uint64_t failures;
	unsigned int connections;
};

/**
 * struct target_key - which backend
 * @text:	its rule, namespace and text, each with a NUL behind it
 */
struct target_key {
	enum protocol protocol;
	const char *rule;
	const char *netns;
	const char *backend;
	size_t len;
	char *text;
};

/**
 * struct target_failure - why a check failed
 * @error:	a positive errno
 * @http_status: the status of the answer that is the reason; 0: it is @error
 */
struct target_failure {
	int error;
	unsigned int http_status;
};

/**
 * struct target_health - zero-initialize, or target_health_new()
 *
 * Of any thread:
 * @quiet:	it was reached last, and all words below say so
 * @held_until_us: monotonic; 0: it works, as far as is known
 * @failed_us:	when it last failed; 0: never
 * @failures:	since it was last reached
 * @error:	of the last one, a positive errno
 * @http_status: of the last one, see struct target_failure
 * @out:	a check says that it is down
 * @said:	the log says that it failed
 * @log_begin_us, @log_printed, @log_missed: see target_may_log()
 * @to:		where news go; NULL: nowhere
 * @queued:	the main thread has heard of news, and did not look yet
 * @connections: clients that have it, or try it: connections, associations and
 *		sessions of all listeners of the rule
 * @turn:	see balance.c
 *
 * Of the main thread:
 * @active:	in its list, until @due_us
 * @check:	tries it, see checker.h; NULL: none does
 * @since_us:	since when it is up or down, as @told says
 */
struct target_health {
	atomic_uint refs;
	atomic_bool quiet;
	_Atomic uint64_t held_until_us;
	_Atomic uint64_t failed_us;
	_Atomic uint64_t failures;
	atomic_int error;
	atomic_uint http_status;
	atomic_bool out;
	atomic_bool said;
	_Atomic uint64_t log_begin_us;
	atomic_uint log_printed;
	atomic_uint log_missed;
	struct target_news *to;
	atomic_bool queued;
	STAILQ_ENTRY(target_health) news;

	struct target_key key;
	bool active;
	bool retell;
	uint64_t due_us;
	uint64_t told_us;
	uint64_t since_us;
	struct target_told told;
	struct target_health *prev, *next;
	struct check *check;
	struct target_health *check_prev, *check_next;
	UT_hash_handle hh;

	/* Of any thread, and changed for each client: at the end, so that they
	 * do not share a cache line with the words that are only read. */
	atomic_uint connections;
	atomic_int turn;
};

/**
 * target_health_new() - nothing is known of the backend; one reference
 * @rule, @netns, @backend: copied
 *
 * Return: NULL when memory is out.
 */
struct target_health *target_health_new(const char *rule, const char *netns,
					const char *backend,
					enum protocol protocol);

/** target_health_ref() - adds a reference. Returns @health. */
struct target_health *target_health_ref(struct target_health *health);

/** target_health_unref() - gives a reference back; the last one frees. By any
 * thread. Returns NULL; NULL is fine. */
struct target_health *target_health_unref(struct target_health *health);

/** target_take() - one client more has it, and a reference. Returns @health. */
struct target_health *target_take(struct target_health *health);

/** target_leave() - as target_health_unref(), of what target_take() gave */
struct target_health *target_leave(struct target_health *health);

/**
 * target_failed() - it could not be reached
 * @error:	why, a positive errno
 * @hold_us:	for so long others take another one, if there is one
 */
void target_failed(struct target_health *health, int error, uint64_t now_us,
		   uint64_t hold_us);

/** target_failed_check() - a check says that it is down, and failed @n times
 * more than it said before */
void target_failed_check(struct target_health *health,
			 const struct target_failure *failure, uint64_t now_us,
			 uint64_t n);

/** target_works() - it was reached. If a check says that it is down, it is
 * until the check says otherwise. Return: is that news? */
bool target_works(struct target_health *health);

/** target_health_news() - some of its words are others: the main thread is to
 * look */
void target_health_news(struct target_health *health);

/** target_news_init() - there are none; @fd wakes the main thread */
void target_news_init(struct target_news *news, int fd);

/** target_news_take() - main thread: takes the list, linked by @news. Return:
 * NULL: there are none. */
struct target_health *target_news_take(struct target_news *news);

/** target_may_log() - may another line be printed about it? How many were not
 * is told by the main thread, later. */
bool target_may_log(struct target_health *health, uint64_t now_us);

#endif
