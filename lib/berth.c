// SPDX-License-Identifier: Apache-2.0
/* berth.c - libberth: the consumer's end of berthd's protocol
 *
 * Theory of operation: a listener's descriptor travels with its message. When
 * the receiver's descriptor table is full, the kernel drops the descriptor
 * (MSG_CTRUNC) although the message is consumed: the listener would be lost
 * for good. So every message is first looked at (MSG_PEEK gives descriptors
 * too), and taken from the queue only when its descriptor has arrived and
 * there was memory to read it. Asking afterwards whether the table is full
 * would not tell why a descriptor did not arrive, because another thread may
 * have closed something in between; so the message is looked at again. A
 * listener whose descriptor does not arrive for another cause is refused, so
 * that berthd offers it again.
 */
#include "lib/berth.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* How often a message is looked at when its descriptor does not arrive although
 * the table has room: the table may have been full a moment before, and may be
 * again. */
#define LOOKS_MAX 3

/* The size of one datagram of an answer: it holds some hundred listeners,
 * which berthd reads in a fraction of a millisecond before it does something
 * else. */
#define ANSWER_BYTES 16384

/* The most that one listener takes in an answer: 11 numbers, and up to 8
 * errnos with a number each. */
#define COUNTS_BYTES 768

/**
 * struct berth - see berth.h
 * @answer:	the answer to @answer_request so far: @answer_len bytes, not
 *		closed yet
 */
struct berth {
	int fd;
	char buffer[BERTH_MESSAGE_MAX];
	uint64_t answer_request;
	size_t answer_len;
	char answer[ANSWER_BYTES];
};

/* The public part first; the rest owns what its pointers point into. */
struct message {
	struct berth_message public;
	json_t *root;
};

/* Reads a text member, "" when it is absent. Return: false when it is no text.
 */
static bool get_text(const json_t *object, const char *key, const char **ret)
{
	const json_t *value = json_object_get(object, key);

	if (!value) {
		*ret = "";
		return true;
	}
	*ret = json_string_value(value);
	return *ret != NULL;
}

/* Reads a number member from 0 to @max, 0 when it is absent. */
static bool get_number(const json_t *object, const char *key, json_int_t max,
		       json_int_t *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = json_integer_value(value); /* 0 for NULL */
	return !value || (json_is_integer(value) && *ret >= 0 && *ret <= max);
}

