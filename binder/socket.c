// SPDX-License-Identifier: Apache-2.0
/* socket.c - one socket from its birth to listening
 *
 * All of this happens from outside the namespace: a socket stays in the
 * namespace that it was born in, and names of interfaces in its options mean
 * those of that namespace.
 *
 * Every option that changes what the first packet meets is set before bind(2):
 * from then on a UDP socket receives, and clients' handshakes copy the options.
 *
 * Accepted connections end hard, and have urgent data among the other data, see
 * common/stream.h. Not so for `handoff`: its programs expect the defaults.
 *
 * SO_REUSEADDR is set for TCP and SCTP, so that connections from a listener's
 * previous life do not keep its port taken. On UDP it would let any process of
 * the container share the port, and take it over; SO_REUSEPORT would do so for
 * TCP.
 */
#include "binder/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/sctp_addrs.h"
#include "common/stream.h"
#include "common/util.h"

/* linux/in6.h has it, but cannot be included beside netinet/in.h. */
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* Room for datagrams that come while a worker is busy. The default of 208 KiB
 * holds 92 datagrams of 1,200 bytes; the kernel doubles the value, so this
 * holds 450. */
#define UDP_RECEIVE_BYTES (512 * 1024)

#define DSCP_SHIFT 2 /* the lower two bits of the byte are ECN's */

/* linux/socket.h of Debian 12 has it, glibc's headers do not. Linux 5.15 */
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SOCK_SNDBUF_LOCK
#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2
#endif

/* A socket that is being set up; @failure gets the first failure. An @adopted
 * one was set up before, perhaps for another rule. */
struct setup {
	int fd;
	bool adopted;
	int family; /* of the socket: AF_INET or AF_INET6 */
	const struct binder_row *row;
	const struct socket_options *options;
	struct binder_failure *failure;
};

static int socket_family(const struct binder_row *row)
{
	if (row->ipv4_only || row->listener.endpoint.family == AF_INET)
		return AF_INET;
	return AF_INET6;
}

void binder_socket_describe(const struct binder_row *row,
			    struct netns_socket *ret_socket)
{
	const struct protocol_socket kind =
		protocol_socket(row->listener.endpoint.protocol);

	*ret_socket = (struct netns_socket){
		.domain = socket_family(row),
		.type = kind.type | SOCK_NONBLOCK,
		.protocol = kind.protocol,
		.fd = -1,
	};
}

static int setup_fail(struct setup *setup, enum binder_step step,
		      const char *option)
{
	int error = errno;

	*setup->failure = (struct binder_failure){
		.error = error,
		.step = step,
		.option = option,
	};
	return -error;
}

static bool option_is(int fd, int level, int name, int expected)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, level, name, &value, &len) == 0 &&
	       value == expected;
}

static int setup_set(struct setup *setup, int level, int name, int value,
		     const char *option)
{
	if (setsockopt(setup->fd, level, name, &value, sizeof(value)) < 0)
		return setup_fail(setup, BINDER_STEP_OPTION, option);
	return 0;
}

static int setup_option(struct setup *setup, int level, int name, int value,
			const char *option)
{
	/* Some options need a privilege, or a socket that is not bound, but
	 * only to be changed. */
	if (setup->adopted && option_is(setup->fd, level, name, value))
		return 0;
	return setup_set(setup, level, name, value, option);
}

/* The limit of the system (net.core.rmem_max) is meant for other programs;
 * berthd keeps it only if it has no CAP_NET_ADMIN. */
static int setup_buffer(struct setup *setup, int force_name, int name,
			int64_t bytes, const char *option)
{
	int value = bytes > INT32_MAX ? INT32_MAX : (int)bytes;

	if (bytes == SERVICE_UNSET)
		return 0;
	if (setsockopt(setup->fd, SOL_SOCKET, force_name, &value,
		       sizeof(value)) == 0)
		return 0;
	return setup_option(setup, SOL_SOCKET, name, value, option);
}

