// SPDX-License-Identifier: Apache-2.0
/* udp.c - datagrams: listening sockets, and what needs no session
 *
 * Theory of operation: a listening socket is read in batches, and what
 * consecutive datagrams of one client are is done with as one run. With
 * `forward` it goes to the client's session (udp_forward.c). The other actions
 * need none: the answer's addresses are the datagram's, turned round.
 *
 * Sockets are level-triggered, and a turn of one listener ends after some
 * batches: the rest is for the next round, so that one which is flooded takes
 * its part and no more.
 */
#include "relay/udp/udp.h"

#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <linux/sock_diag.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/udp/udp_answers.h"
#include "relay/udp/udp_internal.h"
#include "relay/core/worker.h"

/* Batches per event, and bytes, because a datagram may be a merged one; then
 * other sockets have their turn. */
#define BATCHES_PER_EVENT 4
#define BYTES_PER_EVENT (512u * 1024)

/* What a namespace gives of its sessions when it has most of the local ports,
 * and the kernel has none left. */
#define SHED_PART 8

/* Linux's; the C library only has its number under another name. */
#define MSG_PROBE 0x10

/* Buffers */

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

/* The listening socket's own datagrams */

/* Can its kind of socket send from addresses that are not there? */
static bool sends_from_anywhere(int fd)
{
	int freebind = 0, transparent = 0;
	socklen_t len = sizeof(int);

	(void)getsockopt(fd, IPPROTO_IP, IP_FREEBIND, &freebind, &len);
	len = sizeof(int);
	(void)getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &transparent, &len);
	return freebind || transparent;
}

bool udp_front_is_own(const struct udp_front *front, const struct udp_key *key)
{
	struct udp_key forged = *key;
	int fd = front->share->listener->fd;
	union udp_address address;
	union udp_control control;
	struct msghdr header = { .msg_name = &address };

	if (key->port != front->own.in.sin_port)
		return false;
	if (memcmp(key->client, key->local, sizeof(key->client)) == 0)
		return true;
	if (sends_from_anywhere(fd))
		return false;
	/* Asks the kernel, which alone knows, whether it would send from the
	 * client's address; with this flag it does not do it. */
	memcpy(forged.local, key->client, sizeof(forged.local));
	forged.ifindex = key->scope_id;
	header.msg_namelen = udp_key_client(key, &address);
	header.msg_control = &control;
	header.msg_controllen = udp_key_source(&forged, &control);
	return sendmsg(fd, &header, MSG_PROBE | MSG_DONTWAIT) >= 0;
}

void udp_front_answers(const struct worker *worker,
		       const struct udp_front *front, const struct udp_key *key)
{
	if (own_port(PROTOCOL_UDP, ntohs(key->port)))
		udp_answers_note(front->share->listener, key, worker->now_us);
}

/* Counting */

void udp_count_sent(struct worker *worker, struct udp_front *front,
		    const struct udp_outcome *outcome)
{
	struct counters *counters = udp_counters(front);

	if (outcome->sent > 0) {
		counters_add(counters, COUNTER_MESSAGES_OUT, outcome->sent);
		counters_add(counters, COUNTER_BYTES_OUT, outcome->bytes);
	}
	if (outcome->dropped == 0)
		return;
	counters_add(counters, COUNTER_DROPPED, outcome->dropped);
	if (outcome->error != EAGAIN &&
	    worker_may_log(worker, front->share->listener, NULL))
		log_warning_errno(outcome->error,
				  "%s: cannot answer; dropping datagrams",
				  front->share->listener->label);
}

/* Return: the bytes of the batch. */
static uint64_t count_received(struct udp_front *front,
			       const struct udp_batch *in)
{
	struct counters *counters = udp_counters(front);
	uint64_t bytes = 0, cut = 0;

	for (size_t i = 0; i < in->n; i++) {
		bytes += in->iov[i].iov_len;
		cut += in->slots[i].cut;
	}
	counters_add(counters, COUNTER_MESSAGES_IN,
		     udp_batch_datagrams(in, 0, in->n) + cut);
	counters_add(counters, COUNTER_BYTES_IN, bytes);
	if (cut > 0)
		counters_add(counters, COUNTER_DROPPED, cut);
	return bytes;
}

/* Without a session */

