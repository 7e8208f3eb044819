// SPDX-License-Identifier: Apache-2.0
/* mint.c - mints a socket for a consumer to connect to a rule's backend with
 *
 * A consumer cannot enter a namespace, and lacks the capability that
 * IP_TRANSPARENT needs. So berthd makes the socket, and binds it, because
 * berth-relay may bind none. Connecting needs no privilege. berthd mints only
 * what the rule of a listener says that the consumer has. The consumer chooses
 * nothing but the client's address, where a rule says `transparent`. berthd
 * checks that address, because the consumer is not trusted, and binds without
 * its own privilege, so that nobody gets a port below 1024.
 */
#include "daemon/consumers/mint.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "binder/binder.h"
#include "common/backend.h"
#include "common/backend_source.h"
#include "common/backend_socket.h"
#include "common/netns.h"
#include "common/netns_enter.h"
#include "common/sctp_addrs.h"
#include "common/service.h"
#include "common/stand_in.h"
#include "common/stream.h"
#include "common/util.h"
#include "daemon/json_build.h"
#include "daemon/privileges.h"
#include "watcher/watcher.h"

/* Is @told the text by which a consumer was told of @bytes?
 * Return: 0; -ESTALE: it is not; -ENOMEM. */
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

static bool has_source(const struct service *service,
		       const struct ip_addr *addr)
{
	for (size_t i = 0; i < service->n_from; i++) {
		if (ip_addr_equal(&service->from[i].addr, addr))
			return true;
	}
	return false;
}

/* Is the socket to have the client's address? */
static bool stands_in(const struct service *service,
		      const struct socket_request *request)
{
	return service->transparent && !request->check;
}

int mint_check(const struct service *service,
	       const struct socket_request *request)
{
	int r = 0;

	if (request->check && !service->check.every_ms)
		return -ESTALE;
	if (stands_in(service, request) !=
	    (request->client.family != AF_UNSPEC))
		return -ESTALE;
	if (request->from.family != AF_UNSPEC &&
	    !has_source(service, &request->from))
		return -ESTALE;
	if (request->backend) {
		if (service->action != SERVICE_FORWARD ||
		    request->to >= service->n_to)
			return -ESTALE;
		r = compare_told(service->to[request->to], request->backend);
	}
	if (r == 0 && request->netns)
		r = compare_told(service->netns ? service->netns : "",
				 request->netns);
	return r;
}

int mint_choose(const struct service *service, enum protocol protocol,
		const struct socket_request *request,
		struct backend *ret_backend, struct backend_socket *ret_socket)
{
	const struct backend_origin origin = {
		.elsewhere = service->netns != NULL,
		.transparent = stands_in(service, request),
		.from = service->from,
		.n_from = service->n_from,
	};
	struct backend_socket sock;
	struct backend backend;

	if (service->action != SERVICE_FORWARD ||
	    request->to >= service->n_to ||
	    backend_parse(service->to[request->to], &backend, NULL) < 0)
		return -EPERM;
	sock = backend_socket_choose(&backend, protocol, &origin);
	if (!sock.minted)
		return -EPERM;
	*ret_backend = backend;
	*ret_socket = sock;
	return 0;
}

static int client_address(const struct backend_socket *sock,
			  const struct socket_request *request,
			  struct sockaddr_storage *ret_address)
{
	bool datagrams = sock->protocol == PROTOCOL_UDP;
	int r = stand_in_check(&request->client, sock->domain);

	if (r < 0)
		return r;
	/* A port of the kernel's choice would be another client. */
	if (datagrams && request->client_port == 0)
		return -EADDRNOTAVAIL;
	return (int)ip_addr_to_sockaddr(&request->client,
					datagrams ? request->client_port : 0,
					/* scope_id= */ 0, ret_address);
}