static int setup_dscp(struct setup *setup)
{
	int tos, r = 0;

	if (setup->options->dscp == SERVICE_UNSET)
		return 0;
	tos = setup->options->dscp << DSCP_SHIFT;
	if (setup->family == AF_INET6)
		r = setup_option(setup, IPPROTO_IPV6, IPV6_TCLASS, tos, "dscp");
	/* A dual-stack socket has one value for each family. */
	if (r == 0 && setup->row->listener.endpoint.family != AF_INET6)
		r = setup_option(setup, IPPROTO_IP, IP_TOS, tos, "dscp");
	return r;
}

static int setup_keepalive(struct setup *setup)
{
	int seconds = setup->options->keepalive_s;
	int r;

	if (seconds == SERVICE_UNSET)
		return 0;
	r = setup_option(setup, SOL_SOCKET, SO_KEEPALIVE, 1, "keepalive");
	if (r < 0 || seconds == 0)
		return r;
	return setup_option(setup, IPPROTO_TCP, TCP_KEEPIDLE, seconds,
			    "keepalive");
}

/* Binds by index, because the name may be another interface's by now. The
 * kernel takes any index, so it is checked first that the interface still
 * exists. */
static int setup_device(struct setup *setup)
{
	uint32_t ifindex = setup->row->listener.endpoint.bound_ifindex;
	struct ifreq request = { .ifr_ifindex = (int)ifindex };

	if (!ifindex)
		return 0;
	if (ioctl(setup->fd, SIOCGIFNAME, &request) < 0)
		return setup_fail(setup, BINDER_STEP_OPTION, "interface_bound");
	return setup_option(setup, SOL_SOCKET, SO_BINDTOIFINDEX, (int)ifindex,
			    "interface_bound");
}

static uint16_t streams_or_default(int streams)
{
	return streams == SERVICE_UNSET ? SERVICE_STREAMS : (uint16_t)streams;
}

static int setup_streams(struct setup *setup)
{
	const struct socket_options *o = setup->options;
	struct sctp_initmsg init = {
		.sinit_num_ostreams = streams_or_default(o->streams_out),
		.sinit_max_instreams = streams_or_default(o->streams_in),
	};

	if (!protocol_is_sctp(setup->row->listener.endpoint.protocol))
		return 0;
	if (setsockopt(setup->fd, IPPROTO_SCTP, SCTP_INITMSG, &init,
		       sizeof(init)) < 0)
		return setup_fail(setup, BINDER_STEP_OPTION, "streams");
	return 0;
}

/* Without a lock the kernel chooses the size of a TCP socket's buffer again. */
static void reset_buffers(struct setup *setup)
{
	int locks = 0, wanted;
	socklen_t len = sizeof(locks);

	if (getsockopt(setup->fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &len) < 0)
		return;
	wanted = locks;
	if (setup->options->send_buffer == SERVICE_UNSET)
		wanted &= ~SOCK_SNDBUF_LOCK;
	if (setup->options->receive_buffer == SERVICE_UNSET)
		wanted &= ~SOCK_RCVBUF_LOCK;
	if (wanted != locks)
		(void)setsockopt(setup->fd, SOL_SOCKET, SO_BUF_LOCK, &wanted,
				 sizeof(wanted)); /* the size is fine, too */
}

/* An option that cannot even be read was never set. */
static int setup_unset(struct setup *setup, int level, int name,
		       const char *option)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(setup->fd, level, name, &value, &len) < 0 || value == 0)
		return 0;
	return setup_set(setup, level, name, 0, option);
}

