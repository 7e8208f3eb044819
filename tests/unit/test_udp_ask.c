// SPDX-License-Identifier: Apache-2.0
/* test_udp_ask.c - who may begin a session while too many wait for sockets, and
 * how much is held for them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/outbox.h"
#include "relay/core/minted.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"
#include "relay/udp/udp_ask.h"
#include "relay/udp/udp_front.h"
#include "relay/core/worker.h"

/* More than a worker lets wait. */
#define MANY 100000

/* As in relay/udp/udp_ask.c. */
#define SENT_MAX 16
#define ASKS_MAX 512
#define NETNS_ASKS_MAX 1024
#define NETNS_ASKS_FEW 64
#define WORKER_ASKS_MAX 4096
#define NETNS_HELD_MAX (1024u * 1024)

#define LISTENERS 5
#define DATAGRAM 1000

static bool may(bool minted, size_t n_all, uint64_t rest_until_us)
{
	struct serving_backend backend = { .minted = minted };
	struct serving serving = { .backends = &backend, .n_backends = 1 };
	struct admission_waiting all = { .n = n_all };
	struct worker worker = { .now_us = 1000 };
	struct admission_worker mine = { .waiting.n = 0 };
	struct admission netns = { .workers = &mine };
	struct listener listener = { .netns = &netns };
	struct share share = { .serving = &serving, .listener = &listener };
	struct udp_asks asks = {
		.share = &share,
		.of_worker = &all,
		.rest_until_us = rest_until_us,
	};

	return udp_asks_may(&worker, &asks);
}

static void test_who_asks(void **state)
{
	(void)state;
	assert_true(may(true, 0, 0));
	assert_false(may(true, MANY, 0));
	assert_false(may(true, 0, 2000));
}

/* What others wait for does not concern it. */
static void test_who_needs_no_socket(void **state)
{
	(void)state;
	assert_true(may(false, 0, 0));
	assert_true(may(false, MANY, 0));
	assert_true(may(false, 0, 2000));
}

/* Listeners of one namespace, and the last one of another, whose backends need
 * sockets of berthd's; and the worker that has them. */
struct fixture {
	struct sockaddr backend_address;
	struct serving_backend backend;
	struct target_health health;
	struct serving serving;
	struct admission_worker of_netns, of_other;
	struct admission netns, other;
	struct listener listeners[LISTENERS + 1];
	struct share shares[LISTENERS + 1];
	struct udp_front fronts[LISTENERS + 1];
	struct outbox outbox;
	struct udp_worker udp;
	struct worker worker;
	uint32_t n_clients;
};

static int setup(void **state)
{
	struct fixture *all = calloc(1, sizeof(*all));

	all->backend_address.sa_family = AF_INET;
	all->backend.address = &all->backend_address;
	all->backend.minted = true;
	all->backend.health = &all->health;
	all->serving.backends = &all->backend;
	all->serving.n_backends = 1;
	(void)serving_ref(&all->serving); /* it is not on the heap */
	all->netns.workers = &all->of_netns;
	all->other.workers = &all->of_other;
	assert_int_equal(outbox_init(&all->outbox), 0);
	all->worker.outbox = &all->outbox;
	all->worker.protocol_data[PROTOCOL_UDP] = &all->udp;
	udp_pool_init(&all->udp.pool, MANY);
	for (size_t i = 0; i < ARRAY_SIZE(all->fronts); i++) {
		struct admission *netns = i < LISTENERS ? &all->netns
							: &all->other;

		all->listeners[i].netns = netns;
		all->shares[i].listener = &all->listeners[i];
		all->shares[i].serving = &all->serving;
		all->fronts[i].udp = &all->udp;
		all->fronts[i].share = &all->shares[i];
		all->fronts[i].asks.share = &all->shares[i];
		all->fronts[i].asks.of_worker = &all->udp.waiting;
		all->fronts[i].table =
			udp_table_new(&all->udp.pool, netns, &all->fronts[i]);
		assert_non_null(all->fronts[i].table);
	}
	*state = all;
	return 0;
}

static void end_sessions(struct fixture *all, struct udp_front *front)
{
	struct udp_session *session;

	while ((session = udp_table_oldest(front->table))) {
		(void)udp_ask_leave(&all->worker, session);
		udp_session_remove(session);
		free(session);
	}
	udp_asks_done(&all->worker, &front->asks);
}

