// SPDX-License-Identifier: Apache-2.0
/* udp_forward.c - sessions between clients and backends
 *
 * Theory of operation: each pair of a client's address and the local address
 * it spoke to has a session, with a socket of its own that is connected to the
 * backend; so the kernel sorts the backend's answers out, lets nobody else
 * speak into them, and tells of an ICMP error just where it belongs. Backends
 * are taken in turn, by each new session.
 *
 * A backend that fails ends the session, and others are preferred to it for a
 * moment. Failing is what connect(2) or sending says at once, such as a UNIX
 * socket that is not there, and what ICMP says of an earlier datagram: the port
 * is closed, and the error waits for the next system call. A datagram that
 * meets it there is sent again by a new session, once, so that a backend which
 * was started again misses nothing.
 *
 * Answers are not sent by themselves. They are collected in worker.udp->out
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

#include "common/util.h"
#include "relay/admission.h"
#include "relay/backend_health.h"
#include "relay/mint.h"
#include "relay/proxy_header.h"
#include "relay/serving.h"
#include "relay/udp.h"
#include "relay/udp_internal.h"
#include "relay/worker.h"

/* Sessions ended per turn when many expire together. */
#define EXPIRE_BATCH 256

/* Attempts to get a datagram to a backend: the first may meet an error that is
 * older than the datagram. */
#define SEND_ATTEMPTS 2

/* A backend that did not refuse for this long takes what it gets, also if it
 * never answers. ICMP errors come within milliseconds. */
#define SILENT_WORKS_US (200 * USEC_PER_MSEC)

/* Answers asked for at once grow by this until they are few enough again. */
#define BURST_GROWTH 4

/* Is it the backend's failure, not this datagram's or our own shortage? */
static bool is_backend_failure(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EPROTO:
		return true;
	default:
		return false;
	}
}

/* The end of a session */

