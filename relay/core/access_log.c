// SPDX-License-Identifier: Apache-2.0
/* access_log.c - a line for each connection, association or session that ends
 *
 * Theory of operation: each worker has a ring with one writer, the worker, and
 * one reader, the thread of the log. The worker fills a place and moves the
 * head; the thread reads and moves the tail. A ring gets its memory with the
 * first record. The texts of a record are those of its serving, to which the
 * record has a reference.
 *
 * The thread empties all rings, then rests a moment, so that many records cost
 * one wake-up and one write(2). Only if there was nothing does it sleep until a
 * worker wakes it. It sets `asleep` before it looks for the last time, and a
 * worker looks at `asleep` after it moved the head; so one of the two sees what
 * the other did. Where the log goes may block: then only this thread waits, the
 * rings fill, and records are lost.
 */
#include "relay/core/access_log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/ip.h"
#include "common/log.h"
#include "common/protocol.h"
#include "common/util.h"
#include "lib/berth_endings.h"
#include "relay/core/listener.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* Records of one worker: what it can end in several rests at the highest rate.
 * A power of two. */
#define RING_RECORDS 4096u
_Static_assert((RING_RECORDS & (RING_RECORDS - 1)) == 0, "the indexes wrap");

#define REST_NSEC (50L * 1000 * 1000)

/* How often the log says that records were lost. */
#define TELL_US (10 * USEC_PER_SEC)

/* How long the end of the relay waits for a log that takes nothing. */
#define END_SEC 1

#define NSEC_PER_SEC 1000000000L

#define ADDRESS_MAX 80 /* "[IPv6]:port" */

/**
 * struct access_record - a client that has ended
 * @serving:	a reference
 * @ended_us:	monotonic
 * @backend:	index in @serving; NO_BACKEND: none, or not known any more
 */
struct access_record {
	struct serving *serving;
	uint64_t ended_us;
	uint64_t duration_us;
	uint64_t bytes_in;
	uint64_t bytes_out;
	struct ip_addr client;
	struct ip_addr local;
	uint16_t client_port;
	uint16_t local_port;
	uint8_t protocol;
	uint8_t ending;
	uint8_t backend;
};

#define NO_BACKEND UINT8_MAX

/**
 * struct access_ring - the records of one worker
 * @records:	RING_RECORDS; NULL until the first one
 * @head:	counts those that were left; by the worker
 * @lost:	those for which there was no room; by the worker
 * @tail:	counts those that were taken; by the log's thread
 */
struct access_ring {
	_Atomic(struct access_record *) records;
	atomic_uint head;
	atomic_uint_fast64_t lost;
	atomic_uint tail;
};

/**
 * struct access_log - see the file's head
 * @running:	the thread was started
 * @asleep:	the thread waits until it is woken
 * @stopping:	under @lock
 * @told:	how many of the lost ones the log knows of
 * @told_us:	when it was told last
 */
struct access_log {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running;
	atomic_bool asleep;
	bool stopping;
	uint64_t told;
	uint64_t told_us;
	struct log_batch *batch;
	size_t n_rings;
	struct access_ring rings[];
};

/* By the workers */

static bool is_failure(enum berth_ending ending)
{
	switch (ending) {
	case BERTH_ENDING_ERROR:
	case BERTH_ENDING_CLIENT_RESET:
	case BERTH_ENDING_BACKEND_RESET:
	case BERTH_ENDING_BACKEND_REFUSED:
	case BERTH_ENDING_CONNECT_TIMEOUT:
	case BERTH_ENDING_STALLED:
	case BERTH_ENDING_LIMIT:
	case BERTH_ENDING_NOT_ADMITTED:
	case BERTH_ENDING_REQUEST_REFUSED:
	case BERTH_ENDING_REQUEST_TIMEOUT:
	case BERTH_ENDING_RESPONSE_TIMEOUT:
	case BERTH_ENDING_RATE_LIMIT:
		return true;
	case BERTH_ENDING_CLIENT_END:
	case BERTH_ENDING_BACKEND_END:
	case BERTH_ENDING_ANSWERED:
	case BERTH_ENDING_IDLE:
	case BERTH_ENDING_LIFETIME:
	case BERTH_ENDING_NETNS_GONE:
	case BERTH_ENDING_DRAINED:
	case BERTH_ENDING_RULE_CHANGED:
	case BERTH_ENDING_CLOSED_BY_HAND:
	case BERTH_ENDING_RELAY_END:
		return false;
	}
	return true;
}

