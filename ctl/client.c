// SPDX-License-Identifier: Apache-2.0
/* client.c - one call to berthd's control socket */
#include "ctl/client.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/util.h"

#define TIMEOUT_S 30
#define READ_MIN (64 * 1024)

/* The most that is read as a reply: a listener has some 350 bytes, so it holds
 * over a million. */
#define REPLY_MAX (512 * 1024 * 1024)

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

static int client_grow(char **text, size_t len, size_t *capacity)
{
	size_t wanted = *capacity ? *capacity * 2 : READ_MIN;
	char *bigger;

	if (len < *capacity)
		return 0;
	if (wanted > REPLY_MAX)
		return -EPROTO;
	bigger = realloc(*text, wanted);
	if (!bigger)
		return -ENOMEM;
	*text = bigger;
	*capacity = wanted;
	return 0;
}

/* Reads a reply up to its NUL, which stays in the buffer. */
static int client_receive(int fd, char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0, capacity = 0;

	for (;;) {
		int r = client_grow(&text, len, &capacity);
		ssize_t n;

		if (r < 0)
			return r;
		n = recv(fd, text + len, capacity - len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		if (memchr(text + len, '\0', (size_t)n))
			break;
		len += (size_t)n;
	}
	*ret_text = TAKE_PTR(text);
	return 0;
}

static int client_parse(const char *text, struct client_reply *reply)
{
	json_t *error;

	reply->message = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(reply->message))
		return -EPROTO;
	error = json_object_get(reply->message, "error");
	if (error && !json_is_string(error))
		return -EPROTO;
	reply->error = json_string_value(error);
	reply->parameters = json_object_get(reply->message, "parameters");
	if (!reply->parameters) {
		reply->parameters = json_object();
		if (json_object_set_new(reply->message, "parameters",
					reply->parameters) < 0)
			return -ENOMEM;
	}
	return json_is_object(reply->parameters) ? 0 : -EPROTO;
}

int client_call(const char *path, const char *method, json_t *parameters,
		struct client_reply *ret_reply)
{
	json_t *call = json_pack("{s:s, s:o}", "method", method, "parameters",
				 parameters);
	_cleanup_free_ char *text = call ? json_dumps(call, JSON_COMPACT)
					 : NULL;
	_cleanup_free_ char *answer = NULL;
	_cleanup_close_ int fd = -1;
	struct client_reply reply = { .message = NULL };
	int r;

	json_decref(call);
	if (!text)
		return -ENOMEM;
	r = client_connect(path, &fd);
	if (r == 0)
		r = client_send(fd, text);
	if (r == 0)
		r = client_receive(fd, &answer);
	if (r == 0)
		r = client_parse(answer, &reply);
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
