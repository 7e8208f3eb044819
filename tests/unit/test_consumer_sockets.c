// SPDX-License-Identifier: Apache-2.0
/* test_consumer_sockets.c - sockets for backends that a consumer asks for */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/consumers/consumer_sockets.h"
#include "daemon/consumers/socket_request.h"
#include "lib/berth.h"

/**
 * struct fixture - a consumer at the other end, that speaks through libberth
 * @refuse:	what the next socket fails with
 * @netns_id:	where it is born
 * @minted:	how many were made
 * @long_text:	of the backends that are asked for
 */
struct fixture {
	struct consumer_sockets sockets;
	struct berth *berth;
	int fd;
	int refuse;
	uint64_t netns_id;
	int minted;
	const char *long_text;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char hello[256];
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(berth_new(fds[1], "test", &f->berth), 0);
	assert_true(recv(fds[0], hello, sizeof(hello), 0) > 0);
	f->fd = fds[0];
	f->netns_id = 5;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	consumer_sockets_clear(&f->sockets);
	(void)berth_free(f->berth);
	(void)close(f->fd);
	free(f);
	return 0;
}

/* Of the listener @id, for its backend number @id - 70. */
static int ask(struct fixture *f, uint64_t request, uint64_t id)
{
	char backend[] = "10.0.0.1:1", netns[] = "b";
	const struct socket_request wanted = {
		.number = request,
		.id = id,
		.to = (unsigned int)id - 70,
		.backend = f->long_text ? f->long_text : backend,
		.netns = f->long_text ? NULL : netns,
	};
	int r = consumer_sockets_add(&f->sockets, &wanted);

	/* It has texts of its own. */
	memset(backend, 'x', sizeof(backend));
	memset(netns, 'x', sizeof(netns));
	return r;
}

static int mint(const struct socket_request *request, int *ret_fd,
		uint64_t *ret_netns_id, void *user_data)
{
	struct fixture *f = user_data;

	assert_int_equal(request->id, 70 + request->to);
	if (f->long_text) {
		assert_in_range(strlen(request->backend), 1024, 2048);
		assert_null(request->netns);
	} else {
		assert_string_equal(request->backend, "10.0.0.1:1");
		assert_string_equal(request->netns, "b");
	}
	if (f->refuse)
		return -f->refuse;
	*ret_fd = eventfd(0, EFD_CLOEXEC);
	*ret_netns_id = f->netns_id;
	f->minted++;
	return 0;
}

static int send_answer(struct fixture *f)
{
	return consumer_sockets_send_answer(&f->sockets, f->fd, mint, f);
}

/* Answers the request @request and compares what arrives. */
static void expect_answer(struct fixture *f, uint64_t request, int error)
{
	struct berth_message *message;

	assert_int_equal(send_answer(f), 0);
	assert_int_equal(berth_receive(f->berth, &message), 1);
	assert_int_equal(message->type, BERTH_SOCKET);
	assert_true(message->request == request);
	assert_int_equal(message->error, error);
	assert_int_equal(message->fd >= 0, error == 0);
	assert_true(message->netns_id == (error ? 0 : f->netns_id));
	message = berth_message_free(message);
}

static void expect_gone(struct fixture *f, uint64_t netns_id)
{
	struct berth_message *message;

	assert_non_null(f->sockets.gone);
	assert_int_equal(consumer_sockets_send_gone(&f->sockets, f->fd), 0);
	assert_int_equal(berth_receive(f->berth, &message), 1);
	assert_int_equal(message->type, BERTH_NETNS_GONE);
	assert_true(message->netns_id == netns_id);
	message = berth_message_free(message);
}

static bool holds(const struct fixture *f, uint64_t netns_id)
{
	uint64_t due_us;

	return consumer_sockets_hold(&f->sockets, netns_id, &due_us);
}

static void test_answers_in_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, 1, 70), 0);
	assert_int_equal(ask(f, UINT64_MAX, 71), 0);
	assert_int_equal(ask(f, 3, 72), 0);
	assert_int_equal(f->minted, 0); /* not before it is sent */
	expect_answer(f, 1, 0);
	f->refuse = EPERM;
	expect_answer(f, UINT64_MAX, EPERM);
	f->refuse = 0;
	expect_answer(f, 3, 0);
	assert_null(f->sockets.requests);
	assert_true(holds(f, 5));
}

/* A consumer is not trusted: 128 requests could hold 8 MiB. */
static void test_long_text_is_cut(void **state)
{
	struct fixture *f = *state;
	char text[50000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	f->long_text = text;
	assert_int_equal(ask(f, 1, 70), 0);
	assert_true(consumer_sockets_listener(&f->sockets) == 70);
	expect_answer(f, 1, 0);
	assert_true(consumer_sockets_listener(&f->sockets) == 0);
}

static void test_bounded(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < BERTH_SOCKETS_MAX; i++)
		assert_int_equal(ask(f, 1, 70), 0);
	assert_int_equal(ask(f, 1, 70), -EPROTO);
	expect_answer(f, 1, 0);
	assert_int_equal(ask(f, 1, 70), 0);
}

