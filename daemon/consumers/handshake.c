// SPDX-License-Identifier: Apache-2.0
/* handshake.c - the first words on a consumer's connection */
#include "daemon/consumers/handshake.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/log.h"
#include "common/util.h"

/* The longest hello: a name in it is cut to a fraction of this. */
#define HELLO_MAX 4096

/**
 * struct handshake - a connection that did not say hello
 * @consumer:	the name of the one that it wants to be
 */
struct handshake {
	struct handshakes *all;
	char *consumer;
	int fd;
	struct consumer_peer peer;
	struct loop_source *source;
	uint64_t deadline_us;
	struct handshake *prev, *next;
};

/**
 * struct handshakes - all that wait, the oldest first
 * @timer:	for the deadline of the first
 */
struct handshakes {
	struct loop *loop;
	struct handshakes_ops ops;
	void *user_data;
	struct loop_timer *timer;
	struct handshake *list;
};

/* Ends the waiting. Return: the descriptor. */
static int handshake_free(struct handshake *handshake)
{
	struct handshakes *all = handshake->all;
	int fd = handshake->fd;

	DL_DELETE(all->list, handshake);
	if (!all->list)
		loop_timer_unset(all->timer); /* nobody is to be awaited */
	loop_source_free(handshake->source);
	free(handshake->consumer);
	free(handshake);
	return fd;
}

static const char *denial_name(enum denial denial)
{
	static const char *const names[] = {
		[DENIAL_BUSY] = "busy",
		[DENIAL_VERSION] = "version",
		[DENIAL_PROTOCOL] = "protocol",
		[DENIAL_LIMIT] = "limit",
		[DENIAL_PERMISSION] = "permission",
	};

	_Static_assert(ARRAY_SIZE(names) == DENIAL_COUNT, "a name each");
	return names[denial];
}

void handshake_deny(int fd, enum denial denial, const char *error)
{
	_cleanup_free_ char *text =
		consumer_denied_text(denial_name(denial), error);

	if (text)
		(void)consumer_message_send(fd, text, -1); /* as far as it is
							      heard */
	close_unread(fd);
}

static void handshake_refuse(struct handshake *handshake, enum denial denial,
			     const char *error)
{
	static struct log_ratelimit limit = { .interval_us = 10 * USEC_PER_SEC,
					      .burst = 5 };

	if (log_ratelimit_ok(&limit))
		log_warning("consumer '%s': a connection (pid %d, uid %u) is "
			    "denied: %s",
			    handshake->consumer, handshake->peer.pid,
			    handshake->peer.uid, error);
	handshake_deny(handshake_free(handshake), denial, error);
}

static void handshake_refuse_version(struct handshake *handshake,
				     int64_t version)
{
	char error[160];

	if (version == 0)
		(void)snprintf(error, sizeof(error),
			       "hello names no version of the protocol, and "
			       "this berthd speaks version %d",
			       BERTH_PROTOCOL_VERSION); /* fits */
	else
		(void)snprintf(error, sizeof(error),
			       "the consumer speaks version %lld of the "
			       "protocol, and this berthd version %d; upgrade "
			       "the older of the two",
			       (long long)version,
			       BERTH_PROTOCOL_VERSION); /* fits */
	handshake_refuse(handshake, DENIAL_VERSION, error);
}

static void handshake_hello(struct handshake *handshake,
			    const struct consumer_hello *hello)
{
	struct handshakes *all = handshake->all;
	struct consumer_peer peer = handshake->peer;
	_cleanup_free_ char *consumer = NULL;

	if (hello->version != BERTH_PROTOCOL_VERSION) {
		handshake_refuse_version(handshake, hello->version);
		return;
	}
	memcpy(peer.name, hello->name, sizeof(peer.name));
	consumer = TAKE_PTR(handshake->consumer);
	all->ops.hello(consumer, handshake_free(handshake), &peer, hello,
		       all->user_data);
}

