// SPDX-License-Identifier: Apache-2.0
/* check_attempt.c - one attempt of a check to reach its backend
 *
 * Theory of operation: the socket is connected. If the check asks for nothing,
 * that is all. Otherwise its request is sent, and the answer is read until its
 * status is known; a backend that ends the connection before has failed. One
 * read follows each event, so that no backend keeps the main thread. Whoever
 * began the attempt has a timer for all of it.
 *
 * By UDP one datagram is sent from a connected socket, which hears what hosts
 * on the way say of it (IP_RECVERR): nobody listens there, or the host cannot
 * be reached. An answer is a success, whatever it says; what silence is,
 * whoever began the attempt says.
 */
#include "relay/core/check_attempt.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/backend_source.h"
#include "common/loop.h"
#include "common/util.h"
#include "relay/core/own_sockets.h"
#include "relay/core/target_connect.h"

/* The head of an answer is shorter, mostly. */
#define READ_BYTES 2048

void check_plan_done(struct check_plan *plan)
{
	free(plan->target.address);
	free(plan->target.addrs);
	free(plan->from);
	free(plan->request);
	*plan = (struct check_plan){ .request = NULL };
}

/* Return: 0 or -ENOMEM. */
static int copy_target(const struct serving_backend *target,
		       struct serving_backend *copy)
{
	copy->protocol = target->protocol;
	copy->check_minted = target->check_minted;
	copy->address_len = target->address_len;
	copy->address = malloc(target->address_len);
	copy->addrs = target->addrs ? malloc(sizeof(*copy->addrs)) : NULL;
	if (!copy->address || (target->addrs && !copy->addrs))
		return -ENOMEM;
	memcpy(copy->address, target->address, target->address_len);
	if (target->addrs)
		*copy->addrs = *target->addrs;
	return 0;
}

/* Return: 0 or -ENOMEM. */
static int copy_from(const struct serving *serving, struct check_plan *plan)
{
	size_t bytes = serving->n_from * sizeof(*plan->from);

	if (bytes == 0 || plan->target.check_minted ||
	    plan->target.protocol != PROTOCOL_SCTP)
		return 0;
	plan->from = malloc(bytes);
	if (!plan->from)
		return -ENOMEM;
	memcpy(plan->from, serving->from, bytes);
	plan->n_from = serving->n_from;
	return 0;
}

static struct sockaddr_storage address_of(const struct serving_backend *target)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };

	memcpy(&address, target->address, target->address_len);
	return address;
}

/* Return: how long what is said is; 0: nothing is. */
static size_t make_request(const struct serving *serving,
			   const struct check_plan *plan, char *buffer)
{
	const struct service_check *check = &serving->check;
	struct sockaddr_storage address = address_of(&plan->target);
	size_t len;

	if (plan->datagrams && check->send) {
		len = check_proxy_header(serving->proxy, buffer);
		memcpy(buffer + len, check->send, strlen(check->send));
		return len + strlen(check->send);
	}
	if (plan->target.protocol != PROTOCOL_TCP || !check->http_path)
		return 0;
	return check_http_request(check, serving->proxy, &address, buffer);
}

/* Return: 0 or -ENOMEM. */
static int copy_request(const struct serving *serving, struct check_plan *plan)
{
	char request[CHECK_HTTP_REQUEST_MAX];

	plan->request_len = make_request(serving, plan, request);
	if (plan->request_len == 0)
		return 0;
	plan->request = malloc(plan->request_len);
	if (!plan->request)
		return -ENOMEM;
	memcpy(plan->request, request, plan->request_len);
	plan->status_min = serving->check.status_min;
	plan->status_max = serving->check.status_max;
	return 0;
}

int check_plan_copy(const struct serving *serving, unsigned int index,
		    struct check_plan *ret_plan)
{
	int r = copy_target(&serving->backends[index], &ret_plan->target);

	if (r < 0)
		return r;
	ret_plan->datagrams = ret_plan->target.protocol == PROTOCOL_UDP &&
			      ret_plan->target.address->sa_family != AF_UNIX;
	r = copy_from(serving, ret_plan);
	return r < 0 ? r : copy_request(serving, ret_plan);
}

/* Judges what came of the answer. Return: as check_attempt_begin(). */
static int judge(struct check_attempt *attempt, const char *data, size_t len)
{
	const struct check_plan *plan = attempt->plan;
	unsigned int status;

	switch (check_http_read(&attempt->http, data, len)) {
	case CHECK_HTTP_MORE:
		return -EINPROGRESS;
	case CHECK_HTTP_BROKEN:
		return -EPROTO;
	case CHECK_HTTP_STATUS:
		break;
	}
	status = attempt->http.status;
	if (status >= plan->status_min && status <= plan->status_max)
		return 0;
	attempt->http_status = status;
	return -EPROTO;
}

