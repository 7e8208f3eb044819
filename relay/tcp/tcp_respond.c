// SPDX-License-Identifier: Apache-2.0
/* tcp_respond.c - what the relay answers itself: a text, an echo, nothing */
#include "relay/tcp/tcp_internal.h"

#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* What the client says is read until its end and dropped: to close with unread
 * bytes would reset the connection and take the answer back. */
static enum tcp_result respond_text(struct worker *worker, struct conn *conn)
{
	const struct serving *serving = conn->serving;
	ssize_t n;

	while (conn->sent < serving->text_len) {
		n = tcp_send(&conn->client, serving->text + conn->sent,
			     serving->text_len - conn->sent);
		if (n == -EAGAIN) {
			conn->client.writable = false;
			return TCP_WAITS;
		}
		if (n < 0)
			return TCP_FAILED;
		conn->sent += (uint32_t)n;
		conn->active_us = worker->now_us;
		counters_add(share_counters(conn->share), COUNTER_BYTES_OUT,
			     (uint64_t)n);
	}
	tcp_shut(&conn->client);
	tcp_set_state(worker, conn, CONN_DRAINING);
	return TCP_AGAIN;
}

static enum tcp_result respond_echo(struct worker *worker, struct conn *conn)
{
	struct side *client = &conn->client;
	enum tcp_result result = tcp_pump(worker, conn, client, client);

	if (result == TCP_WAITS && client->eof && client->shut)
		tcp_end(worker, conn);
	return result;
}

static enum tcp_result respond_discard(struct worker *worker, struct conn *conn)
{
	enum tcp_result result = tcp_sink(worker, conn, &conn->client);

	if (result == TCP_WAITS && conn->client.eof)
		tcp_end(worker, conn);
	return result;
}

enum tcp_result tcp_respond_run(struct worker *worker, struct conn *conn)
{
	switch (conn->serving->action) {
	case SERVICE_RESPOND:
		return respond_text(worker, conn);
	case SERVICE_ECHO:
		return respond_echo(worker, conn);
	case SERVICE_DISCARD:
		return respond_discard(worker, conn);
	case SERVICE_FORWARD:
	case SERVICE_HANDOFF:
		break;
	}
	return TCP_FAILED;
}
