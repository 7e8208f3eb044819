// SPDX-License-Identifier: Apache-2.0
/* udp_to_backend.c - from clients to backends: datagrams of a client go to its
 * session
 *
 * Theory of operation: a session's socket is sent to as soon as there is
 * something to send, and nothing waits for room: what does not fit is dropped,
 * and counted. If sending meets an error that is about an earlier datagram, the
 * datagram is sent again, once, so that a backend which was started again
 * misses nothing.
 *
 * Not every session of a backend that fails is told of it: routers send an ICMP
 * error once in a second, or not at all. So if a session had no answer since
 * its backend failed another session, its next datagram goes to another
 * backend, in a new session.
 *
 * The host may lose the local address of a session's socket. With IPv4 the next
 * datagram meets an error then, and the client gets a new session. With IPv6
 * nothing fails. So if a session had no answer for some seconds, the kernel is
 * asked whether the address is there before a datagram is sent.
 *
 * The PROXY protocol's header stands before the payload of each datagram, not
 * only of a session's first. The specification leaves that open. But servers of
 * datagrams keep no state for each sender: those that know the header (BIND,
 * Knot, PowerDNS, Unbound) look for it in every datagram. If only the first one
 * had it and got lost or came late, the others would be without.
 */
#include "relay/udp/udp_to_backend.h"

#include <assert.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/backend/proxy_header.h"
#include "relay/backend/backend_health.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_begin.h"
#include "relay/udp/udp_end.h"
#include "relay/udp/udp_front.h"

/* Sessions that are tried for a datagram: the first may meet an error that is
 * older than the datagram, and end. */
#define SEND_ATTEMPTS 2

/* Older errors that may be met in a row while one run of datagrams is sent. */
#define TOLD_AGAIN_MAX 4

/* A backend that did not refuse datagrams for this long is taken to work, even
 * if it never answers. The kernel gives up ARP and neighbour discovery after
 * three seconds; other errors come much sooner. */
#define SILENT_WORKS_US (4 * USEC_PER_SEC)

/* How long a session is without an answer before a datagram has it look for its
 * own address, and how long until it looks again. */
#define ADDRESS_CHECK_US (2 * USEC_PER_SEC)

/* Sending */

/* Return: what each datagram to the backend begins with, in udp_worker.header:
 * the PROXY protocol's header, or nothing. */