/* Reads the first message. Any other than a hello ends the connection. */
static void handshake_ready(uint32_t events, void *user_data)
{
	struct handshake *handshake = user_data;
	struct consumer_reply reply;
	_cleanup_foreign_ int fd = -1;
	char text[HELLO_MAX];
	ssize_t n;

	(void)events;
	n = receive_safely(handshake->fd, text, sizeof(text), &fd);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n == -EPROTO || fd >= 0) {
		handshake_refuse(handshake, DENIAL_PROTOCOL,
				 "a descriptor came with the first message");
		return;
	}
	if (n <= 0) {
		close_unread(handshake_free(handshake));
		return;
	}
	if ((size_t)n > sizeof(text) ||
	    consumer_reply_parse(text, (size_t)n, &reply) < 0) {
		handshake_refuse(handshake, DENIAL_PROTOCOL,
				 "the first message is not readable, expected "
				 "hello");
		return;
	}
	if (reply.type == CONSUMER_REPLY_HELLO)
		handshake_hello(handshake, &reply.hello);
	else
		handshake_refuse(handshake, DENIAL_PROTOCOL,
				 "the first message is not hello");
	consumer_reply_done(&reply);
}

static void handshakes_timeout(void *user_data)
{
	struct handshakes *handshakes = user_data;

	while (handshakes->list &&
	       handshakes->list->deadline_us <= loop_now_us(handshakes->loop))
		handshake_refuse(handshakes->list, DENIAL_PROTOCOL,
				 "it did not say hello within 5 s");
	if (handshakes->list)
		loop_timer_set(handshakes->timer,
			       handshakes->list->deadline_us);
}

/* Makes room for one more that wants to be @consumer. */
static void handshakes_make_room(struct handshakes *handshakes,
				 const char *consumer)
{
	struct handshake *handshake, *oldest = NULL;
	size_t n = 0;

	DL_FOREACH (handshakes->list, handshake) {
		if (strcmp(handshake->consumer, consumer) != 0)
			continue;
		if (!oldest)
			oldest = handshake;
		n++;
	}
	if (n >= HANDSHAKES_MAX)
		handshake_refuse(oldest, DENIAL_LIMIT,
				 "too many connections do not say hello");
}

int handshakes_add(struct handshakes *handshakes, const char *consumer, int fd,
		   const struct consumer_peer *peer)
{
	struct handshake *handshake = malloc(sizeof(*handshake));
	int r = -ENOMEM;

	handshakes_make_room(handshakes, consumer);
	if (handshake) {
		*handshake = (struct handshake){
			.all = handshakes,
			.consumer = strdup(consumer),
			.fd = fd,
			.peer = *peer,
			.deadline_us = loop_now_us(handshakes->loop) +
				       HANDSHAKE_TIMEOUT_US,
		};
		if (handshake->consumer)
			r = loop_add(handshakes->loop, fd, EPOLLIN,
				     handshake_ready, handshake,
				     &handshake->source);
	}
	if (r < 0) {
		if (handshake)
			free(handshake->consumer);
		free(handshake);
		close_unread(fd);
		return r;
	}
	DL_APPEND(handshakes->list, handshake);
	loop_timer_set_earlier(handshakes->timer, handshake->deadline_us);
	return 0;
}

void handshakes_end(struct handshakes *handshakes, const char *consumer)
{
	struct handshake *handshake, *next;

	DL_FOREACH_SAFE (handshakes->list, handshake, next) {
		if (strcmp(handshake->consumer, consumer) == 0)
			close_unread(handshake_free(handshake));
	}
}

int handshakes_new(struct loop *loop, const struct handshakes_ops *ops,
		   void *user_data, struct handshakes **ret_handshakes)
{
	struct handshakes *handshakes = malloc(sizeof(*handshakes));
	int r;

	if (!handshakes)
		return -ENOMEM;
	*handshakes = (struct handshakes){
		.loop = loop,
		.ops = *ops,
		.user_data = user_data,
	};
	r = loop_timer_new(loop, handshakes_timeout, handshakes,
			   &handshakes->timer);
	if (r < 0) {
		free(handshakes);
		return r;
	}
	*ret_handshakes = handshakes;
	return 0;
}

struct handshakes *handshakes_free(struct handshakes *handshakes)
{
	if (!handshakes)
		return NULL;
	while (handshakes->list)
		close_unread(handshake_free(handshakes->list));
	loop_timer_free(handshakes->timer);
	free(handshakes);
	return NULL;
}
