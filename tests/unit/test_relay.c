// SPDX-License-Identifier: Apache-2.0
/* test_relay.c - the relay whole, with this test in berthd's place
 *
 * Each test has a relay of its own in a child process, over a socketpair, and
 * traffic on the loopback interface.
 */
#include "relay_fixture.h"

#include <sys/un.h>

#define N_WORKERS 2

static int setup(void **state)
{
	(void)state;
	relay_start(N_WORKERS, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_stop();
	return 0;
}

static void test_respond(void **state)
{
	uint64_t id;
	int listener, client;

	(void)state;
	listener = open_listener(
		"tcp", "\"action\":\"respond\",\"text\":\"ack\"", &id);
	for (int i = 0; i < 20; i++) {
		client = connect_listener(listener);
		/* Unread bytes must not turn the answer into a reset. */
		if (i % 2)
			say(client, "a request that nobody reads");
		expect(client, "ack");
		expect_end(client);
	}
	withdraw(id, /* abort= */ false);
	(void)close(listener);
}

static void test_echo_and_discard(void **state)
{
	uint64_t echo_id, discard_id;
	int echo, discard, client;

	(void)state;
	echo = open_listener("tcp", "\"action\":\"echo\"", &echo_id);
	discard = open_listener("tcp", "\"action\":\"discard\"", &discard_id);
	client = connect_listener(echo);
	say(client, "one");
	expect(client, "one");
	say(client, "two");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect(client, "two");
	expect_end(client);
	client = connect_listener(discard);
	say(client, "nothing comes back");
	expect_silence(client);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_end(client);
	withdraw(echo_id, /* abort= */ true);
	withdraw(discard_id, /* abort= */ true);
	(void)close(echo);
	(void)close(discard);
}

static void test_forward_half_close(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	/* The client ends first, the server still speaks. */
	client = connect_listener(listener);
	server = accept_from(backend);
	say(client, "request");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect(server, "request");
	expect_silence(client);
	say(server, "answer");
	expect(client, "answer");
	expect_end(server);
	expect_end(client);
	/* The server ends first, the client still speaks. */
	client = connect_listener(listener);
	server = accept_from(backend);
	say(server, "greeting");
	assert_int_equal(shutdown(server, SHUT_WR), 0);
	expect(client, "greeting");
	expect_silence(server);
	say(client, "late");
	expect(server, "late");
	expect_end(client);
	expect_end(server);
	withdraw(id, /* abort= */ false);
	(void)close(listener);
	(void)close(backend);
}

static void test_resets_travel(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	reset(server);
	expect_reset(client);
	client = connect_listener(listener);
	server = accept_from(backend);
	reset(client);
	expect_reset(server);
	(void)close(backend);
	expect_no_backend(listener);
	withdraw(id, /* abort= */ false);
	(void)close(listener);
}

static void test_next_backend_is_tried(void **state)
{
	int refusing = refusing_socket();
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server;
	char members[256];
	uint64_t id;

	(void)state;
	(void)snprintf(members, sizeof(members),
		       "\"action\":\"forward\",\"to\":[\"127.0.0.1:%u\","
		       "\"tcp://127.0.0.1:%u\"]",
		       port_of(refusing), port_of(backend));
	listener = open_listener("tcp", members, &id);
	for (int i = 0; i < 4; i++) {
		client = connect_listener(listener);
		server = accept_from(backend);
		say(server, "here");
		expect(client, "here");
		(void)close(server);
		expect_end(client);
	}
	withdraw(id, /* abort= */ false);
	(void)close(listener);
	(void)close(refusing);
	(void)close(backend);
}

static void test_unix_backend(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int backend = socket(AF_UNIX, SOCK_STREAM, 0);
	int listener, client, server;
	char members[256];
	uint64_t id;

	(void)state;
	(void)snprintf(un.sun_path, sizeof(un.sun_path),
		       "/tmp/berth-test-relay-%d", getpid());
	(void)unlink(un.sun_path);
	assert_int_equal(bind(backend, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(backend, 0), 0);
	(void)snprintf(members, sizeof(members),
		       "\"action\":\"forward\",\"to\":[\"unix:%s\"],"
		       "\"connect_timeout_ms\":%d",
		       un.sun_path, SOON_MS);
	listener = open_listener("tcp", members, &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	say(client, "ping");
	expect(server, "ping");
	say(server, "last words");
	(void)close(server);
	expect(client, "last words");
	expect_end(client);
	/* A full backlog: the first waits in it, the second gives up. */
	client = connect_listener(listener);
	expect_silence(client);
	expect_no_backend(listener);
	server = accept_from(backend);
	say(server, "at last");
	expect(client, "at last");
	(void)close(server);
	expect_end(client);
	withdraw(id, /* abort= */ true);
	(void)unlink(un.sun_path);
	(void)close(listener);
	(void)close(backend);
}

static void test_slow_reader_gets_everything(void **state)
{
	enum { TOTAL = 24 * 1024 * 1024, PIECE = 65536 };
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	static uint8_t piece[PIECE];
	int listener, client, server;
	size_t got = 0;
	ssize_t n;
	pid_t writer;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	writer = fork();
	if (writer == 0) {
		for (size_t sent = 0; sent < TOTAL; sent += PIECE) {
			memset(piece, (int)(sent / PIECE), sizeof(piece));
			if (send(client, piece, PIECE, 0) != PIECE)
				_exit(1);
		}
		_exit(0);
	}
	(void)close(client);
	/* Lets the buffers fill up. */
	assert_int_equal(receive_released(SOON_MS), 0);
	while ((n = recv(server, piece, PIECE, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (piece[i] != (uint8_t)((got + (size_t)i) / PIECE))
				fail_msg("wrong byte at %zu", got + (size_t)i);
		}
		got += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, TOTAL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	(void)close(server);
	withdraw(id, /* abort= */ false);
	(void)close(listener);
	(void)close(backend);
}

static void test_withdraw(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, clients[10], server, stranger;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = connect_listener(listener);
		server = accept_from(backend);
		say(clients[i], "x");
		expect(server, "x");
	}
	/* Connections may finish: no answer yet, and they work. */
	send_withdraw(id, /* abort= */ false);
	assert_int_equal(receive_released(SOON_MS), 0);
	say(clients[9], "y");
	expect(server, "y");
	/* The listener itself is let go: nobody accepts any more. */
	stranger = connect_listener(listener);
	(void)close(accept_from(listener));
	(void)close(stranger);
	/* Then the namespace goes. */
	send_withdraw(id, /* abort= */ true);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		expect_reset(clients[i]);
	expect_reset(server);
	/* Unknown ones are answered too. */
	withdraw(123456789, /* abort= */ true);
	(void)close(listener);
	(void)close(backend);
}

static void test_withdraw_ends_with_last_connection(void **state)
{
	uint64_t id;
	int listener, client;

	(void)state;
	listener = open_listener("tcp", "\"action\":\"echo\"", &id);
	client = connect_listener(listener);
	say(client, "x");
	expect(client, "x");
	send_withdraw(id, /* abort= */ false);
	assert_int_equal(receive_released(SOON_MS), 0);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_end(client);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	(void)close(listener);
}

static void test_update_is_for_new_connections(void **state)
{
	uint64_t id, end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;
	int listener, old, client;
	char byte;
	ssize_t n;

	(void)state;
	listener = open_listener("tcp", "\"action\":\"echo\"", &id);
	old = connect_listener(listener);
	say(old, "a");
	expect(old, "a");
	send_listener(id, -1, "tcp", "\"action\":\"respond\",\"text\":\"b\"");
	/* Nothing says when each worker knows of it: soon. */
	do {
		client = connect_listener(listener);
		set_wait(client, SOON_MS);
		n = recv(client, &byte, 1, 0);
		(void)close(client);
	} while (n < 0 && monotonic_us() < end_us);
	assert_int_equal(n, 1);
	assert_int_equal(byte, 'b');
	say(old, "c");
	expect(old, "c");
	(void)close(old);
	withdraw(id, /* abort= */ true);
	(void)close(listener);
}

static void test_max_connections(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, clients[3], server;
	uint64_t id;

	(void)state;
	listener = open_listener(
		"tcp", forward_to(backend, ",\"max_connections\":2"), &id);
	clients[0] = connect_listener(listener);
	server = accept_from(backend);
	clients[1] = connect_listener(listener);
	(void)accept_from(backend);
	clients[2] = connect_listener(listener);
	set_wait(backend, SOON_MS);
	assert_int_equal(accept(backend, NULL, NULL), -1);
	set_wait(backend, WAIT_S * 1000);
	/* It waits, and is served when there is room. */
	reset(clients[0]);
	expect_reset(server);
	server = accept_from(backend);
	say(clients[2], "me");
	expect(server, "me");
	withdraw(id, /* abort= */ true);
	(void)close(listener);
	(void)close(backend);
}

static void test_timeouts(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server;
	uint64_t id, begin_us = 0;

	(void)state;
	/* Far more than SOON_MS, in which a loaded machine may do nothing. */
	listener = open_listener(
		"tcp", forward_to(backend, ",\"idle_timeout_ms\":1500"), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	for (int i = 0; i < 3; i++) {
		expect_silence(client); /* SOON_MS */
		begin_us = monotonic_us();
		say(client, "x");
		expect(server, "x");
	}
	expect_reset(client);
	expect_reset(server);
	assert_true(monotonic_us() - begin_us >= 1400 * USEC_PER_MSEC);
	withdraw(id, /* abort= */ false);
	(void)close(listener);
	(void)close(backend);
}

static void test_udp_answers_from_where_it_was_asked(void **state)
{
	static const char *const actions[] = {
		"\"action\":\"echo\"",
		"\"action\":\"respond\",\"text\":\"ask\"",
	};
	uint64_t id;
	int listener, client;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		listener = open_listener("udp", actions[i], &id);
		/* Connected: an answer from elsewhere would not arrive. */
		client = connect_to(SOCK_DGRAM, "127.3.2.1", port_of(listener));
		say(client, "ask");
		expect(client, "ask");
		(void)close(client);
		withdraw(id, /* abort= */ false);
		(void)close(listener);
	}
}

static void test_udp_sessions(void **state)
{
	int backend = bound_socket(SOCK_DGRAM, "127.0.0.1");
	struct sockaddr_in from[8];
	static char big[65507];
	int listener, clients[8];
	char text[8];
	socklen_t len;
	uint64_t id;

	(void)state;
	set_wait(backend, WAIT_S * 1000);
	listener = open_listener(
		"udp", forward_to(backend, ",\"max_connections\":4"), &id);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] =
			connect_to(SOCK_DGRAM, "127.3.2.1", port_of(listener));
		say(clients[i], "ask");
		len = sizeof(from[i]);
		assert_int_equal(recvfrom(backend, text, sizeof(text), 0,
					  (struct sockaddr *)&from[i], &len),
				 3);
	}
	/* Four sessions at most: the first clients' are gone. */
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		assert_int_equal(sendto(backend, "answer", 6, 0,
					(struct sockaddr *)&from[i],
					sizeof(from[i])),
				 6);
		if (i < 4)
			expect_silence(clients[i]);
		else
			expect(clients[i], "answer");
	}
	/* The largest datagram, and the empty one, arrive whole. */
	assert_int_equal(send(clients[7], big, sizeof(big), 0), sizeof(big));
	assert_int_equal(recv(backend, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(send(clients[7], big, 0, 0), 0);
	assert_int_equal(recv(backend, big, sizeof(big), 0), 0);
	withdraw(id, /* abort= */ false);
	(void)close(listener);
	(void)close(backend);
}

static void test_what_it_cannot_serve_is_released(void **state)
{
	static const struct {
		const char *protocol, *members;
	} cases[] = {
		{ "sctp", "\"action\":\"echo\"" },
		{ "tcp", "\"action\":\"handoff\"" },
		{ "tcp", "\"action\":\"forward\",\"to\":[]" },
		{ "tcp", "\"action\":\"forward\",\"to\":[\"udp://[::1]:1\"]" },
		{ "tcp", "\"action\":\"forward\",\"to\":[\"nowhere\"]" },
		{ "udp", "\"action\":\"forward\",\"to\":[\"[::1]:1\"],"
			 "\"proxy_protocol\":\"v1\"" },
		{ "tcp", "\"action\":\"dance\"" },
	};
	uint64_t id;
	int listener;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		listener =
			open_listener(cases[i].protocol, cases[i].members, &id);
		withdraw(id, /* abort= */ false);
		(void)close(listener);
	}
	/* A datagram socket that is said to be TCP. */
	listener = bound_socket(SOCK_DGRAM, "127.0.0.1");
	id = send_listener(++last_id, listener, "tcp", "\"action\":\"echo\"");
	withdraw(id, /* abort= */ false);
	(void)close(listener);
}

static void expect_refused(uint64_t id)
{
	char text[256], expected[128];

	(void)snprintf(expected, sizeof(expected),
		       "{\"type\":\"refused\",\"id\":%llu}",
		       (unsigned long long)id);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_string_equal(text, expected);
}

static void expect_echo(const char *protocol, int listener)
{
	int client = connect_to(strcmp(protocol, "udp") == 0 ? SOCK_DGRAM
							     : SOCK_STREAM,
				"127.0.0.1", port_of(listener));

	say(client, "x");
	expect(client, "x");
	(void)close(client);
}

/* berthd said it before it heard that the offer was refused. The relay must
 * not think then that it has the listener. */
static void test_change_of_what_was_refused(void **state)
{
	static const char *const protocols[] = { "tcp", "udp" };
	const char *protocol;
	int listener;
	uint64_t id;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		protocol = protocols[i];
		id = send_listener(++last_id, -1, protocol,
				   "\"action\":\"echo\"");
		expect_refused(id);
		listener = open_listener(protocol, "\"action\":\"echo\"", &id);
		/* Offered twice, because two refusals crossed the offers. */
		send_listener(id, listener, protocol, "\"action\":\"echo\"");
		expect_echo(protocol, listener);
		withdraw(id, /* abort= */ true);
		(void)close(listener);
	}
}

/* It gave the socket of what it could not serve back. */
static void test_change_to_what_it_can_serve(void **state)
{
	int listener;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", "\"action\":\"handoff\"", &id);
	send_listener(id, listener, "tcp", "\"action\":\"echo\"");
	expect_echo("tcp", listener);
	withdraw(id, /* abort= */ true);
	(void)close(listener);

	listener = open_listener("tcp", "\"action\":\"handoff\"", &id);
	send_listener(id, -1, "tcp", "\"action\":\"dance\"");
	send_listener(id, -1, "tcp", "\"action\":\"echo\"");
	expect_refused(id);
	send_listener(id, listener, "tcp", "\"action\":\"echo\"");
	expect_echo("tcp", listener);
	withdraw(id, /* abort= */ true);
	(void)close(listener);
}

