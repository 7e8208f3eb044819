// SPDX-License-Identifier: Apache-2.0
/* udp_forward.c - sessions between clients and backends
 *
 * Theory of operation: each pair of a client's address and the local address
 * it spoke to has a session, with a socket of its own that is connected to the
 * backend; so the kernel sorts the backend's answers out, lets nobody else
 * speak into them, and tells of an ICMP error just where it belongs. Backends
 * are taken in turn, by each new session.
 *
 * What an error means is decided in one table, see udp_error.c. A backend that
 * refuses ends the session, and others are preferred to it for a moment. One
 * that cannot be reached does so only if there is another to go to: routes come
 * and go, and a session that stays finds its answers when they are back. A
 * datagram that meets an error which is older than itself is sent again, once,
 * so that a backend which was started again misses nothing.
 *
 * Not every session of a backend that fails is told: routers answer by ICMP
 * once in a second, or not at all. So a session that had no answer since its
 * backend failed another one goes to another backend with its next question.
 *
 * The local address of a session's socket may go while its client goes on. With
 * IPv4 the next question fails, and the session gets a new socket. With IPv6
 * nothing fails; so before a question that comes after some seconds without an
 * answer, the kernel is asked whether the address is there.
 *
 * Answers are not sent by themselves. They are collected in udp_worker.out
 * and leave at the end of the batch of events, those of one listener with one
 * system call, although each has come from another socket. Most sessions have
 * one answer waiting, so that each is asked for one; those that have more are
 * asked for more and more.
 *
 * The PROXY protocol's header stands before the payload of each datagram, not
 * only of a session's first. The specification leaves it open. But servers of
 * datagrams keep no state for each sender, those that know the header (BIND,
 * Knot, PowerDNS, Unbound) look for it in every datagram, and a first one that
 * got lost or came late would leave the others without.
 *
 * A session's socket is sent to from the moment that there is something to
 * send, and never waits: what does not fit is dropped, and counted.
 */
#include <assert.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/backend.h"
#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/core/backend_health.h"
#include "relay/backend/backend_log.h"
#include "relay/core/mint.h"
#include "relay/core/own_sockets.h"
#include "relay/backend/proxy_header.h"
#include "relay/core/serving.h"
#include "relay/udp/udp_internal.h"
#include "relay/udp/udp_socket.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* Sessions ended per turn when many expire together. */
#define EXPIRE_BATCH 256

/* Attempts to get a datagram to a backend: the first may meet an error that is
 * older than the datagram. */
#define SEND_ATTEMPTS 2

/* Older errors that may be met in a row while one run of datagrams is sent. */
#define TOLD_AGAIN_MAX 4

/* A backend that did not refuse for this long takes what it gets, also if it
 * never answers. The kernel gives up ARP and neighbour discovery after three
 * seconds; other errors come much sooner. */
#define SILENT_WORKS_US (4 * USEC_PER_SEC)

/* How long a session is without an answer before a question makes it look for
 * its own address, and how long until it looks again. */
#define ADDRESS_CHECK_US (2 * USEC_PER_SEC)

/* Answers asked for at once grow by this until they are few enough again. */
#define BURST_GROWTH 4

/* The end of a session */

void udp_forward_close(struct worker *worker, struct udp_session *session)
{
	struct udp_front *front = udp_table_owner(session->table);
	uint64_t held = udp_ask_leave(worker, session);

	if (held > 0)
		counters_add(udp_counters(front), COUNTER_DROPPED, held);
	session->poll.handler = NULL;
	session->own = own_socket_free(session->own);
	if (session->fd >= 0)
		(void)close(TAKE_FD(session->fd)); /* nothing can fail */
	udp_give_port(session);
	session->mint = mint_free(worker, session->mint);
	admission_give(front->share->listener->netns, ADMISSION_SESSIONS, 1);
	counters_add(udp_counters(front), COUNTER_ENDED, 1);
	udp_session_remove(session);
	worker_bury(worker, &session->grave);
}

