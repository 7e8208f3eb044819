// SPDX-License-Identifier: Apache-2.0
/* tcp_http.c - connections whose one request is read before it is passed on
 *
 * Theory of operation: the request is READ whole, changed, and written to one
 * buffer, which takes the place of what a client says first. Then the flow is
 * connected like every other one; because no backend gets a byte of the request
 * before it is connected, each may be tried. The buffer leaves in one write(2)
 * if the socket has room. From there on the flow is ASKED, until the first byte
 * of the answer. The answer goes through the pump, unchanged, until the
 * backend ends.
 *
 *	READING -> CONNECTING <-> WAITING -> ASKED -> OPEN -> DRAINING -> ENDING
 *
 * What the client says behind its request stays in its socket. It is read only
 * after all is answered, and dropped: closing a socket with unread bytes would
 * reset the connection, and the client might lose the answer.
 *
 * Before the first byte of an answer, whatever goes wrong is answered here, and
 * conn.answering is set: a backend whose socket is closed, or never was there,
 * and which has "said" our own answer and ended.
 *
 * Most requests come in one piece: nothing of them is kept but what is sent on.
 * One that comes in pieces is kept, with what is known of it, and counts for
 * the namespace as the buffers of stalled connections do. Without room for it
 * the client is answered 503. A client that says nothing takes no memory but
 * its connection's.
 */
#include "relay/tcp/tcp_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ip.h"
#include "common/service_http.h"
#include "common/util.h"
#include "relay/backend/failover.h"
#include "relay/backend/proxy_header.h"
#include "relay/core/admission.h"
#include "relay/core/gate.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"
#include "relay/http/http_allow.h"
#include "relay/http/http_answer.h"
#include "relay/http/http_read.h"
#include "relay/http/http_request.h"
#include "relay/http/http_rewrite.h"

/* Reads per turn, each of a few KiB. */
#define READS_MAX 4

/* What the values of all headers may become with the client's address in them:
 * as much as without, and as much again. */
#define VALUES_MAX (2 * SERVICE_HTTP_BYTES_MAX)

/* The fields that http_rewrite() adds by itself. */
#define OWN_FIELDS_MAX 64u

/**
 * struct tcp_request - a request that is read
 * @kept:	all of it so far, counted for the namespace together with this;
 *		NULL: it began just now, in the worker's scratch buffer
 * @continued:	the client was told to send its body
 */
struct tcp_request {
	struct http_request request;
	struct buffer *kept;
	bool continued;
};

/**
 * struct values - the values of headers while they are made
 * @used:	bytes of @text
 */
struct values {
	struct http_header headers[SERVICE_HTTP_SET_MAX];
	size_t used;
	char text[VALUES_MAX];
};

void tcp_http_forget(struct worker *worker, struct conn *conn)
{
	struct tcp_request *request = TAKE_PTR(conn->request);

	if (request && request->kept)
		admission_give(conn->flow.share->listener->netns,
			       ADMISSION_BYTES, sizeof(*request));
	if (request)
		(void)tcp_forget(worker, conn, request->kept);
	free(request);
}

/* Our own answers */

static struct side *settle(struct worker *worker, struct conn *conn,
			   enum berth_ending ending)
{
	struct flow *flow = &conn->flow;

	failover_close(worker, flow, /* reset= */ true);
	if (flow->n_fds > 1)
		flow_give_fd(flow); /* the backend's */
	tcp_drop(worker, conn, &conn->client);
	flow_note_failure(flow, ending);
	conn->answering = true;
	conn->backend.eof = true;
	return &conn->backend;
}

/* The text is kept as if a backend had said it, and had ended. */
static enum flow_result answer_text(struct worker *worker, struct conn *conn,
				    const char *text, size_t len,
				    enum berth_ending ending)
{
	struct side *backend = settle(worker, conn, ending);

	tcp_http_forget(worker, conn);
	if (tcp_keep(worker, conn, backend, text, len) < 0)
		return FLOW_FAILED;
	flow_set_state(worker, &conn->flow, FLOW_OPEN);
	return FLOW_AGAIN;
}

static enum flow_result answer(struct worker *worker, struct conn *conn,
			       enum http_status status,
			       enum berth_ending ending)
{
	const struct http_answer own = {
		.status = status,
		.is_head = conn->is_head,
	};
	char text[HTTP_ANSWER_MAX];
	size_t len = http_answer_write(&own, text, sizeof(text));

