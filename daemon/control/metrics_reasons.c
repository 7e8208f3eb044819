// SPDX-License-Identifier: Apache-2.0
/* metrics_reasons.c - which drops and limits a rule can have at all */
#include "daemon/control/metrics_reasons.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/service.h"
#include "common/service_http.h"
#include "lib/berth.h"

#define BIT(reason) (UINT32_C(1) << (reason))

static uint32_t drops_of_udp(const struct service *service)
{
	uint32_t drops = BIT(BERTH_DROP_TOO_LARGE) |
			 BIT(BERTH_DROP_RECEIVE_BUFFER);

	if (service->n_clients > 0)
		drops |= BIT(BERTH_DROP_NOT_ADMITTED);
	if (service->action != SERVICE_DISCARD)
		drops |= BIT(BERTH_DROP_SEND_BUFFER);
	if (service->action != SERVICE_FORWARD)
		return drops;
	if (service->n_rates > 0)
		drops |= BIT(BERTH_DROP_RATE_LIMIT);
	return drops | BIT(BERTH_DROP_LIMIT) | BIT(BERTH_DROP_CIRCLE) |
	       BIT(BERTH_DROP_UNREACHABLE) | BIT(BERTH_DROP_ENDED) |
	       BIT(BERTH_DROP_MEMORY) | BIT(BERTH_DROP_OTHER);
}

uint32_t metrics_reasons_drops(const struct service *service,
			       enum protocol protocol)
{
	if (service->action == SERVICE_HANDOFF)
		return 0;
	switch (protocol) {
	case PROTOCOL_UDP:
		return drops_of_udp(service);
	case PROTOCOL_SCTP:
	case PROTOCOL_SCTP_SEQPACKET:
		if (service->action != SERVICE_FORWARD)
			return 0;
		return BIT(BERTH_DROP_ENDED) | BIT(BERTH_DROP_TOO_LARGE) |
		       BIT(BERTH_DROP_NO_STREAM) | BIT(BERTH_DROP_MEMORY);
	case PROTOCOL_TCP:
	case PROTOCOL_MPTCP:
		break; /* streams */
	}
	return 0;
}

/* A UNIX socket needs no local port. */
static bool takes_ports(const struct service *service)
{
	for (size_t i = 0; i < service->n_to; i++) {
		if (scheme_parse(service->to[i], NULL) != SCHEME_UNIX)
			return true;
	}
	return false;
}

/* See backend_socket_choose(). */
static bool is_minted(const struct service *service)
{
	return service->netns || service->transparent || service->n_from > 0;
}

uint32_t metrics_reasons_limits(const struct service *service,
				enum protocol protocol)
{
	bool forward = service->action == SERVICE_FORWARD;
	bool sessions = forward || protocol != PROTOCOL_UDP;
	uint32_t limits = 0;

	if (service->action == SERVICE_HANDOFF)
		return 0;
	if (sessions)
		limits |= BIT(BERTH_LIMIT_DESCRIPTORS);
	if (sessions && service->n_rates > 0)
		limits |= BIT(BERTH_LIMIT_RATE_LIMIT);
	if (service->http && service->http->n_rates > 0)
		limits |= BIT(BERTH_LIMIT_REQUESTS);
	if (!forward || !takes_ports(service))
		return limits;
	limits |= BIT(BERTH_LIMIT_PORTS);
	if (protocol == PROTOCOL_UDP && is_minted(service))
		limits |= BIT(BERTH_LIMIT_WAITING);
	return limits;
}
