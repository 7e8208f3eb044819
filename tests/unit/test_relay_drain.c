// SPDX-License-Identifier: Apache-2.0
/* test_relay_drain.c - another relay takes over: this one takes no client any
 * more, and lets those that it has finish */
#include "relay_fixture.h"

#include <dirent.h>
#include <poll.h>

#define N_WORKERS 2

static int setup(void **state)
{
	(void)state;
	relay_start(N_WORKERS, 0);
	berthd_says(
		"{\"type\":\"welcome\",\"version\":1,\"consumer\":\"relay\","
		"\"orphan_timeout_ms\":60000,\"drain_timeout_ms\":60000}",
		-1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_stop();
	return 0;
}

/* What berthd says to a relay whose place another one has. */
static void take_over(const uint64_t *ids, size_t n)
{
	berthd_says("{\"type\":\"taken_over\"}", -1);
	for (size_t i = 0; i < n; i++)
		send_withdraw(ids[i], /* abort= */ false);
}

/* The relay ends, with nothing left. */
static void expect_exit(void)
{
	int status;

	assert_int_equal(waitpid(relay_pid, &status, 0), relay_pid);
	assert_int_equal(status, 0);
	cleanup_close(&berthd_fd);
	/* For the teardown. */
	relay_start(N_WORKERS, 0);
}

static bool is_readable(int fd, int wait_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, wait_ms) == 1;
}

/* Has the relay a descriptor of this socket? */
static bool relay_has(int fd)
{
	char path[64], link[64], wanted[64];
	struct dirent *entry;
	bool has = false;
	ssize_t n;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, wanted, sizeof(wanted) - 1);
	assert_true(n > 0);
	wanted[n] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)relay_pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (!has && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, link,
			       sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		has = strcmp(link, wanted) == 0;
	}
	(void)closedir(dir);
	return has;
}

/* A client that was accepted goes on; the next one waits in the backlog for the
 * other relay, which the test is. */
static void test_accepts_no_more(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server, late, taken;
	uint64_t end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	take_over(&id, 1);
	/* No message says that it has let go, as it has a client. */
	while (relay_has(listener))
		assert_true(monotonic_us() < end_us);
	late = connect_listener(listener);
	say(client, "still");
	expect(server, "still");
	say(server, "there");
	expect(client, "there");
	taken = accept_from(listener);
	say(late, "late");
	expect(taken, "late");
	(void)close(taken);
	(void)close(late);
	(void)close(client);
	expect_end(server);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	expect_exit();
	(void)close(listener);
	(void)close(backend);
}

/* Answers the clients that the relay left in the backlog, as the next relay
 * would. */
static void be_next_relay(int listener)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		say(fd, "ack");
		(void)close(fd);
	}
}

/* Clients that wait when the relay is told are served, by whichever relay. */
static void test_backlog_is_not_lost(void **state)
{
	int listener, clients[32];
	uint64_t id;

	(void)state;
	listener = open_listener(
		"tcp", "\"action\":\"respond\",\"text\":\"ack\"", &id);
	clients[0] = connect_listener(listener);
	expect(clients[0], "ack");
	expect_end(clients[0]);
	assert_int_equal(kill(relay_pid, SIGSTOP), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = connect_listener(listener);
	take_over(&id, 1);
	assert_int_equal(kill(relay_pid, SIGCONT), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		while (!is_readable(clients[i], 1))
			be_next_relay(listener);
		expect(clients[i], "ack");
		expect_end(clients[i]);
	}
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	expect_exit();
	(void)close(listener);
}

/* A namespace that goes takes the clients of a relay that drains, too. */
static void test_abort_while_draining(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server;
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	take_over(&id, 1);
	say(client, "still");
	expect(server, "still");
	send_withdraw(id, /* abort= */ true);
	expect_reset(client);
	expect_reset(server);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	expect_exit();
	(void)close(listener);
	(void)close(backend);
}

/* The backend's answer reaches the client. */
static void udp_answer(int backend, const struct sockaddr_in *session,
		       int client)
{
	assert_int_equal(sendto(backend, "answer", 6, 0,
				(const struct sockaddr *)session,
				sizeof(*session)),
			 6);
	expect(client, "answer");
}

/* The answer to a question that was asked before reaches its client by the
 * relay that drains, and the next question is not for it. */
static void test_udp_answers_while_draining(void **state)
{
	int backend = bound_socket(SOCK_DGRAM, "127.0.0.1");
	struct sockaddr_in session, second;
	socklen_t len = sizeof(session);
	int listener, client;
	char text[16];
	uint64_t id, echo_id, released;
	int echo;

	(void)state;
	listener = open_listener("udp", forward_to(backend, ""), &id);
	echo = open_listener("udp", "\"action\":\"echo\"", &echo_id);
	client = connect_to(SOCK_DGRAM, "127.0.0.1", port_of(listener));
	say(client, "question");
	set_wait(backend, WAIT_S * 1000);
	assert_int_equal(recvfrom(backend, text, sizeof(text), 0,
				  (struct sockaddr *)&session, &len),
			 8);
	take_over((uint64_t[]){ id, echo_id }, 2);
	/* Without a session a listener is released at once. */
	assert_int_equal(receive_released(WAIT_S * 1000), echo_id);
	/* Another worker has the session, and was told before: after some
	 * rounds it has let go of the listener. */
	for (int i = 0; i < 4; i++)
		udp_answer(backend, &session, client);
	say(client, "next");
	assert_true(is_readable(listener, WAIT_S * 1000));
	udp_answer(backend, &session, client);
	/* Nobody but the next relay reads it. */
	assert_int_equal(recv(listener, text, sizeof(text), MSG_DONTWAIT), 4);
	len = sizeof(second);
	assert_int_equal(recvfrom(backend, text, sizeof(text), MSG_DONTWAIT,
				  (struct sockaddr *)&second, &len),
			 -1);
	send_withdraw(id, /* abort= */ true);
	/* berthd heeds the first `released` of a listener, and no other. */
	do
		released = receive_released(WAIT_S * 1000);
	while (released == echo_id);
	assert_int_equal(released, id);
	expect_exit();
	(void)close(client);
	(void)close(echo);
	(void)close(listener);
	(void)close(backend);
}

/* What crosses the takeover on its way. */
static void test_offer_while_draining(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, other, client, server;
	uint64_t id, other_id;
	char text[256];

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	take_over(&id, 1);
	other = open_listener("tcp", "\"action\":\"echo\"", &other_id);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_non_null(strstr(text, "refused"));
	(void)close(client);
	expect_end(server);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	expect_exit();
	(void)close(other);
	(void)close(listener);
	(void)close(backend);
}

/* berthd does not take a relay that has nothing. */
static void test_denied(void **state)
{
	int status;

	(void)state;
	berthd_says("{\"type\":\"denied\",\"version\":1,\"reason\":\"busy\","
		    "\"error\":\"another one is there\"}",
		    -1);
	assert_int_equal(waitpid(relay_pid, &status, 0), relay_pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 98);
	cleanup_close(&berthd_fd);
	relay_start(N_WORKERS, 0); /* for the teardown */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_accepts_no_more),
		TEST(test_backlog_is_not_lost),
		TEST(test_abort_while_draining),
		TEST(test_udp_answers_while_draining),
		TEST(test_offer_while_draining),
		TEST(test_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
