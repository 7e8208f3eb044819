// SPDX-License-Identifier: Apache-2.0
/* gate.c - whom a listener serves at all */
#include "relay/core/gate.h"

#include "common/address_pattern.h"
#include "relay/core/listener.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

bool gate_admits(const struct serving *serving, const struct ip_addr *addrs,
		 size_t n_addrs)
{
	if (serving->n_clients == 0)
		return true;
	for (size_t i = 0; i < n_addrs; i++) {
		if (!address_patterns_have(serving->clients, serving->n_clients,
					   &addrs[i]))
			return false;
	}
	return n_addrs > 0;
}

void gate_refused(struct worker *worker, struct share *share,
		  const struct ip_addr *client, uint64_t n)
{
	const struct listener *listener = share->listener;
	char text[IP_TEXT_MAX];

	counters_add(share_counters(share), COUNTER_NOT_ADMITTED, n);
	if (worker_may_log(worker, listener, "clients"))
		log_info_about(&listener->about,
			       "%s: %s is none of its clients; %s",
			       listener->label, ip_addr_fmt(client, text),
			       listener->ops->gives_up);
}
