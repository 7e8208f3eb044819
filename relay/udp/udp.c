// SPDX-License-Identifier: Apache-2.0
/* udp.c - what the core calls: the beginning and the end of UDP shares */
#include "relay/udp/udp.h"

#include <netinet/udp.h>
#include <string.h>
#include <linux/sock_diag.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_begin.h"
#include "relay/udp/udp_end.h"
#include "relay/udp/udp_front.h"
#include "relay/udp/udp_listener.h"
#include "relay/udp/udp_to_backend.h"
#include "relay/udp/udp_to_client.h"

/* A namespace that has most of the local ports ends one of so many sessions if
 * the kernel has no port left. */
#define SHED_PART 8

/* Workers */

static struct udp_worker *udp_worker_free(struct udp_worker *udp)
{
	if (!udp)
		return NULL;
	udp_batch_done(&udp->in);
	udp_batch_done(&udp->out);
	free(udp);
	return NULL;
}

static struct udp_worker *udp_worker_new(void)
{
	struct udp_worker *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return NULL;
	if (udp_batch_init(&udp->in) < 0 || udp_batch_init(&udp->out) < 0)
		return udp_worker_free(udp);
	udp_pool_init(&udp->pool, admission_worker_sessions());
	return udp;
}

static void udp_forget(struct worker *worker)
{
	worker->protocol_data[PROTOCOL_UDP] =
		udp_worker_free(udp_worker_of(worker));
}

/* Ends a session of the namespace that has most of the worker's. */
static bool udp_shed(struct worker *worker)
{
	struct udp_worker *udp = udp_worker_of(worker);
	struct udp_session *victim = NULL;

	if (udp)
		victim = udp_pool_greediest(&udp->pool);
	if (!victim)
		return false;
	udp_end_evicted(worker, victim, BERTH_LIMIT_DESCRIPTORS);
	return true;
}

static void udp_shed_netns(struct worker *worker, const struct admission *netns)
{
	struct udp_worker *udp = udp_worker_of(worker);
	struct udp_session *victim;
	size_t n, left;

	if (!udp)
		return;
	victim = udp_pool_of(&udp->pool, netns, &n);
	left = n - (n + SHED_PART - 1) / SHED_PART;
	for (; victim && n > left; victim = udp_pool_of(&udp->pool, netns, &n))
		udp_end_evicted(worker, victim, BERTH_LIMIT_PORTS);
}

/* Shares */

/* Return: how many datagrams the kernel has ever dropped on this socket, which
 * an earlier relay may have had. */
