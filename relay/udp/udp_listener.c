// SPDX-License-Identifier: Apache-2.0
/* udp_listener.c - what clients send to listening UDP sockets
 *
 * Theory of operation: a listening socket is read in batches. Consecutive
 * datagrams of one client are handled together (a run). If the rule says
 * `forward`, they go to the client's session (udp_to_backend.c). The other
 * actions need no session: the answer goes from where the datagram was sent to,
 * to where it came from.
 *
 * Sockets are level-triggered, and a turn of one listener ends after some
 * batches. What is left is read in the next round. So a listener that is
 * flooded takes no more than its part.
 */
#include "relay/udp/udp_listener.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/core/gate.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_answers.h"
#include "relay/udp/udp_front.h"
#include "relay/udp/udp_to_backend.h"

/* Batches per event; and bytes, because a datagram may be a merged one. Then
 * other sockets have their turn. */
#define BATCHES_PER_EVENT 4
#define BYTES_PER_EVENT (512u * 1024)

/* Answers of the relay's own */

/* Sends the rule's text, once for each datagram. */
static void respond_run(struct worker *worker, struct udp_front *front,
			size_t first, size_t end)
{
	const struct serving *serving = front->share->serving;
	const struct udp_key *key = &front->udp->keys[first];
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
	(void)udp_batch_send_each(&front->udp->in, front->share->listener->fd,
				  first, end, &each, NULL, &outcome);
	udp_front_count_sent(worker, front, &outcome);
}

static void echo_send(struct worker *worker, struct udp_front *front)
{
	struct udp_batch *in = &front->udp->in;
	struct udp_outcome outcome = { 0 };

	(void)udp_batch_send(in, front->share->listener->fd, 0, in->n_messages,
			     NULL, &outcome);
	udp_front_count_sent(worker, front, &outcome);
}

static void answer_run(struct worker *worker, struct udp_front *front,
		       size_t first, size_t end)
{
	const struct udp_key *key = &front->udp->keys[first];

	udp_front_answers(worker, front, key);
	if (front->share->serving->action == SERVICE_RESPOND)
		respond_run(worker, front, first, end);
	else
		udp_batch_compose(&front->udp->in, first, end, key,
				  /* merge= */ true);
}

/* Runs: slots @first to @end - 1 of udp_worker.in, of one client */

/* Is the run an answer of another listener of berth's? Then nobody may answer
 * it. */
static bool run_is_answer(struct worker *worker, struct udp_front *front,
			  size_t first, size_t end)
{
	const struct listener *listener = front->share->listener;
	const struct udp_key *key = &front->udp->keys[first];

	if (!own_port(PROTOCOL_UDP, ntohs(key->port)) ||
	    !udp_answers_has(listener, key, worker->now_us))
		return false;
	counters_add(udp_front_counters(front), COUNTER_LOOPED,
		     udp_batch_datagrams(&front->udp->in, first, end));
	if (worker_may_log(worker, listener, "circle"))
		log_warning_about(
			&listener->about,
			"%s: a datagram is the answer of another listener "
			"of berth's; not answering it",
			listener->label);
	return true;
}

/* Does the rule serve the client? One that has a session keeps it. */
static bool run_is_admitted(struct worker *worker, struct udp_front *front,
			    size_t first, size_t end)
{
	const struct serving *serving = front->share->serving;
	const struct udp_key *key = &front->udp->keys[first];
	struct ip_addr client, local;
	uint64_t n;

	if (serving->n_clients == 0)
		return true;
	udp_key_ends(key, &client, &local);
	if (gate_admits(serving, &client, 1) ||
	    udp_table_find(front->table, key))
		return true;
	n = udp_batch_datagrams(&front->udp->in, first, end);
	udp_front_dropped(front, BERTH_DROP_NOT_ADMITTED, n);
	gate_refused(worker, front->share, &client, n);
	return false;
}

static void handle_run(struct worker *worker, struct udp_front *front,
		       size_t first, size_t end)
{
	if (!run_is_admitted(worker, front, first, end) ||
	    run_is_answer(worker, front, first, end))
		return;
	switch (front->share->serving->action) {
	case SERVICE_FORWARD:
		udp_to_backend(worker, front, first, end);
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
	struct udp_worker *udp = front->udp;
	uint32_t overflow = front->overflow;
	size_t first, end;

	for (size_t i = 0; i < udp->in.n; i++)
		udp_key_received(&udp->keys[i], front->own.any.sa_family,
				 &udp->in.received[i].msg_hdr, &overflow);
	udp_front_dropped(front, BERTH_DROP_RECEIVE_BUFFER,
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

/* Of one client. */
static void begin_anew(struct worker *worker, struct udp_front *front,
		       struct udp_waited *waited)
{
	struct udp_worker *udp = front->udp;

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

void udp_listener_begin_anew(struct worker *worker, struct share *share,
			     struct udp_waited *waited)
{
	struct udp_waited *one, *next;

	DL_FOREACH_SAFE (waited, one, next) {
		begin_anew(worker, share->protocol_data, one);
		free(one);
	}
}

/* Return: the bytes of the batch. */
static uint64_t count_received(struct udp_front *front,
			       const struct udp_batch *in)
{
	struct counters *counters = udp_front_counters(front);
	uint64_t bytes = 0, cut = 0;

	for (size_t i = 0; i < in->n; i++) {
		bytes += in->iov[i].iov_len;
		cut += in->slots[i].cut;
	}
	counters_add(counters, COUNTER_MESSAGES_IN,
		     udp_batch_datagrams(in, 0, in->n) + cut);
	counters_add(counters, COUNTER_BYTES_IN, bytes);
	udp_front_dropped(front, BERTH_DROP_TOO_LARGE, cut);
	return bytes;
}

void udp_listener_readable(struct worker *worker, struct pollable *pollable,
			   uint32_t events)
{
	struct share *share = container_of(pollable, struct share, poll);
	struct udp_front *front = share->protocol_data;
	struct udp_batch *in = &front->udp->in;
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
		more = count_received(front, in);
		admit_bytes(worker, share, more);
		bytes += more;
		handle_batch(worker, front);
		udp_batch_clear(in);
	}
}