	return answer_text(worker, conn, text, len, ending);
}

/* Return: may the client make one more request now? If not, *ret_result is
 * what its answer leads to. */
static bool has_rate(struct worker *worker, struct conn *conn,
		     enum flow_result *ret_result)
{
	const struct flow *flow = &conn->flow;
	struct http_answer own = {
		.status = HTTP_TOO_MANY_REQUESTS,
		.is_head = conn->is_head,
	};
	char text[HTTP_ANSWER_MAX];
	uint64_t wait_us = 0;
	size_t len;

	if (gate_has_rate(worker, flow->share, &flow->serving->request_limits,
			  &conn->from, &wait_us))
		return true;
	own.retry_after_s =
		(unsigned int)((wait_us + USEC_PER_SEC - 1) / USEC_PER_SEC);
	len = http_answer_write(&own, text, sizeof(text));
	*ret_result =
		answer_text(worker, conn, text, len, BERTH_ENDING_RATE_LIMIT);
	return false;
}

static enum flow_result answer_refused(struct worker *worker, struct conn *conn,
				       const char *data)
{
	char text[HTTP_ANSWER_MAX];
	size_t len = http_answer_refused(&conn->request->request, data, text,
					 sizeof(text));

	return answer_text(worker, conn, text, len,
			   BERTH_ENDING_REQUEST_REFUSED);
}

/* The backend that has the request, or a part of it, says nothing and ends. */
static enum flow_result answer_lost(struct worker *worker, struct conn *conn)
{
	return answer(worker, conn, HTTP_BAD_GATEWAY,
		      BERTH_ENDING_BACKEND_RESET);
}

/* Outside of flow_run(), which deals with what the answer leads to. */
static void answer_now(struct worker *worker, struct conn *conn,
		       enum http_status status, enum berth_ending ending)
{
	if (answer(worker, conn, status, ending) == FLOW_FAILED)
		flow_reset(worker, &conn->flow);
	else
		flow_run(worker, &conn->flow);
}

void tcp_http_late(struct worker *worker, struct conn *conn)
{
	if (conn->flow.state == FLOW_READING)
		answer_now(worker, conn, HTTP_REQUEST_TIMEOUT,
			   BERTH_ENDING_REQUEST_TIMEOUT);
	else
		answer_now(worker, conn, HTTP_GATEWAY_TIMEOUT,
			   BERTH_ENDING_RESPONSE_TIMEOUT);
}

void tcp_http_unreachable(struct worker *worker, struct conn *conn,
			  enum berth_ending ending)
{
	answer_now(worker, conn,
		   ending == BERTH_ENDING_CONNECT_TIMEOUT ? HTTP_GATEWAY_TIMEOUT
							  : HTTP_UNAVAILABLE,
		   ending);
}

/* The request as the backend gets it */