void udp_forward_evict(struct worker *worker, struct udp_session *session)
{
	struct udp_front *front = udp_table_owner(session->table);

	counters_add(udp_counters(front), COUNTER_LIMITED, 1);
	udp_forward_close(worker, session);
}

void udp_forward_end(struct worker *worker, struct udp_front *front)
{
	struct udp_session *session;

	while ((session = udp_table_oldest(front->table)))
		udp_forward_close(worker, session);
	timer_unset(&worker->timers, &front->expire);
}

/* Of two shortages strerror(3) tells nothing. */
static const char *no_session_why(int error)
{
	switch (error) {
	case -EAGAIN:
		return "no local port is left (net.ipv4.ip_local_port_range)";
	case -EDQUOT:
		return "its namespace has its share of the local ports "
		       "(net.ipv4.ip_local_port_range)";
	default:
		return strerror(-error);
	}
}

/* The family of the one that failed is not known here. */
static void sources_fmt(const struct serving *serving, char *buffer,
			size_t size)
{
	char text[BACKEND_SOURCE_TEXT_MAX];
	size_t len = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < serving->n_from && len < size; i++)
		len += (size_t)snprintf(
			buffer + len, size - len, "%s%s", i ? ", " : " from ",
			backend_source_fmt(&serving->from[i], text));
}

static void log_no_session(struct worker *worker, const struct udp_front *front,
			   int error)
{
	const struct serving *serving = front->share->serving;
	const char *place = serving->backend_netns;
	char from[2 * BACKEND_SOURCE_TEXT_MAX];

	if (udp_connect_blames(serving, -error))
		return; /* its own line said so */
	if (!worker_may_log(worker, front->share->listener, NULL))
		return;
	sources_fmt(serving, from, sizeof(from));
	log_warning("%s: no session%s%s%s%s; dropping datagrams: %s",
		    front->share->listener->label,
		    place && place[0] ? " with a backend in '" : "",
		    place ? place : "", place && place[0] ? "'" : "", from,
		    no_session_why(error));
}

void udp_forward_refused(struct worker *worker, struct udp_session *session,
			 int error)
{
	log_no_session(worker, udp_table_owner(session->table), error);
	udp_forward_close(worker, session);
}

void udp_forward_expire(struct timer *timer, void *user_data)
{
	struct udp_front *front = container_of(timer, struct udp_front, expire);
	struct worker *worker = user_data;
	uint64_t idle_us = front->share->serving->idle_timeout_us;
	struct udp_session *oldest;
	int budget = EXPIRE_BATCH;

	while ((oldest = udp_table_oldest(front->table)) &&
	       oldest->active_us + idle_us <= worker->now_us && budget-- > 0)
		udp_forward_close(worker, oldest);
	if (!oldest)
		return;
	/* With work left: a moment later, so that this turn ends. */
	timer_set(&worker->timers, timer,
		  oldest->active_us + idle_us > worker->now_us
			  ? oldest->active_us + idle_us
			  : worker->now_us + 1);
}

static int session_family(const struct udp_session *session)
{
	return udp_serving(session)
		->backends[session->backend]
		.address->sa_family;
}

/* Is there anything to be gained by ending it? */
static bool session_may_leave(const struct worker *worker,
			      const struct udp_session *session,
			      enum udp_verdict verdict)
{
	return verdict == UDP_VERDICT_REFUSED ||
	       backend_has_other(udp_serving(session), session->backend,
				 worker->now_us);
}

static void session_blame(struct worker *worker, struct udp_session *session,
			  int error)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct serving *serving = front->share->serving;

	counters_failed(udp_counters(front), error);
	backend_failed(serving, session->backend, worker->now_us);
	backend_log_failed(worker, front->share->listener, serving,
			   session->backend, strerror(error),
			   backend_has_other(serving, session->backend,
					     worker->now_us)
				   ? "trying the next"
				   : "dropping datagrams");
}

