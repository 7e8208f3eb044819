// SPDX-License-Identifier: Apache-2.0
/* failover.c - connecting to one backend after the other
 *
 * Theory of operation: a flow tries its backends in the order of
 * backend_pick(), each once, until connect(2) of one succeeds. For each
 * backend it takes a local port (admission.h), a socket, which berthd makes if
 * it has to be in another namespace or to have the client's address (minted.h),
 * and then connects the socket. flow_ops tells what is a protocol's own.
 *
 * A flow that meets a full backlog of a UNIX socket waits in a queue for that
 * backend; one that finds no local port, and has no other backend left, waits
 * for a port (backend_queue.h). It is tried again in its turn.
 *
 * The rule may change while berthd is asked for a socket. Then the client is
 * served as a new one, by what the rule says now.
 */
#include "relay/backend/failover.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/stand_in.h"
#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/backend/backend_connect.h"
#include "relay/backend/backend_health.h"
#include "relay/backend/backend_log.h"
#include "relay/backend/backend_queue.h"
#include "relay/backend/balance.h"
#include "relay/core/flow.h"
#include "relay/core/listener.h"
#include "relay/core/minted.h"
#include "relay/core/own_sockets.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/target_connect.h"
#include "relay/core/target_health.h"
#include "relay/core/worker.h"

/* Return: does @error say nothing of the backend, because the relay lacks
 * something, or the client is the reason? */
static bool is_own_shortage(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC: /* epoll(7): too many watches */
	case EAGAIN: /* no local port */
	case EADDRNOTAVAIL: /* the same, with an older kernel or SCTP */
	case EAFNOSUPPORT: /* transparent: the client has no such address */
	case EPROTONOSUPPORT: /* no SCTP in this kernel */
		return true;
	default:
		return false;
	}
}

/* No backend is left; the last one failed with @error, a positive errno. */
static enum berth_ending ending_of(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return BERTH_ENDING_CONNECT_TIMEOUT;
	case ENOTCONN: /* see find_client() */
		return BERTH_ENDING_CLIENT_RESET;
	case ESTALE:
		return BERTH_ENDING_RULE_CHANGED;
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return BERTH_ENDING_ERROR;
	default:
		return is_own_shortage(error) ? BERTH_ENDING_LIMIT
					      : BERTH_ENDING_BACKEND_REFUSED;
	}
}

void failover_client(struct upstream *upstream, const struct ip_addr *address)
{
	upstream->client = balance_client(address);
}

void failover_leave(struct upstream *upstream)
{
	upstream->taken = target_leave(upstream->taken);
}

/* A connection counts from here on, not only when it is there: many that come
 * together would all find the same backend to have the fewest. */
bool failover_pick(const struct worker *worker, const struct serving *serving,
		   struct upstream *upstream)
{
	int index;

	failover_leave(upstream);
	index = backend_pick(serving, upstream->client, upstream->tried,
			     worker->now_us);
	if (index < 0)
		return false;
	upstream->index = (uint8_t)index;
	upstream->taken = target_take(serving->backends[index].health);
	return true;
}

bool failover_skip(const struct worker *worker, const struct serving *serving,
		   struct upstream *upstream)
{
	upstream->tried |= UINT64_C(1) << upstream->index;
	return failover_pick(worker, serving, upstream);
}

/* What @error means, in words. For a socket of berthd's, EADDRNOTAVAIL may mean
 * that its address is not there. */
static const char *failover_why(const struct serving_backend *target, int error)
{
	return error == EADDRNOTAVAIL && !target->minted
		       ? "no local port is left, or its namespace has its "
			 "share (net.ipv4.ip_local_port_range)"
		       : strerror(error);
}

bool failover_next(struct worker *worker, struct share *share,
		   struct serving *serving, struct upstream *upstream,
		   int error)
{
	const unsigned int failed = upstream->index;
	bool found;

	counters_failed(share_counters(share), error);
	/* ESTALE says nothing of the backend: the rule has changed. */
	if (error != ESTALE && !is_own_shortage(error))
		backend_failed(serving, upstream->index, error, worker->now_us);
	found = failover_skip(worker, serving, upstream);
	backend_log_failed(worker, share->listener, serving, failed,
			   failover_why(&serving->backends[failed], error),
			   found	   ? "trying the next"
			   : serving->http ? "answering 503 or 504"
					   : share->listener->ops->gives_up);
	return found;
}