bool access_log_wants(const struct serving *serving, enum berth_ending ending)
{
	switch (serving->log) {
	case SERVICE_LOG_NONE:
		return false;
	case SERVICE_LOG_FAILURES:
		return is_failure(ending);
	case SERVICE_LOG_CONNECTIONS:
		return true;
	}
	return false;
}

/* Return: a free place; NULL: there is none. */
static struct access_record *ring_place(struct access_ring *ring)
{
	struct access_record *records =
		atomic_load_explicit(&ring->records, memory_order_relaxed);
	unsigned int head =
		atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) >=
	    RING_RECORDS)
		return NULL;
	if (!records) {
		records = calloc(RING_RECORDS, sizeof(*records));
		atomic_store_explicit(&ring->records, records,
				      memory_order_release);
	}
	return records ? &records[head % RING_RECORDS] : NULL;
}

static void wake(struct access_log *log)
{
	if (!atomic_load(&log->asleep) || !atomic_exchange(&log->asleep, false))
		return;
	(void)pthread_mutex_lock(&log->lock);
	(void)pthread_cond_signal(&log->wake);
	(void)pthread_mutex_unlock(&log->lock);
}

static void fill(struct access_record *record,
		 const struct roster_record *found)
{
	record->serving = found->serving;
	record->client = found->client;
	record->local = found->local;
	record->client_port = found->client_port;
	record->local_port = found->local_port;
	record->backend = found->backend < found->serving->n_backends
				  ? (uint8_t)found->backend
				  : NO_BACKEND;
}

void access_log_note(struct worker *worker, enum roster_kind kind,
		     const struct roster_entry *entry, struct share *share,
		     enum berth_ending ending)
{
	struct access_log *log = worker->outbox->access;
	struct roster_record found = { .listener = 0 };
	struct access_record *record;
	struct access_ring *ring;

	if (!log)
		return;
	ring = &log->rings[worker->index];
	record = ring_place(ring);
	if (!record) {
		(void)atomic_fetch_add(&ring->lost, 1);
		counters_add(share_counters(share), COUNTER_UNLOGGED, 1);
		wake(log);
		return;
	}
	worker->rosters[kind].ops->describe(worker, entry, &found);
	fill(record, &found);
	/* A client that was turned away was to get none. Which backend the
	 * session had stands in the earlier rule. */
	if (ending == BERTH_ENDING_NOT_ADMITTED ||
	    ending == BERTH_ENDING_RATE_LIMIT)
		record->backend = NO_BACKEND;
	if (kind == ROSTER_SESSIONS && ending == BERTH_ENDING_RULE_CHANGED)
		record->backend = NO_BACKEND;
	record->ended_us = worker->now_us;
	record->duration_us = worker->now_us - entry->began_us;
	record->bytes_in = entry->bytes_in;
	record->bytes_out = entry->bytes_out;
	record->protocol = (uint8_t)share->listener->protocol;
	record->ending = (uint8_t)ending;
	(void)atomic_fetch_add(&ring->head, 1);
	wake(log);
}

/* By the log's thread */

static const char *kind_of(enum protocol protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_MPTCP:
		return "connection";
	case PROTOCOL_UDP:
		return "session";
	case PROTOCOL_SCTP:
	case PROTOCOL_SCTP_SEQPACKET:
		return "association";
	}
	return "connection";
}

static const char *address_text(const struct ip_addr *addr, uint16_t port,
				char *buffer)
{
	bool brackets = addr->family == AF_INET6;
	char text[IP_TEXT_MAX];

	if (addr->family == AF_UNSPEC)
		return NULL;
	(void)snprintf(buffer, ADDRESS_MAX, "%s%s%s:%u", brackets ? "[" : "",
		       ip_addr_fmt(addr, text), brackets ? "]" : "",
		       port); /* fits */
	return buffer;
}