/* Does what @verdict says about @error, but for the datagram. */
static void session_judged(struct worker *worker, struct udp_session *session,
			   enum udp_verdict verdict, int error)
{
	switch (verdict) {
	case UDP_VERDICT_DATAGRAM:
	case UDP_VERDICT_HOST:
	case UDP_VERDICT_ELSEWHERE:
		break;
	case UDP_VERDICT_SOCKET:
		udp_forward_close(worker, session);
		break;
	case UDP_VERDICT_UNREACHABLE:
	case UDP_VERDICT_REFUSED:
		session_blame(worker, session, error);
		if (session_may_leave(worker, session, verdict))
			udp_forward_close(worker, session);
		break;
	}
}

static void session_works(struct worker *worker,
			  const struct udp_session *session)
{
	const struct udp_front *front = udp_table_owner(session->table);

	backend_reached(worker, front->share->listener, front->share->serving,
			session->backend);
}

/* What the socket was told of earlier datagrams. @error: positive, what a
 * system call has returned; 0: none. */
static struct udp_told session_told(const struct udp_session *session,
				    int error)
{
	struct udp_told told = { .n = 0 };

	/* A UNIX socket has no error queue. */
	if (session_family(session) != AF_UNIX)
		told = udp_socket_told(session->fd);
	if (told.n == 0 && error) {
		told.error = error;
		told.verdict = udp_error_verdict(UDP_ORIGIN_TOLD, error);
	}
	return told;
}

/* Answers */

/* More at once for a session that has many waiting, which is then reported in
 * the next turn, too; back to one by one when they get few. */
static void session_adapt(const struct worker *worker,
			  struct udp_session *session, size_t n)
{
	static const int on = 1;
	bool again = session->full_turn + 1 == worker->turn;

	if (n < session->burst) {
		session->burst = n > 1 ? (uint8_t)n : 1;
		return;
	}
	session->full_turn = worker->turn;
	if (!again)
		return;
	if (session->burst * BURST_GROWTH <= UDP_BATCH) {
		session->burst *= BURST_GROWTH;
		return;
	}
	session->burst = UDP_BATCH;
	/* A bulk transfer: the kernel may merge. UNIX sockets cannot; and what
	 * it merges would only be cut again for the client. */
	if (session->merges || session->apart_to_client)
		return;
	(void)setsockopt(session->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	session->merges = true;
}

/* Puts what was received into slots @first and following on its way. */
static void session_answers(struct worker *worker, struct udp_session *session,
			    size_t first)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct udp_worker *udp = udp_worker_of(worker);
	size_t message = udp->out.n_messages;
	size_t bytes = 0;
	uint32_t n = 0;

	for (size_t i = first; i < udp->out.n; i++) {
		n += udp->out.slots[i].cut;
		bytes += udp->out.iov[i].iov_len;
	}
	admit_bytes(worker, front->share, bytes);
	if (n > 0)
		counters_add(udp_counters(front), COUNTER_DROPPED, n);
	udp_front_answers(worker, front, &session->key);
	udp_batch_compose(&udp->out, first, udp->out.n, &session->key,
			  !session->apart_to_client);
	for (; message < udp->out.n_messages; message++)
		udp->receivers[message] = session;
}

static const struct share *session_share(const struct udp_session *session)
{
	const struct udp_front *front = udp_table_owner(session->table);

	return front->share;
}

void udp_forward_handler(struct worker *worker, struct pollable *pollable,
			 uint32_t events)
{
	struct udp_session *session =
		container_of(pollable, struct udp_session, poll);
	struct udp_told told = { .n = 0 };
	struct udp_worker *udp = udp_worker_of(worker);
	size_t first;
	int n;

	if (admit_turn_is_over(worker, session_share(session)))
		return; /* it is reported again */
	if (events & EPOLLERR)
		told = session_told(session, 0);
	if (udp->out.n + session->burst > UDP_BATCH)
		udp_flush(worker);
	first = udp->out.n;
	n = session->burst == 1 && !session->merges
		    ? udp_batch_receive_one(&udp->out, session->fd)
		    : udp_batch_receive(&udp->out, session->fd, session->burst);
	if (n < 0 && n != -EAGAIN && n != -EINTR) {
		/* An error comes before the answers that are older. */
		told = session_told(session, -n);
		n = udp_batch_receive(&udp->out, session->fd, UDP_BATCH);
	}
	if (n > 0) {
		session_works(worker, session);
		udp_session_answered(session, worker->now_us);
		session_adapt(worker, session, (size_t)n);
		session_answers(worker, session, first);
	}
	session_judged(worker, session, told.verdict, told.error);
}