static struct iovec front_header(const struct udp_front *front,
				 const struct udp_key *key)
{
	const struct serving *serving = front->share->serving;
	struct udp_worker *udp = front->udp;
	union udp_address client, local;
	const struct proxy_info info = {
		.transport = SOCK_DGRAM,
		.src = &client.any,
		.dst = &local.any,
		.netns = serving->netns_name,
		.tlvs = serving->tlvs,
		.n_tlvs = serving->n_tlvs,
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

/**
 * struct sending - datagrams on their way to the backend of @session
 * @judge:	decides what follows if the kernel refuses one
 * @again:	how many more older errors may be met
 * @verdict, @error: of the error that stopped the sending
 */
struct sending {
	struct udp_judge judge;
	struct worker *worker;
	struct udp_session *session;
	unsigned int again;
	enum udp_verdict verdict;
	int error;
};

/* The kernel refused a datagram with @error. If the socket has queued an older
 * error, it was that one. */
static enum udp_next decide(struct udp_judge *judge, int error)
{
	struct sending *sending = container_of(judge, struct sending, judge);
	struct udp_session *session = sending->session;
	struct udp_told told;

	sending->error = error;
	sending->verdict = udp_error_verdict(UDP_ORIGIN_SEND, error);
	if (sending->verdict == UDP_VERDICT_HOST)
		return UDP_NEXT_DROP; /* it is never an older one */
	told = udp_end_told(session);
	if (told.n > 0) {
		sending->error = told.error;
		sending->verdict = told.verdict;
	}
	if (sending->verdict == UDP_VERDICT_UNREACHABLE &&
	    !udp_end_may_leave(sending->worker, session, sending->verdict)) {
		udp_end_blame(sending->worker, session, sending->error);
		sending->verdict = UDP_VERDICT_DATAGRAM;
	}
	if (sending->verdict != UDP_VERDICT_DATAGRAM)
		return UDP_NEXT_STOP;
	if (told.n == 0 || sending->again == 0)
		return UDP_NEXT_DROP;
	sending->again--;
	return UDP_NEXT_AGAIN;
}

/* Sends slots @from to @end - 1 of udp_worker.in. Return: the slot where it
 * stopped, and then *@sending says why; else @end. */
static size_t send_slots(struct sending *sending, size_t from, size_t end,
			 const struct iovec *header,
			 struct udp_outcome *outcome)
{
	struct udp_session *session = sending->session;
	const struct udp_each each = {
		.before = header->iov_len > 0 ? header : NULL,
	};
	struct udp_batch *in = &udp_front_of(session)->udp->in;
	size_t message, n;

	if (each.before || session->apart_to_backend)
		return udp_batch_send_each(in, session->fd, from, end, &each,
					   &sending->judge, outcome);
	udp_batch_compose(in, from, end, NULL, /* merge= */ true);
	message = udp_batch_send(in, session->fd, 0, in->n_messages,
				 &sending->judge, outcome);
	session->apart_to_backend = outcome->unmerged;
	n = in->n_messages;
	in->n_messages = 0;
	return message < n ? in->messages[message].first : end;
}

/* The client's session */

static bool session_lost_address(const struct worker *worker,
				 struct udp_session *session)
{
	if (worker->now_us - session->answered_us < ADDRESS_CHECK_US ||
	    worker->now_us - session->checked_us < ADDRESS_CHECK_US ||
	    udp_end_family(session) != AF_INET6)
		return false;
	session->checked_us = worker->now_us;
	return udp_socket_lost_address(session->fd);
}

/* May the session's socket be sent to? Otherwise it has to make way for a new
 * session. */
static bool session_is_good(const struct worker *worker,
			    struct udp_session *session)
{
	struct serving *serving = udp_front_serving(session);

	if (session->fd < 0)
		return true; /* it waits for one */
	if (backend_failed_since(serving, session->upstream.index,
				 session->answered_us)) {
		if (backend_has_other(serving, session->upstream.index,
				      worker->now_us))
			return false;
	} else if (worker->now_us - session->began_us > SILENT_WORKS_US) {
		backend_works(serving, session->upstream.index);
	}
	return !session_lost_address(worker, session);
}

/* Return: the client's session, perhaps a new one; NULL: it gets none, because
 * of *@why. */
static struct udp_session *session_find(struct worker *worker,
					struct udp_front *front,
					const struct udp_key *key,
					enum berth_drop *why)
{
	struct udp_session *session = udp_table_find(front->table, key);

	if (session && !session_is_good(worker, session)) {
		udp_end(worker, session, BERTH_ENDING_BACKEND_REFUSED);
		session = NULL;
	}
	*why = BERTH_DROP_CIRCLE;
	if (!session)
		return udp_front_is_own(front, key)
			       ? NULL
			       : udp_begin(worker, front, key, why);
	udp_session_asked(session, worker->now_us);
	return session;
}

/**
 * struct passing - datagrams of a client on their way to its session
 * @first, @end: slots @first to @end - 1 of udp_worker.in are to go
 * @held:	how many datagrams wait with it
 * @why:	as what those count that neither went nor wait, and are not in
 *		@outcome
 */
struct passing {
	size_t first, end;
	uint64_t held;
	enum berth_drop why;
	struct udp_outcome outcome;
};

/* Sends them to the client's session, or has them wait with it. */
static void forward_once(struct worker *worker, struct udp_front *front,
			 struct passing *passing)
{
	struct udp_outcome *outcome = &passing->outcome;
	const size_t first = passing->first;
	const struct udp_key *key = &front->udp->keys[first];
	const struct iovec header = front_header(front, key);
	struct sending sending = {
		.judge.decide = decide,
		.worker = worker,
		.session = session_find(worker, front, key, &passing->why),
		.again = TOLD_AGAIN_MAX,
	};
	uint64_t bytes;

	outcome->stopped = false;
	if (!sending.session)
		return;
	if (sending.session->ask) {
		passing->held = udp_ask_hold(worker, sending.session,
					     &front->udp->in, first,
					     passing->end);
		passing->why = BERTH_DROP_LIMIT;
		return;
	}
	bytes = outcome->bytes;
	passing->first =
		send_slots(&sending, first, passing->end, &header, outcome);
	sending.session->entry.bytes_in += outcome->bytes - bytes;
	if (!outcome->stopped)
		return;
	passing->why = udp_error_drop(UDP_ORIGIN_SEND, sending.error);
	udp_end_judged(worker, sending.session, sending.verdict, sending.error);
}

/* Counts what is lost of @n datagrams. */
static void count_lost(const struct udp_front *front,
		       const struct passing *passing, uint64_t n)
{
	uint64_t gone = passing->outcome.sent + passing->held;

	gone += udp_front_count_drops(front, &passing->outcome);
	if (gone < n)
		udp_front_dropped(front, passing->why, n - gone);
}

void udp_to_backend(struct worker *worker, struct udp_front *front,
		    size_t first, size_t end)
{
	uint64_t n = udp_batch_datagrams(&front->udp->in, first, end);
	struct passing passing = {
		.first = first,
		.end = end,
		.outcome.stopped = true,
	};

	for (int i = 0; i < SEND_ATTEMPTS && passing.first < end &&
			passing.outcome.stopped;
	     i++)
		forward_once(worker, front, &passing);
	count_lost(front, &passing, n);
}

void udp_to_backend_held(struct worker *worker, struct udp_session *session,
			 struct udp_held *held)
{
	struct udp_front *front = udp_front_of(session);
	struct udp_batch *in = &front->udp->in;
	const struct iovec header = front_header(front, &session->key);
	struct sending sending = {
		.judge.decide = decide,
		.worker = worker,
		.session = session,
		.again = TOLD_AGAIN_MAX,
	};
	struct passing passing = { .why = BERTH_DROP_OTHER };
	uint64_t n;

	udp_held_load(held, in);
	n = udp_batch_datagrams(in, 0, in->n);
	(void)send_slots(&sending, 0, in->n, &header, &passing.outcome);
	session->entry.bytes_in += passing.outcome.bytes;
	udp_batch_clear(in);
	if (passing.outcome.stopped)
		passing.why = udp_error_drop(UDP_ORIGIN_SEND, sending.error);
	count_lost(front, &passing, n);
	if (passing.outcome.stopped)
		udp_end_judged(worker, session, sending.verdict, sending.error);
}