static int hear(struct check_attempt *attempt)
{
	char data[READ_BYTES];
	ssize_t n = recv(attempt->fd, data, sizeof(data), 0);

	if (n >= 0 && attempt->plan->datagrams)
		return 0;
	if (n > 0)
		return judge(attempt, data, (size_t)n);
	if (n == 0)
		return -ECONNRESET; /* it ended without an answer */
	return errno == EAGAIN || errno == EINTR ? -EINPROGRESS : -errno;
}

/* Has the socket polled for @events. Return: -EINPROGRESS; -errno. */
static int wait_for(struct check_attempt *attempt, uint32_t events);

/* Says what is left to be said; the socket is connected. */
static int say(struct check_attempt *attempt)
{
	const struct check_plan *plan = attempt->plan;
	ssize_t n;

	attempt->state = CHECK_ATTEMPT_ASKS;
	n = send(attempt->fd, plan->request + attempt->sent,
		 plan->request_len - attempt->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n > 0)
		attempt->sent += (size_t)n;
	if (attempt->sent < plan->request_len)
		return wait_for(attempt, EPOLLOUT);
	attempt->state = CHECK_ATTEMPT_WAITS;
	return wait_for(attempt, EPOLLIN);
}

static int connected(struct check_attempt *attempt)
{
	return attempt->plan->request ? say(attempt) : 0;
}

/* connect(2) has something to tell. */
static int connect_ready(struct check_attempt *attempt, uint32_t events)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) &&
	    getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		return -error;
	return (events & EPOLLOUT) ? connected(attempt) : -EINPROGRESS;
}

static void ready(uint32_t events, void *user_data)
{
	struct check_attempt *attempt = user_data;
	int r = -EINPROGRESS;

	switch (attempt->state) {
	case CHECK_ATTEMPT_NONE:
		return;
	case CHECK_ATTEMPT_CONNECTS:
		r = connect_ready(attempt, events);
		break;
	case CHECK_ATTEMPT_ASKS:
		r = say(attempt);
		break;
	case CHECK_ATTEMPT_WAITS:
		r = hear(attempt);
		break;
	}
	if (r != -EINPROGRESS)
		attempt->over(r, attempt->user_data);
}

static int wait_for(struct check_attempt *attempt, uint32_t events)
{
	int r = attempt->source
			? loop_source_set_events(attempt->source, events)
			: loop_add(attempt->loop, attempt->fd, events, ready,
				   attempt, &attempt->source);

	return r < 0 ? r : -EINPROGRESS;
}

/* Without it nothing is heard of a host that cannot be reached. A socket that
 * lacks the option still hears that nobody listens. An IPv6 socket may speak
 * IPv4. */
static void hear_errors(int fd, int family)
{
	static const int on = 1;

	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on,
				 sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
}

/* Return: 0; -EINPROGRESS; -EAGAIN: a full backlog; -errno. */
static int open_connection(const struct check_attempt *attempt)
{
	const struct serving_backend *target = &attempt->plan->target;
	struct sockaddr_storage to = address_of(target);
	struct own_end end = { .protocol = target->protocol };
	int r = 0;

	if (attempt->plan->datagrams)
		hear_errors(attempt->fd, target->address->sa_family);
	if (ip_addr_from_sockaddr(&to, &end.to, &end.to_port) < 0)
		return connect(attempt->fd, target->address,
			       target->address_len) < 0
			       ? -errno
			       : 0; /* UNIX */
	if (attempt->plan->from)
		r = sctp_addrs_add_chosen(attempt->fd, attempt->plan->from,
					  attempt->plan->n_from, target->addrs);
	if (r == 0)
		r = target_connect(attempt->fd, target, &end);
	/* Of an IP socket it is the lack of a local port. */
	return r == -EAGAIN ? -EADDRNOTAVAIL : r;
}

int check_attempt_begin(struct check_attempt *attempt, int fd)
{
	int r;

	attempt->fd = fd;
	attempt->sent = 0;
	attempt->http = (struct check_http){ .at = 0 };
	attempt->http_status = 0;
	attempt->state = CHECK_ATTEMPT_CONNECTS;
	r = open_connection(attempt);
	if (r == 0)
		return connected(attempt);
	/* Clients wait for a place in the backlog of a UNIX socket, but nobody
	 * answers this request. */
	if (r == -EAGAIN)
		return attempt->plan->request ? -EAGAIN : 0;
	return r == -EINPROGRESS ? wait_for(attempt, EPOLLOUT) : r;
}

int check_attempt_timed_out(struct check_attempt *attempt)
{
	/* What is said of it may have come with the end of its time. */
	return attempt->plan->datagrams && attempt->state == CHECK_ATTEMPT_WAITS
		       ? hear(attempt)
		       : -ETIMEDOUT;
}

void check_attempt_end(struct check_attempt *attempt)
{
	if (attempt->state == CHECK_ATTEMPT_NONE)
		return;
	attempt->state = CHECK_ATTEMPT_NONE;
	attempt->source = loop_source_free(attempt->source);
	(void)close(TAKE_FD(attempt->fd)); /* resets: see target_socket() */
}
