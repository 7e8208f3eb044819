// SPDX-License-Identifier: Apache-2.0
/* admission.c - who may use how much of what all traffic shares
 *
 * Theory of operation: one namespace is one stranger, however many listeners
 * it has and whatever protocols they speak. Everything that strangers can use
 * up is counted here. Descriptors and pipes have atomic counters, which a
 * connection or a session touches when it begins and ends. Each worker counts
 * by itself the memory for SCTP messages, the UDP sessions that wait for a
 * socket, and what a namespace had of the worker's turn; the counters of a turn
 * begin at 0 with every turn. A namespace that had its part of a turn waits for
 * the next turn, which comes at once if nobody else wants anything.
 *
 * Listeners and traffic share the table of descriptors, and listeners must
 * always find room. So traffic never takes the reserve that is kept for
 * listeners to come. Only if listeners fill nearly all of the table, traffic
 * keeps a small part, without which the listeners would be of no use.
 *
 * Local ports run short long before descriptors do: each UDP session has one in
 * its namespace of backends (net.ipv4.ip_local_port_range), and so has each TCP
 * connection to one backend. A fixed part for each namespace would leave ports
 * unused, or be too much when there are several. So a namespace may have as
 * many ports as are left beside its own, counted by port space; a space is only
 * a number here. Other programs use ports, too, and the kernel keeps those of
 * some sockets that ended. When the kernel has no port left, the space shrinks
 * to less than what is in use. Then it grows again with time, by half of what
 * is missing each time, until it is whole or the kernel runs out again, because
 * nobody tells when other programs give ports back.
 */
#include "relay/core/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/log.h"
#include "common/util.h"

/* Kept for listeners: a quarter of the table, at most this many. */
#define RESERVE_MAX 4096

/* Connections of one listener whose rule names no number. A connection that is
 * forwarded has two descriptors: an eighth of the table's number as connections
 * is a quarter of its descriptors, so that one flooded listener leaves room for
 * others. And no more than the memory of a small machine can bear with full
 * buffers. */
#define LISTENER_CONNECTIONS_MAX 10000

/* One namespace's part of the table, over all its listeners and whatever their
 * rules say: more than one listener gets by default, so that a single service
 * has room, and little enough that other namespaces have some. */
#define NETNS_PART 2

/* UDP sessions stay as long as their idle timeout says, and forged datagrams
 * begin any number of them. Sessions never get this part of a namespace's
 * descriptors, so that its connections find room. */
#define NO_SESSIONS_PART 4

/* If the system sets no limit: what a host can be expected to hold. */
#define NOFILE_MAX (1u << 20)

/* What is left to traffic in any case: a sixteenth of the table. */
#define TRAFFIC_MIN_PART 16

/* One namespace may have this part of the pipes, so that its stalled transfers
 * leave some to the others. */
#define PIPES_PART 4

#define PIPE_FDS 2

/* Buffers of all connections whose receivers are slow: two thousand of usual
 * size. A connection that gets no buffer goes on, with one more system call for
 * each step, so there need not be more. One namespace may have a quarter. */
#define BYTES_MAX (64u * 1024 * 1024)
#define BYTES_PART 4

/* A request that is read before it is passed on does need one. So each
 * namespace has this in any case, whatever others keep: room for the longest
 * request, as it came and as it is passed on. */
#define BYTES_OWN (160u * 1024)

/* One namespace may have this part of a worker's memory for messages, so that
 * messages that never end, or that nobody takes, leave some to the others. */
#define MESSAGES_PART 2

/* And this part is each namespace's own, whatever others keep waiting. */
#define MESSAGES_OWN_PART 256

/* This part of all ports is left to other programs. A shortage that the kernel
 * tells of takes the same part from the ports in use. */
#define PORTS_RESERVE_PART 8

/* After a shortage, half of the ports that a space lacks are tried again after
 * this time, then half of the rest, and so on. A port that others keep for
 * TIME_WAIT is back in a minute. */
#define PORTS_REGROW_US (2 * USEC_PER_SEC)

