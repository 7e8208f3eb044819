// SPDX-License-Identifier: Apache-2.0
/* limits.c - how many descriptors connections and sessions may take
 *
 * Theory of operation: the descriptor table is shared by listeners, which must
 * always find room, and by traffic, which strangers create. So traffic stops
 * short of the end: it never takes the reserve that is kept for listeners to
 * come. Only when listeners fill nearly all, traffic keeps a small part,
 * without which they would be of no use. Two atomic counters, touched when a
 * connection or a listener begins and ends.
 */
#include "relay/limits.h"

#include <stdatomic.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/util.h"

/* Kept for listeners: a quarter of the table, at most this many. */
#define RESERVE_MAX 4096

/* One listener's share of the table when its rule says nothing: an eighth of
 * its descriptors, which are a quarter of its connections, so that one flooded
 * listener leaves room for others; and a number that the memory of a small
 * machine can bear with full buffers. */
#define LISTENER_CONNECTIONS_MAX 10000

/* One namespace's share of the table, over its listeners and whatever their
 * rules say: more than one listener gets by default, so that a single service
 * has room, and never so much that the others have none. */
#define NETNS_PART 2

/* Without a limit of the system's own: what a host can be expected to hold. */
#define NOFILE_MAX (1u << 20)

/* What is left to traffic in any case: a sixteenth of the table. */
#define TRAFFIC_MIN_PART 16

static _Atomic int64_t traffic;
static _Atomic int64_t listeners;

/* Constant once threads run. */
static int64_t traffic_limit; /* without listeners */
static int64_t traffic_min;
static uint32_t listener_connections;
static uint32_t netns_fds;
static size_t worker_sessions;

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

int limits_init(size_t fixed, size_t n_workers)
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
	netns_fds = (uint32_t)(traffic_limit / NETNS_PART + 1);
	worker_sessions = (size_t)traffic_limit / 2 / n_workers + 1;
	return 0;
}

bool limits_take(unsigned int n)
{
	int64_t limit = traffic_limit -
			atomic_load_explicit(&listeners, memory_order_relaxed);
	int64_t before =
		atomic_fetch_add_explicit(&traffic, n, memory_order_relaxed);

	if (before + n <= (limit < traffic_min ? traffic_min : limit))
		return true;
	limits_give(n);
	return false;
}

void limits_give(unsigned int n)
{
	atomic_fetch_sub_explicit(&traffic, n, memory_order_relaxed);
}

void limits_listener(int change)
{
	atomic_fetch_add_explicit(&listeners, change, memory_order_relaxed);
}

uint32_t limits_listener_connections(void)
{
	return listener_connections;
}

uint32_t limits_netns_fds(void)
{
	return netns_fds;
}

size_t limits_worker_sessions(void)
{
	return worker_sessions;
}