/* One backend */

static const struct serving_backend *flow_backend(const struct flow *flow)
{
	return &flow->serving->backends[flow->upstream.index];
}

static bool is_unix(const struct serving_backend *target)
{
	return target->address->sa_family == AF_UNIX;
}

static struct backend_queue_key wait_key(const struct flow *flow)
{
	const struct serving_backend *target = flow_backend(flow);

	return (struct backend_queue_key){
		.id = target->id,
		.netns = is_unix(target)
				 ? 0
				 : (uintptr_t)flow->share->listener->netns,
	};
}

/* May the backend that was picked be connected to now? Takes a local port for
 * that. Return: 0; -EAGAIN: others wait for that UNIX socket; -EADDRNOTAVAIL:
 * others wait for a local port, or the namespace has its share of them. */
static int take_port(const struct worker *worker, struct flow *flow)
{
	const struct serving_backend *target = flow_backend(flow);
	const struct backend_queue_key key = wait_key(flow);
	struct upstream *upstream = &flow->upstream;

	if (!upstream->waiter && backend_queue_exists(worker, &key))
		return is_unix(target) ? -EAGAIN : -EADDRNOTAVAIL;
	if (upstream->ports)
		return 0;
	if (!admission_take_port(flow->share->listener->netns, target->ports,
				 worker->now_us))
		return -EADDRNOTAVAIL;
	upstream->ports = target->ports;
	return 0;
}

static void minted_answered(struct worker *worker, struct minted *minted);

/* The namespace of the backend goes. */
static void minted_gone(struct worker *worker, struct minted *minted)
{
	flow_reset_for(worker, minted->owner, BERTH_ENDING_NETNS_GONE);
}

static const struct minted_ops minted_ops = {
	.answered = minted_answered,
	.gone = minted_gone,
};

/* Finds out whom a socket of berthd's has to stand in for. When the client was
 * gone before it was accepted, the kernel knew no address of it.
 * Return: 0; -ENOTCONN: the client is gone; -errno. */
static int find_client(const struct flow *flow, struct ip_addr *ret_client)
{
	int r = flow->ops->client_address(flow, ret_client);

	if (r < 0)
		return r;
	if (ret_client->family == AF_UNSPEC)
		return -ENOTCONN;
	return stand_in_check(ret_client,
			      flow_backend(flow)->address->sa_family);
}

/* Asks berthd for a socket. Return: -EINPROGRESS; -ENOTCONN: the client is
 * gone; -errno. */
static int ask_for_socket(struct worker *worker, struct flow *flow)
{
	const struct listener *listener = flow->share->listener;
	struct minted_purpose purpose = {
		.id = listener->id,
		.netns_id = listener->netns_id,
		.serving = flow->serving,
		.to = flow->upstream.index,
	};
	int r = 0;

	if (flow->serving->transparent)
		r = find_client(flow, &purpose.client);
	if (r < 0)
		return r;
	flow->upstream.minted =
		minted_request(worker, &purpose, &minted_ops, flow);
	return flow->upstream.minted ? -EINPROGRESS : -ENOMEM;
}

/* Return: a socket for the backend that was picked; -errno, as of
 * ask_for_socket(). */
static int find_socket(struct worker *worker, struct flow *flow)
{
	const struct serving_backend *target = flow_backend(flow);

	if (!target->minted)
		return target_socket(target);
	return flow->upstream.minted ? TAKE_FD(flow->upstream.minted->fd)
				     : ask_for_socket(worker, flow);
}

/* Return: 0; -EINPROGRESS; -EADDRNOTAVAIL whenever the kernel has no local
 * port, which is noted; -errno. */
static int connect_socket(struct flow *flow, int fd)
{
	const struct serving_backend *target = flow_backend(flow);
	struct upstream *upstream = &flow->upstream;
	int r = backend_connect(fd, target, flow->share->listener, upstream);

	if (r == -EAGAIN && !is_unix(target))
		r = -EADDRNOTAVAIL; /* SCTP's word for it */
	if (r == -EADDRNOTAVAIL)
		admission_ports_short(upstream->ports, monotonic_us());
	return r;
}

