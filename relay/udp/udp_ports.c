// SPDX-License-Identifier: Apache-2.0
/* udp_ports.c - local ports for the sockets of UDP sessions
 *
 * Theory of operation: each session takes one of the local ports, of which
 * there are much fewer than descriptors. A namespace that has its share of the
 * ports ends one of its own sessions for the next. If the kernel has no port
 * left, because other programs use them, too, the namespace that has most ports
 * ends some sessions, in all workers.
 */
#include "relay/udp/udp_ports.h"

#include <errno.h>

#include "relay/core/admission.h"
#include "relay/core/outbox.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_end.h"
#include "relay/udp/udp_front.h"

/* Sessions that a namespace ends for one that it wants if it has more than its
 * share: more than one, so that it comes down to its share some time. */
#define CONCEDE_MAX 4

/* Sessions that the greediest namespace ends at once if ports are out. */
#define SHED_MAX 8

/* Ends @victim unless it is NULL or @session, which is about to begin.
 * Return: was it ended? */
static bool evict_other(struct worker *worker,
			const struct udp_session *session,
			struct udp_session *victim)
{
	if (!victim || victim == session)
		return false;
	udp_end_evicted(worker, victim, BERTH_LIMIT_PORTS);
	return true;
}

/* Ends some sessions of the namespace that has most local ports of @space; in
 * other workers the main thread sees to that. Return: was one ended here? */
static bool shed_greediest(struct worker *worker, struct udp_session *session,
			   uint32_t space)
{
	bool freed = false;

	outbox_ports_short(worker->outbox, space);
	for (int i = 0; i < SHED_MAX; i++) {
		struct udp_session *victim =
			udp_pool_greediest(&udp_worker_of(worker)->pool);

		if (!victim)
			break;
		/* Another worker may have the sessions of the greediest. */
		if (!admission_is_greedy(
			    udp_front_of(victim)->share->listener->netns,
			    space) ||
		    !evict_other(worker, session, victim))
			break;
		freed = true;
	}
	return freed;
}

int udp_ports_take(struct worker *worker, struct udp_session *session,
		   uint32_t space)
{
	struct admission *netns = udp_front_of(session)->share->listener->netns;
	bool taken = admission_take_port(netns, space, worker->now_us);

	for (int i = 0; !taken && i < CONCEDE_MAX; i++) {
		if (!evict_other(worker, session,
				 udp_table_concede(session->table)))
			break;
		taken = admission_take_port(netns, space, worker->now_us);
	}
	if (!taken && admission_is_greedy(netns, space))
		return -EDQUOT;
	if (!taken && shed_greediest(worker, session, space))
		taken = admission_take_port(netns, space, worker->now_us);
	if (!taken)
		return -EAGAIN;
	session->upstream.ports = space;
	return 0;
}

bool udp_ports_free(struct worker *worker, struct udp_session *session)
{
	admission_ports_short(session->upstream.ports, worker->now_us);
	return shed_greediest(worker, session, session->upstream.ports);
}