static bool get_u32(const json_t *object, const char *key, uint32_t *ret)
{
	json_int_t number;

	if (!get_number(object, key, UINT32_MAX, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

static bool get_bool(const json_t *object, const char *key, bool *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = json_is_true(value);
	return !value || json_is_boolean(value);
}

/* Reads a 64 bit number. JSON integers have a sign here, so one with the
 * highest bit set, such as a namespace's id, arrives as a negative number. */
static bool get_id(const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = (uint64_t)json_integer_value(value);
	return json_is_integer(value);
}

/* Reads an array of texts, empty when it is absent. */
static int get_texts(const json_t *object, const char *key, const char ***ret,
		     size_t *ret_n)
{
	const json_t *array = json_object_get(object, key);
	size_t n = json_array_size(array);

	if (!array)
		return 0;
	if (!json_is_array(array))
		return -EBADMSG;
	*ret = calloc(n ? n : 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		(*ret)[i] = json_string_value(json_array_get(array, i));
		if (!(*ret)[i])
			return -EBADMSG;
	}
	*ret_n = n;
	return 0;
}

static int parse_netns(const json_t *root, struct berth_listener *listener)
{
	const json_t *netns = json_object_get(root, "netns");

	if (!json_is_object(netns) ||
	    !get_id(netns, "id", &listener->netns_id) ||
	    !get_bool(netns, "host", &listener->netns_host))
		return -EBADMSG;
	return get_texts(netns, "names", &listener->names, &listener->n_names);
}

static int parse_listener(const json_t *root, struct berth_listener *listener)
{
	json_int_t port;
	int r;

	if (!get_text(root, "protocol", &listener->protocol) ||
	    !get_text(root, "address", &listener->address) ||
	    !get_text(root, "interface", &listener->interface) ||
	    !get_text(root, "rule", &listener->rule) ||
	    !get_text(root, "action", &listener->action) ||
	    !get_text(root, "text", &listener->text) ||
	    !get_text(root, "proxy_protocol", &listener->proxy_protocol) ||
	    !get_text(root, "backend_namespace", &listener->backend_netns) ||
	    !get_bool(root, "transparent", &listener->transparent) ||
	    !get_number(root, "port", UINT16_MAX, &port) || port == 0 ||
	    !get_u32(root, "connect_timeout_ms",
		     &listener->connect_timeout_ms) ||
	    !get_u32(root, "idle_timeout_ms", &listener->idle_timeout_ms) ||
	    !get_u32(root, "max_connections", &listener->max_connections))
		return -EBADMSG;
	listener->port = (uint16_t)port;
	r = parse_netns(root, listener);
	if (r < 0)
		return r;
	r = get_texts(root, "from", &listener->from, &listener->n_from);
	if (r < 0)
		return r;
	return get_texts(root, "to", &listener->to, &listener->n_to);
}

static int parse_socket(const json_t *root, struct berth_message *message)
{
	json_int_t error;

	if (!get_id(root, "request", &message->request) ||
	    !get_number(root, "error", INT_MAX, &error))
		return -EBADMSG;
	message->error = (int)error;
	/* Absent with an error. */
	(void)get_id(root, "netns", &message->netns_id);
	return 0;
}

static enum berth_message_type type_parse(const char *type)
{
	static const struct {
		const char *name;
		enum berth_message_type type;
	} types[] = {
		{ "listener", BERTH_LISTENER },
		{ "withdraw", BERTH_WITHDRAW },
		{ "stats", BERTH_STATS },
		{ "socket", BERTH_SOCKET },
		{ "netns_gone", BERTH_NETNS_GONE },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].name, type) == 0)
			return types[i].type;
	}
	return BERTH_UNKNOWN;
}

static int parse_root(const json_t *root, struct berth_message *message)
{
	const char *type;
	bool good = true;

	if (!json_is_object(root) || !get_text(root, "type", &type))
		return -EBADMSG;
	message->type = type_parse(type);
	switch (message->type) {
	case BERTH_UNKNOWN:
		break;
	case BERTH_LISTENER:
		if (!get_id(root, "id", &message->id))
			return -EBADMSG;
		return parse_listener(root, &message->listener);
	case BERTH_WITHDRAW:
		good = get_id(root, "id", &message->id) &&
		       get_bool(root, "abort", &message->abort);
		break;
	case BERTH_STATS:
		good = get_id(root, "request", &message->request);
		break;
	case BERTH_SOCKET:
		return parse_socket(root, message);
	case BERTH_NETNS_GONE:
		good = get_id(root, "netns", &message->netns_id);
		break;
	}
	return good ? 0 : -EBADMSG;
}

int berth_message_parse(const char *text, size_t size_bytes,
			struct berth_message **ret_message)
{
	struct message *message = calloc(1, sizeof(*message));
	int r;

	if (!message)
		return -ENOMEM;
	message->public.fd = -1;
	message->root =
		json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, NULL);
	r = parse_root(message->root, &message->public);
	if (r < 0) {
		(void)berth_message_free(&message->public);
		return r;
	}
	*ret_message = &message->public;
	return 0;
}

struct berth_message *berth_message_free(struct berth_message *public)
{
	struct message *message = (struct message *)public;

	if (!message)
		return NULL;
	if (public->fd >= 0)
		(void)close(public->fd); /* a copy: berthd has its own */
	free(public->listener.names);
	free(public->listener.to);
	free(public->listener.from);
	json_decref(message->root);
	free(message);
	return NULL;
}