/* Linux's range of local ports when nobody changed it. */
#define PORT_FIRST 32768
#define PORT_LAST 60999

/**
 * struct port_space - what shares local ports
 * @lost:	of the ports that there should be, those that the kernel lacked
 *		when it told of a shortage
 * @short_us:	when that was
 */
struct port_space {
	atomic_uint used;
	atomic_uint lost;
	_Atomic uint64_t short_us;
};

/**
 * struct entry - a struct admission and what only the table knows of it
 */
struct entry {
	struct admission admission;
	struct admissions *admissions;
	uint64_t netns_id;
	size_t refs;
	UT_hash_handle hh;
	struct admission_worker workers[];
};

struct admissions {
	struct entry *entries;
	size_t n_workers;
};

static _Atomic int64_t traffic;
static _Atomic int64_t listeners;
static _Atomic int64_t kept_bytes;
static atomic_uint pipes;
static struct port_space port_spaces[ADMISSION_SPACES];
static bool entry_kept_some; /* the main thread's: when it was freed */

/* Constant once threads run. */
static int64_t traffic_limit; /* without listeners */
static int64_t traffic_min;
static uint32_t listener_connections;
static uint32_t netns_limits[ADMISSION_KINDS];
static size_t worker_sessions;
static uint32_t ports_limit;

/* Reads both ends of the range. Return: are they plausible? */
static bool read_port_range(unsigned long *ret_first, unsigned long *ret_last)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char line[64], *end;
	bool is_read;

	if (!file)
		return false;
	is_read = fgets(line, sizeof(line), file) != NULL;
	(void)fclose(file); /* was only read */
	if (!is_read)
		return false;
	*ret_first = strtoul(line, &end, 10);
	*ret_last = strtoul(end, NULL, 10);
	return *ret_first > 0 && *ret_last >= *ret_first &&
	       *ret_last <= UINT16_MAX;
}

/* How many local ports berth may use of the namespace that this process lives
 * in. Other namespaces are taken to have as many. */
static uint32_t read_ports_limit(void)
{
	unsigned long first, last;
	uint32_t n = PORT_LAST - PORT_FIRST + 1;

	if (read_port_range(&first, &last))
		n = (uint32_t)(last - first + 1);
	return n - n / PORTS_RESERVE_PART;
}

/* Return: the limit that is in force now, or -errno. */
static int64_t raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
			log_warning_errno(errno, "cannot raise the limit of "
						 "open descriptors; going on");
			limit.rlim_cur = soft;
		}
	}
	return limit.rlim_cur > NOFILE_MAX ? NOFILE_MAX
					   : (int64_t)limit.rlim_cur;
}

int admission_init(size_t fixed, size_t n_workers)
{
	int64_t nofile = raise_nofile(), reserve;

	if (nofile < 0)
		return (int)nofile;
	reserve = nofile / 4 > RESERVE_MAX ? RESERVE_MAX : nofile / 4;
	traffic_limit = nofile - reserve - (int64_t)fixed;
	traffic_min = nofile / TRAFFIC_MIN_PART + 2; /* one connection */
	if (traffic_limit < traffic_min)
		traffic_limit = traffic_min;
	listener_connections = traffic_limit / 8 > LISTENER_CONNECTIONS_MAX
				       ? LISTENER_CONNECTIONS_MAX
				       : (uint32_t)(traffic_limit / 8 + 1);
	netns_limits[ADMISSION_DESCRIPTORS] =
		(uint32_t)(traffic_limit / NETNS_PART + 1);
	netns_limits[ADMISSION_SESSIONS] =
		netns_limits[ADMISSION_DESCRIPTORS] -
		netns_limits[ADMISSION_DESCRIPTORS] / NO_SESSIONS_PART;
	netns_limits[ADMISSION_PIPES] = ADMISSION_PIPES_MAX / PIPES_PART;
	netns_limits[ADMISSION_BYTES] = BYTES_MAX / BYTES_PART;
	worker_sessions = (size_t)traffic_limit / 2 / n_workers + 1;
	ports_limit = read_ports_limit();
	return 0;
}