void udp_forward_close(struct worker *worker, struct udp_session *session)
{
	struct udp_front *front = udp_table_owner(session->table);
	uint64_t held = udp_ask_leave(worker, session);

	if (held > 0)
		counters_add(udp_counters(front), COUNTER_DROPPED, held);
	session->poll.handler = NULL;
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

static void log_no_session(struct worker *worker, const struct udp_front *front,
			   int error)
{
	const char *place = front->share->serving->backend_netns;

	if (log_ratelimit_ok(&worker->log_limit))
		log_warning("%s: no session%s%s%s; dropping datagrams: %s",
			    front->share->listener->label,
			    place && place[0] ? " with a backend in '" : "",
			    place ? place : "", place && place[0] ? "'" : "",
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

static void session_failed(struct worker *worker, struct udp_session *session,
			   int error)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct serving *serving = front->share->serving;

	counters_failed(udp_counters(front), error);
	backend_failed(serving, session->backend, worker->now_us);
	log_debug("%s: backend '%s': %s; ending a session",
		  front->share->listener->label,
		  serving->backends[session->backend].text, strerror(error));
	udp_forward_close(worker, session);
}

static void session_works(const struct udp_session *session)
{
	struct udp_front *front = udp_table_owner(session->table);

	backend_works(front->share->serving, session->backend);
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
	if (session->merges)
		return;
	/* A bulk transfer: the kernel may merge. UNIX sockets cannot. */
	(void)setsockopt(session->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	session->merges = true;
}

/* Puts what was received into slots @first and following on its way. */
static void session_answers(struct worker *worker, struct udp_session *session,
			    size_t first)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct udp_worker *udp = worker->udp;
	size_t message = udp->out.n_messages;
	uint32_t n = 0;

	for (size_t i = first; i < udp->out.n; i++)
		n += udp->out.slots[i].cut;
	if (n > 0)
		counters_add(udp_counters(front), COUNTER_DROPPED, n);
	udp_batch_compose(&udp->out, first, udp->out.n, &session->key,
			  !session->apart_client);
	for (; message < udp->out.n_messages; message++)
		udp->fronts[message] = front;
}

void udp_forward_handler(struct worker *worker, struct pollable *pollable,
			 uint32_t events)
{
	struct udp_session *session =
		container_of(pollable, struct udp_session, poll);
	struct udp_worker *udp = worker->udp;
	size_t first;
	int n, error = 0;

	(void)events;
	if (udp->out.n + session->burst > UDP_BATCH)
		udp_flush(worker);
	first = udp->out.n;
	n = session->burst == 1 && !session->merges
		    ? udp_batch_receive_one(&udp->out, session->fd)
		    : udp_batch_receive(&udp->out, session->fd, session->burst);
	if (n < 0 && n != -EAGAIN && n != -EINTR) {
		/* An error comes before the answers that are older. */
		error = -n;
		n = udp_batch_receive(&udp->out, session->fd, UDP_BATCH);
	}
	if (n > 0) {
		session_works(session);
		udp_session_answered(session, worker->now_us);
		session_adapt(worker, session, (size_t)n);
		session_answers(worker, session, first);
	}
	if (error)
		session_failed(worker, session, error);
}

void udp_flush(struct worker *worker)
{
	struct udp_worker *udp = worker->udp;
	size_t first = 0, end;

	for (; first < udp->out.n_messages; first = end) {
		struct udp_outcome outcome = { 0 };
		struct udp_front *front = udp->fronts[first];

		end = first + 1;
		while (end < udp->out.n_messages && udp->fronts[end] == front)
			end++;
		(void)udp_batch_send(&udp->out, front->share->listener->fd,
				     first, end, NULL, &outcome);
		udp_count_sent(worker, front, &outcome);
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
		victim = udp_pool_greediest(&worker->udp->pool);
	if (victim) {
		udp_forward_evict(worker, victim);
		if (front_take(front))
			return true;
	}
	counters_add(udp_counters(front), COUNTER_LIMITED, 1);
	return false;
}

static struct udp_session *session_new(struct worker *worker,
				       struct udp_front *front,
				       const struct udp_key *key)
{
	struct udp_session *session;
	int r = -ENOMEM;

	if (!udp_ask_may(worker, front)) {
		counters_add(udp_counters(front), COUNTER_LIMITED, 1);
		return NULL;
	}
	if (!front_make_room(worker, front))
		return NULL;
	session = udp_table_add(front->table, key, worker->now_us);
	if (session)
		r = udp_connect(worker, session);
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

/* What each datagram to the backend begins with, in worker.udp->header: see
 * the theory of operation. */
static struct iovec front_header(struct worker *worker,
				 const struct udp_front *front,
				 const struct udp_key *key)
{
	const struct serving *serving = front->share->serving;
	struct udp_worker *udp = worker->udp;
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

/* Sends slots @from to @end - 1. Return: where it stopped. */
static size_t session_send(struct worker *worker, struct udp_session *session,
			   size_t from, size_t end, const struct iovec *header,
			   struct udp_outcome *outcome)
{
	const struct udp_each each = {
		.before = header->iov_len > 0 ? header : NULL,
	};
	struct udp_batch *in = &worker->udp->in;
	size_t message, n;

	if (each.before || session->apart)
		return udp_batch_send_each(in, session->fd, from, end, &each,
					   is_backend_failure, outcome);
	udp_batch_compose(in, from, end, NULL, /* merge= */ true);
	message = udp_batch_send(in, session->fd, 0, in->n_messages,
				 is_backend_failure, outcome);
	session->apart = outcome->unmerged;
	n = in->n_messages;
	in->n_messages = 0;
	return message < n ? in->messages[message].first : end;
}

static struct udp_session *session_find(struct worker *worker,
					struct udp_front *front,
					const struct udp_key *key)
{
	struct udp_session *session = udp_table_find(front->table, key);

	if (!session)
		return udp_front_is_own(front, key)
			       ? NULL
			       : session_new(worker, front, key);
	udp_session_asked(session, worker->now_us);
	if (session->fd >= 0 &&
	    worker->now_us - session->began_us > SILENT_WORKS_US)
		session_works(session);
	return session;
}

void udp_forward(struct worker *worker, struct udp_front *front, size_t first,
		 size_t end)
{
	const struct udp_key *key = &worker->udp->keys[first];
	const struct iovec header = front_header(worker, front, key);
	uint64_t n = udp_batch_datagrams(&worker->udp->in, first, end);
	struct udp_outcome outcome = { 0 };
	struct udp_session *session;
	uint64_t held = 0;

	for (int i = 0; i < SEND_ATTEMPTS && first < end; i++) {
		session = session_find(worker, front, key);
		if (!session)
			break;
		if (session->ask) {
			held = udp_ask_hold(worker, session, first, end);
			break;
		}
		outcome.error = 0;
		first = session_send(worker, session, first, end, &header,
				     &outcome);
		if (!is_backend_failure(outcome.error))
			break;
		session_failed(worker, session, outcome.error);
	}
	if (outcome.sent + held < n)
		counters_add(udp_counters(front), COUNTER_DROPPED,
			     n - outcome.sent - held);
}

void udp_forward_held(struct worker *worker, struct udp_session *session,
		      struct udp_held *held)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct udp_batch *in = &worker->udp->in;
	const struct iovec header = front_header(worker, front, &session->key);
	struct udp_outcome outcome = { 0 };
	uint64_t n;

	udp_held_load(held, in);
	n = udp_batch_datagrams(in, 0, in->n);
	(void)session_send(worker, session, 0, in->n, &header, &outcome);
	udp_batch_clear(in);
	if (outcome.sent < n)
		counters_add(udp_counters(front), COUNTER_DROPPED,
			     n - outcome.sent);
	if (is_backend_failure(outcome.error))
		session_failed(worker, session, outcome.error);
}
