// SPDX-License-Identifier: Apache-2.0
/* udp.c - datagrams: a session for each client, answers from where it asked
 *
 * Theory of operation: with `forward`, each pair of a client's address and the
 * local address it spoke to has a session, with a socket of its own that is
 * connected to the backend; so the kernel sorts the backend's answers out, and
 * an ICMP error ends just that session. Answers leave through the listening
 * socket with IP_PKTINFO or IPV6_PKTINFO naming the local address that the
 * client spoke to: on a wildcard listener routing might choose another one,
 * and the client would not recognise the answer.
 *
 * The other actions need no session: the answer's addresses are the
 * datagram's, turned round.
 *
 * Datagrams are received and sent in batches, into buffers that hold the
 * largest there can be: none is ever cut. What cannot be sent at once is
 * dropped, as any router would. Sockets are level-triggered: a full batch just
 * leaves the rest to the next round.
 */
#include "relay/udp.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/limits.h"
#include "relay/listener.h"
#include "relay/serving.h"
#include "relay/udp_session.h"
#include "relay/worker.h"

#define BATCH 16
#define DATAGRAM_BYTES 65536u /* above the largest, 65,535 with its headers */

/* Batches per event, then other sockets have their turn. */
#define BATCHES_PER_EVENT 4

/* Sessions ended per turn when many expire together. */
#define EXPIRE_BATCH 256

/* Both kinds arrive on a dual-stack socket that asks for both. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		   CMSG_SPACE(sizeof(struct in_pktinfo))];
};

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/**
 * struct udp_worker - what all UDP listeners of a worker share
 * @data:	BATCH times DATAGRAM_BYTES
 */
struct udp_worker {
	struct udp_pool pool;
	struct mmsghdr headers[BATCH];
	struct iovec iov[BATCH];
	union address addresses[BATCH];
	union control controls[BATCH];
	struct udp_key keys[BATCH];
	uint8_t *data;
};

/**
 * struct udp_front - a share's sessions
 * @expire:	set while there is a session
 * @port:	of the listening socket, network byte order
 */
struct udp_front {
	struct share *share;
	struct udp_table *table;
	struct timer expire;
	uint16_t family;
	uint16_t port;
};

/* Buffers */

struct udp_worker *udp_worker_new(void)
{
	struct udp_worker *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return NULL;
	/* Pages that no datagram reached take no memory. */
	udp->data = mmap(NULL, BATCH * DATAGRAM_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (udp->data == MAP_FAILED) {
		free(udp);
		return NULL;
	}
	udp_pool_init(&udp->pool, limits_worker_sessions());
	return udp;
}

struct udp_worker *udp_worker_free(struct udp_worker *udp)
{
	if (!udp)
		return NULL;
	(void)munmap(udp->data, BATCH * DATAGRAM_BYTES); /* mapped above */
	free(udp);
	return NULL;
}

/* Receives a batch. Return: how many, or -errno. */
static int receive_batch(struct udp_worker *udp, int fd)
{
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		udp->iov[i] = (struct iovec){
			.iov_base = udp->data + i * DATAGRAM_BYTES,
			.iov_len = DATAGRAM_BYTES,
		};
		udp->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->addresses[i],
			.msg_namelen = sizeof(udp->addresses[i]),
			.msg_iov = &udp->iov[i],
			.msg_iovlen = 1,
			.msg_control = &udp->controls[i],
			.msg_controllen = sizeof(udp->controls[i]),
		};
	}
	n = recvmmsg(fd, udp->headers, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		udp->iov[i].iov_len = udp->headers[i].msg_len;
	return n;
}

/* Sends @n messages from @headers[@first] on.
 * Return: 0, or the -errno of the first that was refused; the rest was tried
 * unless the socket's buffer is full. */
static int send_batch(int fd, struct mmsghdr *headers, int n)
{
	int sent = 0, first_error = 0;

	while (sent < n) {
		int r = sendmmsg(fd, headers + sent, (unsigned int)(n - sent),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r > 0) {
			sent += r;
			continue;
		}
		if (first_error == 0)
			first_error = -errno;
		if (errno == EAGAIN)
			break;
		sent++;
	}
	return first_error;
}

/* Keys */