int mint_address(const struct backend_socket *sock,
		 const struct socket_request *request,
		 struct sockaddr_storage *ret_address)
{
	if (request->client.family != AF_UNSPEC)
		return client_address(sock, request, ret_address);
	if (!sock->bound)
		return 0;
	if (!sock->source)
		return -EAFNOSUPPORT;
	return (int)ip_addr_to_sockaddr(&sock->source->addr, /* port= */ 0,
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

/* A transparent socket may be bound to an address that is not local, but by
 * SCTP over IPv4: then bind(2) fails with EADDRNOTAVAIL. */
static int bind_minted(int fd, const struct backend_socket *sock,
		       bool transparent, const struct sockaddr *address,
		       socklen_t len)
{
	static const int on = 1;
	int r;

	/* Without it bind(2) would take a port that no other destination can
	 * use. SCTP does not know this option. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
			 sizeof(on));
	if (!transparent)
		return bind(fd, address, len) < 0 ? -errno : 0;
	r = make_transparent(fd, sock->domain);
	return r < 0 ? r : privileges_bind_unprivileged(fd, address, len);
}

static int mint_prepare(int fd, enum protocol protocol)
{
	int r;

	if (protocol == PROTOCOL_UDP)
		return 0;
	r = stream_set_hard(fd, /* hard= */ true);
	if (r == 0 && protocol == PROTOCOL_TCP)
		r = stream_set_inline(fd, /* inlined= */ true);
	return r;
}

static struct netns_socket birth_of(const struct backend_socket *sock)
{
	const struct protocol_socket kind = protocol_socket(sock->protocol);

	return (struct netns_socket){
		.domain = sock->domain,
		.type = kind.type | SOCK_NONBLOCK,
		.protocol = kind.protocol,
		.fd = -1,
	};
}

static int make_plain(int netns_fd, const struct backend_socket *sock,
		      int *ret_fd)
{
	struct netns_socket birth = birth_of(sock);
	int r = netns_sockets(netns_fd, &birth, 1);

	if (r < 0)
		return r;
	if (birth.fd < 0)
		return -birth.error;
	*ret_fd = birth.fd;
	return 0;
}

/* An association is bound to the rule's addresses, or to those that it is
 * routed from. Only a UDP socket of the same namespace can tell the latter. */
static int make_association(const struct service *service, int netns_fd,
			    const struct backend *backend,
			    const struct backend_socket *sock, int *ret_fd)
{
	struct netns_socket births[] = {
		birth_of(sock),
		{ .domain = sock->domain, .type = SOCK_DGRAM, .fd = -1 },
	};
	_cleanup_close_ int fd = -1, udp_fd = -1;
	int r;

	r = netns_sockets(netns_fd, births, ARRAY_SIZE(births));
	if (r < 0)
		return r;
	fd = births[0].fd;
	udp_fd = births[1].fd;
	if (fd < 0 || udp_fd < 0)
		return -(fd < 0 ? births[0].error : births[1].error);
	r = service->n_from
		    ? sctp_addrs_add_chosen(fd, service->from, service->n_from,
					    &backend->addrs)
		    : sctp_addrs_add_routed(fd, udp_fd, &backend->addrs);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int mint_socket(struct watcher *watcher, const struct listener *listener,
		const struct socket_request *request, int *ret_fd,
		uint64_t *ret_netns_id)
{
	_cleanup_close_ int netns_fd = -1, fd = -1;
	const struct service *service = listener->service;
	struct sockaddr_storage address;
	struct backend_socket sock;
	struct backend backend;
	uint64_t netns_id;
	int r, len;

	r = mint_check(service, request);
	if (r < 0)
		return r;
	r = mint_choose(service, (enum protocol)listener->endpoint.protocol,
			request, &backend, &sock);
	if (r < 0)
		return r;
	len = mint_address(&sock, request, &address);
	if (len < 0)
		return len;
	r = open_place(watcher, service->netns, &netns_fd, &netns_id);
	if (r < 0)
		return r;
	if (sock.protocol == PROTOCOL_SCTP && !stands_in(service, request))
		r = make_association(service, netns_fd, &backend, &sock, &fd);
	else
		r = make_plain(netns_fd, &sock, &fd);
	if (r == 0)
		r = mint_prepare(fd, sock.protocol);
	if (r == 0 && len > 0)
		r = bind_minted(fd, &sock, stands_in(service, request),
				(struct sockaddr *)&address, (socklen_t)len);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	*ret_netns_id = netns_id;
	return 0;
}
