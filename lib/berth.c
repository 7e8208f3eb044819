// SPDX-License-Identifier: Apache-2.0
/* berth.c - libberth: the consumer's end of berthd's protocol
 *
 * Theory of operation: berth_receive() does everything, in this order: it tells
 * the program what the library itself withdraws, connects if it is time, sends
 * what had no room, and takes the next message. After a welcome it hands back,
 * before all else is sent: the listeners, the namespaces of sockets, and the
 * requests for sockets that have no answer.
 *
 * A connection that ends is read to its end first: a listening socket that
 * waits in it exists nowhere else, once berthd is gone.
 */
#include "lib/berth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <utlist.h>

#include "lib/berth_internal.h"

#define CONSUMERS_DIR "/run/berth/consumers/"

/* Until the first welcome. */
#define ORPHAN_TIMEOUT_MS 60000

/* When memory, or the user's number of descriptors on their way, is short. */
#define PAUSE_MS 10

/* The message was not for the program: look at the next one. */
#define RECEIVE_NEXT 2

/* Beginning and end */

static int open_descriptors(struct berth *berth)
{
	struct epoll_event event = { .events = EPOLLIN };

	berth->fd = epoll_create1(EPOLL_CLOEXEC);
	if (berth->fd < 0)
		return -errno;
	berth->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (berth->timer_fd < 0 ||
	    epoll_ctl(berth->fd, EPOLL_CTL_ADD, berth->timer_fd, &event) < 0)
		return -errno;
	return 0;
}

static int berth_open(const char *name, struct berth **ret_berth)
{
	struct berth *berth = calloc(1, sizeof(*berth));
	int r;

	if (!berth)
		return -ENOMEM;
	berth->fd = -1;
	berth->conn_fd = -1;
	berth->timer_fd = -1;
	berth->link = LINK_AWAY;
	berth->lost_ms = berth_link_now_ms();
	berth->orphan_timeout_ms = ORPHAN_TIMEOUT_MS;
	berth->orphan_ms = BERTH_NEVER_MS;
	berth->drain_ms = BERTH_NEVER_MS;
	berth->timer_ms = BERTH_NEVER_MS;
	berth->name = strdup(name ? name : program_invocation_short_name);
	r = berth->name ? open_descriptors(berth) : -ENOMEM;
	if (r < 0)
		(void)berth_free(berth);
	else
		*ret_berth = berth;
	return r;
}

int berth_new(int fd, const char *name, struct berth **ret_berth)
{
	struct berth *berth;
	int r;

	r = berth_open(name, &berth);
	if (r < 0)
		return r;
	r = berth_link_greet(berth, fd);
	if (r < 0)
		(void)berth_free(berth);
	else
		*ret_berth = berth;
	return r;
}

/* Return: 0 or -ENAMETOOLONG. */
static int set_address(struct berth *berth, const char *consumer)
{
	struct sockaddr_un *un = &berth->address;
	int len;

	un->sun_family = AF_UNIX;
	len = snprintf(un->sun_path, sizeof(un->sun_path),
		       strchr(consumer, '/') ? "%s" : CONSUMERS_DIR "%s.sock",
		       consumer);
	return (size_t)len < sizeof(un->sun_path) ? 0 : -ENAMETOOLONG;
}

/* Is berthd not there, or not ready, so that waiting may help? */
static bool may_come(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN ||
	       error == -EPIPE || error == -ECONNRESET;
}

int berth_connect(const char *consumer, const char *name, unsigned int flags,
		  struct berth **ret_berth)
{
	struct berth *berth;
	int r;

