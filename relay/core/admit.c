// SPDX-License-Identifier: Apache-2.0
/* admit.c - which clients of connections and associations are let in, and when
 *
 * Theory of operation: three limits hold for each: the descriptors of all
 * traffic, those of its namespace, and the listener's own number. Room is taken
 * before accept4(2), so that workers who accept from one listener at a time
 * cannot exceed them.
 *
 * A stream listener that cannot accept (no descriptor, no memory, a limit
 * reached) is parked: out of the epoll set, so that it does not spin, until one
 * of our connections ends or a moment passed. Clients wait in its backlog
 * meanwhile.
 */
#include "relay/core/admit.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/log.h"
#include "relay/core/admission.h"
#include "relay/core/handover.h"
#include "relay/core/listener.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/spread.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* Clients per listener and event: enough to be cheap, few enough that the next
 * listener does not wait long. More than one from so many turns on. */
#define ACCEPT_BATCH 16
#define ACCEPT_TURNS 4

unsigned int admit_fds(const struct share *share)
{
	unsigned int backend = share->serving->action == SERVICE_FORWARD;

	return share->listener->ops->client_fds + backend;
}

bool admit_take(struct share *share)
{
	struct listener *listener = share->listener;

	return admission_take_client(listener->netns, &listener->n_conns,
				     share->serving->max_connections,
				     admit_fds(share));
}

void admit_give_fds(struct share *share, unsigned int n_fds)
{
	admission_give(share->listener->netns, ADMISSION_DESCRIPTORS, n_fds);
}

void admit_give(struct share *share, unsigned int n_fds)
{
	struct listener *listener = share->listener;

	admission_give_client(listener->netns, &listener->n_conns, n_fds);
}

static struct admission_turn *share_turn(const struct worker *worker,
					 const struct share *share)
{
	return admission_turn(share->listener->netns, worker->index,
			      worker->turn);
}

void admit_bytes(const struct worker *worker, const struct share *share,
		 size_t n)
{
	share_turn(worker, share)->n_bytes += (uint32_t)n;
}

bool admit_turn_is_over(const struct worker *worker, const struct share *share)
{
	return share_turn(worker, share)->n_bytes >= ADMISSION_TURN_BYTES;
}

/* The listener is reported again while more wait, and an accept4(2) too much is
 * to be spared: so one, and more when it is reported turn after turn without
 * being found empty. */
static unsigned int accept_batch(struct worker *worker, struct share *share)
{
	if (share->accept_turn + 1 != worker->turn)
		share->n_accept_turns = 0;
	else if (share->n_accept_turns < ACCEPT_BATCH)
		share->n_accept_turns++;
	share->accept_turn = worker->turn;
	return share->n_accept_turns < ACCEPT_TURNS ? 1 : share->n_accept_turns;
}

void admit_begin(struct worker *worker, struct share *share,
		 struct admit_turn *turn)
{
	turn->n = accept_batch(worker, share);
	turn->netns = share_turn(worker, share);
	if (spread_pass(share, worker->now_us))
		turn->n = 0;
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
			log_warning_errno(error, "%s: cannot accept; retrying",
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

int admit_next(struct worker *worker, struct share *share,
	       struct admit_turn *turn, struct sockaddr_storage *ret_from)
{
	struct sockaddr *from = (struct sockaddr *)ret_from;
	socklen_t len;
	int fd, error;

	for (; turn->n > 0 && turn->netns->n_accepts < ADMISSION_TURN_ACCEPTS;
	     turn->n--) {
		if (!admit_take(share)) {
			share_limited(share);
			share_park(worker, share);
			return -1;
		}
		turn->netns->n_accepts++;
		len = sizeof(*ret_from);
		from->sa_family = AF_UNSPEC; /* if it is gone again */
		fd = accept4(share->listener->fd, from, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			share->useful = true;
			if (hand_over(worker, share, fd, ret_from))
				continue;
			turn->n--;
			return fd;
		}
		error = errno;
		share->n_accept_turns = 0;
		admit_give(share, admit_fds(share));
		if (!accept_failed(worker, share, error))
			return -1;
	}
	return -1;
}
