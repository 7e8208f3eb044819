// SPDX-License-Identifier: Apache-2.0
/* test_tcp_pump.c - bytes whose receiver is slow, with memory and without */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/tcp/tcp_internal.h"
#include "relay/core/worker.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

/* More than the sockets between hold. */
#define N_BYTES (1024u * 1024)
#define SOCKET_BYTES (64 * 1024)

static struct relay {
	struct worker worker;
	struct admission_worker netns_worker;
	struct admission netns;
	struct listener *listener;
	struct conn conn;
	int from, to; /* the peers' ends */
	size_t n_sent, n_got;
} relay;

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 17);
}

/* A pair of stream sockets. Return: the relay's end. */
static int pair(int *ret_peer)
{
	static const int bytes = SOCKET_BYTES;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF,
					    &bytes, sizeof(bytes)),
				 0);
	*ret_peer = fds[1];
	return fds[0];
}

static int set_up(void **state)
{
	(void)state;
	relay = (struct relay){ .worker.scratch = malloc(BUFFER_MAX_BYTES) };
	assert_non_null(relay.worker.scratch);
	assert_int_equal(timers_reserve(&relay.worker.timers), 0); /* trim */
	assert_int_equal(admission_init(16, 1), 0);
	assert_int_equal(listener_new(1, -1, PROTOCOL_TCP, &test_about, 1,
				      &relay.listener),
			 0);
	relay.netns.workers = &relay.netns_worker;
	relay.listener->netns = &relay.netns;
	relay.listener->shares[0].worker = &relay.worker;
	relay.conn.flow.share = &relay.listener->shares[0];
	relay.conn.client = (struct side){ .fd = pair(&relay.from),
					   .no_delay = true,
					   .readable = true,
					   .writable = true };
	relay.conn.backend = (struct side){ .fd = pair(&relay.to),
					    .no_delay = true,
					    .writable = true };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tcp_drop(&relay.worker, &relay.conn, &relay.conn.client);
	assert_int_equal(relay.netns.used[ADMISSION_BYTES], 0);
	(void)close(relay.conn.client.fd);
	(void)close(relay.conn.backend.fd);
	(void)close(relay.from);
	(void)close(relay.to);
	buffer_pool_done(&relay.worker.buffers);
	pipe_pool_done(&relay.worker.pipes);
	timers_done(&relay.worker.timers);
	free(relay.worker.scratch);
	relay.listener->netns = NULL;
	(void)listener_free(relay.listener);
	return 0;
}

/* The client says what it can. */
static void say(void)
{
	uint8_t data[4096];
	ssize_t n;

	while (relay.n_sent < N_BYTES) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = byte_at(relay.n_sent + i);
		n = send(relay.from, data, sizeof(data), MSG_NOSIGNAL);
		if (n < 0)
			return;
		relay.n_sent += (size_t)n;
	}
	(void)shutdown(relay.from, SHUT_WR);
}

/* The backend reads @most bytes, if there are as many. Return: the end came. */
static bool hear(size_t most)
{
	uint8_t data[4096];
	ssize_t n;

	while (most > 0) {
		n = recv(relay.to, data,
			 most < sizeof(data) ? most : sizeof(data), 0);
		if (n <= 0)
			return n == 0;
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(data[i],
					 byte_at(relay.n_got + (size_t)i));
		relay.n_got += (size_t)n;
		most -= (size_t)n;
	}
	return false;
}

static void pump(void)
{
	relay.worker.turn++;
	relay.conn.client.readable = true;
	relay.conn.backend.writable = true;
	assert_int_not_equal(tcp_pump(&relay.worker, &relay.conn,
				      &relay.conn.client, &relay.conn.backend),
			     FLOW_FAILED);
}

static void test_rest_is_counted(void **state)
{
	struct side *client = &relay.conn.client;

	(void)state;
	client->no_splice = true; /* else it may be in a pipe */
	for (int i = 0; i < 100 && !client->rest; i++) {
		say();
		pump();
	}
	assert_non_null(client->rest);
	assert_int_equal(relay.netns.used[ADMISSION_BYTES],
			 buffer_bytes(client->rest));
	while (!hear(N_BYTES)) {
		say();
		pump();
	}
	assert_int_equal(relay.n_got, N_BYTES);
	assert_null(client->rest);
	assert_int_equal(relay.netns.used[ADMISSION_BYTES], 0);
}

/* Its namespace has its share: it keeps nothing, and loses nothing. */
static void test_without_memory(void **state)
{
	const struct side *client = &relay.conn.client;
	unsigned int all = admission_limit(ADMISSION_BYTES);
	bool ended = false;

	(void)state;
	admission_add_bytes(&relay.netns, all);
	for (int i = 0; i < 100000 && !ended; i++) {
		say();
		pump();
		assert_null(client->rest);
		assert_null(client->pipe);
		ended = hear((size_t)i % 5000);
	}
	assert_true(ended);
	assert_int_equal(relay.n_got, N_BYTES);
	assert_int_equal(relay.netns.used[ADMISSION_BYTES], all);
	admission_give(&relay.netns, ADMISSION_BYTES, all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rest_is_counted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_without_memory, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
