// SPDX-License-Identifier: Apache-2.0
/* admit.c - which clients of connections and associations are let in
 *
 * Three limits hold for each client: the descriptors of all traffic, those of
 * its namespace, and the listener's own number of clients.
 */
#include "relay/core/admit.h"

#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

unsigned int admit_fds(const struct share *share)
{
	unsigned int backend = share->serving->action == SERVICE_FORWARD;

	return share->listener->ops->client_fds + backend;
}

bool admit_take(struct share *share, enum berth_limit *met)
{
	struct listener *listener = share->listener;

	return admission_take_client(listener->netns, &listener->n_conns,
				     share->serving->max_connections,
				     admit_fds(share), met);
}

void admit_give_fds(struct share *share, unsigned int n_fds)
{
	admission_give(share->listener->netns, ADMISSION_DESCRIPTORS, n_fds);
}

void admit_give(struct share *share, unsigned int n_fds)
{
	struct listener *listener = share->listener;

	admission_give_client(listener->netns, &listener->n_conns, n_fds);
}

struct admission_turn *admit_turn(const struct worker *worker,
				  const struct share *share)
{
	return admission_turn(share->listener->netns, worker->index,
			      worker->turn);
}

void admit_bytes(const struct worker *worker, const struct share *share,
		 size_t n)
{
	admit_turn(worker, share)->n_bytes += (uint32_t)n;
}

bool admit_turn_is_over(const struct worker *worker, const struct share *share)
{
	return admit_turn(worker, share)->n_bytes >= ADMISSION_TURN_BYTES;
}