	if (flags & ~(BERTH_TAKEOVER | BERTH_WAIT))
		return -EINVAL;
	r = berth_open(name, &berth);
	if (r < 0)
		return r;
	berth->takeover = flags & BERTH_TAKEOVER;
	berth->reconnects = true;
	r = set_address(berth, consumer);
	if (r == 0)
		r = berth_link_attempt(berth);
	if ((flags & BERTH_WAIT) && may_come(r)) {
		berth_link_schedule(berth);
		berth_link_set_timer(berth);
		r = 0;
	}
	if (r < 0)
		(void)berth_free(berth);
	else
		*ret_berth = berth;
	return r;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* nothing in it matters any more */
}

struct berth *berth_free(struct berth *berth)
{
	struct berth_request *request, *next;

	if (!berth)
		return NULL;
	berth_held_done(berth);
	berth_netns_done(berth);
	DL_FOREACH_SAFE (berth->requests, request, next)
		free(request);
	close_fd(berth->conn_fd);
	close_fd(berth->timer_fd);
	close_fd(berth->fd);
	free(berth->name);
	free(berth);
	return NULL;
}

int berth_fd(const struct berth *berth)
{
	return berth->fd;
}

const char *berth_problem(const struct berth *berth)
{
	return berth->problem;
}

/* Nothing is left to do for one whose place another has. What ended and could
 * not be said yet is said first, for its counts. */
static bool is_done(const struct berth *berth)
{
	return berth->taken_over && berth->n_held == 0 &&
	       (!berth->unsaid || berth->link != LINK_UP);
}

int berth_reconnect(struct berth *berth)
{
	if (is_done(berth))
		return -ESHUTDOWN;
	if (!berth->reconnects)
		return -EOPNOTSUPP;
	if (berth->link != LINK_OVER)
		return 0;
	(void)close(berth->conn_fd); /* it was read to its end */
	berth->conn_fd = -1;
	berth->link = LINK_AWAY;
	berth_link_schedule(berth);
	berth_link_set_timer(berth);
	return 0;
}

/* What the library withdraws by itself */

static void withdraw_all(struct berth *berth)
{
	berth_held_withdraw_all(berth, /* abort= */ true);
	berth_netns_withdraw_all(berth);
}

/* Has a time come after which nothing may be held? */
static void check_deadlines(struct berth *berth)
{
	uint64_t now_ms;

	if (berth->orphan_ms == BERTH_NEVER_MS &&
	    berth->drain_ms == BERTH_NEVER_MS)
		return;
	now_ms = berth_link_now_ms();
	if (now_ms >= berth->orphan_ms) {
		berth->orphan_ms = BERTH_NEVER_MS;
		withdraw_all(berth);
	}
	if (now_ms >= berth->drain_ms) {
		berth->drain_ms = BERTH_NEVER_MS;
		withdraw_all(berth);
	}
}

/* Return: 1 with a message, 0 or -ENOMEM. */
static int yield(struct berth *berth, struct berth_message **ret_message)
{
	int r;

	check_deadlines(berth);
	r = berth_held_yield(berth, ret_message);
	return r ? r : berth_netns_yield(berth, ret_message);
}

/* What is sent when it is time */

static int hand_request(struct berth *berth)
{
	const struct berth_request *request = berth->hand_request;
	int r = berth_send_text(berth, request->text, request->len, -1);

	if (r == 0)
		berth->hand_request = request->next;
	return r;
}

/* Return: 0: berthd knows everything; -errno of what could not be sent. */
static int hand_back(struct berth *berth)
{
	int r = 0;

	for (; r == 0 && berth->n_promised > 0; berth->n_promised -= r == 0)
		r = berth_held_hand(berth);
	while (r == 0 && berth->hand_netns)
		r = berth_netns_hand(berth);
	while (r == 0 && berth->hand_request)
		r = hand_request(berth);
	if (r == 0)
		berth->link = LINK_UP;
	return r;
}

