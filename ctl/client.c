// SPDX-License-Identifier: Apache-2.0
/* client.c - one call to berthd's control socket, and its replies */
#include "ctl/client.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/util.h"

#define TIMEOUT_S 30
#define READ_MIN (64 * 1024)

/* Of one reply. Lists come in replies of some kilobytes; the longest reply is
 * about one namespace, of which all has limits. */
#define REPLY_MAX (64 * 1024 * 1024)

/**
 * struct client - one connection
 * @text:	@len bytes that were read, of which @begin belong to earlier
 *		replies
 */
struct client {
	int fd;
	char *text;
	size_t begin;
	size_t len;
	size_t capacity;
};

static int client_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) <
		    0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) <
		    0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Sends the text with its NUL, which ends a message of Varlink. */
static int client_send(int fd, const char *text)
{
	size_t len = strlen(text) + 1;

	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int client_call(const char *path, const char *method, json_t *parameters,
		struct client **ret_client)
{
	json_t *call = json_pack("{s:s, s:b, s:o}", "method", method, "more",
				 true, "parameters", parameters);
	_cleanup_free_ char *text = call ? json_dumps(call, JSON_COMPACT)
					 : NULL;
	struct client *client = calloc(1, sizeof(*client));
	int r;

	json_decref(call);
	if (!text || !client) {
		free(client);
		return -ENOMEM;
	}
	client->fd = -1;
	r = client_connect(path, &client->fd);
	if (r == 0)
		r = client_send(client->fd, text);
	if (r < 0) {
		client_free(client);
		return r;
	}
	*ret_client = client;
	return 0;
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
		n = recv(client->fd, client->text + client->len,
			 client->capacity - client->len, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n == 0)
		return -ECONNRESET;
	client->len += (size_t)n;
	return 0;
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