static int say_hello(int fd, const char *name)
{
	json_t *hello = json_pack("{s:s, s:i, s:s}", "type", "hello", "version",
				  BERTH_PROTOCOL_VERSION, "name", name);
	char *text = hello ? json_dumps(hello, JSON_COMPACT) : NULL;
	int r = 0;

	json_decref(hello);
	if (!text)
		return -ENOMEM;
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		r = -errno;
	free(text);
	return r;
}

int berth_new(int fd, const char *name, struct berth **ret_berth)
{
	struct berth *berth;
	int r;

	r = say_hello(fd, name);
	if (r < 0)
		return r;
	berth = malloc(sizeof(*berth));
	if (!berth)
		return -ENOMEM;
	berth->fd = fd;
	berth->answer_len = 0;
	*ret_berth = berth;
	return 0;
}

int berth_connect(const char *path, const char *name, struct berth **ret_berth)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, r = 0;

	if (len >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) < 0)
		r = -errno;
	if (r == 0)
		r = berth_new(fd, name, ret_berth);
	if (r < 0)
		(void)close(fd); /* nothing was exchanged that can be lost */
	return r;
}

struct berth *berth_free(struct berth *berth)
{
	if (!berth)
		return NULL;
	(void)close(berth->fd); /* berthd sees the end in any case */
	free(berth);
	return NULL;
}

int berth_fd(const struct berth *berth)
{
	return berth->fd;
}

/* Takes the descriptor that came along. The buffer for one has room for two
 * because of its padding; if several came, all are closed. Return: -1 when it
 * was not exactly one. */
static int take_fd(struct msghdr *header)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
	int fds[2] = { -1, -1 };
	size_t len;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET ||
	    cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	len = cmsg->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(cmsg), len < sizeof(fds) ? len : sizeof(fds));
	if (fds[1] < 0)
		return fds[0];
	(void)close(fds[0]); /* copies: the sender has its own */
	(void)close(fds[1]);
	return -1;
}

/* Looks at the next message. *ret_fd is -1 when no descriptor came. */
static ssize_t peek(struct berth *berth, int *ret_flags, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = berth->buffer,
			     .iov_len = sizeof(berth->buffer) };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t n;

	*ret_flags = 0;
	*ret_fd = -1;
	n = recvmsg(berth->fd, &header,
		    MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	*ret_flags = header.msg_flags;
	*ret_fd = take_fd(&header);
	return n;
}

/* Takes the message that peek() showed from the queue. The kernel closes its
 * descriptors, because there is no room for them here. */
