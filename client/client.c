// SPDX-License-Identifier: Apache-2.0
/* client.c - one call to berthd's control socket, and its replies */
#include "client/client.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/util.h"

/* Without a deadline: of each step. */
#define TIMEOUT_MS 30000
#define MSEC_PER_SEC 1000
#define READ_MIN (64 * 1024)

/* Of one reply. Lists come in replies of some kilobytes; the longest reply is
 * about one namespace, of which all has limits. */
#define REPLY_MAX (64 * 1024 * 1024)

/**
 * struct client - one connection
 * @deadline_us: as in the call
 * @text:	@len bytes that were read, of which @begin belong to earlier
 *		replies
 */
struct client {
	int fd;
	uint64_t deadline_us;
	char *text;
	size_t begin;
	size_t len;
	size_t capacity;
};

/* How long a step may wait, in milliseconds; 0: the deadline is over. */
static int time_left_ms(uint64_t deadline_us)
{
	uint64_t now = monotonic_us(), left_ms;

	if (!deadline_us)
		return TIMEOUT_MS;
	if (now >= deadline_us)
		return 0;
	left_ms = (deadline_us - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
	return left_ms < TIMEOUT_MS ? (int)left_ms : TIMEOUT_MS;
}

/* Waits until the socket may be ready for @events. A message that comes byte
 * by byte makes every step short, so the deadline is asked before each. */
static int client_wait(const struct client *client, short events)
{
	struct pollfd pollfd = { .fd = client->fd, .events = events };

	for (;;) {
		int left_ms = time_left_ms(client->deadline_us), n;

		if (left_ms == 0)
			return -ETIMEDOUT;
		n = poll(&pollfd, 1, left_ms);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && !client->deadline_us)
			return -ETIMEDOUT;
	}
}

