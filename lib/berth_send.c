// SPDX-License-Identifier: Apache-2.0
/* berth_send.c - libberth: what a consumer says to berthd
 *
 * A request for a socket is kept until its answer comes: if berthd restarts
 * meanwhile, it is sent again to the next one.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <utlist.h>

#include "lib/berth_endings.h"
#include "lib/berth_reasons.h"
#include "lib/berth_internal.h"

/* The most that one listener takes in an answer: 12 numbers, one for each word
 * of three lists, and up to 8 errnos with a number each. */
#define COUNTS_BYTES 3072

int berth_send_text(struct berth *berth, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
				 .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text,
			     .iov_len = len };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	int r;

	if (berth->conn_fd < 0)
		return -EPIPE;
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	if (sendmsg(berth->conn_fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	r = errno;
	if (r == EAGAIN)
		berth_link_watch(berth, EPOLLIN | EPOLLOUT);
	return r == ECONNRESET || r == ENOTCONN ? -EPIPE : -r;
}

/* Before the welcome nothing is said, unless there is nothing to be handed back
 * before it. */
bool berth_may_send(const struct berth *berth)
{
	return berth->link == LINK_UP ||
	       (berth->link == LINK_GREETING && !berth->hands_back);
}

int berth_say(struct berth *berth, const char *type, uint64_t id)
{
	char text[64];
	int len;

	len = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"id\":%lld}",
		       type, (long long)id);
	return berth_send_text(berth, text, (size_t)len, -1);
}

int berth_say_netns(struct berth *berth, const char *type, uint64_t netns_id)
{
	char text[64];
	int len;

	len = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"netns\":%lld}",
		       type, (long long)netns_id);
	return berth_send_text(berth, text, (size_t)len, -1);
}

/* JSON integers have a sign here; no counter gets that far. */
static unsigned long long json_number(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : n;
}

/* Makes text of @message, which is gone then. NULL: @error says whether a text
 * in it was no UTF-8, or memory is out. */
static char *dump(json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	return text;
}

static int pack_errno(const json_error_t *error)
{
	return json_error_code(error) == json_error_invalid_utf8 ? -EINVAL
								 : -ENOMEM;
}

