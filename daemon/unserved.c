// SPDX-License-Identifier: Apache-2.0
/* unserved.c - what the rule language has and nothing serves yet */
#include "daemon/unserved.h"

#include "common/backend.h"
#include "common/util.h"

static const char *unserved_backend(const char *text)
{
	struct backend backend;

	if (backend_parse(text, &backend, NULL) < 0)
		return "not a backend address"; /* by an expanded template */
	return NULL;
}

const char *unserved_reason(const struct listener_spec *spec)
{
	const struct service *service = spec->service;
	const char *reason;

	if (service->action == SERVICE_HANDOFF)
		return "not yet: handoff to other programs";
	if (service->proxy && protocol_is_sctp(spec->endpoint.protocol))
		return "not served: proxy_protocol, which has no SCTP";
	if (service->netns)
		return "not yet: a backend in another namespace";
	if (service->transparent)
		return "not yet: connecting from the client's address";
	for (size_t i = 0; i < service->n_to; i++) {
		reason = unserved_backend(service->to[i]);
		if (reason)
			return reason;
	}
	return NULL;
}