static void key_set_local(struct udp_key *key, struct cmsghdr *cmsg)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info;

	if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
		/* The address to answer from, also after a broadcast. */
		if (key->family == AF_INET) {
			memcpy(key->local, &info.ipi_spec_dst, 4);
		} else {
			memset(key->local, 0, 10);
			memset(key->local + 10, 0xff, 2);
			memcpy(key->local + 12, &info.ipi_spec_dst, 4);
		}
	} else if (cmsg->cmsg_level == IPPROTO_IPV6 &&
		   cmsg->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info6, CMSG_DATA(cmsg), sizeof(info6));
		if (IN6_IS_ADDR_MULTICAST(&info6.ipi6_addr))
			return; /* nobody answers from that */
		memcpy(key->local, &info6.ipi6_addr, sizeof(key->local));
		if (IN6_IS_ADDR_LINKLOCAL(&info6.ipi6_addr))
			key->ifindex = info6.ipi6_ifindex;
	}
}

static void key_from_header(struct udp_key *key, uint16_t family,
			    struct msghdr *header)
{
	const union address *from = header->msg_name;
	struct cmsghdr *cmsg;

	*key = (struct udp_key){ .family = family };
	if (family == AF_INET) {
		memcpy(key->client, &from->in.sin_addr, 4);
		key->port = from->in.sin_port;
	} else {
		memcpy(key->client, &from->in6.sin6_addr, sizeof(key->client));
		key->port = from->in6.sin6_port;
		key->scope_id = from->in6.sin6_scope_id;
	}
	/* IPV6_PKTINFO comes first, so that IP_PKTINFO has the last word. */
	for (cmsg = CMSG_FIRSTHDR(header); cmsg;
	     cmsg = CMSG_NXTHDR(header, cmsg))
		key_set_local(key, cmsg);
}

static socklen_t key_client_address(const struct udp_key *key,
				    union address *address)
{
	*address = (union address){ .any.sa_family = key->family };
	if (key->family == AF_INET) {
		memcpy(&address->in.sin_addr, key->client, 4);
		address->in.sin_port = key->port;
		return sizeof(address->in);
	}
	memcpy(&address->in6.sin6_addr, key->client, sizeof(key->client));
	address->in6.sin6_port = key->port;
	address->in6.sin6_scope_id = key->scope_id;
	return sizeof(address->in6);
}

/* Return: bytes of control message that name where to send from; 0: let the
 * kernel choose. */
static size_t key_local_control(const struct udp_key *key,
				union control *control)
{
	static const uint8_t none[sizeof(key->local)];
	struct in6_pktinfo info6 = { .ipi6_ifindex = key->ifindex };
	struct in_pktinfo info = { 0 };

	if (memcmp(key->local, none, sizeof(none)) == 0)
		return 0;
	if (key->family == AF_INET) {
		memcpy(&info.ipi_spec_dst, key->local, 4);
		control->align = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(info)),
			.cmsg_level = IPPROTO_IP,
			.cmsg_type = IP_PKTINFO,
		};
		memcpy(CMSG_DATA(&control->align), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	memcpy(&info6.ipi6_addr, key->local, sizeof(key->local));
	control->align = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(info6)),
		.cmsg_level = IPPROTO_IPV6,
		.cmsg_type = IPV6_PKTINFO,
	};
	memcpy(CMSG_DATA(&control->align), &info6, sizeof(info6));
	return CMSG_SPACE(sizeof(info6));
}

/* Addresses message @i to the client of @key. */
static void answer_to(struct udp_worker *udp, size_t i,
		      const struct udp_key *key)
{
	struct msghdr *header = &udp->headers[i].msg_hdr;

	header->msg_namelen = key_client_address(key, &udp->addresses[i]);
	header->msg_controllen = key_local_control(key, &udp->controls[i]);
}

/* Sessions */

static void session_close(struct worker *worker, struct udp_session *session)
{
	session->poll.handler = NULL;
	(void)close(TAKE_FD(session->fd)); /* UDP: nothing can fail */
	limits_give(1);
	udp_session_remove(session);
	worker_bury(worker, &session->grave);
}

static void session_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events)
{
	struct udp_session *session =
		container_of(pollable, struct udp_session, poll);
	struct udp_front *front = udp_table_owner(session->table);
	struct udp_worker *udp = worker->udp;
	int n, r;

	(void)events;
	n = receive_batch(udp, session->fd);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n < 0) {
		/* An ICMP error: the backend does not listen. */
		log_debug("%s: backend: %s; ending a session",
			  front->share->listener->label, strerror(-n));
		session_close(worker, session);
		return;
	}
	udp_session_touch(session, worker->now_us);
	for (int i = 0; i < n; i++)
		answer_to(udp, (size_t)i, &session->key);
	r = send_batch(front->share->listener->fd, udp->headers, n);
	if (r < 0 && r != -EAGAIN && log_ratelimit_ok(&worker->log_limit))
		log_warning_errno(r, "%s: cannot answer; dropping a datagram",
				  front->share->listener->label);
}

