// SPDX-License-Identifier: Apache-2.0
/* failover.c - connecting to one backend after the other */
#include "relay/failover.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/stand_in.h"
#include "common/util.h"
#include "relay/backend_health.h"
#include "relay/listener.h"
#include "relay/mint.h"
#include "relay/serving.h"
#include "relay/worker.h"

bool failover_own_shortage(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC: /* epoll(7): too many watches */
	case EAGAIN: /* no local port */
	case EADDRNOTAVAIL: /* the same, with an older kernel or SCTP */
	case EAFNOSUPPORT: /* transparent: the client has no such address */
	case EPROTONOSUPPORT: /* no SCTP in this kernel */
		return true;
	default:
		return false;
	}
}

bool failover_pick(struct worker *worker, struct share *share,
		   struct serving *serving, struct failover *failover)
{
	int index = backend_pick(serving, &share->next_backend, failover->tried,
				 worker->now_us);

	if (index < 0)
		return false;
	failover->index = (uint8_t)index;
	return true;
}

/* Why, where, and what happens next. */
static void failover_log(const struct share *share,
			 const struct serving *serving, const char *backend,
			 int error, bool found)
{
	const char *place = serving->backend_netns, *end;

	end = protocol_is_sctp(share->listener->protocol)
		      ? "aborting the association"
		      : "resetting the client";
	log_warning("%s: cannot connect to '%s'%s%s%s: %s; %s",
		    share->listener->label, backend, place[0] ? " in '" : "",
		    place, place[0] ? "'" : "", strerror(error),
		    found ? "trying the next" : end);
}

static int failover_ask(struct worker *worker, const struct share *share,
			struct serving *serving,
			const struct failover *failover,
			const struct failover_asker *asker)
{
	struct mint_target target = {
		.id = share->listener->id,
		.serving = serving,
		.to = failover->index,
	};
	int family = serving->backends[failover->index].address->sa_family, r;

	if (serving->transparent) {
		r = stand_in_check(&asker->client, family);
		if (r < 0)
			return r;
		target.client = asker->client;
	}
	*asker->mint = mint_ask(worker, &target, asker->ops, asker->owner);
	return *asker->mint ? -EINPROGRESS : -ENOMEM;
}

int failover_socket(struct worker *worker, const struct share *share,
		    struct serving *serving, const struct failover *failover,
		    const struct failover_asker *asker)
{
	const struct serving_backend *target =
		&serving->backends[failover->index];
	int fd;

	if (target->minted && !*asker->mint)
		return failover_ask(worker, share, serving, failover, asker);
	fd = target->minted ? TAKE_FD((*asker->mint)->fd)
			    : socket(target->address->sa_family,
				     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				     target->sctp ? IPPROTO_SCTP : 0);
	return fd < 0 ? -errno : fd;
}

bool failover_next(struct worker *worker, struct share *share,
		   struct serving *serving, struct failover *failover,
		   int error)
{
	const char *backend = serving->backends[failover->index].text;
	bool found;

	counters_failed(share_counters(share), error);
	/* ESTALE is not the backend's: berthd's rule is another one by now. */
	if (error != ESTALE && !failover_own_shortage(error))
		backend_failed(serving, failover->index, worker->now_us);
	failover->tried |= UINT64_C(1) << failover->index;
	found = failover_pick(worker, share, serving, failover);
	if (log_ratelimit_ok(&worker->log_limit))
		failover_log(share, serving, backend, error, found);
	return found;
}

/* What a backend is to be told first is kept for it already. */
static bool introduce_alike(const struct serving *a, const struct serving *b)
{
	if (a->proxy != b->proxy)
		return false;
	return a->netns_name && b->netns_name
		       ? strcmp(a->netns_name, b->netns_name) == 0
		       : a->netns_name == b->netns_name;
}

bool failover_renew(struct worker *worker, struct share *share,
		    struct serving **serving, struct failover *failover)
{
	struct serving *newest = share_newest_serving(share);

	if (newest == *serving || newest->action != SERVICE_FORWARD ||
	    !introduce_alike(*serving, newest)) {
		(void)serving_unref(newest);
		return false;
	}
	(void)serving_unref(*serving);
	*serving = newest;
	*failover = (struct failover){ .tried = 0 };
	(void)failover_pick(worker, share, newest,
			    failover); /* nothing was tried yet */
	return true;
}
