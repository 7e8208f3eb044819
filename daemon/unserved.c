// SPDX-License-Identifier: Apache-2.0
/* unserved.c - what the rule language has and nothing serves yet */
#include "daemon/unserved.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/backend.h"
#include "common/util.h"

static bool may_be_transparent;

void unserved_init(void)
{
	static const int on = 1;
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	may_be_transparent = fd >= 0 &&
			     setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on,
					sizeof(on)) == 0;
}

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

	if (!service_proxy_fits(service->proxy, spec->endpoint.protocol))
		return "not served: proxy_protocol, which has no SCTP";
	if (service->transparent && !may_be_transparent)
		return "berthd lacks CAP_NET_ADMIN, which transparent needs";
	for (size_t i = 0; i < service->n_to; i++) {
		reason = unserved_backend(service->to[i]);
		if (reason)
			return reason;
	}
	return NULL;
}