/* Sends what is left to be sent, as far as there is room. */
static void send_rest(struct berth *berth)
{
	int r = 0;

	berth_link_watch(berth, EPOLLIN);
	berth->paused = false;
	if (berth->link == LINK_HANDING)
		r = hand_back(berth);
	if (r == 0 && berth->link == LINK_UP)
		r = berth_held_flush(berth);
	/* Room is waited for, and the connection's end is told by receiving. */
	if (r == 0 || r == -EAGAIN || r == -EPIPE)
		return;
	berth->paused = true;
	berth->attempt_ms = berth_link_now_ms() + PAUSE_MS;
}

/* What berthd says */

static void become_welcome(struct berth *berth)
{
	berth->link = LINK_HANDING;
	berth->lost_ms = 0;
	berth->orphan_ms = BERTH_NEVER_MS;
	berth->takeover = false;
	berth->problem[0] = '\0';
	if (berth->hands_back) {
		berth->hand_held = berth->held;
		berth->hand_netns = berth->netns;
		berth->hand_request = berth->requests;
	}
	send_rest(berth);
}

/* Return: 1. */
static int receive_welcome(struct berth *berth, struct berth_message *message)
{
	berth->orphan_timeout_ms = message->orphan_timeout_ms;
	berth->drain_timeout_ms = message->drain_timeout_ms;
	if (berth->link == LINK_GREETING)
		become_welcome(berth);
	return 1;
}

/* Return: 1. */
static int receive_taken_over(struct berth *berth)
{
	if (berth->taken_over)
		return 1;
	berth->taken_over = true;
	berth->drain_ms = berth_link_now_ms() + berth->drain_timeout_ms;
	berth_held_withdraw_all(berth, /* abort= */ false);
	return 1;
}

/* Return: as berth_held_receive(). */
static int receive_socket(struct berth *berth, struct berth_message *message,
			  int fd)
{
	if (fd >= 0 && message->netns_id &&
	    berth_netns_minted(berth, message->netns_id) < 0)
		return -ENOMEM;
	berth_requests_answered(berth, message->request);
	message->fd = fd;
	return 1;
}

/* A message of a berthd that knows the consumer. Return: as
 * berth_held_receive(). */
static int receive_known(struct berth *berth, struct berth_message *message,
			 int fd)
{
	if (message->type == BERTH_LISTENER || message->type == BERTH_WITHDRAW)
		return berth_held_receive(berth, message, fd);
	if (message->type == BERTH_SOCKET)
		return receive_socket(berth, message, fd);
	if (message->type == BERTH_NETNS_GONE &&
	    berth_netns_gone(berth, message->netns_id) < 0)
		return -ENOMEM;
	if (message->type == BERTH_STATS) {
		berth->stats_void = false;
		berth->answer_request = message->request;
		berth->answer_len = 0;
	}
	if (message->type == BERTH_CONNECTIONS) {
		berth->part_open = true;
		berth->part_request = message->request;
		berth->part_len = 0;
	}
	close_fd(fd); /* such a message has none */
	if (message->type == BERTH_TAKEN_OVER)
		return receive_taken_over(berth);
	return 1;
}

/* Takes @message, with what it means for the library. Return: as
 * berth_held_receive(); -EPIPE: the connection is over. */
static int receive_message(struct berth *berth, struct berth_message *message,
			   int fd)
{
	if (message->type == BERTH_WELCOME) {
		close_fd(fd); /* such a message has none */
		return receive_welcome(berth, message);
	}
	if (message->type == BERTH_DENIED) {
		close_fd(fd); /* likewise */
		berth_link_lost(berth, message->text);
		return 1;
	}
	if (berth->link == LINK_GREETING && !berth_may_send(berth)) {
		berth_link_lost(berth, "berthd said no welcome: its version "
				       "does not take back what is held");
		return -EPIPE;
	}
	if (berth->link == LINK_GREETING)
		become_welcome(berth);
	return receive_known(berth, message, fd);
}

/* Handles a message whose descriptor did not arrive; @lost is why, see
 * berth_look(). Return: as berth_receive(), or RECEIVE_NEXT. */