/* The kernel refused to send merged datagrams to some of the clients: from now
 * on theirs are sent one by one. */
static void note_apart(struct udp_worker *udp, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		if (udp->out.messages[i].apart)
			udp->receivers[i]->apart_to_client = true;
	}
}

void udp_flush(struct worker *worker)
{
	struct udp_worker *udp = udp_worker_of(worker);
	size_t first = 0, end;

	if (!udp)
		return;
	for (; first < udp->out.n_messages; first = end) {
		struct udp_outcome outcome = { 0 };
		struct udp_table *table = udp->receivers[first]->table;
		struct udp_front *front = udp_table_owner(table);

		end = first + 1;
		while (end < udp->out.n_messages &&
		       udp->receivers[end]->table == table)
			end++;
		(void)udp_batch_send(&udp->out, front->share->listener->fd,
				     first, end, NULL, &outcome);
		udp_count_sent(worker, front, &outcome);
		if (outcome.unmerged)
			note_apart(udp, first, end);
	}
	udp_batch_clear(&udp->out);
}

/* The beginning of a session */

static bool front_take(const struct udp_front *front)
{
	return admission_take(front->share->listener->netns, ADMISSION_SESSIONS,
			      1);
}

/* Makes room for one more session. Its own namespace gives way when that has
 * its share; only one that has nothing here takes from the one with most, as
 * all traffic together may have too much. Return: false when there is none. */
static bool front_make_room(struct worker *worker, struct udp_front *front)
{
	uint32_t limit = front->share->serving->max_connections;
	struct udp_session *victim;

	while ((victim = udp_table_victim(front->table, limit)))
		udp_forward_evict(worker, victim);
	if (front_take(front))
		return true;
	victim = udp_table_concede(front->table);
	if (!victim && admission_has_room(front->share->listener->netns,
					  ADMISSION_SESSIONS, 1))
		victim = udp_pool_greediest(&udp_worker_of(worker)->pool);
	if (victim) {
		udp_forward_evict(worker, victim);
		if (front_take(front))
			return true;
	}
	counters_add(udp_counters(front), COUNTER_LIMITED, 1);
	return false;
}

/* Return: as own_arrival_hops(). */
static int arrival_hops(const struct udp_front *front,
			const struct udp_key *key)
{
	struct own_arrival arrival;
	struct ip_addr to;

	if (!own_sockets_any(PROTOCOL_UDP))
		return 0;
	udp_key_ends(key, &arrival.from, &to);
	arrival.from_port = ntohs(key->port);
	arrival.to = &to;
	arrival.n_to = to.family == AF_UNSPEC ? 0 : 1;
	return share_arrival_hops(front->share, &arrival);
}

static struct udp_session *session_new(struct worker *worker,
				       struct udp_front *front,
				       const struct udp_key *key)
{
	struct udp_session *session;
	int r = -ENOMEM, hops = arrival_hops(front, key);

	if (hops < 0)
		return NULL;
	if (!udp_ask_may(worker, front)) {
		counters_add(udp_counters(front), COUNTER_LIMITED, 1);
		return NULL;
	}
	if (!front_make_room(worker, front))
		return NULL;
	session = udp_table_add(front->table, key, worker->now_us);
	if (session) {
		session->hops = (uint8_t)hops;
		r = udp_connect(worker, session);
	}
	if (r == 0 || r == -EINPROGRESS) {
		counters_add(udp_counters(front), COUNTER_ACCEPTED, 1);
		timer_set_earlier(
			&worker->timers, &front->expire,
			worker->now_us +
				front->share->serving->idle_timeout_us);
		return session;
	}
	if (session) {
		udp_session_remove(session);
		free(session); /* no event can point to it yet */
	}
	admission_give(front->share->listener->netns, ADMISSION_SESSIONS, 1);
	log_no_session(worker, front, r);
	return NULL;
}