/* The connection takes nothing: no socket stays open meanwhile. */
static void test_full_connection(void **state)
{
	struct fixture *f = *state;
	struct berth_message *message;
	int sent = 0, probe_fd, again_fd, received = 0;

	probe_fd = eventfd(0, 0);
	while (send(f->fd, "{\"type\":\"later\"}", 16, 0) > 0)
		sent++;
	assert_int_equal(ask(f, 1, 70), 0);
	assert_int_equal(send_answer(f), -EAGAIN);
	assert_int_equal(send_answer(f), -EAGAIN);
	assert_int_equal(f->minted, 2);
	again_fd = eventfd(0, 0);
	assert_int_equal(again_fd, probe_fd + 1);
	while (berth_receive(f->berth, &message) == 1) {
		message = berth_message_free(message);
		received++;
	}
	assert_int_equal(received, sent);
	expect_answer(f, 1, 0);
	(void)close(again_fd);
	(void)close(probe_fd);
}

static void test_namespace_goes(void **state)
{
	struct fixture *f = *state;

	/* It has none in there: it is told nothing. */
	assert_false(consumer_sockets_netns_gone(&f->sockets, 5, 100));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(f, 1, 70), 0);
		expect_answer(f, 1, 0);
	}
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 0);
	assert_true(consumer_sockets_netns_gone(&f->sockets, 5, 100));
	assert_false(consumer_sockets_netns_gone(&f->sockets, 5, 200));
	/* An answer before the request is none. */
	consumer_sockets_netns_closed(&f->sockets, 5);
	expect_gone(f, 5);
	assert_int_equal(consumer_sockets_due(&f->sockets), 1);
	assert_null(f->sockets.gone);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 100);
	assert_true(holds(f, 5));
	consumer_sockets_netns_closed(&f->sockets, 77);
	consumer_sockets_netns_closed(&f->sockets, 5);
	assert_false(holds(f, 5));
	assert_int_equal(consumer_sockets_due(&f->sockets), 0);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 0);
}

/* It has its name back, and is connected in, before the consumer has said that
 * nothing is left; then it goes for good. */
static void test_namespace_comes_back(void **state)
{
	struct fixture *f = *state;

	for (uint64_t now_us = 100; now_us <= 300; now_us += 100) {
		assert_int_equal(ask(f, 1, 70), 0);
		expect_answer(f, 1, 0);
		assert_true(
			consumer_sockets_netns_gone(&f->sockets, 5, now_us));
		expect_gone(f, 5);
	}
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 100);
	consumer_sockets_netns_closed(&f->sockets, 5);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 300);
	assert_int_equal(ask(f, 1, 70), 0);
	expect_answer(f, 1, 0);
	/* These are of the sockets before the last. */
	consumer_sockets_netns_closed(&f->sockets, 5);
	consumer_sockets_netns_closed(&f->sockets, 5);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 0);
	consumer_sockets_netns_closed(&f->sockets, 5);
	assert_true(holds(f, 5));
	assert_true(consumer_sockets_netns_gone(&f->sockets, 5, 400));
	/* Nothing was got since: nothing more is to be told. */
	assert_false(consumer_sockets_netns_gone(&f->sockets, 5, 500));
	expect_gone(f, 5);
	assert_false(consumer_sockets_netns_gone(&f->sockets, 5, 600));
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 400);
	consumer_sockets_netns_closed(&f->sockets, 5);
	assert_false(holds(f, 5));
}

static void test_several_namespaces(void **state)
{
	struct fixture *f = *state;

	/* The highest bit of an id may be set. */
	for (uint64_t id = UINT64_MAX; id > UINT64_MAX - 3; id--) {
		f->netns_id = id;
		assert_int_equal(ask(f, 1, 70), 0);
		expect_answer(f, 1, 0);
	}
	assert_true(consumer_sockets_netns_gone(&f->sockets, UINT64_MAX, 200));
	assert_true(
		consumer_sockets_netns_gone(&f->sockets, UINT64_MAX - 1, 300));
	expect_gone(f, UINT64_MAX);
	expect_gone(f, UINT64_MAX - 1);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 200);
	consumer_sockets_netns_closed(&f->sockets, UINT64_MAX);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 300);
	assert_true(holds(f, UINT64_MAX - 2));
	consumer_sockets_clear(&f->sockets);
	assert_false(holds(f, UINT64_MAX - 2));
}

static void test_all_namespaces_go(void **state)
{
	struct fixture *f = *state;

	consumer_sockets_all_gone(&f->sockets, 100);
	assert_null(f->sockets.gone);
	for (uint64_t id = 5; id <= 6; id++)
		assert_int_equal(consumer_sockets_have(&f->sockets, id), 0);
	assert_true(consumer_sockets_netns_gone(&f->sockets, 5, 200));
	consumer_sockets_all_gone(&f->sockets, 300);
	assert_int_equal(consumer_sockets_oldest_us(&f->sockets), 200);
	/* The one that was told before is not told again. */
	assert_int_equal(consumer_sockets_send_gone(&f->sockets, f->fd), 0);
	assert_int_equal(consumer_sockets_send_gone(&f->sockets, f->fd), 0);
	assert_null(f->sockets.gone);
	consumer_sockets_netns_closed(&f->sockets, 5);
	consumer_sockets_netns_closed(&f->sockets, 6);
	assert_null(f->sockets.grants);
}

/* berthd's own namespace does not go. */
static void test_own_namespace(void **state)
{
	struct fixture *f = *state;

	f->netns_id = 0;
	assert_int_equal(ask(f, 1, 70), 0);
	expect_answer(f, 1, 0);
	assert_false(holds(f, 0));
	assert_false(consumer_sockets_netns_gone(&f->sockets, 0, 100));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_answers_in_order),
		T(test_long_text_is_cut),
		T(test_bounded),
		T(test_full_connection),
		T(test_namespace_goes),
		T(test_several_namespaces),
		T(test_namespace_comes_back),
		T(test_all_namespaces_go),
		T(test_own_namespace),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