void admission_listener(int change)
{
	atomic_fetch_add_explicit(&listeners, change, memory_order_relaxed);
}

uint32_t admission_listener_connections(void)
{
	return listener_connections;
}

uint32_t admission_limit(enum admission_kind kind)
{
	return netns_limits[kind];
}

size_t admission_worker_sessions(void)
{
	return worker_sessions;
}

/* The table */

struct admissions *admissions_new(size_t n_workers)
{
	struct admissions *admissions = calloc(1, sizeof(*admissions));

	if (admissions)
		admissions->n_workers = n_workers;
	return admissions;
}

struct admissions *admissions_free(struct admissions *admissions)
{
	free(admissions);
	return NULL;
}

static struct entry *entry_new(struct admissions *admissions, uint64_t netns_id)
{
	struct entry *entry =
		calloc(1, sizeof(*entry) + admissions->n_workers *
						   sizeof(entry->workers[0]));

	if (!entry)
		return NULL;
	entry->admissions = admissions;
	entry->netns_id = netns_id;
	entry->admission.workers = entry->workers;
	HASH_ADD(hh, admissions->entries, netns_id, sizeof(netns_id), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

struct admission *admission_get(struct admissions *admissions,
				uint64_t netns_id)
{
	struct entry *entry;

	HASH_FIND(hh, admissions->entries, &netns_id, sizeof(netns_id), entry);
	if (!entry)
		entry = entry_new(admissions, netns_id);
	if (!entry)
		return NULL;
	entry->refs++;
	return &entry->admission;
}

static bool entry_is_empty(struct entry *entry)
{
	unsigned int taken = 0;
	size_t waiting = 0;

	for (size_t i = 0; i < ADMISSION_KINDS; i++)
		taken |= atomic_load(&entry->admission.used[i]);
	for (size_t i = 0; i < ADMISSION_NETNS_SPACES; i++)
		taken |= atomic_load(&entry->admission.ports[i]);
	for (size_t i = 0; i < entry->admissions->n_workers; i++)
		waiting |= entry->workers[i].waiting.n |
			   entry->workers[i].waiting.held_bytes |
			   entry->workers[i].messages.bytes;
	return taken == 0 && waiting == 0;
}

struct admission *admission_put(struct admission *admission)
{
	struct entry *entry;

	if (!admission)
		return NULL;
	entry = container_of(admission, struct entry, admission);
	if (--entry->refs == 0) {
		entry_kept_some |= !entry_is_empty(entry);
		HASH_DEL(entry->admissions->entries, entry);
		free(entry);
	}
	return NULL;
}

bool admission_all_returned(void)
{
	return !entry_kept_some && atomic_load(&traffic) == 0 &&
	       atomic_load(&kept_bytes) == 0;
}

/* Taking and giving */

static void give_fds(unsigned int n)
{
	atomic_fetch_sub_explicit(&traffic, n, memory_order_relaxed);
}

static bool take_fds(unsigned int n)
{
	int64_t limit = traffic_limit -
			atomic_load_explicit(&listeners, memory_order_relaxed);
	int64_t before =
		atomic_fetch_add_explicit(&traffic, n, memory_order_relaxed);

	if (before + n <= (limit < traffic_min ? traffic_min : limit))
		return true;
	give_fds(n);
	return false;
}

static bool counter_take(atomic_uint *counter, unsigned int n,
			 unsigned int limit)
{
	if (atomic_fetch_add_explicit(counter, n, memory_order_relaxed) + n <=
	    limit)
		return true;
	atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
	return false;
}

bool admission_take_pipe(void)
{
	if (!counter_take(&pipes, 1, ADMISSION_PIPES_MAX))
		return false;
	if (take_fds(PIPE_FDS))
		return true;
	atomic_fetch_sub_explicit(&pipes, 1, memory_order_relaxed);
	return false;
}

void admission_give_pipe(void)
{
	give_fds(PIPE_FDS);
	atomic_fetch_sub_explicit(&pipes, 1, memory_order_relaxed);
}

/* @used: what the namespace has of them. */
static bool bytes_have_room(unsigned int used, unsigned int n)
{
	return used + n <= BYTES_OWN ||
	       atomic_load_explicit(&kept_bytes, memory_order_relaxed) + n <=
		       BYTES_MAX;
}

static void note_met(enum berth_limit *met, enum berth_limit limit)
{
	if (met)
		*met = limit;
}

/* Takes @n of what @kind is a part of. Return: is there room? */
static bool whole_take(struct admission *admission, enum admission_kind kind,
		       unsigned int n, enum berth_limit *met)
{
	switch (kind) {
	case ADMISSION_SESSIONS:
		return admission_take(admission, ADMISSION_DESCRIPTORS, n, met);
	case ADMISSION_DESCRIPTORS:
		note_met(met, BERTH_LIMIT_DESCRIPTORS);
		return take_fds(n);
	case ADMISSION_PIPES:
	case ADMISSION_BYTES: /* see admission_add_bytes() */
	case ADMISSION_KINDS:
		break;
	}
	return true;
}

static void whole_give(struct admission *admission, enum admission_kind kind,
		       unsigned int n)
{
	switch (kind) {
	case ADMISSION_SESSIONS:
		admission_give(admission, ADMISSION_DESCRIPTORS, n);
		break;
	case ADMISSION_DESCRIPTORS:
		give_fds(n);
		break;
	case ADMISSION_BYTES:
		atomic_fetch_sub_explicit(&kept_bytes, n, memory_order_relaxed);
		break;
	case ADMISSION_PIPES:
	case ADMISSION_KINDS:
		break;
	}
}

bool admission_take(struct admission *admission, enum admission_kind kind,
		    unsigned int n, enum berth_limit *met)
{
	note_met(met, BERTH_LIMIT_NAMESPACE);
	if (!counter_take(&admission->used[kind], n, netns_limits[kind]))
		return false;
	if (whole_take(admission, kind, n, met))
		return true;
	atomic_fetch_sub_explicit(&admission->used[kind], n,
				  memory_order_relaxed);
	return false;
}

void admission_add_bytes(struct admission *admission, unsigned int n)
{
	atomic_fetch_add_explicit(&kept_bytes, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&admission->used[ADMISSION_BYTES], n,
				  memory_order_relaxed);
}

bool admission_has_room(const struct admission *admission,
			enum admission_kind kind, unsigned int n)
{
	const unsigned int used = atomic_load_explicit(&admission->used[kind],
						       memory_order_relaxed);

	if (kind == ADMISSION_SESSIONS &&
	    !admission_has_room(admission, ADMISSION_DESCRIPTORS, n))
		return false;
	if (kind == ADMISSION_BYTES && !bytes_have_room(used, n))
		return false;
	return used + n <= netns_limits[kind];
}

void admission_give(struct admission *admission, enum admission_kind kind,
		    unsigned int n)
{
	atomic_fetch_sub_explicit(&admission->used[kind], n,
				  memory_order_relaxed);
	whole_give(admission, kind, n);
}

bool admission_take_client(struct admission *admission, atomic_uint *n_clients,
			   uint32_t max_clients, unsigned int n_fds,
			   enum berth_limit *met)
{
	if (!admission_take(admission, ADMISSION_DESCRIPTORS, n_fds, met))
		return false;
	note_met(met, BERTH_LIMIT_MAX_CONNECTIONS);
	if (counter_take(n_clients, 1, max_clients))
		return true;
	admission_give(admission, ADMISSION_DESCRIPTORS, n_fds);
	return false;
}

void admission_give_client(struct admission *admission, atomic_uint *n_clients,
			   unsigned int n_fds)
{
	atomic_fetch_sub_explicit(n_clients, 1, memory_order_relaxed);
	admission_give(admission, ADMISSION_DESCRIPTORS, n_fds);
}

/* Local ports */

static struct port_space *space_of(uint32_t space)
{
	return &port_spaces[space % ADMISSION_SPACES];
}

static uint32_t ports_used(const struct admission *admission, uint32_t space)
{
	return atomic_load_explicit(
		&admission->ports[space % ADMISSION_NETNS_SPACES],
		memory_order_relaxed);
}

/* Return: how many ports of the space may be in use. */
static uint32_t space_limit(const struct port_space *all, uint64_t now_us)
{
	uint32_t lost = atomic_load_explicit(&all->lost, memory_order_relaxed);
	uint64_t short_us, halvings;

	if (lost == 0)
		return ports_limit;
	short_us = atomic_load_explicit(&all->short_us, memory_order_relaxed);
	/* Each thread has read the clock at another time. */
	halvings = now_us > short_us ? (now_us - short_us) / PORTS_REGROW_US
				     : 0;
	lost = halvings < 32 ? lost >> halvings : 0;
	return lost < ports_limit ? ports_limit - lost : 1;
}

bool admission_take_port(struct admission *admission, uint32_t space,
			 uint64_t now_us)
{
	struct port_space *all = space_of(space);
	atomic_uint *mine = &admission->ports[space % ADMISSION_NETNS_SPACES];
	uint32_t n_mine, n_all;

	if (space == 0)
		return true;
	n_mine = atomic_fetch_add_explicit(mine, 1, memory_order_relaxed) + 1;
	n_all = atomic_fetch_add_explicit(&all->used, 1, memory_order_relaxed) +
		1;
	if (n_mine + n_all <= space_limit(all, now_us) + 1)
		return true;
	atomic_fetch_sub_explicit(&all->used, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(mine, 1, memory_order_relaxed);
	return false;
}

void admission_give_port(struct admission *admission, uint32_t space)
{
	struct port_space *all = space_of(space);

	if (space == 0)
		return;
	atomic_fetch_sub_explicit(
		&admission->ports[space % ADMISSION_NETNS_SPACES], 1,
		memory_order_relaxed);
	atomic_fetch_sub_explicit(&all->used, 1, memory_order_relaxed);
}

void admission_ports_short(uint32_t space, uint64_t now_us)
{
	struct port_space *all = space_of(space);
	uint32_t used = atomic_load_explicit(&all->used, memory_order_relaxed);
	uint32_t left = used - used / PORTS_RESERVE_PART;

	if (space == 0 || left >= space_limit(all, now_us))
		return;
	atomic_store_explicit(&all->short_us, now_us, memory_order_relaxed);
	atomic_store_explicit(&all->lost, ports_limit - left,
			      memory_order_relaxed);
}

bool admission_is_greedy(const struct admission *admission, uint32_t space)
{
	uint32_t used = atomic_load_explicit(&space_of(space)->used,
					     memory_order_relaxed);

	return ports_used(admission, space) >= used / 4;
}

const struct admission *admissions_greediest(struct admissions *admissions,
					     uint32_t space)
{
	const struct admission *most = NULL;
	struct entry *entry, *next;
	uint32_t n = 0;

	HASH_ITER (hh, admissions->entries, entry, next) {
		if (ports_used(&entry->admission, space) <= n)
			continue;
		most = &entry->admission;
		n = ports_used(most, space);
	}
	return most;
}

/* What each worker counts by itself */

struct budget *admission_messages(struct admission *admission, size_t worker,
				  struct budget *of_worker)
{
	struct budget *mine = &admission->workers[worker].messages;

	mine->limit_bytes = of_worker->limit_bytes / MESSAGES_PART;
	mine->own_bytes = of_worker->limit_bytes / MESSAGES_OWN_PART;
	mine->within = of_worker;
	return mine;
}

struct admission_waiting *admission_waiting(struct admission *admission,
					    size_t worker)
{
	return &admission->workers[worker].waiting;
}

struct admission_turn *admission_turn(struct admission *admission,
				      size_t worker, uint32_t turn)
{
	struct admission_turn *mine = &admission->workers[worker].turn;

	if (mine->turn != turn)
		*mine = (struct admission_turn){ .turn = turn };
	return mine;
}