static int teardown(void **state)
{
	struct fixture *all = *state;
	struct minted *minted, *next;

	for (size_t i = 0; i < ARRAY_SIZE(all->fronts); i++) {
		end_sessions(all, &all->fronts[i]);
		(void)udp_table_free(all->fronts[i].table);
	}
	for (minted = STAILQ_FIRST(&all->outbox.requests); minted;
	     minted = next) {
		next = STAILQ_NEXT(minted, waiting);
		minted_destroy(minted);
	}
	outbox_done(&all->outbox);
	free(all);
	return 0;
}

/* A new client, if it may have a session: that waits. */
static struct udp_session *begin(struct fixture *all, struct udp_front *front)
{
	struct udp_key key = { .family = AF_INET };
	struct udp_session *session;

	if (!udp_asks_may(&all->worker, &front->asks))
		return NULL;
	all->n_clients++;
	memcpy(key.client, &all->n_clients, sizeof(all->n_clients));
	session = udp_table_add(front->table, &key, false, 1);
	assert_non_null(session);
	assert_int_equal(udp_ask(&all->worker, &front->asks, session),
			 -EINPROGRESS);
	return session;
}

/* Return: how many may wait. */
static size_t flood(struct fixture *all, struct udp_front *front)
{
	size_t n = 0;

	while (begin(all, front))
		n++;
	return n;
}

static void expect_nothing_waits(const struct fixture *all)
{
	assert_int_equal(all->of_netns.waiting.n, 0);
	assert_int_equal(all->of_netns.waiting.held_bytes, 0);
	assert_int_equal(all->udp.waiting.n, 0);
	assert_int_equal(all->udp.waiting.held_bytes, 0);
}

/* However many listeners a namespace has, others' clients find room. */
static void test_many_listeners_of_a_namespace(void **state)
{
	struct fixture *all = *state;
	size_t n = flood(all, &all->fronts[0]);

	assert_int_equal(n, ASKS_MAX);
	for (size_t i = 1; i < LISTENERS; i++)
		n += flood(all, &all->fronts[i]);
	assert_int_equal(n, NETNS_ASKS_MAX);
	assert_int_equal(flood(all, &all->fronts[LISTENERS]), ASKS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(all->fronts); i++)
		end_sessions(all, &all->fronts[i]);
	expect_nothing_waits(all);
	assert_int_equal(flood(all, &all->fronts[0]), ASKS_MAX);
}

/* When others have half of the worker's room there is less for each. */
static void test_few_when_much_is_taken(void **state)
{
	struct fixture *all = *state;
	size_t n = 0;

	all->udp.waiting.n = WORKER_ASKS_MAX / 2;
	for (size_t i = 0; i < LISTENERS; i++)
		n += flood(all, &all->fronts[i]);
	assert_int_equal(n, NETNS_ASKS_FEW);
	assert_int_equal(flood(all, &all->fronts[LISTENERS]), SENT_MAX);
}

/* Has @front's new clients say as much as is held. Return: how many bytes. */
static size_t say_much(struct fixture *all, struct udp_front *front)
{
	struct udp_session *session;
	size_t n = 0;

	while ((session = begin(all, front)))
		n += udp_ask_hold(&all->worker, session, &all->udp.in, 0, 8) *
		     DATAGRAM;
	return n;
}

static void test_what_is_held(void **state)
{
	static uint8_t bytes[DATAGRAM];
	struct fixture *all = *state;
	size_t n = 0;

	for (size_t i = 0; i < 8; i++)
		all->udp.in.iov[i] = (struct iovec){ .iov_base = bytes,
						     .iov_len = DATAGRAM };
	for (size_t i = 0; i < LISTENERS; i++)
		n += say_much(all, &all->fronts[i]);
	assert_true(n > NETNS_HELD_MAX - LISTENERS * DATAGRAM);
	assert_true(n <= NETNS_HELD_MAX);
	assert_true(say_much(all, &all->fronts[LISTENERS]) > 0);
	for (size_t i = 0; i < ARRAY_SIZE(all->fronts); i++)
		end_sessions(all, &all->fronts[i]);
	expect_nothing_waits(all);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_asks),
		cmocka_unit_test(test_who_needs_no_socket),
		T(test_many_listeners_of_a_namespace),
		T(test_few_when_much_is_taken),
		T(test_what_is_held),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
