// SPDX-License-Identifier: Apache-2.0
/* handover.c - accepted connections that another worker is to serve
 *
 * A connection travels through the other worker's inbox. On its way it is a
 * user of the listener, as other mail is, so that the listener is released only
 * when the connection is served or reset. It was accepted, so it is served even
 * if the listener was withdrawn meanwhile: the share to which it comes does not
 * end before.
 */
#include "relay/core/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/core/listener.h"
#include "relay/core/outbox.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

struct handover {
	struct handover *next;
	struct share *share;
	struct sockaddr_storage from;
	int fd;
	unsigned int n_fds;
};

/* Return: may a connection be on its way to @to? A share that closes sets
 * @open before it looks at @n_coming, so one of both sees the other. */
static bool announce(struct share *to)
{
	atomic_fetch_add(&to->n_coming, 1);
	if (atomic_load(&to->open))
		return true;
	atomic_fetch_sub(&to->n_coming, 1);
	/* It may wait for what does not come. */
	inbox_ask(&to->worker->inbox, to, SHARE_RESUME);
	return false;
}

int handover_give(struct share *to, int fd, unsigned int n_fds,
		  const struct sockaddr_storage *from)
{
	struct inbox *inbox = &to->worker->inbox;
	struct handover *handover;
	bool first;

	if (!announce(to))
		return -ESHUTDOWN;
	handover = malloc(sizeof(*handover));
	if (!handover) {
		atomic_fetch_sub(&to->n_coming, 1);
		inbox_ask(inbox, to, SHARE_RESUME);
		return -ENOMEM;
	}
	(void)listener_get(to->listener); /* the giver's share is a user */
	load_add_conns(&to->worker->load, 1);
	*handover = (struct handover){
		.share = to,
		.fd = fd,
		.n_fds = n_fds,
	};
	handover->from = *from;
	pthread_mutex_lock(&inbox->lock);
	first = !inbox->handovers;
	LL_PREPEND(inbox->handovers, handover);
	pthread_mutex_unlock(&inbox->lock);
	if (first)
		inbox_wake(inbox);
	return 0;
}

static struct handover *take_all(struct worker *worker)
{
	struct inbox *inbox = &worker->inbox;
	struct handover *handovers;

	pthread_mutex_lock(&inbox->lock);
	handovers = TAKE_PTR(inbox->handovers);
	pthread_mutex_unlock(&inbox->lock);
	return handovers;
}

static void take(struct worker *worker, struct handover *handover, bool open)
{
	struct share *share = handover->share;

	load_add_conns(&worker->load, -1);
	/* The rule may have changed meanwhile: then the room that was taken
	 * may be too little. */
	if (open && !share->aborted && admit_fds(share) == handover->n_fds)
		share_serve(worker, share, handover->fd, &handover->from);
	else
		share_refuse(share, handover->fd, handover->n_fds);
	atomic_fetch_sub(&share->n_coming, 1);
	if (share->withdrawn)
		share_end_if_idle(worker, share);
	outbox_unuse(worker->outbox, share->listener);
	free(handover);
}

static void take_each(struct worker *worker, bool open)
{
	struct handover *handover = take_all(worker), *next;

	for (; handover; handover = next) {
		next = handover->next;
		take(worker, handover, open);
	}
}

void handover_take(struct worker *worker)
{
	take_each(worker, /* open= */ true);
}

void handover_drop(struct worker *worker)
{
	take_each(worker, /* open= */ false);
}