static int reset_ip(struct setup *setup)
{
	const struct socket_options *o = setup->options;
	bool v6 = setup->family == AF_INET6;
	int r = 0;

	if (!o->transparent)
		r = setup_unset(setup, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT,
				"transparent");
	if (r < 0 || o->dscp != SERVICE_UNSET)
		return r;
	if (v6)
		r = setup_unset(setup, IPPROTO_IPV6, IPV6_TCLASS, "dscp");
	if (r == 0 && setup->row->listener.endpoint.family != AF_INET6)
		r = setup_unset(setup, IPPROTO_IP, IP_TOS, "dscp");
	return r;
}

/* Takes back the options that an earlier rule may have set. */
static int setup_reset(struct setup *setup)
{
	enum protocol protocol = setup->row->listener.endpoint.protocol;
	const struct socket_options *o = setup->options;
	int r = reset_ip(setup);

	if (r == 0 && o->mark == SERVICE_UNSET)
		r = setup_unset(setup, SOL_SOCKET, SO_MARK, "mark");
	if (r == 0 && o->keepalive_s == SERVICE_UNSET)
		r = setup_unset(setup, SOL_SOCKET, SO_KEEPALIVE, "keepalive");
	if (r == 0 && o->defer_accept_s == SERVICE_UNSET &&
	    protocol == PROTOCOL_TCP)
		r = setup_unset(setup, IPPROTO_TCP, TCP_DEFER_ACCEPT,
				"defer_accept");
	if (r == 0 && !protocol_is_sctp(protocol))
		r = setup_unset(setup, SOL_SOCKET, SO_REUSEPORT, "port");
	if (r == 0 && protocol == PROTOCOL_UDP)
		r = setup_unset(setup, SOL_SOCKET, SO_REUSEADDR, "port");
	reset_buffers(setup);
	return r;
}

/* Sets the options that a rule names. */
static int setup_chosen(struct setup *setup)
{
	const struct socket_options *o = setup->options;
	bool v6 = setup->family == AF_INET6;
	int r = setup_device(setup);

	if (r == 0 && o->transparent)
		r = setup_option(setup, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				 v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1,
				 "transparent");
	/* All 32 bits belong to the mark; it has no sign. */
	if (r == 0 && o->mark != SERVICE_UNSET)
		r = setup_option(setup, SOL_SOCKET, SO_MARK,
				 (int)(uint32_t)o->mark, "mark");
	if (r == 0)
		r = setup_dscp(setup);
	if (r == 0)
		r = setup_buffer(setup, SO_RCVBUFFORCE, SO_RCVBUF,
				 o->receive_buffer, "receive_buffer");
	if (r == 0)
		r = setup_buffer(setup, SO_SNDBUFFORCE, SO_SNDBUF,
				 o->send_buffer, "send_buffer");
	if (r == 0)
		r = setup_keepalive(setup);
	if (r == 0 && o->defer_accept_s != SERVICE_UNSET)
		r = setup_option(setup, IPPROTO_TCP, TCP_DEFER_ACCEPT,
				 o->defer_accept_s, "defer_accept");
	if (r == 0 && o->fastopen != SERVICE_UNSET)
		r = setup_option(setup, IPPROTO_TCP, TCP_FASTOPEN, o->fastopen,
				 "fastopen");
	return r < 0 ? r : setup_streams(setup);
}

static int setup_freebind(struct setup *setup)
{
	bool v6 = setup->family == AF_INET6;

	return setup_option(setup, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			    v6 ? IPV6_FREEBIND : IP_FREEBIND, 1, "address");
}

int binder_socket_set_service(int fd, const struct binder_row *row)
{
	bool handoff = row->listener.service->action == SERVICE_HANDOFF;
	int r;

	if (row->listener.endpoint.protocol == PROTOCOL_UDP)
		return 0;
	r = stream_set_hard(fd, /* hard= */ !handoff);
	if (r == 0 && row->listener.endpoint.protocol == PROTOCOL_TCP)
		r = stream_set_inline(fd, /* inlined= */ !handoff);
	return r;
}