/* Makes room for one more session. Return: false when there is none. */
static bool front_make_room(struct worker *worker, struct udp_front *front)
{
	uint32_t limit = front->share->serving->max_connections;
	struct udp_session *victim;

	while ((victim = udp_table_victim(front->table, limit)))
		session_close(worker, victim);
	if (limits_take(1))
		return true;
	victim = udp_table_oldest(front->table);
	if (!victim)
		return false;
	session_close(worker, victim);
	return limits_take(1);
}

static int session_open(struct worker *worker, struct udp_front *front,
			struct udp_session *session)
{
	const struct serving *serving = front->share->serving;
	const struct serving_backend *target =
		&serving->backends[front->share->next_backend++ %
				   serving->n_backends];
	_cleanup_close_ int fd = -1;
	int r;

	fd = socket(target->address->sa_family,
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, target->address, target->address_len) < 0)
		return -errno;
	session->poll.handler = session_handler;
	r = worker_watch(worker, fd, EPOLLIN, &session->poll);
	if (r < 0)
		return r;
	session->fd = TAKE_FD(fd);
	return 0;
}

static struct udp_session *session_new(struct worker *worker,
				       struct udp_front *front,
				       const struct udp_key *key)
{
	struct udp_session *session;
	int r = -ENOMEM;

	if (!front_make_room(worker, front))
		return NULL;
	session = udp_table_add(front->table, key, worker->now_us);
	if (session)
		r = session_open(worker, front, session);
	if (r == 0) {
		timer_set_earlier(
			&worker->timers, &front->expire,
			worker->now_us +
				front->share->serving->idle_timeout_us);
		return session;
	}
	if (session) {
		udp_session_remove(session);
		free(session); /* no event can point to it yet */
	}
	limits_give(1);
	if (log_ratelimit_ok(&worker->log_limit))
		log_warning_errno(r, "%s: no session; dropping datagrams",
				  front->share->listener->label);
	return NULL;
}

static void front_expire(struct timer *timer, void *user_data)
{
	struct udp_front *front = container_of(timer, struct udp_front, expire);
	struct worker *worker = user_data;
	uint64_t idle_us = front->share->serving->idle_timeout_us;
	struct udp_session *oldest;
	int budget = EXPIRE_BATCH;

	while ((oldest = udp_table_oldest(front->table)) &&
	       oldest->active_us + idle_us <= worker->now_us && budget-- > 0)
		session_close(worker, oldest);
	if (!oldest)
		return;
	/* With work left: a moment later, so that this turn ends. */
	timer_set(&worker->timers, timer,
		  oldest->active_us + idle_us > worker->now_us
			  ? oldest->active_us + idle_us
			  : worker->now_us + 1);
}

static void front_end_sessions(struct worker *worker, struct udp_front *front)
{
	struct udp_session *session;

	while ((session = udp_table_oldest(front->table)))
		session_close(worker, session);
	timer_unset(&worker->timers, &front->expire);
}

/* The listening socket */

/* Sends messages @first to @end - 1, which are of one client, to its backend.
 */
static void forward_run(struct worker *worker, struct udp_front *front,
			size_t first, size_t end)
{
	struct udp_worker *udp = worker->udp;
	const struct udp_key *key = &udp->keys[first];
	struct udp_session *session = udp_table_find(front->table, key);
	int r;

	if (session)
		udp_session_touch(session, worker->now_us);
	else
		session = session_new(worker, front, key);
	if (!session)
		return;
	for (size_t i = first; i < end; i++) {
		udp->headers[i].msg_hdr.msg_name = NULL;
		udp->headers[i].msg_hdr.msg_namelen = 0;
		udp->headers[i].msg_hdr.msg_control = NULL;
		udp->headers[i].msg_hdr.msg_controllen = 0;
	}
	r = send_batch(session->fd, udp->headers + first, (int)(end - first));
	if (r == -ECONNREFUSED)
		session_close(worker, session);
}

static void forward_batch(struct worker *worker, struct udp_front *front,
			  size_t n)
{
	const struct udp_key *keys = worker->udp->keys;
	size_t first = 0, end;

	for (; first < n; first = end) {
		end = first + 1;
		while (end < n && memcmp(&keys[first], &keys[end],
					 sizeof(keys[first])) == 0)
			end++;
		forward_run(worker, front, first, end);
	}
}

