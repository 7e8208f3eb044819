// SPDX-License-Identifier: Apache-2.0
/* mint.c - a socket for a consumer to connect to a rule's backend with
 *
 * A consumer cannot enter a namespace, and has no capability that
 * IP_TRANSPARENT needs. So berthd makes the socket, and binds it: berth-relay
 * may bind none. Connecting needs no privilege. It gives only what the rule of
 * a listener that the consumer has says; who asks chooses nothing else but the
 * client's address, where a rule says `transparent`. That is checked, because
 * the consumer is not trusted; and the ports that need a privilege are not
 * given away with berthd's.
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
#include "common/stand_in.h"
#include "common/stream.h"
#include "common/util.h"
#include "daemon/json_text.h"
#include "daemon/privileges.h"
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

	if (service->transparent != (target->client.family != AF_UNSPEC))
		return -ESTALE;
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

int mint_client(const struct netns_socket *sock,
		const struct mint_target *target,
		struct sockaddr_storage *ret_address)
{
	bool datagrams = (sock->type & ~SOCK_NONBLOCK) == SOCK_DGRAM;
	int r = stand_in_check(&target->client, sock->domain);

	if (r < 0)
		return r;
	/* A port of the kernel's choice would be another client. */
	if (datagrams && target->client_port == 0)
		return -EADDRNOTAVAIL;
	return (int)ip_addr_to_sockaddr(&target->client,
					datagrams ? target->client_port : 0,
					/* scope_id= */ 0, ret_address);
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

/* To the client's address, which need not be local: but SCTP over IPv4 sends
 * from no other, and says so here (EADDRNOTAVAIL). */
static int stand_in_bind(int fd, const struct netns_socket *sock,
			 const struct sockaddr_storage *client, socklen_t len)
{
	static const int on = 1;
	int r = make_transparent(fd, sock->domain);

	if (r < 0)
		return r;
	/* Else a port would be taken that may serve only one destination. UDP
	 * and SCTP do not heed it. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
			 sizeof(on));
	return privileges_bind_unprivileged(fd, (const struct sockaddr *)client,
					    len);
}

static int mint_prepare(int fd, const struct netns_socket *sock)
{
	int r;

	if ((sock->type & ~SOCK_NONBLOCK) != SOCK_STREAM)
		return 0;
	r = stream_set_hard(fd, /* hard= */ true);
	if (r == 0 && sock->protocol != IPPROTO_SCTP)
		r = stream_set_inline(fd, /* inlined= */ true);
	return r;
}

int mint_socket(struct watcher *watcher, const struct listener *listener,
		const struct mint_target *target, int *ret_fd,
		uint64_t *ret_netns_id)
{
	_cleanup_close_ int netns_fd = -1, fd = -1;
	const struct service *service = listener->service;
	struct sockaddr_storage client;
	struct netns_socket sock;
	uint64_t netns_id;
	int r, len = 0;

	r = mint_check(service, target);
	if (r < 0)
		return r;
	r = mint_kind(service, (enum protocol)listener->endpoint.protocol,
		      target->to, &sock);
	if (r < 0)
		return r;
	if (service->transparent)
		len = mint_client(&sock, target, &client);
	if (len < 0)
		return len;
	r = open_place(watcher, service->netns, &netns_fd, &netns_id);
	if (r < 0)
		return r;
	r = netns_sockets(netns_fd, &sock, 1);
	if (r < 0)
		return r;
	if (sock.fd < 0)
		return -sock.error;
	fd = sock.fd;
	r = mint_prepare(fd, &sock);
	if (r == 0 && len > 0)
		r = stand_in_bind(fd, &sock, &client, (socklen_t)len);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	*ret_netns_id = netns_id;
	return 0;
}