/* Sets the options that the kind of endpoint needs. */
static int setup_kind(struct setup *setup)
{
	const struct endpoint *endpoint = &setup->row->listener.endpoint;
	bool v6 = setup->family == AF_INET6;
	int r = 0;

	/* Dual-stack, whatever net.ipv6.bindv6only of the namespace says. Of an
	 * adopted one adopt_check() has found that it is. */
	if (v6 && !setup->adopted)
		r = setup_option(setup, IPPROTO_IPV6, IPV6_V6ONLY,
				 endpoint->family == AF_INET6, "address");
	/* If one of several addresses has just come, or is just going, the
	 * others must not fail; an address that goes is unbound soon. */
	if (r == 0 && (setup->row->freebind || endpoint->multihomed))
		r = setup_freebind(setup);
	if (r == 0 && endpoint->protocol != PROTOCOL_UDP)
		r = setup_option(setup, SOL_SOCKET, SO_REUSEADDR, 1, "port");
	if (r == 0 && binder_socket_set_service(setup->fd, setup->row) < 0)
		r = setup_fail(setup, BINDER_STEP_OPTION, "protocol");
	if (r == 0 && endpoint->protocol == PROTOCOL_UDP &&
	    setup->options->receive_buffer == SERVICE_UNSET)
		r = setup_buffer(setup, SO_RCVBUFFORCE, SO_RCVBUF,
				 UDP_RECEIVE_BYTES, "receive_buffer");
	/* The consumer must be able to answer from the very address that the
	 * client spoke to. On a dual-stack socket this tells IPv4 addresses,
	 * too. */
	if (r == 0 && endpoint->protocol == PROTOCOL_UDP)
		r = setup_option(setup, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				 v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1,
				 "protocol");
	return r;
}

static int setup_bind(struct setup *setup)
{
	const struct endpoint *endpoint = &setup->row->listener.endpoint;
	struct ip_addr addr = endpoint_addr(endpoint);
	struct sockaddr_storage sa;
	socklen_t len;
	int r;

	if (endpoint->multihomed) {
		r = sctp_addrs_add(setup->fd, setup->row->addrs,
				   setup->row->n_addrs, endpoint->port);
		errno = -r;
	} else {
		addr.family = (uint8_t)setup->family;
		len = ip_addr_to_sockaddr(&addr, endpoint->port,
					  endpoint->scope_id, &sa);
		r = bind(setup->fd, (struct sockaddr *)&sa, len);
		/* The kernel tells of an IPv4 address before its local route
		 * exists, see
		 * __inet_insert_ifa() in net/ipv4/devinet.c. */
		if (r < 0 && errno == EADDRNOTAVAIL && setup->row->observed) {
			r = setup_freebind(setup);
			if (r < 0)
				return r;
			r = bind(setup->fd, (struct sockaddr *)&sa, len);
		}
	}
	return r < 0 ? setup_fail(setup, BINDER_STEP_BIND, NULL) : 0;
}

static int setup_listen(struct setup *setup)
{
	int backlog = setup->options->backlog;

	if (setup->row->listener.endpoint.protocol == PROTOCOL_UDP)
		return 0;
	if (listen(setup->fd, backlog == SERVICE_UNSET ? SOMAXCONN : backlog) <
	    0)
		return setup_fail(setup, BINDER_STEP_LISTEN, NULL);
	return 0;
}

int binder_socket_setup(int fd, const struct binder_row *row,
			struct binder_failure *ret_failure)
{
	struct setup setup = {
		.fd = fd,
		.family = socket_family(row),
		.row = row,
		.options = &row->listener.service->options,
		.failure = ret_failure,
	};
	int r;

	r = setup_kind(&setup);
	if (r == 0)
		r = setup_chosen(&setup);
	if (r == 0)
		r = setup_bind(&setup);
	return r < 0 ? r : setup_listen(&setup);
}

/* Removes from @list the addresses that @other has. Return: how many are left.
 */
