// SPDX-License-Identifier: Apache-2.0
/* accept.c - accepts connections and associations from a listening socket
 *
 * Theory of operation: room for a client is taken before accept4(2), see
 * admit.c, so that workers that accept from one listener at a time cannot
 * exceed a limit.
 *
 * A listener that cannot accept (no descriptor, no memory, a limit reached) is
 * parked: out of the epoll set, so that it does not spin, until a connection
 * ends or a moment passed. Clients wait in its backlog meanwhile.
 */
#include "relay/core/accept.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/core/handover.h"
#include "relay/core/protocol.h"
#include "relay/core/share.h"
#include "relay/core/spread.h"
#include "relay/core/worker.h"

/* Clients of one listener that one event accepts: enough to be cheap, few
 * enough that the next listener does not wait long. One, if it was not reported
 * in this many turns in a row. */
#define ACCEPT_BATCH 16
#define ACCEPT_TURNS 4

/* Clients that wait when another relay takes over: no backlog is longer than
 * net.core.somaxconn, 4096 by default. */
#define ACCEPT_REST_MAX 4096

/* The kernel reports a listener again while clients wait, and an accept4(2)
 * that finds nobody is to be spared. So one client is accepted; more only if
 * the listener is reported turn after turn without being found empty. */
static unsigned int accept_batch(struct worker *worker, struct share *share)
{
	if (share->accept_turn + 1 != worker->turn)
		share->n_accept_turns = 0;
	else if (share->n_accept_turns < ACCEPT_BATCH)
		share->n_accept_turns++;
	share->accept_turn = worker->turn;
	return share->n_accept_turns < ACCEPT_TURNS ? 1 : share->n_accept_turns;
}

/* Return: true when the next accept may succeed. */
static bool accept_failed(struct worker *worker, struct share *share, int error)
{

	switch (error) {
	case EAGAIN:
		return false;
	case EINTR:
	case ECONNABORTED:
	case EPERM: /* a firewall rule */
		return true;
	/* Errors of the new connection's network, see accept(2). */
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return true;
	default:
		if (worker_may_log(worker, share->listener, NULL))
			(void)log_print_about_errno(
				LOG_LEVEL_WARNING, &share->listener->about,
				error, "%s: cannot accept; retrying",
				share->listener->label);
		share_park(worker, share);
		return false;
	}
}

/* Return: does another worker serve it? */
static bool hand_over(const struct worker *worker, const struct share *share,
		      int fd, const struct sockaddr_storage *from)
{
	struct share *other = spread_other(share, worker->now_us);

	return other && handover_give(other, fd, admit_fds(share), from) == 0;
}

/* There is room for one more client, which is taken.
 * @from:	filled; AF_UNSPEC if the client is gone again
 * Return: its socket, non-blocking; -errno, and the room is given back. */
static int accept_one(struct share *share, struct sockaddr_storage *from)
{
	socklen_t len = sizeof(*from);
	int fd;

	from->ss_family = AF_UNSPEC;
	fd = accept4(share->listener->fd, (struct sockaddr *)from, &len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		return fd;
	fd = -errno;
	admit_give(share, admit_fds(share));
	return fd;
}

static void serve(struct worker *worker, struct share *share, int fd,
		  const struct sockaddr_storage *from)
{
	share->useful = true;
	if (!hand_over(worker, share, fd, from))
		share_serve(worker, share, fd, from);
}

void accept_readable(struct worker *worker, struct pollable *pollable,
		     uint32_t events)
{
	struct share *share = container_of(pollable, struct share, poll);
	struct admission_turn *turn = admit_turn(worker, share);
	unsigned int n = accept_batch(worker, share);
	struct sockaddr_storage from;
	enum berth_limit met;
	int fd;

	(void)events;
	if (spread_pass(share, worker->now_us))
		return;
	for (; n > 0 && turn->n_accepts < ADMISSION_TURN_ACCEPTS; n--) {
		if (!admit_take(share, &met)) {
			share_limited(share, met);
			share_park(worker, share);
			return;
		}
		turn->n_accepts++;
		fd = accept_one(share, &from);
		if (fd >= 0) {
			serve(worker, share, fd, &from);
			continue;
		}
		share->n_accept_turns = 0;
		if (!accept_failed(worker, share, -fd))
			return;
	}
}

bool accept_rest(struct worker *worker, struct share *share)
{
	struct sockaddr_storage from;
	int fd;

	for (int i = 0; i < ACCEPT_REST_MAX && admit_take(share, NULL); i++) {
		fd = accept_one(share, &from);
		if (fd >= 0)
			serve(worker, share, fd, &from);
		else if (!accept_failed(worker, share, -fd))
			break;
	}
	return false;
}
