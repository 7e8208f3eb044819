// SPDX-License-Identifier: Apache-2.0
/* udp_to_client.c - from backends to clients: answers
 *
 * Theory of operation: answers are not sent one by one. They are collected in
 * udp_worker.out and sent at the end of the batch of events: all answers of
 * one listener with one system call, although each has come from another
 * socket. Most sessions have one answer waiting, so each is asked for one;
 * sessions that have more are asked for more and more.
 */
#include "relay/udp/udp_to_client.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sys/epoll.h>

#include "common/util.h"
#include "relay/backend/backend_log.h"
#include "relay/core/admit.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_end.h"
#include "relay/udp/udp_front.h"

/* Answers asked for at once grow by this until they are few enough again. */
#define BURST_GROWTH 4

static void session_works(const struct udp_session *session)
{
	const struct share *share = udp_front_of(session)->share;

	backend_reached(share->listener, share->serving,
			session->upstream.index);
}

/* Notes that @n answers were received at once. A session that had as many
 * waiting as it was asked for, in two turns in a row, is asked for more. */
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

/* Makes messages to the client of what was received into slots @first and
 * following of udp_worker.out. */
static void compose_answers(struct worker *worker, struct udp_session *session,
			    size_t first)
{
	struct udp_front *front = udp_front_of(session);
	struct udp_worker *udp = front->udp;
	size_t message = udp->out.n_messages;
	size_t bytes = 0;
	uint32_t n = 0;

	for (size_t i = first; i < udp->out.n; i++) {
		n += udp->out.slots[i].cut;
		bytes += udp->out.iov[i].iov_len;
	}
	admit_bytes(worker, front->share, bytes);
	session->entry.bytes_out += bytes;
	udp_front_dropped(front, BERTH_DROP_TOO_LARGE, n);
	udp_front_answers(worker, front, &session->key);
	udp_batch_compose(&udp->out, first, udp->out.n, &session->key,
			  !session->apart_to_client);
	for (; message < udp->out.n_messages; message++)
		udp->receivers[message] = session;
}

/* Return: the errors that the socket has queued; without any, @error, a
 * positive errno that a system call has returned. */
static struct udp_told told_or(const struct udp_session *session, int error)
{
	struct udp_told told = udp_end_told(session);

	if (told.n == 0) {
		told.error = error;
		told.verdict = udp_error_verdict(UDP_ORIGIN_TOLD, error);
	}
	return told;
}

void udp_to_client_handler(struct worker *worker, struct pollable *pollable,
			   uint32_t events)
{
	struct udp_session *session =
		container_of(pollable, struct udp_session, poll);
	struct udp_told told = { .n = 0 };
	struct udp_worker *udp = udp_worker_of(worker);
	size_t first;
	int n;

	if (admit_turn_is_over(worker, udp_front_of(session)->share))
		return; /* it is reported again */
	if (events & EPOLLERR)
		told = udp_end_told(session);
	if (udp->out.n + session->burst > UDP_BATCH)
		udp_to_client_flush(worker);
	first = udp->out.n;
	n = session->burst == 1 && !session->merges
		    ? udp_batch_receive_one(&udp->out, session->fd)
		    : udp_batch_receive(&udp->out, session->fd, session->burst);
	if (n < 0 && n != -EAGAIN && n != -EINTR) {
		/* The error comes first, although the answers are older. */
		told = told_or(session, -n);
		n = udp_batch_receive(&udp->out, session->fd, UDP_BATCH);
	}
	if (n > 0) {
		session_works(session);
		udp_session_answered(session, worker->now_us);
		session_adapt(worker, session, (size_t)n);
		compose_answers(worker, session, first);
	}
	udp_end_judged(worker, session, told.verdict, told.error);
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

void udp_to_client_flush(struct worker *worker)
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
		udp_front_count_sent(worker, front, &outcome);
		if (outcome.unmerged)
			note_apart(udp, first, end);
	}
	udp_batch_clear(&udp->out);
}