/* teardown() checks that a relay with traffic ends cleanly, too. */
static void test_end_with_open_connections(void **state)
{
	int listener, udp, client;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", "\"action\":\"echo\"", &id);
	udp = open_listener("udp", "\"action\":\"echo\"", &id);
	client = connect_listener(listener);
	say(client, "x");
	expect(client, "x");
	cleanup_close(&berthd_fd);
	expect_reset(client);
	(void)close(udp);
	(void)close(listener);
}

#define relay_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		relay_test(test_respond),
		relay_test(test_echo_and_discard),
		relay_test(test_forward_half_close),
		relay_test(test_resets_travel),
		relay_test(test_next_backend_is_tried),
		relay_test(test_unix_backend),
		relay_test(test_slow_reader_gets_everything),
		relay_test(test_withdraw),
		relay_test(test_withdraw_ends_with_last_connection),
		relay_test(test_update_is_for_new_connections),
		relay_test(test_max_connections),
		relay_test(test_timeouts),
		relay_test(test_udp_answers_from_where_it_was_asked),
		relay_test(test_udp_sessions),
		relay_test(test_what_it_cannot_serve_is_released),
		relay_test(test_change_of_what_was_refused),
		relay_test(test_change_to_what_it_can_serve),
		relay_test(test_end_with_open_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
