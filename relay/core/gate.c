// SPDX-License-Identifier: Apache-2.0
/* gate.c - whom a listener serves at all, and how often */
#include "relay/core/gate.h"

#include "common/address_pattern.h"
#include "relay/core/flow.h"
#include "relay/core/limiter.h"
#include "relay/core/listener.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

bool gate_asks(const struct serving *serving)
{
	return serving->n_clients > 0 || serving->limits.n > 0;
}

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

bool gate_has_rate(struct worker *worker, struct share *share,
		   const struct serving_limits *limits,
		   const struct ip_addr *client, uint64_t *ret_wait_us)
{
	const struct listener *listener = share->listener;
	char text[IP_TEXT_MAX];

	if (limiter_take(limits->list, limits->n, listener->netns_id, client,
			 worker->now_us, ret_wait_us))
		return true;
	counters_limited(share_counters(share), limits->limit);
	if (worker_may_log(worker, listener, "rate_limit"))
		log_info_about(&listener->about,
			       "%s: %s comes more often than its rate_limit "
			       "allows; turning it away",
			       listener->label, ip_addr_fmt(client, text));
	return false;
}

/* Of a client that is gone already no address may be known. */
bool gate_flow(struct worker *worker, struct flow *flow,
	       const struct ip_addr *addrs, size_t n_addrs)
{
	static const struct ip_addr unknown = { .family = AF_UNSPEC };

	if (!gate_admits(flow->serving, addrs, n_addrs)) {
		gate_refused(worker, flow->share,
			     n_addrs > 0 ? &addrs[0] : &unknown, 1);
		flow_reset_for(worker, flow, BERTH_ENDING_NOT_ADMITTED);
		return false;
	}
	if (n_addrs > 0 &&
	    !gate_has_rate(worker, flow->share, &flow->serving->limits,
			   &addrs[0], NULL)) {
		flow_reset_for(worker, flow, BERTH_ENDING_RATE_LIMIT);
		return false;
	}
	return true;
}