/* poll(2) tells nothing about a full backlog, so connect(2) itself waits. */
static int client_connect(struct client *client, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int left_ms = time_left_ms(client->deadline_us);
	struct timeval timeout = { .tv_sec = left_ms / MSEC_PER_SEC,
				   .tv_usec = left_ms % MSEC_PER_SEC *
					      (int)USEC_PER_MSEC };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (left_ms == 0) /* to the kernel 0 is without end */
		return -ETIMEDOUT;
	memcpy(address.sun_path, path, strlen(path) + 1);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return -errno;
	if (setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
		       sizeof(timeout)) < 0)
		return -errno;
	if (connect(client->fd, (const struct sockaddr *)&address,
		    sizeof(address)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/* The descriptor goes with the message's first bytes. */
static ssize_t send_some(int socket_fd, const char *text, size_t len,
			 const int *fd)
{
	union {
		struct cmsghdr align;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control = { .buffer = { 0 } };
	struct iovec part = { .iov_base = (void *)text, .iov_len = len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd) {
		message.msg_control = control.buffer;
		message.msg_controllen = sizeof(control.buffer);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(*fd));
		memcpy(CMSG_DATA(&control.align), fd, sizeof(*fd));
	}
	return sendmsg(socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends the text with its NUL, which ends a message of Varlink. */
static int client_send(const struct client *client, const char *text,
		       const int *fd)
{
	size_t len = strlen(text) + 1;

	while (len > 0) {
		int r = client_wait(client, POLLOUT);
		ssize_t n;

		if (r < 0)
			return r;
		n = send_some(client->fd, text, len, fd);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
		fd = NULL;
	}
	return 0;
}

static char *call_text(const struct client_call *call)
{
	json_t *message = json_pack("{s:s, s:b, s:o}", "method", call->method,
				    "more", true, "parameters",
				    call->parameters);
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	return text;
}

int client_call(const char *path, const struct client_call *call,
		struct client **ret_client)
{
	_cleanup_free_ char *text = call_text(call);
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!text || !client) {
		free(client);
		return -ENOMEM;
	}
	client->fd = -1;
	client->deadline_us = call->deadline_us;
	r = client_connect(client, path);
	if (r == 0)
		r = client_send(client, text, call->fd);
	if (r < 0) {
		client_free(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

int client_call_again(struct client *client, const struct client_call *call)
{
	_cleanup_free_ char *text = call_text(call);

	client->deadline_us = call->deadline_us;
	return text ? client_send(client, text, call->fd) : -ENOMEM;
}

int client_fd(const struct client *client)
{
	return client->fd;
}

/* Makes room for more, first where earlier replies were. */
static int client_reserve(struct client *client)
{
	size_t capacity = client->capacity ? client->capacity * 2 : READ_MIN;
	char *text;

	if (client->begin > 0) {
		client->len -= client->begin;
		memmove(client->text, client->text + client->begin,
			client->len);
		client->begin = 0;
	}
	if (client->capacity - client->len >= READ_MIN / 2)
		return 0;
	if (capacity > REPLY_MAX)
		return -EPROTO;
	text = realloc(client->text, capacity);
	if (!text)
		return -ENOMEM;
	client->text = text;
	client->capacity = capacity;
	return 0;
}

static int client_read(struct client *client)
{
	int r = client_reserve(client);
	ssize_t n;

	if (r < 0)
		return r;
	do {
		r = client_wait(client, POLLIN);
		if (r < 0)
			return r;
		n = recv(client->fd, client->text + client->len,
			 client->capacity - client->len, MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	client->len += (size_t)n;
	return 0;
}

bool client_has_reply(const struct client *client)
{
	size_t len = client->len - client->begin;

	return len > 0 && memchr(client->text + client->begin, '\0', len);
}

/* Waits for the NUL that ends a reply. */
static int client_await(struct client *client, size_t *ret_len)
{
	size_t seen = 0;

	for (;;) {
		const char *text = client->text + client->begin;
		size_t len = client->len - client->begin;
		const char *end = NULL;
		int r;

		if (len > seen)
			end = memchr(text + seen, '\0', len - seen);
		if (end) {
			*ret_len = (size_t)(end - text);
			return 0;
		}
		seen = len;
		r = client_read(client);
		if (r < 0)
			return r;
	}
}

/* Parses all of a message but the array, which is left out. */
static json_t *parse_around(const struct json_span *message,
			    const struct json_span *array)
{
	size_t before = (size_t)(array->text - message->text);
	size_t after = message->len - before - array->len;
	_cleanup_free_ char *text = malloc(before + after + 2);
	char *end = text;

	if (!text)
		return NULL;
	end = mempcpy(end, message->text, before);
	end = mempcpy(end, "[]", 2);
	end = mempcpy(end, array->text + array->len, after);
	return json_loadb(text, (size_t)(end - text), 0, NULL);
}

static json_t *parse_message(struct json_span message, const char *array,
			     struct json_span *ret_array)
{
	struct json_span parameters;

	if (!array || json_scan_find(message, "parameters", &parameters) <= 0 ||
	    json_scan_find(parameters, array, ret_array) <= 0)
		return json_loadb(message.text, message.len, 0, NULL);
	return parse_around(&message, ret_array);
}

static int client_parse(struct json_span message, const char *array,
			struct client_reply *reply)
{
	json_t *error;

	reply->message = parse_message(message, array, &reply->array);
	if (!json_is_object(reply->message))
		return -EPROTO;
	error = json_object_get(reply->message, "error");
	if (error && !json_is_string(error))
		return -EPROTO;
	reply->error = json_string_value(error);
	reply->continues =
		json_is_true(json_object_get(reply->message, "continues"));
	reply->parameters = json_object_get(reply->message, "parameters");
	if (!reply->parameters) {
		reply->parameters = json_object();
		if (json_object_set_new(reply->message, "parameters",
					reply->parameters) < 0)
			return -ENOMEM;
	}
	return json_is_object(reply->parameters) ? 0 : -EPROTO;
}

int client_next(struct client *client, const char *array,
		struct client_reply *ret_reply)
{
	struct client_reply reply = { .message = NULL };
	struct json_span message;
	int r = client_await(client, &message.len);

	if (r == 0) {
		message.text = client->text + client->begin;
		client->begin += message.len + 1;
		r = client_parse(message, array, &reply);
	}
	if (r < 0) {
		client_reply_done(&reply);
		return r;
	}
	*ret_reply = reply;
	return 0;
}

bool client_refuses(const struct client_reply *reply, const char *parameter)
{
	const char *name = json_string_value(
		json_object_get(reply->parameters, "parameter"));

	return reply->error && name && strcmp(name, parameter) == 0 &&
	       strcmp(reply->error, "org.varlink.service.InvalidParameter") ==
		       0;
}

void client_reply_done(struct client_reply *reply)
{
	json_decref(reply->message);
	*reply = (struct client_reply){ .message = NULL };
}

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	if (client->fd >= 0)
		(void)close(client->fd); /* nothing is left to be sent */
	free(client->text);
	free(client);
	return NULL;
}
