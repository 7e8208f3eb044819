// SPDX-License-Identifier: Apache-2.0
/* mailbox.c - what the main thread and the workers tell each other
 *
 * Theory of operation: an eventfd(2) and a lock for each direction. What the
 * main thread wants of a share is written into the share itself, under the
 * worker's lock, and the share is queued once. So telling a worker to let go
 * needs no memory. Each mail is a user of the listener until the worker is done
 * with it; the main thread frees a listener when the last user is gone, so that
 * neither side can find a dead one.
 */
#include "relay/core/mailbox.h"

#include <sys/eventfd.h>

#include "common/util.h"
#include "relay/core/handover.h"
#include "relay/core/listener.h"
#include "relay/core/mint.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* Mails per turn: some hundred microseconds, then traffic has its turn. */
#define MAIL_BATCH 64

static void eventfd_kick(int fd)
{
	uint64_t one = 1;

	/* Fails only when it is readable already. */
	(void)!write(fd, &one, sizeof(one));
}

static void eventfd_drain(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count)); /* says nothing of use */
}

/* The outbox */

int outbox_init(struct outbox *outbox)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	outbox->fd = fd;
	outbox->released = NULL;
	(void)pthread_mutex_init(&outbox->lock, NULL); /* cannot fail: Linux */
	return 0;
}

struct listener *outbox_take(struct outbox *outbox)
{
	struct listener *released;

	eventfd_drain(outbox->fd);
	pthread_mutex_lock(&outbox->lock);
	released = outbox->released;
	outbox->released = NULL;
	pthread_mutex_unlock(&outbox->lock);
	return released;
}

void outbox_kick(struct outbox *outbox)
{
	eventfd_kick(outbox->fd);
}

void outbox_ports_short(struct outbox *outbox, uint32_t space)
{
	if (space && atomic_exchange(&outbox->ports_short, space) == 0)
		outbox_kick(outbox);
}

void outbox_done(struct outbox *outbox)
{
	(void)close(outbox->fd); /* an eventfd */
	(void)pthread_mutex_destroy(&outbox->lock);
}

void outbox_unuse(struct outbox *outbox, struct listener *listener)
{
	bool first;

	if (!listener_put(listener))
		return;
	pthread_mutex_lock(&outbox->lock);
	first = !outbox->released;
	listener->next_released = outbox->released;
	outbox->released = listener;
	pthread_mutex_unlock(&outbox->lock);
	if (first)
		eventfd_kick(outbox->fd);
}

/* The inbox */

/* Return: may it have been empty? */
static bool inbox_put(struct share *share, unsigned int wanted,
		      struct serving *serving)
{
	struct inbox *inbox = &share->worker->inbox;
	struct serving *old = NULL;
	bool first;

	if (!listener_get(share->listener))
		return false;
	pthread_mutex_lock(&inbox->lock);
	first = !inbox->first;
	if (serving) {
		old = share->wanted_serving;
		share->wanted_serving = serving_ref(serving);
	}
	share->wanted |= wanted;
	if (!share->mailed) {
		share->mailed = true;
		share->next_mail = NULL;
		if (inbox->last)
			inbox->last->next_mail = share;
		else
			inbox->first = share;
		inbox->last = share;
	} else {
		/* The queued mail is a user already, and this not the last. */
		(void)listener_put(share->listener);
	}
	pthread_mutex_unlock(&inbox->lock);
	(void)serving_unref(old);
	return first;
}

void worker_tell(struct share *share, unsigned int wanted,
		 struct serving *serving)
{
	(void)inbox_put(share, wanted, serving);
	share->worker->inbox.told = true;
}

void worker_ask(struct share *share, unsigned int wanted)
{
	if (inbox_put(share, wanted, NULL))
		worker_wake(share->worker);
}

void worker_wake(struct worker *worker)
{
	eventfd_kick(worker->inbox.fd);
}

void worker_kick(struct worker *worker)
{
	if (!worker->inbox.told)
		return;
	worker->inbox.told = false;
	eventfd_kick(worker->inbox.fd);
}

struct serving *share_newest_serving(struct share *share)
{
	struct inbox *inbox = &share->worker->inbox;
	struct serving *serving;

	pthread_mutex_lock(&inbox->lock);
	serving = serving_ref(share->wanted_serving ? share->wanted_serving
						    : share->serving);
	pthread_mutex_unlock(&inbox->lock);
	return serving;
}

/* Takes one share's mail out. */
static struct share *inbox_take(struct inbox *inbox, unsigned int *ret_wanted,
				struct serving **ret_serving)
{
	struct share *share;

	pthread_mutex_lock(&inbox->lock);
	share = inbox->first;
	if (share) {
		inbox->first = share->next_mail;
		if (!inbox->first)
			inbox->last = NULL;
		*ret_wanted = share->wanted;
		*ret_serving = TAKE_PTR(share->wanted_serving);
		share->wanted = 0;
		share->mailed = false;
	}
	pthread_mutex_unlock(&inbox->lock);
	return share;
}

/* Return: false if no protocol has a client to give up. */
static bool shed_client(struct worker *worker)
{
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

/* A share's mail is a user; it goes after the batch, like the share's own. */
void inbox_handler(struct worker *worker, struct pollable *pollable,
		   uint32_t events)
{
	struct inbox *inbox = &worker->inbox;
	const struct admission *greedy;
	struct serving *serving;
	struct share *share;
	unsigned int wanted, shed;

	(void)pollable;
	(void)events;
	eventfd_drain(inbox->fd);
	mint_mails_handle(worker);
	for (int i = 0; i < MAIL_BATCH; i++) {
		struct listener *listener;

		share = inbox_take(inbox, &wanted, &serving);
		if (!share)
			break;
		listener = share->listener;

		share_apply(worker, share, wanted, serving);
		/* Never the last one while the share itself is a user; and a
		 * released share is referred to by no event of this batch. */
		outbox_unuse(worker->outbox, listener);
	}
	handover_take(worker);
	pthread_mutex_lock(&inbox->lock);
	if (inbox->first)
		eventfd_kick(inbox->fd); /* the rest after other events */
	worker->stopping = inbox->stop;
	shed = inbox->shed;
	inbox->shed = 0;
	greedy = TAKE_PTR(inbox->greedy);
	pthread_mutex_unlock(&inbox->lock);
	if (greedy)
		shed_netns(worker, greedy);
	while (shed > 0 && shed_client(worker))
		shed--;
}

void worker_shed(struct worker *worker, unsigned int n)
{
	pthread_mutex_lock(&worker->inbox.lock);
	worker->inbox.shed = n;
	pthread_mutex_unlock(&worker->inbox.lock);
	eventfd_kick(worker->inbox.fd);
}

void worker_shed_sessions(struct worker *worker, const struct admission *greedy)
{
	pthread_mutex_lock(&worker->inbox.lock);
	worker->inbox.greedy = greedy;
	pthread_mutex_unlock(&worker->inbox.lock);
	eventfd_kick(worker->inbox.fd);
}

void worker_ask_to_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->inbox.lock);
	worker->inbox.stop = true;
	pthread_mutex_unlock(&worker->inbox.lock);
	eventfd_kick(worker->inbox.fd);
}