/* The rule's text, once for each datagram. */
static void respond_run(struct worker *worker, struct udp_front *front,
			size_t first, size_t end)
{
	const struct serving *serving = front->share->serving;
	const struct udp_key *key = &udp_worker_of(worker)->keys[first];
	struct iovec text = { .iov_base = serving->text,
			      .iov_len = serving->text_len };
	struct udp_each each = { .instead = &text };
	struct udp_outcome outcome = { 0 };
	union udp_address address;
	union udp_control control;

	each.to.msg_name = &address;
	each.to.msg_namelen = udp_key_client(key, &address);
	each.to.msg_controllen = udp_key_source(key, &control);
	if (each.to.msg_controllen > 0)
		each.to.msg_control = &control;
	(void)udp_batch_send_each(&udp_worker_of(worker)->in,
				  front->share->listener->fd, first, end, &each,
				  NULL, &outcome);
	udp_count_sent(worker, front, &outcome);
}

static void echo_send(struct worker *worker, struct udp_front *front)
{
	struct udp_batch *in = &udp_worker_of(worker)->in;
	struct udp_outcome outcome = { 0 };

	(void)udp_batch_send(in, front->share->listener->fd, 0, in->n_messages,
			     NULL, &outcome);
	udp_count_sent(worker, front, &outcome);
}

static void answer_run(struct worker *worker, struct udp_front *front,
		       size_t first, size_t end)
{
	const struct udp_key *key = &udp_worker_of(worker)->keys[first];

	udp_front_answers(worker, front, key);
	if (front->share->serving->action == SERVICE_RESPOND)
		respond_run(worker, front, first, end);
	else
		udp_batch_compose(&udp_worker_of(worker)->in, first, end, key,
				  /* merge= */ true);
}

/* The listening socket */

/* Did another listener answer these, which are of one client? Nobody may answer
 * them. */
static bool front_is_answer(struct worker *worker, struct udp_front *front,
			    size_t first, size_t end)
{
	const struct listener *listener = front->share->listener;
	const struct udp_key *key = &udp_worker_of(worker)->keys[first];

	if (!own_port(PROTOCOL_UDP, ntohs(key->port)) ||
	    !udp_answers_has(listener, key, worker->now_us))
		return false;
	counters_add(udp_counters(front), COUNTER_LOOPED,
		     udp_batch_datagrams(&udp_worker_of(worker)->in, first,
					 end));
	if (worker_may_log(worker, listener, "circle"))
		log_warning("%s: a datagram is the answer of another listener "
			    "of berth's; not answering it",
			    listener->label);
	return true;
}

static void handle_run(struct worker *worker, struct udp_front *front,
		       size_t first, size_t end)
{
	if (front_is_answer(worker, front, first, end))
		return;
	switch (front->share->serving->action) {
	case SERVICE_FORWARD:
		udp_forward(worker, front, first, end);
		break;
	case SERVICE_RESPOND:
	case SERVICE_ECHO:
		answer_run(worker, front, first, end);
		break;
	case SERVICE_DISCARD:
	case SERVICE_HANDOFF:
		break;
	}
}

static void handle_batch(struct worker *worker, struct udp_front *front)
{
	struct udp_worker *udp = udp_worker_of(worker);
	uint32_t overflow = front->overflow;
	size_t first, end;

	for (size_t i = 0; i < udp->in.n; i++)
		udp_key_received(&udp->keys[i], front->own.any.sa_family,
				 &udp->in.received[i].msg_hdr, &overflow);
	if (overflow != front->overflow)
		counters_add(udp_counters(front), COUNTER_DROPPED,
			     overflow - front->overflow);
	front->overflow = overflow;
	for (first = 0; first < udp->in.n; first = end) {
		end = first + 1;
		while (end < udp->in.n &&
		       memcmp(&udp->keys[first], &udp->keys[end],
			      sizeof(udp->keys[first])) == 0)
			end++;
		handle_run(worker, front, first, end);
	}
	if (udp->in.n_messages > 0)
		echo_send(worker, front);
}

static void begin_anew(struct worker *worker, struct udp_front *front,
		       struct udp_waited *waited)
{
	struct udp_worker *udp = udp_worker_of(worker);

	udp_held_load(&waited->held, &udp->in);
	for (size_t i = 0; i < udp->in.n; i++)
		udp->keys[i] = waited->key;
	if (udp->in.n > 0)
		handle_run(worker, front, 0, udp->in.n);
	if (udp->in.n_messages > 0)
		echo_send(worker, front);
	udp_batch_clear(&udp->in);
	if (waited->again)
		udp_ask_again(udp_table_find(front->table, &waited->key));
}

void udp_begin_anew(struct worker *worker, struct udp_front *front,
		    struct udp_waited *waited)
{
	struct udp_waited *next;

