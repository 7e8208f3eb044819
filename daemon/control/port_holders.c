// SPDX-License-Identifier: Apache-2.0
/* port_holders.c - which sockets of a namespace have a port that berth wants
 *
 * Everything is asked for on one netlink socket, born in the namespace, and the
 * kernel answers within the call. It is asked for listening sockets first: a
 * server's connections have its port as well, and there may be thousands.
 */
#include "daemon/control/port_holders.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/netns_enter.h"
#include "common/util.h"

#define ANSWER_BYTES                                             \
	16384 /* what the kernel puts into one datagram, at most \
	       */

#define STATES_LISTEN (1u << TCP_LISTEN)

/* A socket in TIME_WAIT is nobody's, and does not keep others away. */
#define STATES_OTHER (~(STATES_LISTEN | 1u << TCP_TIME_WAIT))

/**
 * struct search - for holders of @endpoint
 * @space:	IPPROTO_TCP or IPPROTO_UDP
 */
struct search {
	int fd;
	const struct endpoint *endpoint;
	uint8_t space;
	struct port_holder *holders;
	size_t n;
};

static int ask(const struct search *search, uint8_t family, uint32_t states)
{
	struct inet_diag_req_v2 body = {
		.sdiag_family = family,
		.sdiag_protocol = search->space,
		.idiag_states = states,
		.id.idiag_sport = htons(search->endpoint->port),
	};
	struct nlmsghdr head = {
		.nlmsg_len = NLMSG_LENGTH(sizeof(body)),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	};
	const struct iovec parts[] = { { &head, sizeof(head) },
				       { &body, sizeof(body) } };

	return writev(search->fd, parts, ARRAY_SIZE(parts)) < 0 ? -errno : 0;
}

/* The endpoint of a socket, as a rule would have it. */
static struct endpoint endpoint_of(const struct inet_diag_msg *socket,
				   const struct search *search)
{
	struct endpoint endpoint = {
		.protocol = search->endpoint->protocol,
		.port = search->endpoint->port,
		.family = socket->idiag_family,
	};
	bool link_local;

	memcpy(endpoint.addr, socket->id.idiag_src,
	       socket->idiag_family == AF_INET ? 4 : 16);
	link_local = endpoint.family == AF_INET6 && endpoint.addr[0] == 0xfe &&
		     (endpoint.addr[1] & 0xc0) == 0x80;
	if (link_local)
		endpoint.scope_id = socket->id.idiag_if;
	/* Dual-stack, as far as is known. */
	if (endpoint.family == AF_INET6 && endpoint_is_wildcard(&endpoint))
		endpoint.family = AF_UNSPEC;
	return endpoint;
}

static void note(struct search *search, const struct inet_diag_msg *socket)
{
	struct endpoint endpoint = endpoint_of(socket, search);
	struct port_holder *holder = &search->holders[search->n];

	if (search->n >= PORT_HOLDERS_MAX ||
	    ntohs(socket->id.idiag_sport) != search->endpoint->port ||
	    endpoint_conflict(&endpoint, search->endpoint) ==
		    ENDPOINT_COMPATIBLE)
		return;
	search->n++;
	*holder = (struct port_holder){
		.endpoint = endpoint,
		.uid = socket->idiag_uid,
		.inode = socket->idiag_inode,
	};
}

/* Return: 1: there is more to come; 0: that was all; -errno. */
static int read_answer(struct search *search, const void *answer, size_t len)
{
	const struct nlmsghdr *head = answer;

	for (; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
		if (head->nlmsg_type == NLMSG_DONE)
			return 0;
		if (head->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(head);

			return error->error ? error->error : -EPROTO;
		}
		if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		    head->nlmsg_len >=
			    NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			note(search, NLMSG_DATA(head));
	}
	return 1;
}

static int dump(struct search *search, uint8_t family, uint32_t states)
{
	_cleanup_free_ void *answer = malloc(ANSWER_BYTES);
	int r = answer ? ask(search, family, states) : -ENOMEM;
	ssize_t len;

	if (r < 0)
		return r;
	do {
		len = recv(search->fd, answer, ANSWER_BYTES, MSG_DONTWAIT);
		if (len < 0)
			return -errno;
		r = read_answer(search, answer, (size_t)len);
	} while (r > 0);
	return r;
}

static int search_all(struct search *search)
{
	static const uint32_t states[] = { STATES_LISTEN, STATES_OTHER };
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(states) && search->n == 0; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(families) && r == 0; k++)
			r = dump(search, families[k], states[i]);
	}
	return search->n > 0 ? (int)search->n : r;
}

int port_holders_find(int netns_fd, const struct endpoint *endpoint,
		      struct port_holder *ret_holders)
{
	struct netns_socket sock = { .domain = AF_NETLINK,
				     .type = SOCK_RAW,
				     .protocol = NETLINK_SOCK_DIAG };
	struct search search = { .endpoint = endpoint, .holders = ret_holders };
	int r;

	if (protocol_is_sctp(endpoint->protocol))
		return -EPROTONOSUPPORT;
	search.space = endpoint->protocol == PROTOCOL_UDP ? IPPROTO_UDP
							  : IPPROTO_TCP;
	r = netns_sockets(netns_fd, &sock, 1);
	if (r == 0)
		r = -sock.error;
	if (r < 0)
		return r;
	search.fd = sock.fd;
	r = search_all(&search);
	(void)close(sock.fd); /* only asked */
	return r;
}