/* Answers messages @first to @end - 1 with themselves, or the rule's text. */
static void answer_run(struct worker *worker, struct udp_front *front,
		       size_t first, size_t end)
{
	const struct serving *serving = front->share->serving;
	struct udp_worker *udp = worker->udp;
	int r;

	for (size_t i = first; i < end; i++) {
		answer_to(udp, i, &udp->keys[i]);
		if (serving->action != SERVICE_RESPOND)
			continue;
		udp->iov[i] = (struct iovec){ .iov_base = serving->text,
					      .iov_len = serving->text_len };
	}
	if (first == end)
		return;
	r = send_batch(front->share->listener->fd, udp->headers + first,
		       (int)(end - first));
	if (r < 0 && r != -EAGAIN && log_ratelimit_ok(&worker->log_limit))
		log_warning_errno(r, "%s: cannot answer; dropping a datagram",
				  front->share->listener->label);
}

/* One forged datagram from a listener's own port would be answered to itself,
 * or to another listener like it, for ever: such get no answer. */
static void answer_batch(struct worker *worker, struct udp_front *front,
			 size_t n)
{
	size_t first = 0;

	for (size_t i = 0; i < n; i++) {
		if (worker->udp->keys[i].port != front->port)
			continue;
		answer_run(worker, front, first, i);
		first = i + 1;
	}
	answer_run(worker, front, first, n);
}

static void handle_batch(struct worker *worker, struct udp_front *front, int n)
{
	struct udp_worker *udp = worker->udp;

	for (int i = 0; i < n; i++)
		key_from_header(&udp->keys[i], front->family,
				&udp->headers[i].msg_hdr);
	switch (front->share->serving->action) {
	case SERVICE_FORWARD:
		forward_batch(worker, front, (size_t)n);
		break;
	case SERVICE_RESPOND:
	case SERVICE_ECHO:
		answer_batch(worker, front, (size_t)n);
		break;
	case SERVICE_DISCARD:
	case SERVICE_HANDOFF:
		break;
	}
}

void udp_listener_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events)
{
	struct share *share = container_of(pollable, struct share, poll);
	int n = BATCH;

	(void)events;
	for (int i = 0; i < BATCHES_PER_EVENT && n == BATCH; i++) {
		n = receive_batch(worker->udp, share->listener->fd);
		if (n > 0)
			handle_batch(worker, share->udp, n);
	}
}

bool udp_shed(struct worker *worker)
{
	struct udp_session *oldest = worker->udp ? worker->udp->pool.oldest
						 : NULL;

	if (!oldest)
		return false;
	session_close(worker, oldest);
	return true;
}

/* Shares */

int udp_share_open(struct worker *worker, struct share *share)
{
	struct udp_front *front;
	int family = AF_INET;
	socklen_t len = sizeof(family);
	union address own = { 0 };
	socklen_t own_len = sizeof(own);

	if (!worker->udp)
		worker->udp = udp_worker_new();
	if (!worker->udp)
		return -ENOMEM;
	front = calloc(1, sizeof(*front));
	if (!front)
		return -ENOMEM;
	front->table = udp_table_new(&worker->udp->pool, front);
	if (!front->table || timers_reserve(&worker->timers) < 0) {
		(void)udp_table_free(front->table);
		free(front);
		return -ENOMEM;
	}
	/* Cannot fail for a socket. */
	(void)getsockopt(share->listener->fd, SOL_SOCKET, SO_DOMAIN, &family,
			 &len);
	(void)getsockname(share->listener->fd, (struct sockaddr *)&own,
			  &own_len);
	front->family = (uint16_t)family;
	front->port = family == AF_INET ? own.in.sin_port : own.in6.sin6_port;
	front->share = share;
	front->expire.handler = front_expire;
	share->udp = front;
	return 0;
}

void udp_share_close(struct worker *worker, struct share *share)
{
	struct udp_front *front = TAKE_PTR(share->udp);

	front_end_sessions(worker, front);
	timers_unreserve(&worker->timers, &front->expire);
	(void)udp_table_free(front->table);
	free(front); /* events point to sessions and shares only */
}

static bool same_backends(const struct serving *a, const struct serving *b)
{
	if (a->n_backends != b->n_backends)
		return false;
	for (size_t i = 0; i < a->n_backends; i++) {
		if (strcmp(a->backends[i].text, b->backends[i].text) != 0)
			return false;
	}
	return true;
}

void udp_share_changed(struct worker *worker, struct share *share,
		       const struct serving *old)
{
	struct udp_front *front = share->udp;

	if (!same_backends(old, share->serving)) {
		front_end_sessions(worker, front);
		return;
	}
	/* The idle timeout may be shorter now. */
	if (udp_table_oldest(front->table))
		timer_set_earlier(&worker->timers, &front->expire,
				  worker->now_us);
}