static void write_record(struct access_log *log,
			 const struct access_record *record,
			 const struct timespec *when)
{
	const struct serving *serving = record->serving;
	const struct serving_names *names = serving->names;
	char client[ADDRESS_MAX], local[ADDRESS_MAX];
	const struct log_field fields[] = {
		{ "ending", berth_ending_names[record->ending], 0 },
		{ "rule", names->rule, 0 },
		{ "netns", names->netns, 0 },
		{ "container", names->container, 0 },
		{ "listener", names->listener, 0 },
		{ "client",
		  address_text(&record->client, record->client_port, client),
		  0 },
		{ "local",
		  address_text(&record->local, record->local_port, local), 0 },
		{ "backend",
		  record->backend == NO_BACKEND
			  ? NULL
			  : serving->backends[record->backend].text,
		  0 },
		{ "bytes_in", NULL, record->bytes_in },
		{ "bytes_out", NULL, record->bytes_out },
		{ "duration_us", NULL, record->duration_us },
	};
	const size_t n_texts = ARRAY_SIZE(fields) - 3;
	struct log_field given[ARRAY_SIZE(fields)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (i >= n_texts || (fields[i].text && fields[i].text[0]))
			given[n++] = fields[i];
	}
	log_batch_add(log->batch, kind_of((enum protocol)record->protocol),
		      given, n, when);
}

/**
 * struct clocks - two clocks at one time
 * @mono_us:	monotonic_us()
 * @wall:	CLOCK_REALTIME
 */
struct clocks {
	uint64_t mono_us;
	struct timespec wall;
};

static struct clocks clocks_read(void)
{
	struct clocks clocks = { .mono_us = monotonic_us() };

	(void)clock_gettime(CLOCK_REALTIME, &clocks.wall); /* cannot fail */
	return clocks;
}

/* What the wall clock showed at @mono_us. */
static struct timespec wall_of(const struct clocks *clocks, uint64_t mono_us)
{
	uint64_t ago_us = clocks->mono_us > mono_us ? clocks->mono_us - mono_us
						    : 0;
	struct timespec now = clocks->wall;

	now.tv_sec -= (time_t)(ago_us / USEC_PER_SEC);
	now.tv_nsec -= (long)(ago_us % USEC_PER_SEC) * 1000;
	if (now.tv_nsec < 0) {
		now.tv_nsec += NSEC_PER_SEC;
		now.tv_sec--;
	}
	return now;
}

/* Return: were there any? */
static bool empty_ring(struct access_log *log, struct access_ring *ring)
{
	unsigned int tail =
		atomic_load_explicit(&ring->tail, memory_order_relaxed);
	unsigned int head = atomic_load(&ring->head);
	struct access_record *records =
		atomic_load_explicit(&ring->records, memory_order_acquire);
	const struct clocks clocks = clocks_read();
	bool any = tail != head;

	for (; tail != head; tail++) {
		struct access_record *record = &records[tail % RING_RECORDS];
		struct timespec when = wall_of(&clocks, record->ended_us);

		write_record(log, record, &when);
		(void)serving_unref(record->serving);
		atomic_store_explicit(&ring->tail, tail + 1,
				      memory_order_release);
	}
	return any;
}

static bool empty_rings(struct access_log *log)
{
	bool any = false;

	for (size_t i = 0; i < log->n_rings; i++)
		any = empty_ring(log, &log->rings[i]) || any;
	log_batch_flush(log->batch);
	return any;
}

static uint64_t count_lost(struct access_log *log)
{
	uint64_t n = 0;

	for (size_t i = 0; i < log->n_rings; i++)
		n += atomic_load_explicit(&log->rings[i].lost,
					  memory_order_relaxed);
	return n;
}

