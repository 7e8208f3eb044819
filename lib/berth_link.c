// SPDX-License-Identifier: Apache-2.0
/* berth_link.c - libberth: the connection to berthd, and the timer
 *
 * The program polls one epoll descriptor. In it are the connection, which comes
 * and goes, and a timer, for what is to be done without a message.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/berth_internal.h"

#define MS_PER_S 1000
#define NS_PER_MS 1000000

/* Between two attempts: a share of the time that berthd is away, so that a
 * restart is noticed at once and a long absence costs little; and well below
 * the second that a berthd waits which was just started. */
#define RETRY_SHARE 16
#define RETRY_MIN_MS 10
#define RETRY_MAX_MS 250

uint64_t berth_link_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* valid arguments */
	return (uint64_t)now.tv_sec * MS_PER_S +
	       (uint64_t)now.tv_nsec / NS_PER_MS;
}

void berth_link_watch(struct berth *berth, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (berth->conn_fd < 0 || berth->events == events)
		return;
	/* It is in the set, and changing it takes no memory. */
	(void)epoll_ctl(berth->fd, EPOLL_CTL_MOD, berth->conn_fd, &event);
	berth->events = events;
}

/* When is berth_receive() to be called, at the latest? */
static uint64_t next_ms(const struct berth *berth)
{
	uint64_t next = berth->orphan_ms;

	if (berth->yield_held || berth->yield_netns ||
	    (berth->taken_over && berth->n_held == 0))
		return 0;
	if (berth->drain_ms < next)
		next = berth->drain_ms;
	if ((berth->link == LINK_AWAY ||
	     (berth->link == LINK_HANDING && berth->paused)) &&
	    berth->attempt_ms < next)
		next = berth->attempt_ms;
	return next;
}

void berth_link_set_timer(struct berth *berth)
{
	struct itimerspec at = { .it_value.tv_sec = 0 };
	uint64_t next = next_ms(berth);

	if (next == berth->timer_ms)
		return;
	berth->timer_ms = next;
	if (next != BERTH_NEVER_MS) {
		at.it_value.tv_sec = (time_t)(next / MS_PER_S);
		at.it_value.tv_nsec = (long)(next % MS_PER_S * NS_PER_MS);
		if (next == 0)
			at.it_value.tv_nsec = 1; /* 0 would be no time */
	}
	(void)timerfd_settime(berth->timer_fd, TFD_TIMER_ABSTIME, &at,
			      NULL); /* valid arguments */
}

static uint64_t retry_ms(const struct berth *berth, uint64_t now_ms)
{
	uint64_t wait_ms = (now_ms - berth->lost_ms) / RETRY_SHARE;

	if (wait_ms < RETRY_MIN_MS)
		return RETRY_MIN_MS;
	return wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
}

void berth_link_schedule(struct berth *berth)
{
	uint64_t now_ms = berth_link_now_ms();
	uint64_t at_ms = berth->last_attempt_ms + retry_ms(berth, now_ms);

	berth->attempt_ms = at_ms > now_ms ? at_ms : now_ms;
}

int berth_link_greet(struct berth *berth, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int r;

	berth->n_promised = berth_held_count(berth);
	berth->hands_back = berth->held || berth->netns || berth->requests;
	r = berth_say_hello(berth, fd);
	if (r < 0)
		return r;
	if (epoll_ctl(berth->fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	berth->conn_fd = fd;
	berth->events = event.events;
	berth->link = LINK_GREETING;
	return 0;
}

int berth_link_attempt(struct berth *berth)
{
	const struct sockaddr *address =
		(const struct sockaddr *)&berth->address;
	int fd, r = 0;

	berth->last_attempt_ms = berth_link_now_ms();
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		r = -errno;
	else if (connect(fd, address, sizeof(berth->address)) < 0)
		r = -errno;
	if (r == 0)
		r = berth_link_greet(berth, fd);
	if (r == 0)
		return 0;
	errno = -r;
	(void)snprintf(berth->problem, sizeof(berth->problem),
		       "cannot connect to %s: %m", berth->address.sun_path);
	if (fd >= 0)
		(void)close(fd); /* nothing was exchanged that can be lost */
	return r;
}

void berth_link_lost(struct berth *berth, const char *problem)
{
	(void)snprintf(berth->problem, sizeof(berth->problem), "%s",
		       problem); /* cut when it is absurdly long */
	berth->link = LINK_OVER;
	/* So the descriptor stays readable, whoever ended the connection. */
	(void)shutdown(berth->conn_fd, SHUT_RDWR); /* it may be done already */
	berth_link_watch(berth, EPOLLIN);
	if (berth->lost_ms == 0) {
		berth->lost_ms = berth_link_now_ms();
		berth->orphan_ms = berth->lost_ms + berth->orphan_timeout_ms;
	}
	berth_held_lost(berth);
	berth_netns_lost(berth);
	berth->hand_held = NULL;
	berth->hand_netns = NULL;
	berth->hand_request = NULL;
	berth->stats_void = true;
	berth->answer_len = 0;
	berth->part_open = false;
}