static void consume(struct berth *berth)
{
	/* This fails only if the message is not there any more. */
	(void)recv(berth->fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
}

/* Is the table full, so that a descriptor could not arrive? */
static int descriptor_shortage(const struct berth *berth)
{
	int probe_fd = fcntl(berth->fd, F_DUPFD_CLOEXEC, 0);

	if (probe_fd < 0)
		return -EMFILE;
	(void)close(probe_fd); /* a copy made just now */
	return 0;
}

static int send_text(const struct berth *berth, const char *text, size_t len)
{
	if (send(berth->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* Sends a message of this type about one listener. */
static int say(const struct berth *berth, const char *type, uint64_t id)
{
	char text[64];
	int len;

	len = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"id\":%lld}",
		       type, (long long)id);
	return send_text(berth, text, (size_t)len);
}

/* Looks at the next message until its descriptor arrives. *ret_lost: 0 when it
 * has arrived or the message has none; -EMFILE when the table is full; -EPROTO
 * when it does not arrive although there is room. Return: as peek(). */
static ssize_t look(struct berth *berth, int *ret_flags, int *ret_fd,
		    int *ret_lost)
{
	ssize_t n = 0;

	for (int i = 0; i < LOOKS_MAX; i++) {
		n = peek(berth, ret_flags, ret_fd);
		*ret_lost = 0;
		if (n < 0 || *ret_fd >= 0 || !(*ret_flags & MSG_CTRUNC))
			return n;
		*ret_lost = descriptor_shortage(berth);
		if (*ret_lost < 0)
			return n;
	}
	*ret_lost = -EPROTO;
	return n;
}

/* Handles a message whose descriptor did not arrive; @lost is why, see look().
 * Return: as berth_receive(). */
static int receive_without_fd(struct berth *berth, size_t size_bytes, int lost,
			      struct berth_message **ret_message)
{
	struct berth_message *message = NULL;
	int r = berth_message_parse(berth->buffer, size_bytes, &message);

	if (r == -ENOMEM)
		return r;
	if (r == 0 && message->type == BERTH_SOCKET) {
		consume(berth);
		message->error = -lost;
		*ret_message = message;
		return 1;
	}
	if (r == 0 && message->type == BERTH_LISTENER && lost == -EPROTO)
		r = say(berth, "refused", message->id);
	message = berth_message_free(message);
	if (lost == -EMFILE || r == -EAGAIN)
		return -EMFILE; /* the message stays in the queue until there is
				   room */
	consume(berth);
	return -EPROTO;
}

int berth_receive(struct berth *berth, struct berth_message **ret_message)
{
	ssize_t n;
	int flags, fd, lost, r;

	n = look(berth, &flags, &fd, &lost);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n == 0 || n == -ECONNRESET)
		return -EPIPE;
	if (n < 0)
		return (int)n;
	if (lost < 0)
		return receive_without_fd(berth, (size_t)n, lost, ret_message);
	r = (flags & MSG_TRUNC) ? -EBADMSG
				: berth_message_parse(berth->buffer, (size_t)n,
						      ret_message);
	if (r != -ENOMEM)
		consume(berth);
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd); /* a copy: berthd has its own */
		return r;
	}
	(*ret_message)->fd = fd;
	return 1;
}

/* Text that is put together in a buffer that has room for all of it. */
struct text {
	char *bytes;
	size_t len;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text,
						      const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->bytes + text->len, text->size - text->len, fmt,
		      args);
	va_end(args);
	text->len += (size_t)n;
}

/* JSON integers have a sign here; no counter gets that far. */
static unsigned long long json_number(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : n;
}

static void add_count(struct text *text, const char *key, uint64_t n)
{
	if (n > 0)
		add(text, ",\"%s\":%llu", key, json_number(n));
}

static void add_errors(struct text *text, const struct berth_counts *counts)
{
	const char *before = ",\"errors\":{";

	for (size_t i = 0; i < counts->n_errors && i < BERTH_ERRORS_MAX; i++) {
		add(text, "%s\"%d\":%llu", before, counts->errors[i].error,
		    json_number(counts->errors[i].n));
		before = ",";
	}
	if (counts->n_errors > 0)
		add(text, "}");
}

/* Appends the members of one listener that follow `id`. */
static void add_counts(struct text *text, const struct berth_counts *counts)
{
	add_count(text, "accepted", counts->accepted);
	add_count(text, "active", counts->active);
	add_count(text, "limited", counts->limited);
	add_count(text, "bytes_in", counts->bytes_in);
	add_count(text, "bytes_out", counts->bytes_out);
	add_count(text, "messages_in", counts->messages_in);
	add_count(text, "messages_out", counts->messages_out);
	add_count(text, "dropped", counts->dropped);
	add_count(text, "looped", counts->looped);
	add_errors(text, counts);
}