/* Questions */

/* What each datagram to the backend begins with, in udp_worker.header: see
 * the theory of operation. */
static struct iovec front_header(struct worker *worker,
				 const struct udp_front *front,
				 const struct udp_key *key)
{
	const struct serving *serving = front->share->serving;
	struct udp_worker *udp = udp_worker_of(worker);
	union udp_address client, local;
	const struct proxy_info info = {
		.transport = SOCK_DGRAM,
		.src = &client.any,
		.dst = &local.any,
		.netns = serving->netns_name,
		.crc32c = serving->proxy == SERVICE_PROXY_V2_CRC32C,
	};
	size_t len;

	if (serving->proxy == SERVICE_PROXY_NONE)
		return (struct iovec){ .iov_len = 0 };
	(void)udp_key_client(key, &client);
	if (udp_key_local(key, front->own.in.sin_port, &local) == 0)
		local = front->own; /* after a multicast */
	len = proxy_header_v2(&info, udp->header, sizeof(udp->header));
	assert(len > 0);
	return (struct iovec){ .iov_base = udp->header, .iov_len = len };
}

/* Decides what follows an error of sending. */
struct session_judge {
	struct udp_judge judge;
	struct worker *worker;
	struct udp_session *session;
	unsigned int again; /* how often it may still say so */
	enum udp_verdict verdict; /* after UDP_NEXT_STOP */
	int error;
};

/* Of an error of sending itself, or of @told if that is what was met. */
static enum udp_next session_decide(struct udp_judge *self, int error)
{
	struct session_judge *judge =
		container_of(self, struct session_judge, judge);
	struct udp_session *session = judge->session;
	struct udp_told told = { .n = 0 };

	judge->error = error;
	judge->verdict = udp_error_verdict(UDP_ORIGIN_SEND, error);
	if (judge->verdict == UDP_VERDICT_HOST) /* never of an earlier one */
		return UDP_NEXT_DROP;
	if (session_family(session) != AF_UNIX)
		told = udp_socket_told(session->fd);
	if (told.n > 0) {
		judge->error = told.error;
		judge->verdict = told.verdict;
	}
	if (judge->verdict == UDP_VERDICT_UNREACHABLE &&
	    !session_may_leave(judge->worker, session, judge->verdict)) {
		session_blame(judge->worker, session, judge->error);
		judge->verdict = UDP_VERDICT_DATAGRAM;
	}
	if (judge->verdict != UDP_VERDICT_DATAGRAM)
		return UDP_NEXT_STOP;
	if (told.n == 0 || judge->again == 0)
		return UDP_NEXT_DROP;
	judge->again--;
	return UDP_NEXT_AGAIN;
}

/* Sends slots @from to @end - 1. Return: where it stopped; then *@judge says
 * why. */
static size_t session_send(struct session_judge *judge, size_t from, size_t end,
			   const struct iovec *header,
			   struct udp_outcome *outcome)
{
	struct udp_session *session = judge->session;
	const struct udp_each each = {
		.before = header->iov_len > 0 ? header : NULL,
	};
	struct udp_batch *in = &udp_worker_of(judge->worker)->in;
	size_t message, n;

	if (each.before || session->apart_to_backend)
		return udp_batch_send_each(in, session->fd, from, end, &each,
					   &judge->judge, outcome);
	udp_batch_compose(in, from, end, NULL, /* merge= */ true);
	message = udp_batch_send(in, session->fd, 0, in->n_messages,
				 &judge->judge, outcome);
	session->apart_to_backend = outcome->unmerged;
	n = in->n_messages;
	in->n_messages = 0;
	return message < n ? in->messages[message].first : end;
}

