// SPDX-License-Identifier: Apache-2.0
/* worker_thread.c - the life of a worker: its thread and what that does
 *
 * Theory of operation: a worker serves what epoll_wait(2) returned, then the
 * timers that are due, then flows whose work was cut short so that others
 * have their turn. Only after all that, memory is freed and shares are given
 * back, because an event later in the same batch may point to what an earlier
 * one ended: such an object has no handler any more and is skipped.
 */
#include "relay/core/worker_thread.h"

#include <signal.h>
#include <sys/epoll.h>

#include "relay/core/flow.h"
#include "relay/core/handover.h"
#include "relay/core/minted.h"
#include "relay/core/outbox.h"
#include "relay/core/protocol.h"
#include "relay/core/share.h"
#include "relay/core/wakeup.h"
#include "relay/core/worker.h"

#define BATCH_EVENTS 128

/* Mails to shares in one turn: some hundred microseconds, then traffic has its
 * turn. */
#define BATCH_MAILS 64

/* Enough for the batch, TLS and glibc; checked by running the tests. */
#define STACK_BYTES (256u * 1024)

/* What each protocol has to do, in the order of enum protocol. */

static void flush(struct worker *worker)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->flush)
			worker->protocols[i]->flush(worker);
	}
}

/* Return: false if there is no client to give up. */
static bool shed_client(struct worker *worker)
{
	if (flow_shed(worker))
		return true;
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->shed &&
		    worker->protocols[i]->shed(worker))
			return true;
	}
	return false;
}

static void shed_netns(struct worker *worker, const struct admission *netns)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->shed_netns)
			worker->protocols[i]->shed_netns(worker, netns);
	}
}

static void forget(struct worker *worker)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->forget)
			worker->protocols[i]->forget(worker);
	}
}

/* Mail */

static void handle_mail(struct worker *worker)
{
	struct serving *serving;
	struct share *share;
	unsigned int wanted;

	for (int i = 0; i < BATCH_MAILS; i++) {
		struct listener *listener;

		share = inbox_take_share(&worker->inbox, &wanted, &serving);
		if (!share)
			return;
		listener = share->listener;
		share_apply(worker, share, wanted, serving);
		/* The mail is never the last user while the share is one; and
		 * no event of this batch points to a released share. */
		outbox_unuse(worker->outbox, listener);
	}
}

static void handle_census(struct worker *worker, struct census *census)
{
	const struct roster_turn turn = {
		.worker = worker,
		.now_us = worker->now_us,
	};

	roster_census(&worker->rosters[census->kind], census, &turn);
	outbox_census(worker->outbox, census);
}

static void inbox_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events)
{
	struct inbox_orders orders;

	(void)pollable;
	(void)events;
	wakeup_drain(worker->inbox.fd);
	minted_mails_handle(worker);
	handle_mail(worker);
	handover_take(worker);
	inbox_take_orders(&worker->inbox, &orders);
	worker->stopping = orders.stop;
	if (orders.greedy)
		shed_netns(worker, orders.greedy);
	while (orders.n_shed > 0 && shed_client(worker))
		orders.n_shed--;
	if (orders.census)
		handle_census(worker, orders.census);
}

/* The thread */

static void after_batch(struct worker *worker)
{
	share_release_done(worker);
	worker_free_graves(worker);
}

static void *thread_main(void *user_data)
{
	struct worker *worker = user_data;
	struct epoll_event events[BATCH_EVENTS];

	while (!worker->stopping) {
		int n = worker_wait(worker, events, BATCH_EVENTS);

		for (int i = 0; i < n; i++) {
			struct pollable *pollable = events[i].data.ptr;

			if (pollable->handler)
				pollable->handler(worker, pollable,
						  events[i].events);
		}
		flush(worker);
		timers_run(&worker->timers, worker->now_us, worker);
		flow_run_ready(worker);
		after_batch(worker);
	}
	/* The kernel would end them politely, and slowly. */
	flow_reset_all(worker);
	flow_run_ready(worker); /* frees those that were in it */
	after_batch(worker);
	return NULL;
}

static int thread_run(struct worker *worker)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	/* Signals are the main thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_init(&attr); /* cannot fail: Linux */
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = -pthread_create(&worker->thread, &attr, thread_main, worker);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int worker_thread_start(struct worker *worker, size_t index,
			struct outbox *outbox,
			const struct relay_protocol *const *protocols)
{
	int r = worker_init(worker, index, outbox, protocols);

	worker->inbox.poll.handler = inbox_handler;
	worker->resume.handler = share_resume;
	worker->leave.handler = share_leave_idle;
	if (r == 0)
		r = thread_run(worker);
	if (r < 0)
		worker_done(worker);
	return r;
}

void worker_thread_join(struct worker *worker)
{
	(void)pthread_join(worker->thread, NULL); /* it was started */
}

void worker_thread_done(struct worker *worker)
{
	after_batch(worker);
	minted_mails_drop(worker);
	handover_drop(worker);
	forget(worker);
	worker_done(worker);
}