static uint32_t socket_overflow(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

/* The rule it was begun with has changed: its client begins anew. */
static void end_stale(struct worker *worker, struct udp_session *session)
{
	udp_end(worker, session, BERTH_ENDING_RULE_CHANGED);
}

static const struct udp_ask_ops ask_ops = {
	.connect = udp_begin_minted,
	.connected = udp_to_backend_held,
	.refused = udp_end_refused,
	.end = end_stale,
	.begin_anew = udp_listener_begin_anew,
};

static void front_init(struct udp_front *front, struct udp_worker *udp,
		       struct share *share)
{
	int fd = share->listener->fd;
	socklen_t len = sizeof(front->own);

	/* Cannot fail for a socket. */
	(void)getsockname(fd, &front->own.any, &len);
	front->share = share;
	front->udp = udp;
	front->asks.ops = &ask_ops;
	front->asks.share = share;
	front->asks.of_worker = &udp->waiting;
	front->expire.handler = udp_end_idle;
	front->overflow = socket_overflow(fd);
}

static int udp_open(struct worker *worker, struct share *share)
{
	struct udp_worker *udp = udp_worker_of(worker);
	struct udp_front *front;

	if (!udp)
		udp = udp_worker_new();
	if (!udp)
		return -ENOMEM;
	worker->protocol_data[PROTOCOL_UDP] = udp;
	front = calloc(1, sizeof(*front));
	if (!front)
		return -ENOMEM;
	front->table = udp_table_new(&udp->pool, share->listener->netns, front);
	if (!front->table || timers_reserve(&worker->timers) < 0) {
		(void)udp_table_free(front->table);
		free(front);
		return -ENOMEM;
	}
	front_init(front, udp, share);
	share->protocol_data = front;
	return 0;
}

/* Clients ask the relay that takes over from now on. Sessions that were asked
 * something go on here until they are idle: their answers leave by the
 * listening socket, which this relay does not read any more. But a session with
 * its client's address and port keeps the other relay from having one. */
static bool udp_drain(struct worker *worker, struct share *share)
{
	struct udp_front *front = share->protocol_data;

	if (!front || !udp_table_oldest(front->table) ||
	    share->serving->transparent)
		return false;
	timer_set_earlier(&worker->timers, &front->expire, worker->now_us);
	return true;
}

static void udp_close(struct worker *worker, struct share *share)
{
	struct udp_front *front = TAKE_PTR(share->protocol_data);

	if (!front)
		return;
	udp_to_client_flush(worker); /* this share may have answers there */
	udp_end_all(worker, front, share->ending);
	udp_asks_done(worker, &front->asks);
	timers_unreserve(&worker->timers, &front->expire);
	(void)udp_table_free(front->table);
	free(front); /* events point to sessions and shares only */
}

static bool same_backends(const struct serving *a, const struct serving *b)
{
	/* Unset with other actions than `forward`. */
	const char *place_a = a->backend_netns ? a->backend_netns : "";
	const char *place_b = b->backend_netns ? b->backend_netns : "";

	if (a->n_backends != b->n_backends || strcmp(place_a, place_b) != 0 ||
	    a->transparent != b->transparent || a->action != b->action ||
	    !service_sources_equal(a->from, a->n_from, b->from, b->n_from))
		return false;
	for (size_t i = 0; i < a->n_backends; i++) {
		if (strcmp(a->backends[i].text, b->backends[i].text) != 0)
			return false;
	}
	return true;
}

/* Sessions end unless the old and the new rule connect to the same backends in
 * the same way. */
static void udp_changed(struct worker *worker, struct share *share,
			const struct serving *old)
{
	struct udp_front *front = share->protocol_data;
	struct udp_waited *waited;
	bool same;

	if (!front)
		return;
	same = same_backends(old, share->serving);
	/* What clients of sessions that wait have sent, no backend has heard
	 * yet: it is handled under the new rule. */
	waited = udp_asks_take(worker, &front->asks, /* only_stale= */ same);
	if (!same)
		udp_end_all(worker, front, BERTH_ENDING_RULE_CHANGED);
	udp_listener_begin_anew(worker, share, waited);
	/* The idle timeout may be shorter now. */
	if (udp_table_oldest(front->table))
		timer_set_earlier(&worker->timers, &front->expire,
				  worker->now_us);
}

/* Each of these may fail: without them, datagrams are only relayed less well.
 */
static void udp_prepare(int fd)
{
	static const int on = 1, no_df = IP_PMTUDISC_DONT;

	/* Which address a client sent to: one is for the other family. */
	(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	/* How many datagrams the kernel drops, and merged datagrams. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	/* Routers may fragment an answer that is too large for the client's
	 * path. Otherwise they would drop it and send an ICMP error, which
	 * would be the first sign of the path's size and cost that answer. */
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &no_df,
			 sizeof(no_df));
}

const struct relay_protocol udp_protocol = {
	.one_worker = true,
	.gives_up = "dropping datagrams",
	.prepare = udp_prepare,
	.open = udp_open,
	.readable = udp_listener_readable,
	.changed = udp_changed,
	.drain = udp_drain,
	.close = udp_close,
	.flush = udp_to_client_flush,
	.shed = udp_shed,
	.shed_netns = udp_shed_netns,
	.forget = udp_forget,
};
