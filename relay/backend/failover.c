// SPDX-License-Identifier: Apache-2.0
/* failover.c - connecting to one backend after the other */
#include "relay/backend/failover.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/stand_in.h"
#include "common/stream.h"
#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/backend/backend_connect.h"
#include "relay/core/backend_health.h"
#include "relay/backend/backend_log.h"
#include "relay/core/listener.h"
#include "relay/core/mint.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

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

/* Of berthd's sockets it may be the address that is not there. */
static const char *failover_why(const struct serving_backend *target, int error)
{
	return error == EADDRNOTAVAIL && !target->minted
		       ? "no local port is left, or its namespace has its "
			 "share (net.ipv4.ip_local_port_range)"
		       : strerror(error);
}

static bool is_unix(const struct serving_backend *target)
{
	return target->address->sa_family == AF_UNIX;
}

static struct backend_queue_key wait_key(const struct share *share,
					 const struct serving_backend *target)
{
	return (struct backend_queue_key){
		.backend = target->id,
		.netns = is_unix(target) ? 0
					 : (uintptr_t)share->listener->netns,
	};
}

int failover_admit(const struct worker *worker, const struct share *share,
		   const struct serving *serving,
		   const struct failover *failover, bool waits, uint32_t *ports)
{
	const struct serving_backend *target =
		&serving->backends[failover->index];
	const struct backend_queue_key key = wait_key(share, target);

	if (!waits && backend_queue_exists(worker, &key))
		return is_unix(target) ? -EAGAIN : -EADDRNOTAVAIL;
	if (*ports)
		return 0;
	if (!admission_take_port(share->listener->netns, target->ports,
				 worker->now_us))
		return -EADDRNOTAVAIL;
	*ports = target->ports;
	return 0;
}

int failover_connect(const struct serving *serving,
		     const struct failover *failover, uint32_t ports, int fd,
		     const struct backend_client *client)
{
	const struct serving_backend *target =
		&serving->backends[failover->index];
	int r = backend_connect(fd, target, client);

	if (r == -EAGAIN && !is_unix(target))
		r = -EADDRNOTAVAIL; /* SCTP's word for it */
	if (r == -EADDRNOTAVAIL)
		admission_ports_short(ports, monotonic_us());
	return r;
}

bool failover_wait(struct worker *worker, struct share *share,
		   const struct serving *serving,
		   const struct failover *failover, int error,
		   backend_retry retry, void *owner,
		   struct backend_waiter **waiter)
{
	const struct serving_backend *target =
		&serving->backends[failover->index];
	const struct backend_queue_key key = wait_key(share, target);
	bool waited = *waiter != NULL;

	if (is_unix(target) ? error != -EAGAIN
			    : error != -EADDRNOTAVAIL || target->ports == 0)
		return false;
	if (!is_unix(target) &&
	    !backend_all_tried(serving, failover->tried |
						UINT64_C(1) << failover->index))
		return false;
	if (backend_queue_wait(worker, &key, share->listener->netns, retry,
			       owner, waiter) < 0)
		return false;
	if (!waited && !is_unix(target)) {
		counters_add(share_counters(share), COUNTER_LIMITED, 1);
		backend_log_failed(worker, share->listener, serving,
				   failover->index,
				   failover_why(target, -error),
				   "waiting for one");
	}
	return true;
}

/* Return: the socket, or -errno. */
static int make_socket(const struct serving_backend *target)
{
	int family = target->address->sa_family, fd, r;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    protocol_socket(target->protocol).protocol);
	if (fd < 0)
		return -errno;
	r = family == AF_UNIX ? 0 : stream_set_hard(fd, /* hard= */ true);
	if (r == 0 && target->protocol == PROTOCOL_TCP)
		r = stream_set_inline(fd, /* inlined= */ true);
	if (r < 0) {
		(void)close(fd); /* nothing is left that could fail */
		return r;
	}
	return fd;
}

static int failover_ask(struct worker *worker, const struct share *share,
			struct serving *serving,
			const struct failover *failover,
			const struct failover_asker *asker)
{
	struct mint_target target = {
		.id = share->listener->id,
		.netns_id = share->listener->netns_id,
		.serving = serving,
		.to = failover->index,
	};
	int family = serving->backends[failover->index].address->sa_family, r;

	/* Whom nobody can stand in for, because the kernel knew no address any
	 * more when it was accepted. */
	if (serving->transparent && asker->client.family == AF_UNSPEC)
		return -ENOTCONN;
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

	if (target->minted && !*asker->mint)
		return failover_ask(worker, share, serving, failover, asker);
	return target->minted ? TAKE_FD((*asker->mint)->fd)
			      : make_socket(target);
}

bool failover_next(struct worker *worker, struct share *share,
		   struct serving *serving, struct failover *failover,
		   int error)
{
	const unsigned int failed = failover->index;
	const char *next = "trying the next";
	bool found;

	counters_failed(share_counters(share), error);
	/* ESTALE is not the backend's: berthd's rule is another one by now. */
	if (error != ESTALE && !failover_own_shortage(error))
		backend_failed(serving, failover->index, worker->now_us);
	failover->tried |= UINT64_C(1) << failover->index;
	found = failover_pick(worker, share, serving, failover);
	if (!found)
		next = protocol_is_sctp(share->listener->protocol)
			       ? "aborting the association"
			       : "resetting the client";
	backend_log_failed(worker, share->listener, serving, failed,
			   failover_why(&serving->backends[failed], error),
			   next);
	return found;
}

bool failover_renew(struct worker *worker, struct share *share,
		    struct serving **serving, struct failover *failover)
{
	struct serving *newest = share_newest_serving(share);

	if (newest == *serving) {
		(void)serving_unref(newest);
		return false;
	}
	(void)serving_unref(*serving);
	*serving = newest;
	*failover = (struct failover){ .tried = 0 };
	if (newest->action == SERVICE_FORWARD)
		(void)failover_pick(worker, share, newest,
				    failover); /* nothing was tried yet */
	return true;
}