	for (; waited; waited = next) {
		next = waited->next;
		begin_anew(worker, front, waited);
		free(waited);
	}
}

static void udp_readable(struct worker *worker, struct pollable *pollable,
			 uint32_t events)
{
	struct share *share = container_of(pollable, struct share, poll);
	struct udp_batch *in = &udp_worker_of(worker)->in;
	uint64_t bytes = 0;
	int n = UDP_BATCH;

	(void)events;
	for (int i = 0;
	     i < BATCHES_PER_EVENT && n == UDP_BATCH &&
	     bytes < BYTES_PER_EVENT && !admit_turn_is_over(worker, share);
	     i++) {
		uint64_t more;

		n = udp_batch_receive(in, share->listener->fd, UDP_BATCH);
		if (n <= 0)
			break;
		more = count_received(share->protocol_data, in);
		admit_bytes(worker, share, more);
		bytes += more;
		handle_batch(worker, share->protocol_data);
		udp_batch_clear(in);
	}
}

/* Ends a session of the namespace that has most of the worker's. */
static bool udp_shed(struct worker *worker)
{
	struct udp_session *victim = NULL;

	if (udp_worker_of(worker))
		victim = udp_pool_greediest(&udp_worker_of(worker)->pool);
	if (!victim)
		return false;
	udp_forward_evict(worker, victim);
	return true;
}

static void udp_shed_netns(struct worker *worker, const struct admission *netns)
{
	struct udp_session *victim;
	size_t n, left;

	if (!udp_worker_of(worker))
		return;
	victim = udp_pool_of(&udp_worker_of(worker)->pool, netns, &n);
	left = n - (n + SHED_PART - 1) / SHED_PART;
	for (; victim && n > left;
	     victim = udp_pool_of(&udp_worker_of(worker)->pool, netns, &n))
		udp_forward_evict(worker, victim);
}

/* Shares */

/* Return: how many datagrams the kernel dropped on this socket so far, which
 * an earlier relay may have had. */
static uint32_t socket_overflow(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

static void front_init(struct udp_front *front, struct share *share)
{
	static const int on = 1, no_df = IP_PMTUDISC_DONT;
	int fd = share->listener->fd;
	socklen_t len = sizeof(front->own);

	/* Cannot fail for a socket. */
	(void)getsockname(fd, &front->own.any, &len);
	front->share = share;
	front->expire.handler = udp_forward_expire;
	front->overflow = socket_overflow(fd);
	/* A kernel that cannot merge or count works without. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	/* Routers may cut an answer that is too large for the client's path,
	 * instead of sending back word of it, which would be the first that is
	 * heard of it and cost that answer. */
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &no_df,
			 sizeof(no_df));
}

static int udp_open(struct worker *worker, struct share *share)
{
	struct udp_front *front;

	if (!udp_worker_of(worker))
		worker->protocol_data[PROTOCOL_UDP] = udp_worker_new();
	if (!udp_worker_of(worker))
		return -ENOMEM;
	front = calloc(1, sizeof(*front));
	if (!front)
		return -ENOMEM;
	front->table = udp_table_new(&udp_worker_of(worker)->pool,
				     share->listener->netns, front);
	if (!front->table || timers_reserve(&worker->timers) < 0) {
		(void)udp_table_free(front->table);
		free(front);
		return -ENOMEM;
	}
	front_init(front, share);
	share->protocol_data = front;
	return 0;
}

static void udp_close(struct worker *worker, struct share *share)
{
	struct udp_front *front = TAKE_PTR(share->protocol_data);

	if (!front)
		return;
	udp_flush(worker); /* answers may be on their way through it */
	udp_forward_end(worker, front);
	udp_asks_end(worker, front);
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
	/* Those that wait have said nothing to anybody yet. */
	waited = udp_asks_take(worker, front, /* only_stale= */ same);
	if (!same)
		udp_forward_end(worker, front);
	udp_begin_anew(worker, front, waited);
	/* The idle timeout may be shorter now. */
	if (udp_table_oldest(front->table))
		timer_set_earlier(&worker->timers, &front->expire,
				  worker->now_us);
}

static void udp_prepare(int fd)
{
	static const int on = 1;

	/* Each fails for the other family. */
	(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

const struct relay_protocol udp_protocol = {
	.one_worker = true,
	.prepare = udp_prepare,
	.open = udp_open,
	.readable = udp_readable,
	.changed = udp_changed,
	.close = udp_close,
	.flush = udp_flush,
	.shed = udp_shed,
	.shed_netns = udp_shed_netns,
	.forget = udp_forget,
};