/* Is berthd asked for a socket, and has it not answered yet? */
static bool is_asked(const struct flow *flow)
{
	return flow->upstream.minted && !flow->upstream.minted->answered;
}

/* Connects to the backend that was picked. Return: 0: connected; -EINPROGRESS,
 * also if berthd was asked for a socket; -EAGAIN: a full backlog;
 * -EADDRNOTAVAIL: no local port; -ENOTCONN: the client is gone; -errno. */
static int try_backend(struct worker *worker, struct flow *flow)
{
	int fd, r = take_port(worker, flow);

	if (r < 0)
		return r;
	fd = find_socket(worker, flow);
	if (fd < 0)
		return fd;
	r = flow->ops->take_socket(worker, flow, fd);
	return r < 0 ? r : connect_socket(flow, fd);
}

/* One after the other */

static void close_socket(struct worker *worker, struct flow *flow, bool reset)
{
	struct upstream *upstream = &flow->upstream;

	upstream->own = own_socket_free(upstream->own);
	flow->ops->close_backend(worker, flow, reset);
	admission_give_port(flow->share->listener->netns, upstream->ports);
	upstream->ports = 0;
	upstream->minted = minted_free(worker, upstream->minted);
}

void failover_close(struct worker *worker, struct flow *flow, bool reset)
{
	backend_queue_leave(worker, &flow->upstream.waiter);
	close_socket(worker, flow, reset);
	failover_leave(&flow->upstream);
}

bool failover_pins(const struct flow *flow)
{
	return flow->upstream.minted && flow->upstream.minted->netns_id;
}

/* No backend is left. */
static void give_up(struct worker *worker, struct flow *flow, int error)
{
	if (flow->ops->unreachable)
		flow->ops->unreachable(worker, flow, ending_of(error));
	else
		flow_reset_for(worker, flow, ending_of(error));
}

static void connect_flow(struct worker *worker, struct flow *flow);

static void retry(struct worker *worker, void *owner)
{
	connect_flow(worker, owner);
}

/* May the backend that was picked take the flow later, if it failed with
 * @error, which is negative? There is always time for the backlog of a UNIX
 * socket; for a local port, if no other backend is left. */
static bool may_wait(const struct flow *flow, int error)
{
	const struct serving_backend *target = flow_backend(flow);
	uint64_t tried = flow->upstream.tried | UINT64_C(1)
							<< flow->upstream.index;

	/* A socket of berthd's is used up by connect(2), and asking for another
	 * one again and again is no way to wait. */
	if (flow->upstream.minted)
		return false;
	if (is_unix(target))
		return error == -EAGAIN;
	return error == -EADDRNOTAVAIL && target->ports != 0 &&
	       backend_all_tried(flow->serving, tried);
}

/* Waits for the backend that was picked if that may help. Return: does it? */
static bool wait_for_backend(struct worker *worker, struct flow *flow,
			     int error)
{
	const struct serving_backend *target = flow_backend(flow);
	const struct backend_queue_key key = wait_key(flow);
	struct share *share = flow->share;
	bool waited = flow->upstream.waiter;

	if (!may_wait(flow, error) ||
	    backend_queue_wait(worker, &key, share->listener->netns, retry,
			       flow, &flow->upstream.waiter) < 0)
		return false;
	if (!waited && !is_unix(target)) {
		counters_limited(share_counters(share), BERTH_LIMIT_PORTS);
		backend_log_failed(worker, share->listener, flow->serving,
				   flow->upstream.index,
				   failover_why(target, -error),
				   "waiting for one");
	}
	close_socket(worker, flow, /* reset= */ true);
	flow_set_state(worker, flow, FLOW_WAITING);
	flow_run(worker, flow);
	return true;
}

/* Gives up the backend that was picked. Return: is there another one? */
static bool next_backend(struct worker *worker, struct flow *flow, int error)
{
	close_socket(worker, flow, /* reset= */ true);
	flow->active_us = worker->now_us;
	return failover_next(worker, flow->share, flow->serving,
			     &flow->upstream, error);
}

/* Tries the backend that was picked, and then the others, until one can be
 * waited for. */
