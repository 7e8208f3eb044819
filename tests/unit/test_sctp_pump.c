// SPDX-License-Identifier: Apache-2.0
/* test_sctp_pump.c - what becomes of messages of an association whose lifetime
 * is over
 *
 * It needs no SCTP: the backend takes nothing now, so that all is kept that
 * would be sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/admission.h"
#include "relay/core/counters.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"
#include "relay/sctp/sctp_internal.h"

static const struct log_about about = { .rule = "test",
					.listener = "sctp *:80",
					.netns = "one" };

/* A worker with one listener, that has one association. */
struct fixture {
	struct worker worker;
	struct admission_worker netns_worker;
	struct admission netns;
	struct listener *listener;
	struct share *share;
	struct sctp_conn conn;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->netns.workers = &fixture->netns_worker;
	fixture->worker.messages.limit_bytes = SIZE_MAX;
	fixture->worker.turn = 1;
	assert_int_equal(listener_new(1, -1, PROTOCOL_SCTP_SEQPACKET, &about, 1,
				      &fixture->listener),
			 0);
	fixture->listener->netns = &fixture->netns;
	fixture->share = &fixture->listener->shares[0];
	fixture->share->worker = &fixture->worker;
	fixture->conn.flow.share = fixture->share;
	fixture->conn.client.kind = SCTP_SIDE_SHARED;
	fixture->conn.backend.limits.max_bytes = SCTP_MESSAGE_MAX;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	struct sctp_side *client = &fixture->conn.client;
	struct budget *budget = sctp_conn_budget(&fixture->conn);

	client->partial = sctp_message_free(budget, client->partial);
	(void)sctp_queue_clear(budget, &client->queue);
	fixture->listener->netns = NULL; /* of no table */
	(void)listener_free(fixture->listener);
	free(fixture);
	return 0;
}

/* The client says @text, which is the end of a message if it ends with ".". */
static void say(struct fixture *fixture, const char *text)
{
	struct sctp_conn *conn = &fixture->conn;
	const struct sctp_received received = {
		.kind = SCTP_KIND_DATA,
		.len = strlen(text),
		.last = strchr(text, '.') != NULL,
	};

	assert_int_equal(sctp_pump_take(&fixture->worker, conn, &conn->client,
					&conn->backend, &received,
					(const uint8_t *)text),
			 0);
}

/* What waits for the backend. */
static void expect_queue(const struct fixture *fixture, const char *expected)
{
	const struct sctp_message *message = fixture->conn.client.queue.first;
	size_t len;

	for (; *expected; expected += len) {
		len = strcspn(expected, ".") + 1;
		assert_non_null(message);
		assert_int_equal(message->len, len);
		assert_memory_equal(message->data, expected, len);
		message = message->next;
	}
	assert_null(message);
}

static uint64_t dropped(const struct fixture *fixture)
{
	const struct counters_reasons *reasons =
		share_counters(fixture->share)->reasons;

	return reasons ? atomic_load(&reasons->dropped[BERTH_DROP_ENDED]) : 0;
}

static void test_before(void **state)
{
	struct fixture *fixture = *state;

	say(fixture, "one.");
	say(fixture, "two, ");
	say(fixture, "and more.");
	expect_queue(fixture, "one.two, and more.");
	assert_int_equal(dropped(fixture), 0);
}

/* What was said before goes on, and the rest of what was half said. No more is
 * put behind it, or it would never end. */
static void test_expired(void **state)
{
	struct fixture *fixture = *state;

	say(fixture, "one.");
	say(fixture, "two, ");
	fixture->conn.expired = true;
	say(fixture, "and ");
	say(fixture, "more.");
	for (int i = 0; i < 3; i++) {
		say(fixture, "late.");
		say(fixture, "late, ");
		say(fixture, "in parts.");
	}
	expect_queue(fixture, "one.two, and more.");
	assert_null(fixture->conn.client.partial);
	assert_int_equal(dropped(fixture), 6);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_before),
		T(test_expired),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