static size_t addrs_minus(struct ip_addr *list, size_t n,
			  const struct ip_addr *other, size_t n_other)
{
	size_t kept = 0, j;

	for (size_t i = 0; i < n; i++) {
		for (j = 0; j < n_other; j++) {
			if (ip_addr_equal(&list[i], &other[j]))
				break;
		}
		if (j == n_other)
			list[kept++] = list[i];
	}
	return kept;
}

/* Gives a multihomed endpoint the addresses @to in place of @from. */
static int readdress(int fd, uint16_t port, const struct ip_addr *from,
		     size_t n_from, const struct ip_addr *to, size_t n_to)
{
	_cleanup_free_ struct ip_addr *list =
		malloc((n_to + n_from) * sizeof(*list));
	size_t n_list;
	int r;

	if (!list)
		return -ENOMEM;
	/* Adds first: the last address cannot be removed (EBUSY). */
	memcpy(list, to, n_to * sizeof(*list));
	n_list = addrs_minus(list, n_to, from, n_from);
	r = sctp_addrs_add(fd, list, n_list, port);
	if (r < 0)
		return r;
	memcpy(list, from, n_from * sizeof(*list));
	n_list = addrs_minus(list, n_from, to, n_to);
	return sctp_addrs_remove(fd, list, n_list, port);
}

int binder_socket_readdress(const struct binder_row *row,
			    const struct ip_addr *addrs, size_t n)
{
	return readdress(row->listener.fd, row->listener.endpoint.port,
			 row->addrs, row->n_addrs, addrs, n);
}

/* The user that a socket belongs to stays that of its birth. */
static int adopt_owner(struct setup *setup, uid_t owner)
{
	struct stat st;

	if (!setup->row->listener.endpoint.multihomed)
		return 0;
	if (fstat(setup->fd, &st) < 0)
		return setup_fail(setup, BINDER_STEP_SOCKET, NULL);
	errno = EPERM;
	return st.st_uid == owner ? 0
				  : setup_fail(setup, BINDER_STEP_SOCKET, NULL);
}

static int adopt_addresses(struct setup *setup)
{
	const struct binder_row *row = setup->row;
	_cleanup_free_ struct ip_addr *addrs = NULL;
	size_t n;
	int r;

	if (!row->listener.endpoint.multihomed)
		return 0;
	r = sctp_addrs_get(setup->fd, &addrs, &n);
	if (r == 0)
		r = readdress(setup->fd, row->listener.endpoint.port, addrs, n,
			      row->addrs, row->n_addrs);
	errno = -r;
	return r < 0 ? setup_fail(setup, BINDER_STEP_BIND, NULL) : 0;
}

/* The program that had it may have made it a blocking one. */
static int adopt_flags(struct setup *setup)
{
	int flags = fcntl(setup->fd, F_GETFL);

	if (flags >= 0 && flags & O_NONBLOCK)
		return 0;
	if (flags < 0 || fcntl(setup->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return setup_fail(setup, BINDER_STEP_SOCKET, NULL);
	return 0;
}

int binder_socket_adopt(int fd, int family, struct binder_row *row, uid_t owner,
			struct binder_failure *ret_failure)
{
	struct setup setup = {
		.fd = fd,
		.adopted = true,
		.family = family,
		.row = row,
		.options = &row->listener.service->options,
		.failure = ret_failure,
	};
	int r;

	row->ipv4_only = row->listener.endpoint.family == AF_UNSPEC &&
			 family == AF_INET;
	r = adopt_flags(&setup);
	if (r == 0)
		r = adopt_owner(&setup, owner);
	if (r == 0)
		r = setup_reset(&setup);
	if (r == 0)
		r = setup_kind(&setup);
	if (r == 0)
		r = setup_chosen(&setup);
	if (r == 0)
		r = adopt_addresses(&setup);
	return r < 0 ? r : setup_listen(&setup);
}