static void connect_flow(struct worker *worker, struct flow *flow)
{
	int r;

	do {
		r = try_backend(worker, flow);
		if (r == 0 || r == -EINPROGRESS) {
			backend_queue_leave(worker, &flow->upstream.waiter);
			if (is_asked(flow))
				failover_await(worker, flow);
			else
				flow->ops->connecting(worker, flow,
						      /* connected= */ r == 0);
			return;
		}
		if (wait_for_backend(worker, flow, r))
			return;
		/* The client is gone. That says nothing of the backend, and
		 * nobody is there to be served by another. */
		if (r == -ENOTCONN)
			break;
	} while (next_backend(worker, flow, -r));
	give_up(worker, flow, -r);
}

static void note_client(struct flow *flow)
{
	struct ip_addr address;

	if (flow->serving->balance != SERVICE_BALANCE_HASH)
		return;
	if (flow->ops->client_address(flow, &address) < 0)
		address = (struct ip_addr){ .family = AF_UNSPEC };
	failover_client(&flow->upstream, &address);
}

static void begin_to_connect(struct worker *worker, struct flow *flow)
{
	flow->upstream.tried = 0;
	note_client(flow);
	(void)failover_pick(worker, flow->serving,
			    &flow->upstream); /* nothing was tried yet */
	connect_flow(worker, flow);
}

void failover_begin(struct worker *worker, struct flow *flow)
{
	flow->active_us = worker->now_us;
	if (flow->serving->action == SERVICE_FORWARD)
		begin_to_connect(worker, flow);
	else
		flow_open(worker, flow);
}

void failover_await(struct worker *worker, struct flow *flow)
{
	flow_set_state(worker, flow, FLOW_CONNECTING);
	flow_run(worker, flow);
}

void failover_reached(struct worker *worker, struct flow *flow)
{
	backend_reached(flow->share->listener, flow->serving,
			flow->upstream.index);
	flow->active_us = worker->now_us;
	flow->ops->connected(flow);
	flow_open(worker, flow);
}

void failover_missed(struct worker *worker, struct flow *flow, int error)
{
	if (next_backend(worker, flow, error))
		connect_flow(worker, flow);
	else
		give_up(worker, flow, error);
}

void failover_timeout(struct worker *worker, struct flow *flow)
{
	backend_queue_leave(worker, &flow->upstream.waiter);
	failover_missed(worker, flow, ETIMEDOUT);
}

/* Return: what connect(2) failed with, a positive errno; 0: it did not. */
static int connect_error(int fd, uint32_t events)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

void failover_handle(struct worker *worker, struct flow *flow, const int *fd,
		     uint32_t events)
{
	int error;

	if (flow->state != FLOW_CONNECTING) {
		flow_handle(worker, flow, fd, events,
			    BERTH_ENDING_BACKEND_RESET);
		return;
	}
	/* An association that is refused reports EPOLLERR alone. */
	error = connect_error(*fd, events);
	if (error)
		failover_missed(worker, flow, error);
	else if (events & EPOLLOUT)
		failover_reached(worker, flow);
}

/* Berthd's answer */

/* The rule changed while the request was on its way: the client is served as
 * the rule says now. Return: does it say something else? */
static bool renew(struct worker *worker, struct flow *flow)
{
	struct serving *old = flow->serving;
	struct serving *newest = share_newest_serving(flow->share);
	int r = 0;

	if (newest == old) {
		(void)serving_unref(newest);
		return false;
	}
	close_socket(worker, flow, /* reset= */ true);
	failover_leave(&flow->upstream);
	flow->serving = newest;
	if (flow->ops->renewed)
		r = flow->ops->renewed(worker, flow, old);
	(void)serving_unref(old);
	if (r == 0 && newest->action != SERVICE_FORWARD)
		flow_give_fd(flow); /* the backend's */
	if (r == 0)
		failover_begin(worker, flow);
	else
		flow_reset(worker, flow);
	return true;
}

static void minted_answered(struct worker *worker, struct minted *minted)
{
	struct flow *flow = minted->owner;

	if (minted->error == ESTALE && renew(worker, flow))
		return;
	if (minted->fd >= 0)
		connect_flow(worker, flow);
	else
		failover_missed(worker, flow, minted->error);
}