int berth_ask_socket(struct berth *berth, uint64_t request,
		     const struct berth_backend *backend)
{
	json_error_t error;
	json_t *message;
	char *text;
	int r;

	message = json_pack_ex(
		&error, 0, "{s:s, s:I, s:I, s:I, s:s*, s:s*, s:s*, s:o*, s:s*}",
		"type", "socket", "request", (json_int_t)request, "id",
		(json_int_t)backend->id, "to", (json_int_t)backend->to,
		"backend", backend->text, "backend_namespace", backend->netns,
		"client", backend->client, "client_port",
		backend->client_port ? json_integer(backend->client_port)
				     : NULL,
		"from", backend->from);
	if (!message)
		return json_error_code(&error) == json_error_invalid_utf8
			       ? -EINVAL
			       : -ENOMEM;
	text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	if (!text)
		return -ENOMEM;
	r = send_text(berth, text, strlen(text));
	free(text);
	return r;
}

int berth_netns_closed(struct berth *berth, uint64_t netns_id)
{
	char text[64];
	int len;

	len = snprintf(text, sizeof(text),
		       "{\"type\":\"netns_closed\",\"netns\":%lld}",
		       (long long)netns_id);
	return send_text(berth, text, (size_t)len);
}

int berth_released(struct berth *berth, uint64_t id)
{
	return say(berth, "released", id);
}

int berth_released_counts(struct berth *berth, uint64_t id,
			  const struct berth_counts *counts)
{
	char bytes[COUNTS_BYTES];
	struct text text = { .bytes = bytes, .size = sizeof(bytes) };

	if (!counts)
		return berth_released(berth, id);
	add(&text, "{\"type\":\"released\",\"id\":%lld", (long long)id);
	add_counts(&text, counts);
	add(&text, "}");
	return send_text(berth, bytes, text.len);
}

static struct text answer_text(struct berth *berth)
{
	return (struct text){ .bytes = berth->answer,
			      .len = berth->answer_len,
			      .size = sizeof(berth->answer) };
}

static void answer_begin(struct berth *berth, uint64_t request)
{
	struct text text;

	if (berth->answer_len > 0 && berth->answer_request == request)
		return;
	berth->answer_request = request;
	berth->answer_len = 0;
	text = answer_text(berth);
	add(&text, "{\"type\":\"stats\",\"request\":%lld,\"listeners\":[",
	    (long long)request);
	berth->answer_len = text.len;
}

/* Sends the answer so far. If that fails, the answer stays as it is. */
static int answer_send(struct berth *berth, bool more)
{
	struct text text = answer_text(berth);
	int r;

	add(&text, "]%s}", more ? ",\"more\":true" : "");
	r = send_text(berth, berth->answer, text.len);
	if (r == 0)
		berth->answer_len = 0;
	return r;
}

int berth_stats_add(struct berth *berth, uint64_t request, uint64_t id,
		    const struct berth_counts *counts)
{
	struct text text;
	int r;

	answer_begin(berth, request);
	if (sizeof(berth->answer) - berth->answer_len < 2 * COUNTS_BYTES) {
		r = answer_send(berth, /* more= */ true);
		if (r < 0)
			return r;
		answer_begin(berth, request);
	}
	text = answer_text(berth);
	if (text.bytes[text.len - 1] != '[')
		add(&text, ",");
	add(&text, "{\"id\":%lld", (long long)id);
	add_counts(&text, counts);
	add(&text, "}");
	berth->answer_len = text.len;
	return 0;
}

int berth_stats_end(struct berth *berth, uint64_t request)
{
	answer_begin(berth, request);
	return answer_send(berth, /* more= */ false);
}

int berth_refuse(struct berth *berth)
{
	struct berth_message *message;
	ssize_t n;
	int r;

	n = recv(berth->fd, berth->buffer, sizeof(berth->buffer),
		 MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	r = berth_message_parse(berth->buffer, (size_t)n, &message);
	if (r == 0) {
		r = say(berth, "refused", message->id);
		message = berth_message_free(message);
	}
	if (r != -EAGAIN && r != -ENOMEM)
		consume(berth);
	return r;
}

int berth_refuse_listener(struct berth *berth, uint64_t id)
{
	return say(berth, "refused", id);
}

int berth_repeat(struct berth *berth, uint64_t id)
{
	return say(berth, "repeat", id);
}