int berth_say_hello(const struct berth *berth, int fd)
{
	json_error_t error = { .text = "" };
	char *text;
	int r = 0;

	text = dump(json_pack_ex(
		&error, 0, "{s:s, s:i, s:s, s:o*, s:o*, s:o*}", "type", "hello",
		"version", BERTH_PROTOCOL_VERSION, "name", berth->name,
		"takeover", berth->takeover ? json_true() : NULL, "draining",
		berth->taken_over ? json_true() : NULL, "held",
		berth->n_promised ? json_integer((json_int_t)berth->n_promised)
				  : NULL));
	if (!text)
		return pack_errno(&error);
	if (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		r = -errno;
	free(text);
	return r;
}

/* Requests for sockets */

void berth_requests_answered(struct berth *berth, uint64_t request)
{
	struct berth_request *asked;

	DL_SEARCH_SCALAR(berth->requests, asked, request, request);
	if (!asked)
		return;
	if (berth->hand_request == asked)
		berth->hand_request = asked->next;
	DL_DELETE(berth->requests, asked);
	berth->n_requests--;
	free(asked);
}

/* Sends a request, and keeps it. */
static int ask(struct berth *berth, uint64_t request, const char *text)
{
	size_t len = strlen(text);
	struct berth_request *asked = malloc(sizeof(*asked) + len + 1);
	int r;

	if (!asked)
		return -ENOMEM;
	asked->request = request;
	asked->len = len;
	memcpy(asked->text, text, len + 1);
	r = berth_send_text(berth, asked->text, asked->len, -1);
	if (r < 0) {
		free(asked);
		return r;
	}
	DL_APPEND(berth->requests, asked);
	berth->n_requests++;
	return 0;
}

int berth_ask_socket(struct berth *berth, uint64_t request,
		     const struct berth_backend *backend)
{
	json_error_t error = { .text = "" };
	char *text;
	int r;

	if (!berth_may_send(berth) || berth->n_requests >= BERTH_SOCKETS_MAX)
		return -EAGAIN;
	text = dump(json_pack_ex(
		&error, 0,
		"{s:s, s:I, s:I, s:I, s:s*, s:s*, s:s*, s:o*, s:s*, s:o*}",
		"type", "socket", "request", (json_int_t)request, "id",
		(json_int_t)backend->id, "to", (json_int_t)backend->to,
		"backend", backend->text, "backend_namespace", backend->netns,
		"client", backend->client, "client_port",
		backend->client_port ? json_integer(backend->client_port)
				     : NULL,
		"from", backend->from, "check",
		backend->check ? json_true() : NULL));
	if (!text)
		return pack_errno(&error);
	r = ask(berth, request, text);
	free(text);
	/* Receiving tells the end; then it can be asked of the next one. */
	return r == -EPIPE ? -EAGAIN : r;
}

int berth_tell_backend(struct berth *berth,
		       const struct berth_backend_state *state)
{
	json_error_t error = { .text = "" };
	char *text;
	int r;

	if (berth->link == LINK_GREETING || berth->link == LINK_HANDING)
		return -EAGAIN;
	text = dump(json_pack_ex(
		&error, 0,
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:o*, s:I, s:o*, s:o*, s:I, "
		"s:o*, s:I}",
		"type", "backend", "rule", state->rule, "backend",
		state->backend, "backend_namespace",
		state->netns ? state->netns : "", "protocol", state->protocol,
		"state", state->state, "checked",
		state->checked ? json_true() : NULL, "failures",
		(json_int_t)json_number(state->failures), "error",
		state->error > 0 ? json_integer(state->error) : NULL,
		"failed_ms",
		state->failed_ms >= 0 ? json_integer(state->failed_ms) : NULL,
		"since_ms", (json_int_t)json_number(state->since_ms),
		"http_status",
		state->http_status ? json_integer(state->http_status) : NULL,
		"connections", (json_int_t)json_number(state->connections)));
	if (!text)
		return pack_errno(&error);
	r = berth_send_text(berth, text, strlen(text), -1);
	free(text);
	return r;
}

/* Counts */

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

/* Appends @n counts, by their words; without any, nothing. */
static void add_by_word(struct text *text, const char *key,
			const uint64_t *counts, const char *const *words,
			size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (counts[i] == 0)
			continue;
		if (any)
			add(text, ",");
		else
			add(text, ",\"%s\":{", key);
		add(text, "\"%s\":%llu", words[i], json_number(counts[i]));
		any = true;
	}
	if (any)
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
	add_count(text, "not_admitted", counts->not_admitted);
	add_count(text, "unlogged", counts->unlogged);
	add_by_word(text, "ended", counts->ended, berth_ending_names,
		    BERTH_ENDINGS);
	add_by_word(text, "dropped_by", counts->dropped_by, berth_drop_names,
		    BERTH_DROPS);
	add_by_word(text, "limited_by", counts->limited_by, berth_limit_names,
		    BERTH_LIMITS);
	add_errors(text, counts);
}

int berth_say_released(struct berth *berth, uint64_t id,
		       const struct berth_counts *counts)
{
	char bytes[COUNTS_BYTES];
	struct text text = { .bytes = bytes, .size = sizeof(bytes) };

	if (!counts)
		return berth_say(berth, "released", id);
	add(&text, "{\"type\":\"released\",\"id\":%lld", (long long)id);
	add_counts(&text, counts);
	add(&text, "}");
	return berth_send_text(berth, bytes, text.len, -1);
}

/* The answer to `stats` */

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
	r = berth_send_text(berth, berth->answer, text.len, -1);
	if (r == 0)
		berth->answer_len = 0;
	return r;
}

/* Did the connection end that @request came by? */
static bool answer_is_void(const struct berth *berth, uint64_t request)
{
	return berth->stats_void && berth->answer_request == request;
}

int berth_stats_add(struct berth *berth, uint64_t request, uint64_t id,
		    const struct berth_counts *counts)
{
	struct text text;
	int r;

	if (answer_is_void(berth, request))
		return 0;
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
	if (answer_is_void(berth, request))
		return 0;
	answer_begin(berth, request);
	return answer_send(berth, /* more= */ false);
}