/* Return: is there something that the log does not know yet? */
static bool tell_lost(struct access_log *log)
{
	uint64_t lost = count_lost(log), now_us = monotonic_us();

	bool said = log_tell_lost();

	if (lost == log->told)
		return !said;
	if (log->told_us && now_us - log->told_us < TELL_US)
		return true;
	log_warning("%llu connections or sessions that ended have no line: "
		    "more ended than the log took",
		    (unsigned long long)(lost - log->told));
	log->told = lost;
	log->told_us = now_us;
	return !said;
}

static bool any_left(const struct access_log *log)
{
	for (size_t i = 0; i < log->n_rings; i++) {
		if (atomic_load(&log->rings[i].head) !=
		    atomic_load(&log->rings[i].tail))
			return true;
	}
	return false;
}

static void rest(struct access_log *log)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until); /* valid arguments */
	until.tv_nsec += REST_NSEC;
	if (until.tv_nsec >= NSEC_PER_SEC) {
		until.tv_nsec -= NSEC_PER_SEC;
		until.tv_sec++;
	}
	while (!log->stopping &&
	       pthread_cond_timedwait(&log->wake, &log->lock, &until) == 0)
		;
}

static void sleep_until_woken(struct access_log *log)
{
	atomic_store(&log->asleep, true);
	if (any_left(log)) {
		atomic_store(&log->asleep, false);
		return;
	}
	while (!log->stopping && atomic_load(&log->asleep))
		(void)pthread_cond_wait(&log->wake, &log->lock);
	atomic_store(&log->asleep, false);
}

static void *thread_main(void *user_data)
{
	struct access_log *log = user_data;
	bool stopping = false, busy;

	while (!stopping) {
		(void)pthread_mutex_lock(&log->lock);
		stopping = log->stopping;
		(void)pthread_mutex_unlock(&log->lock);
		busy = empty_rings(log);
		busy = tell_lost(log) || busy;
		(void)pthread_mutex_lock(&log->lock);
		if (busy)
			rest(log);
		else
			sleep_until_woken(log);
		(void)pthread_mutex_unlock(&log->lock);
	}
	return NULL;
}

/* Life */

struct access_log *access_log_new(size_t n_workers)
{
	struct access_log *log =
		calloc(1, sizeof(*log) + n_workers * sizeof(log->rings[0]));
	pthread_condattr_t attr;

	if (!log)
		return NULL;
	log->n_rings = n_workers;
	(void)pthread_mutex_init(&log->lock, NULL); /* cannot fail: Linux */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&log->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	return log;
}

int access_log_start(struct access_log *log)
{
	sigset_t all, old;
	int r;

	if (log->running)
		return 0;
	if (!log->batch)
		log->batch = log_batch_new();
	if (!log->batch)
		return -ENOMEM;
	/* Signals are the main thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&log->thread, NULL, thread_main, log);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	log->running = r == 0;
	return r;
}

/* Return: has the thread ended? */
static bool stop_thread(struct access_log *log)
{
	struct timespec until;

	if (!log->running)
		return true;
	(void)pthread_mutex_lock(&log->lock);
	log->stopping = true;
	(void)pthread_cond_signal(&log->wake);
	(void)pthread_mutex_unlock(&log->lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &until); /* valid arguments */
	until.tv_sec += END_SEC;
	return pthread_clockjoin_np(log->thread, NULL, CLOCK_MONOTONIC,
				    &until) == 0;
}

struct access_log *access_log_free(struct access_log *log)
{
	/* A thread that cannot write uses it until the process ends. */
	if (!log || !stop_thread(log))
		return NULL;
	for (size_t i = 0; i < log->n_rings; i++) {
		struct access_ring *ring = &log->rings[i];
		unsigned int tail = atomic_load(&ring->tail);

		for (; tail != atomic_load(&ring->head); tail++)
			(void)serving_unref(
				ring->records[tail % RING_RECORDS].serving);
		free(atomic_load(&ring->records));
	}
	free(log->batch);
	(void)pthread_mutex_destroy(&log->lock);
	(void)pthread_cond_destroy(&log->wake);
	free(log);
	return NULL;
}
