// SPDX-License-Identifier: Apache-2.0
/* test_udp_to_client.c - answers on their way to a client
 *
 * The kernel refuses merged datagrams from a socket that computes no checksums
 * (SO_NO_CHECK), and takes single ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"
#include "relay/core/worker.h"
#include "relay/udp/udp.h"
#include "relay/udp/udp_front.h"
#include "relay/udp/udp_to_client.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

#define ANSWERS 4
#define ANSWER_BYTES 100

/* A worker with one listener, that has a session with one client. */
struct relay {
	struct worker worker;
	struct admission_worker netns_worker;
	struct admission netns;
	struct sockaddr backend_address;
	struct serving_backend target;
	struct target_health health;
	struct serving serving;
	struct listener *listener;
	struct share *share;
	struct udp_session *session;
	int client_fd, backend_fd;
};

static int bound_socket(struct sockaddr_in *ret_address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_address);

	*ret_address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	assert_int_equal(bind(fd, (struct sockaddr *)ret_address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &len),
			 0);
	return fd;
}

static void listener_init(struct relay *relay)
{
	struct sockaddr_in address;
	int fd = bound_socket(&address);

	assert_int_equal(listener_new(1, fd, PROTOCOL_UDP, &test_about, 1,
				      &relay->listener),
			 0);
	relay->listener->netns = &relay->netns;
	relay->share = &relay->listener->shares[0];
	relay->share->worker = &relay->worker;
	relay->share->serving = &relay->serving;
	assert_int_equal(udp_protocol.open(&relay->worker, relay->share), 0);
}

static void session_init(struct relay *relay)
{
	const struct udp_front *front = relay->share->protocol_data;
	struct sockaddr_in client, session, backend;
	struct udp_key key = { .family = AF_INET };
	int fd = bound_socket(&session);

	relay->client_fd = bound_socket(&client);
	relay->backend_fd = bound_socket(&backend);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&backend, sizeof(backend)), 0);
	assert_int_equal(connect(relay->backend_fd, (struct sockaddr *)&session,
				 sizeof(session)),
			 0);
	memcpy(key.client, &client.sin_addr, sizeof(client.sin_addr));
	key.port = client.sin_port;
	relay->session = udp_table_add(front->table, &key, false, 0);
	assert_non_null(relay->session);
	relay->session->fd = fd;
	relay->session->poll.handler = udp_to_client_handler;
	relay->session->burst = ANSWERS;
	assert_true(admission_take(&relay->netns, ADMISSION_SESSIONS, 1, NULL));
}

static int setup(void **state)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	assert_non_null(relay);
	assert_int_equal(admission_init(0, 1), 0);
	relay->netns.workers = &relay->netns_worker;
	relay->backend_address.sa_family = AF_INET;
	relay->target.address = &relay->backend_address;
	relay->target.health = &relay->health;
	relay->serving.action = SERVICE_FORWARD;
	relay->serving.backends = &relay->target;
	relay->serving.n_backends = 1;
	relay->worker.turn = 1;
	listener_init(relay);
	session_init(relay);
	*state = relay;
	return 0;
}

static int teardown(void **state)
{
	struct relay *relay = *state;
	struct grave *grave;

	udp_protocol.close(&relay->worker, relay->share);
	while ((grave = relay->worker.graves)) {
		relay->worker.graves = grave->next;
		free(grave);
	}
	(void)close(relay->client_fd);
	(void)close(relay->backend_fd);
	udp_protocol.forget(&relay->worker);
	timers_done(&relay->worker.timers);
	relay->listener->netns = NULL; /* of no table */
	(void)listener_free(relay->listener);
	free(relay);
	return 0;
}

static void set(int fd, int level, int option)
{
	static const int on = 1;

	assert_int_equal(setsockopt(fd, level, option, &on, sizeof(on)), 0);
}

/* The backend's next answers, which the session receives. */
static void answer(struct relay *relay)
{
	static const char bytes[ANSWER_BYTES];

	for (int i = 0; i < ANSWERS; i++)
		assert_int_equal(send(relay->backend_fd, bytes, sizeof(bytes),
				      0),
				 sizeof(bytes));
	relay->worker.turn++;
	udp_to_client_handler(&relay->worker, &relay->session->poll, EPOLLIN);
}

static void expect_answers(struct relay *relay)
{
	char bytes[ANSWERS * ANSWER_BYTES];

	udp_to_client_flush(&relay->worker);
	for (int i = 0; i < ANSWERS; i++)
		assert_int_equal(recv(relay->client_fd, bytes, sizeof(bytes),
				      0),
				 ANSWER_BYTES);
	assert_int_equal(recv(relay->client_fd, bytes, sizeof(bytes), 0), -1);
}

static void test_merged(void **state)
{
	struct relay *relay = *state;

	for (int i = 0; i < 2; i++) {
		answer(relay);
		assert_int_equal(udp_worker_of(&relay->worker)->out.n_messages,
				 1);
		expect_answers(relay);
	}
}

/* What the kernel refused to send merged is not tried so again. */
static void test_refused_once(void **state)
{
	struct relay *relay = *state;

	set(relay->listener->fd, SOL_SOCKET, SO_NO_CHECK);
	answer(relay);
	assert_int_equal(udp_worker_of(&relay->worker)->out.n_messages, 1);
	expect_answers(relay);
	for (int i = 0; i < 2; i++) {
		answer(relay);
		assert_int_equal(udp_worker_of(&relay->worker)->out.n_messages,
				 ANSWERS);
		expect_answers(relay);
	}
}

/* The kernel merged them before the client's way was known to refuse that. */
static void test_refused_what_was_received_merged(void **state)
{
	static const char bytes[ANSWERS * ANSWER_BYTES];
	static const int size = ANSWER_BYTES;
	struct relay *relay = *state;
	struct udp_batch *out = &udp_worker_of(&relay->worker)->out;

	set(relay->listener->fd, SOL_SOCKET, SO_NO_CHECK);
	set(relay->session->fd, IPPROTO_UDP, UDP_GRO);
	relay->session->merges = true;
	assert_int_equal(setsockopt(relay->backend_fd, IPPROTO_UDP, UDP_SEGMENT,
				    &size, sizeof(size)),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(relay->backend_fd, bytes, sizeof(bytes),
				      0),
				 sizeof(bytes));
		relay->worker.turn++;
		udp_to_client_handler(&relay->worker, &relay->session->poll,
				      EPOLLIN);
		assert_int_equal(out->n_messages, 1);
		assert_int_equal(out->messages[0].datagrams, ANSWERS);
		/* The second time nobody asks the kernel. */
		assert_int_equal(out->messages[0].apart, i > 0);
		expect_answers(relay);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_merged),
		T(test_refused_once),
		T(test_refused_what_was_received_merged),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
