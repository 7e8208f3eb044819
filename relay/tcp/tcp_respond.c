// SPDX-License-Identifier: Apache-2.0
/* tcp_respond.c - what the relay answers itself: a text, an echo, nothing */
#include "relay/tcp/tcp_internal.h"

#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* What the client says is read until its end and dropped: closing a socket with
 * unread bytes would reset the connection, and the client lose the answer. */
static enum flow_result respond_text(struct worker *worker, struct conn *conn)
{
	const struct serving *serving = conn->flow.serving;
	ssize_t n;

	while (conn->flow.sent < serving->text_len) {
		n = tcp_send(&conn->client, serving->text + conn->flow.sent,
			     serving->text_len - conn->flow.sent);
		if (n == -EAGAIN) {
			conn->client.writable = false;
			return FLOW_WAITS;
		}
		if (n < 0) {
			flow_note_failure(&conn->flow,
					  BERTH_ENDING_CLIENT_RESET);
			return FLOW_FAILED;
		}
		conn->flow.sent += (uint32_t)n;
		conn->flow.active_us = worker->now_us;
		flow_count_out(&conn->flow, (uint64_t)n);
	}
	tcp_shut(&conn->client);
	flow_note_end(&conn->flow, BERTH_ENDING_ANSWERED);
	flow_set_state(worker, &conn->flow, FLOW_DRAINING);
	return FLOW_AGAIN;
}

static enum flow_result respond_echo(struct worker *worker, struct conn *conn)
{
	struct side *client = &conn->client;
	enum flow_result result = tcp_pump(worker, conn, client, client);

	if (result == FLOW_WAITS && client->eof && client->shut)
		tcp_end(worker, conn);
	return result;
}

static enum flow_result respond_discard(struct worker *worker,
					struct conn *conn)
{
	enum flow_result result = tcp_sink(worker, conn, &conn->client);

	if (result == FLOW_WAITS && conn->client.eof)
		tcp_end(worker, conn);
	return result;
}

enum flow_result tcp_respond_run(struct worker *worker, struct conn *conn)
{
	switch (conn->flow.serving->action) {
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
	return FLOW_FAILED;
}