static bool session_lost_address(const struct worker *worker,
				 struct udp_session *session)
{
	if (worker->now_us - session->answered_us < ADDRESS_CHECK_US ||
	    worker->now_us - session->checked_us < ADDRESS_CHECK_US ||
	    session_family(session) != AF_INET6)
		return false;
	session->checked_us = worker->now_us;
	return udp_socket_lost_address(session->fd);
}

/* May its socket be sent to? Else it has to make way for a new session. */
static bool session_is_good(const struct worker *worker,
			    struct udp_session *session)
{
	struct serving *serving = udp_serving(session);

	if (session->fd < 0)
		return true; /* it waits for one */
	if (backend_failed_since(serving, session->backend,
				 session->answered_us)) {
		if (backend_has_other(serving, session->backend,
				      worker->now_us))
			return false;
	} else if (worker->now_us - session->began_us > SILENT_WORKS_US) {
		backend_works(serving, session->backend);
	}
	return !session_lost_address(worker, session);
}

static struct udp_session *session_find(struct worker *worker,
					struct udp_front *front,
					const struct udp_key *key)
{
	struct udp_session *session = udp_table_find(front->table, key);

	if (session && !session_is_good(worker, session)) {
		udp_forward_close(worker, session);
		session = NULL;
	}
	if (!session)
		return udp_front_is_own(front, key)
			       ? NULL
			       : session_new(worker, front, key);
	udp_session_asked(session, worker->now_us);
	return session;
}

/* Sends to the client's session as session_send(). Return: where it stopped;
 * *@held: how many of the datagrams wait. */
static size_t forward_once(struct worker *worker, struct udp_front *front,
			   size_t first, size_t end, uint64_t *held,
			   struct udp_outcome *outcome)
{
	const struct udp_key *key = &udp_worker_of(worker)->keys[first];
	const struct iovec header = front_header(worker, front, key);
	struct session_judge judge = {
		.judge.decide = session_decide,
		.worker = worker,
		.session = session_find(worker, front, key),
		.again = TOLD_AGAIN_MAX,
	};

	outcome->stopped = false;
	if (!judge.session)
		return first;
	if (judge.session->ask) {
		*held = udp_ask_hold(worker, judge.session, first, end);
		return first;
	}
	first = session_send(&judge, first, end, &header, outcome);
	if (outcome->stopped)
		session_judged(worker, judge.session, judge.verdict,
			       judge.error);
	return first;
}

void udp_forward(struct worker *worker, struct udp_front *front, size_t first,
		 size_t end)
{
	uint64_t n =
		udp_batch_datagrams(&udp_worker_of(worker)->in, first, end);
	struct udp_outcome outcome = { .stopped = true };
	uint64_t held = 0;

	for (int i = 0; i < SEND_ATTEMPTS && first < end && outcome.stopped;
	     i++)
		first = forward_once(worker, front, first, end, &held,
				     &outcome);
	if (outcome.sent + held < n)
		counters_add(udp_counters(front), COUNTER_DROPPED,
			     n - outcome.sent - held);
}

void udp_forward_held(struct worker *worker, struct udp_session *session,
		      struct udp_held *held)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct udp_batch *in = &udp_worker_of(worker)->in;
	const struct iovec header = front_header(worker, front, &session->key);
	struct session_judge judge = {
		.judge.decide = session_decide,
		.worker = worker,
		.session = session,
		.again = TOLD_AGAIN_MAX,
	};
	struct udp_outcome outcome = { 0 };
	uint64_t n;

	udp_held_load(held, in);
	n = udp_batch_datagrams(in, 0, in->n);
	(void)session_send(&judge, 0, in->n, &header, &outcome);
	udp_batch_clear(in);
	if (outcome.sent < n)
		counters_add(udp_counters(front), COUNTER_DROPPED,
			     n - outcome.sent);
	if (outcome.stopped)
		session_judged(worker, session, judge.verdict, judge.error);
}