static int receive_without_fd(struct berth *berth, size_t size_bytes, int lost,
			      struct berth_message **ret_message)
{
	struct berth_message *message = NULL;
	int r = berth_message_parse(berth->buffer, size_bytes, &message);

	if (r == -ENOMEM)
		return r;
	if (r == 0 && message->type == BERTH_SOCKET) {
		berth_consume(berth);
		berth_requests_answered(berth, message->request);
		message->error = -lost;
		*ret_message = message;
		return 1;
	}
	if (r == 0 && message->type == BERTH_LISTENER && lost == -EPROTO)
		r = berth_held_refuse(berth, message->id);
	message = berth_message_free(message);
	if (lost == -EMFILE || r == -EAGAIN)
		return -EMFILE; /* the message stays in the queue until there is
				   room */
	berth_consume(berth);
	return -EPROTO;
}

/* Takes the message that was looked at. Return: as above. */
static int receive_with_fd(struct berth *berth, size_t size_bytes, int fd,
			   struct berth_message **ret_message)
{
	struct berth_message *message;
	int r;

	r = berth_message_parse(berth->buffer, size_bytes, &message);
	if (r < 0) {
		close_fd(fd); /* a copy: berthd has its own */
		if (r != -ENOMEM)
			berth_consume(berth);
		return r;
	}
	r = receive_message(berth, message, fd);
	if (r < 0)
		close_fd(fd); /* the same */
	if (r == 1)
		*ret_message = message;
	else
		message = berth_message_free(message);
	if (r == -ENOMEM)
		return r;
	berth_consume(berth);
	return r == 0 ? RECEIVE_NEXT : r;
}

static int receive_next(struct berth *berth, struct berth_message **ret_message)
{
	int flags, fd, lost;
	ssize_t n;

	n = berth_look(berth, &flags, &fd, &lost);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n == -ECONNRESET) /* said once; what is in the queue comes then */
		return RECEIVE_NEXT;
	if (n == 0) {
		berth_link_lost(berth, "berthd closed the connection");
		return -EPIPE;
	}
	if (n < 0)
		return (int)n;
	if (lost < 0)
		return receive_without_fd(berth, (size_t)n, lost, ret_message);
	if (flags & MSG_TRUNC) {
		close_fd(fd); /* a copy: berthd has its own */
		berth_consume(berth);
		return -EBADMSG;
	}
	return receive_with_fd(berth, (size_t)n, fd, ret_message);
}

/* Return: as berth_receive(), or RECEIVE_NEXT. */
static int receive_step(struct berth *berth, struct berth_message **ret_message)
{
	int r = yield(berth, ret_message);

	if (r != 0)
		return r;
	if (is_done(berth))
		return -ESHUTDOWN;
	if (berth->link == LINK_OVER)
		return -EPIPE;
	if (berth->link == LINK_AWAY) {
		if (berth_link_now_ms() < berth->attempt_ms)
			return 0;
		if (berth_link_attempt(berth) < 0) {
			berth_link_schedule(berth);
			return 0;
		}
	}
	send_rest(berth);
	return receive_next(berth, ret_message);
}

int berth_receive(struct berth *berth, struct berth_message **ret_message)
{
	int r;

	do {
		r = receive_step(berth, ret_message);
	} while (r == RECEIVE_NEXT);
	berth_link_set_timer(berth);
	return r;
}

int berth_refuse(struct berth *berth)
{
	struct berth_message *message;
	ssize_t n;
	int r;

	if (berth->conn_fd < 0)
		return -EAGAIN;
	n = recv(berth->conn_fd, berth->buffer, sizeof(berth->buffer),
		 MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	r = berth_message_parse(berth->buffer, (size_t)n, &message);
	if (r == 0) {
		r = berth_held_refuse(berth, message->id);
		message = berth_message_free(message);
	}
	if (r != -EAGAIN && r != -ENOMEM)
		berth_consume(berth);
	return r;
}