/* The address of this end. Return: 0 or -errno. */
static int local_address(const struct conn *conn, struct ip_addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(conn->client.fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return ip_addr_from_sockaddr(&sa, ret_addr, NULL);
}

static int values_add(struct values *values, const char *text, size_t len)
{
	if (len > sizeof(values->text) - values->used)
		return -EMSGSIZE;
	memcpy(values->text + values->used, text, len);
	values->used += len;
	return 0;
}

/* Appends what a reference of a value stands for. */
static int add_reference(const struct conn *conn, enum service_value_part part,
			 struct values *values)
{
	char text[IP_TEXT_MAX] = "";
	struct ip_addr local;
	int r;

	switch (part) {
	case SERVICE_VALUE_CLIENT:
		(void)ip_addr_fmt(&conn->from, text);
		break;
	case SERVICE_VALUE_CLIENT_PORT:
		(void)snprintf(text, sizeof(text), "%u",
			       conn->from_port); /* fits */
		break;
	case SERVICE_VALUE_LOCAL:
		r = local_address(conn, &local);
		if (r < 0)
			return r;
		(void)ip_addr_fmt(&local, text);
		break;
	case SERVICE_VALUE_END:
	case SERVICE_VALUE_TEXT:
	case SERVICE_VALUE_BAD:
		return -EINVAL;
	}
	return values_add(values, text, strlen(text));
}

static int add_value(const struct conn *conn, const char *value,
		     struct values *values)
{
	const char *text;
	size_t len;
	int r = 0;

	while (r == 0) {
		enum service_value_part part =
			service_value_next(&value, &text, &len);

		if (part == SERVICE_VALUE_END)
			return 0;
		r = part == SERVICE_VALUE_TEXT
			    ? values_add(values, text, len)
			    : add_reference(conn, part, values);
	}
	return r;
}

/* Fills in the headers that the rule sets. Return: 0 or -errno. */
static int make_values(const struct conn *conn, struct values *values)
{
	const struct service_http *http = conn->flow.serving->http;
	int r = 0;

	values->used = 0;
	for (size_t i = 0; i < http->n_set && r == 0; i++) {
		const size_t begin = values->used;

		r = add_value(conn, http->set[i].value, values);
		values->headers[i] = (struct http_header){
			.name = http->set[i].name,
			.value = values->text + begin,
			.value_len = values->used - begin,
		};
	}
	return r;
}

/* No request is longer with the changes, whatever is removed. */
static size_t longest(const struct conn *conn, const struct values *values)
{
	const struct service_http *http = conn->flow.serving->http;
	const struct http_request *request = &conn->request->request;
	/* A space more for each field that came without. */
	size_t bytes = request->line_at + request->n_fields + values->used +
		       OWN_FIELDS_MAX;

	for (size_t i = 0; i < http->n_set; i++)
		bytes += strlen(http->set[i].name) + strlen(": \r\n");
	return bytes;
}

/* Writes the request, behind the PROXY protocol's header if the rule wants
 * that, into @buffer, which has @size bytes of room.
 * Return: 0; -EMSGSIZE: it is too long; -errno. */
static int write_request(const struct conn *conn, const char *data,
			 const struct values *values, struct buffer *buffer,
			 size_t size)
{
	const struct service_http *http = conn->flow.serving->http;
	const struct http_changes changes = {
		.set = values->headers,
		.n_set = http->n_set,
		.remove = (const char *const *)http->remove,
		.n_remove = http->n_remove,
	};
	ssize_t proxy =
		tcp_proxy_header(conn, conn->flow.serving, buffer->data, size);
	ssize_t n;

	if (proxy < 0)
		return (int)proxy;
	if (proxy == 0 && conn->flow.serving->proxy)
		return -EMSGSIZE;
	n = http_rewrite(&conn->request->request, data, &changes,
			 (char *)buffer->data + proxy, size - (size_t)proxy);
	if (n < 0)
		return (int)n;
	buffer->end = (uint32_t)(proxy + n);
	return 0;
}

/* May a buffer be kept for @bytes, and @more bytes beside? */
static bool has_room(const struct conn *conn, size_t bytes, size_t more)
{
	return admission_has_room(
		conn->flow.share->listener->netns, ADMISSION_BYTES,
		buffer_class_bytes(bytes) + (unsigned int)more);
}

/* Keeps the changed request as what the client says. Return: 0; -EMSGSIZE: it
 * is too long now; -ENOBUFS: the namespace has its share of memory; -errno. */
static int keep_request(struct worker *worker, struct conn *conn,
			const char *data)
{
	const size_t max = conn->flow.serving->http->max_request;
	struct values values;
	struct buffer *buffer;
	size_t size;
	int r = make_values(conn, &values);

	if (r < 0)
		return r;
	size = longest(conn, &values);
	if (conn->flow.serving->proxy)
		size += PROXY_HEADER_MAX;
	size = size < max ? size : max;
	if (!has_room(conn, size, 0))
		return -ENOBUFS;
	buffer = buffer_reserve(&worker->buffers, size);
	if (!buffer)
		return -ENOMEM;
	tcp_count_kept(conn, buffer);
	r = write_request(conn, data, &values, buffer, size);
	if (r < 0)
		(void)tcp_forget(worker, conn, buffer);
	else
		conn->client.rest = buffer;
	return r;
}

/* The changed request cannot be passed on. */
static enum flow_result refuse_changed(struct worker *worker, struct conn *conn,
				       int error, const char *data)
{
	struct http_request *request = &conn->request->request;

	switch (error) {
	case -EMSGSIZE:
		(void)http_request_refuse(
			request,
			request->has_body ? HTTP_CONTENT_TOO_LARGE
					  : HTTP_FIELDS_TOO_LARGE,
			"more bytes than allowed, with the fields that are "
			"added");
		return answer_refused(worker, conn, data);
	case -ENOBUFS:
	case -ENOMEM:
		return answer(worker, conn, HTTP_UNAVAILABLE,
			      BERTH_ENDING_LIMIT);
	default: /* the client is gone */
		flow_note_failure(&conn->flow, BERTH_ENDING_CLIENT_RESET);
		return FLOW_FAILED;
	}
}

/* Asks a backend, with a whole request. */
static enum flow_result ask(struct worker *worker, struct conn *conn,
			    const char *data)
{
	const struct service_http *http = conn->flow.serving->http;
	struct http_request *request = &conn->request->request;
	const struct http_allowed allowed = {
		.paths = (const char *const *)http->paths,
		.n_paths = http->n_paths,
		.hosts = (const char *const *)http->hosts,
		.n_hosts = http->n_hosts,
	};
	enum flow_result result;
	int r;

	conn->is_head = http_request_is(request, data, "HEAD");
	if (!has_rate(worker, conn, &result))
		return result;
	if (!http_allow(request, data, &allowed))
		return answer_refused(worker, conn, data);
	r = keep_request(worker, conn, data);
	if (r < 0)
		return refuse_changed(worker, conn, r, data);
	tcp_http_forget(worker, conn);
	failover_begin(worker, &conn->flow);
	return FLOW_WAITS;
}

/* The request as it comes */

/* Makes room behind what is kept. Return: is there any? */
static int grow(struct worker *worker, struct conn *conn)
{
	struct tcp_request *request = conn->request;
	struct buffer *kept = request->kept, *larger;
	const size_t bytes = buffer_bytes(kept);

	if (kept->end < bytes)
		return 0;
	if (bytes >= BUFFER_MAX_BYTES)
		return -EMSGSIZE;
	if (!has_room(conn, bytes + 1, 0))
		return -ENOBUFS;
	larger = buffer_reserve(&worker->buffers, bytes + 1);
	if (!larger)
		return -ENOMEM;
	memcpy(larger->data, kept->data, kept->end);
	larger->end = kept->end;
	tcp_count_kept(conn, larger);
	(void)tcp_forget(worker, conn, kept);
	request->kept = larger;
	return 0;
}

/* Keeps what came first and is not whole. Return: 0 or -errno. */
static int keep_first(struct worker *worker, struct conn *conn, size_t len)
{
	struct tcp_request *request = conn->request;

	if (!has_room(conn, len, sizeof(*request)))
		return -ENOBUFS;
	request->kept = buffer_new(&worker->buffers, worker->scratch, len);
	if (!request->kept)
		return -ENOMEM;
	tcp_count_kept(conn, request->kept);
	admission_add_bytes(conn->flow.share->listener->netns,
			    sizeof(*request));
	return 0;
}

/* More must come. */
static enum flow_result read_more(struct worker *worker, struct conn *conn,
				  const char *data, size_t len)
{
	struct tcp_request *request = conn->request;
	static const char go_on[] = HTTP_ANSWER_CONTINUE;
	int r = request->kept ? grow(worker, conn)
			      : keep_first(worker, conn, len);
	ssize_t n;

	if (r < 0)
		return refuse_changed(worker, conn, r, data);
	if (!request->continued &&
	    http_request_wants_continue(&request->request, len)) {
		request->continued = true;
		/* A new socket has room. The client of one that has not sends
		 * its body after a while anyway. */
		n = tcp_send(&conn->client, go_on, sizeof(go_on) - 1);
		if (n > 0)
			flow_count_out(&conn->flow, (uint64_t)n);
	}
	return FLOW_AGAIN;
}

/* The client sends no more, and its request is not whole. One that says nothing
 * at all is no error: it tries whether somebody is there. */
static enum flow_result ended_early(struct worker *worker, struct conn *conn)
{
	struct tcp_request *request = conn->request;

	if (!request) {
		tcp_end(worker, conn);
		return FLOW_WAITS;
	}
	(void)http_request_refuse(&request->request, HTTP_BAD_REQUEST,
				  "an end before it is whole");
	return answer_refused(worker, conn, (char *)request->kept->data);
}

/* Reads once, into what is kept or the scratch buffer. Return: FLOW_AGAIN while
 * more is to be read, and when the request is answered here. */
static enum flow_result read_once(struct worker *worker, struct conn *conn)
{
	const size_t max = conn->flow.serving->http->max_request;
	struct buffer *kept = conn->request ? conn->request->kept : NULL;
	uint8_t *data = kept ? kept->data : worker->scratch;
	size_t len = kept ? kept->end : 0;
	size_t room = (kept ? buffer_bytes(kept) : BUFFER_MAX_BYTES) - len;
	ssize_t n = tcp_read(worker, conn, &conn->client, data + len, room);

	if (n < 0)
		return FLOW_FAILED;
	if (n == 0)
		return conn->client.eof ? ended_early(worker, conn)
					: FLOW_WAITS;
	if (!conn->request)
		conn->request = calloc(1, sizeof(*conn->request));
	if (!conn->request)
		return answer(worker, conn, HTTP_UNAVAILABLE,
			      BERTH_ENDING_ERROR);
	len += (size_t)n;
	if (kept)
		kept->end = (uint32_t)len;
	switch (http_read(&conn->request->request, (char *)data, len, max)) {
	case HTTP_MORE:
		return read_more(worker, conn, (char *)data, len);
	case HTTP_WHOLE:
		return ask(worker, conn, (char *)data);
	case HTTP_REFUSED:
		return answer_refused(worker, conn, (char *)data);
	}
	return FLOW_FAILED;
}

enum flow_result tcp_http_read(struct worker *worker, struct conn *conn)
{
	enum flow_result result;

	for (int i = 0; i < READS_MAX; i++) {
		if (!conn->client.readable)
			return FLOW_WAITS;
		result = read_once(worker, conn);
		if (result != FLOW_AGAIN || conn->flow.state != FLOW_READING)
			return result;
	}
	return FLOW_AGAIN;
}

void tcp_http_begin(struct worker *worker, struct conn *conn,
		    const struct sockaddr_storage *from)
{
	struct flow *flow = &conn->flow;

	/* Of a client that is gone again the kernel knows no address. */
	if (ip_addr_from_sockaddr(from, &conn->from, &conn->from_port) < 0) {
		flow_reset_for(worker, flow, BERTH_ENDING_CLIENT_RESET);
		return;
	}
	flow->upstream.index = UINT8_MAX; /* none yet */
	flow_set_state(worker, flow, FLOW_READING);
	flow_run(worker, flow);
}

/* The answer */

/* All is answered. A socket to a backend in another namespace is kept, as that
 * of the client is, until the kernel is through with it. */
static enum flow_result end_answer(struct worker *worker, struct conn *conn)
{
	struct flow *flow = &conn->flow;

	if (conn->backend.fd >= 0 && !failover_pins(flow)) {
		failover_close(worker, flow, /* reset= */ false);
		flow_give_fd(flow);
	}
	flow_set_state(worker, flow, FLOW_DRAINING);
	return FLOW_AGAIN;
}

/* The first byte of the answer decides whether it is the backend's. */
static enum flow_result await_answer(struct worker *worker, struct conn *conn)
{
	struct flow *flow = &conn->flow;
	enum flow_result result;

	if (conn->client.rest &&
	    tcp_give_kept(worker, conn, &conn->client, &conn->backend) < 0)
		return answer_lost(worker, conn);
	result = tcp_pump_first(worker, conn, &conn->backend, &conn->client);
	if (result == FLOW_WAITS)
		return result;
	if (result == FLOW_FAILED)
		return flow->ending == BERTH_ENDING_CLIENT_RESET
			       ? FLOW_FAILED
			       : answer_lost(worker, conn);
	flow_set_state(worker, flow, FLOW_OPEN);
	return FLOW_AGAIN;
}

enum flow_result tcp_http_run(struct worker *worker, struct conn *conn)
{
	struct side *client = &conn->client, *backend = &conn->backend;
	struct flow *flow = &conn->flow;
	enum flow_result result;

	if (!conn->answering) {
		conn->answering = true;
		flow_set_state(worker, flow, FLOW_ASKED);
	}
	if (flow->state == FLOW_ASKED) {
		result = await_answer(worker, conn);
		if (flow->state == FLOW_ASKED || result == FLOW_FAILED)
			return result;
	}
	if (client->rest && tcp_give_kept(worker, conn, client, backend) < 0)
		return FLOW_FAILED;
	result = tcp_pump(worker, conn, backend, client);
	if (client->hangup)
		flow_hasten(worker, flow);
	return backend->eof && client->shut ? end_answer(worker, conn) : result;
}
