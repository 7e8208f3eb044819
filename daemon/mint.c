// SPDX-License-Identifier: Apache-2.0
/* mint.c - a socket for a consumer to connect to a rule's backend with
 *
 * A consumer cannot enter a namespace, and has no capability that
 * IP_TRANSPARENT needs. So berthd makes the socket, which is all that needs the
 * privilege: connecting, and binding to whatever address, does not. It gives
 * only what the rule of a listener that the consumer has says; who asks chooses
 * nothing else.
 */
#include "daemon/mint.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "binder/binder.h"
#include "common/backend.h"
#include "common/netns.h"
#include "common/netns_enter.h"
#include "common/service.h"
#include "common/util.h"
#include "daemon/json_text.h"
#include "watcher/watcher.h"

/* Is @told what a consumer was told of @bytes? Return: 0; -ESTALE; -ENOMEM. */
static int compare_told(const char *bytes, const char *told)
{
	json_t *text = json_text(bytes);
	int r;

	if (!text)
		return -ENOMEM;
	r = strcmp(json_string_value(text), told) == 0 ? 0 : -ESTALE;
	json_decref(text);
	return r;
}

int mint_check(const struct service *service, const struct mint_target *target)
{
	int r = 0;

	if (target->backend) {
		if (service->action != SERVICE_FORWARD ||
		    target->to >= service->n_to)
			return -ESTALE;
		r = compare_told(service->to[target->to], target->backend);
	}
	if (r == 0 && target->netns)
		r = compare_told(service->netns ? service->netns : "",
				 target->netns);
	return r;
}

/* A backend without a scheme is of the listener's protocol; and the relay knows
 * no MPTCP towards backends. */
static enum protocol backend_protocol(enum backend_scheme scheme,
				      enum protocol protocol)
{
	switch (scheme) {
	case BACKEND_TCP:
		return PROTOCOL_TCP;
	case BACKEND_UDP:
		return PROTOCOL_UDP;
	case BACKEND_SCTP:
		return PROTOCOL_SCTP;
	case BACKEND_SAME:
	case BACKEND_UNIX:
		break;
	}
	return protocol;
}

static void set_protocol(struct netns_socket *sock, enum protocol protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_MPTCP:
		sock->type = SOCK_STREAM | SOCK_NONBLOCK;
		return;
	case PROTOCOL_UDP:
		sock->type = SOCK_DGRAM | SOCK_NONBLOCK;
		return;
	case PROTOCOL_SCTP:
	case PROTOCOL_SCTP_SEQPACKET:
		/* One association to one backend, also where the listener's
		 * socket has many. */
		sock->type = SOCK_STREAM | SOCK_NONBLOCK;
		sock->protocol = IPPROTO_SCTP;
		return;
	}
}

int mint_kind(const struct service *service, enum protocol protocol,
	      unsigned int to, struct netns_socket *ret_socket)
{
	struct backend backend;

	if (service->action != SERVICE_FORWARD || to >= service->n_to ||
	    (!service->netns && !service->transparent))
		return -EPERM;
	if (backend_parse(service->to[to], &backend, NULL) < 0 ||
	    backend.scheme == BACKEND_UNIX)
		return -EPERM;
	*ret_socket = (struct netns_socket){
		.domain = backend.address.ss_family,
		.fd = -1,
	};
	set_protocol(ret_socket, backend_protocol(backend.scheme, protocol));
	return 0;
}

/* A descriptor of the namespace named @name, or -1 for berthd's own. */
static int open_place(struct watcher *watcher, const char *name, int *ret_fd,
		      uint64_t *ret_netns_id)
{
	const struct netns *netns = NULL;
	int fd;

	*ret_fd = -1;
	*ret_netns_id = 0;
	if (!name)
		return 0;
	netns = watcher_find_name(watcher, name);
	if (!netns)
		return -ENOENT;
	if (netns->host)
		return 0;
	fd = watcher_open_netns(watcher, netns);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	*ret_netns_id = netns->id;
	return 0;
}

static int make_transparent(int fd, int family)
{
	static const int on = 1;
	int r;

	r = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT,
					    &on, sizeof(on))
			       : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on,
					    sizeof(on));
	return r < 0 ? -errno : 0;
}

int mint_socket(struct watcher *watcher, const struct listener *listener,
		const struct mint_target *target, int *ret_fd,
		uint64_t *ret_netns_id)
{
	_cleanup_close_ int netns_fd = -1, fd = -1;
	struct netns_socket sock;
	uint64_t netns_id;
	int r;

	r = mint_check(listener->service, target);
	if (r < 0)
		return r;
	r = mint_kind(listener->service,
		      (enum protocol)listener->endpoint.protocol, target->to,
		      &sock);
	if (r < 0)
		return r;
	r = open_place(watcher, listener->service->netns, &netns_fd, &netns_id);
	if (r < 0)
		return r;
	r = netns_sockets(netns_fd, &sock, 1);
	if (r < 0)
		return r;
	if (sock.fd < 0)
		return -sock.error;
	fd = sock.fd;
	if (listener->service->transparent) {
		r = make_transparent(fd, sock.domain);
		if (r < 0)
			return r;
	}
	*ret_fd = TAKE_FD(fd);
	*ret_netns_id = netns_id;
	return 0;
}
