// SPDX-License-Identifier: Apache-2.0
/* test_udp_begin.c - what a UDP session knows from its beginning */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "relay/backend/balance.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/minted.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"
#include "relay/core/worker.h"
#include "relay/udp/udp.h"
#include "relay/udp/udp_begin.h"
#include "relay/udp/udp_front.h"

static const struct log_about about = { .rule = "test",
					.listener = "udp *:80",
					.netns = "one" };

/* A worker with one listener, whose backend needs a socket of berthd's. */
struct fixture {
	struct worker worker;
	struct outbox outbox;
	struct admission_worker netns_worker;
	struct admission netns;
	struct sockaddr backend_address;
	struct serving_backend backend;
	struct target_health health;
	struct serving serving;
	struct listener *listener;
	struct share *share;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_non_null(fixture);
	assert_int_equal(admission_init(0, 1), 0);
	assert_int_equal(outbox_init(&fixture->outbox), 0);
	fixture->netns.workers = &fixture->netns_worker;
	(void)target_health_ref(&fixture->health); /* it is not on the heap */
	fixture->backend_address.sa_family = AF_INET;
	fixture->backend.address = &fixture->backend_address;
	fixture->backend.health = &fixture->health;
	fixture->backend.weight = 1;
	fixture->backend.minted = true;
	(void)serving_ref(&fixture->serving); /* nor is this */
	fixture->serving.action = SERVICE_FORWARD;
	fixture->serving.backends = &fixture->backend;
	fixture->serving.n_backends = 1;
	fixture->serving.max_connections = 1;
	fixture->worker.outbox = &fixture->outbox;
	fixture->worker.turn = 1;
	assert_int_equal(listener_new(1, fd, PROTOCOL_UDP, &about, 1,
				      &fixture->listener),
			 0);
	fixture->listener->netns = &fixture->netns;
	fixture->share = &fixture->listener->shares[0];
	fixture->share->worker = &fixture->worker;
	fixture->share->serving = &fixture->serving;
	assert_int_equal(udp_protocol.open(&fixture->worker, fixture->share),
			 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	struct minted *minted, *next;
	struct grave *grave;

	udp_protocol.close(&fixture->worker, fixture->share);
	for (minted = STAILQ_FIRST(&fixture->outbox.requests); minted;
	     minted = next) {
		next = STAILQ_NEXT(minted, waiting);
		minted_destroy(minted);
	}
	while ((grave = fixture->worker.graves)) {
		fixture->worker.graves = grave->next;
		free(grave);
	}
	udp_protocol.forget(&fixture->worker);
	timers_done(&fixture->worker.timers);
	outbox_done(&fixture->outbox);
	fixture->listener->netns = NULL; /* of no table */
	(void)listener_free(fixture->listener);
	free(fixture);
	return 0;
}

/* Whatever the rule asks for: while a session waits, it may come to ask for
 * `balance: hash`, and the next backend is chosen by that. */
static void test_who_the_client_is(void **state)
{
	struct fixture *fixture = *state;
	struct ip_addr client = { .family = AF_INET, .bytes = { 10, 0, 0, 7 } };
	struct udp_key key = { .family = AF_INET, .port = htons(7) };
	struct udp_session *session;
	enum berth_drop why;

	memcpy(key.client, client.bytes, 4);
	session = udp_begin(&fixture->worker, fixture->share->protocol_data,
			    &key, &why);
	assert_non_null(session);
	assert_non_null(session->ask);
	assert_true(session->upstream.client == balance_client(&client));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_the_client_is, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
