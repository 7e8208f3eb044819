// SPDX-License-Identifier: Apache-2.0
/* test_relay_mint_udp.c - UDP sessions whose sockets come from berthd, in whose
 * place this test is
 *
 * Each test has a relay of its own, with one worker, in a child process.
 */
#include "relay_mint_fixture.h"

#include <poll.h>
#include <sys/ioctl.h>

#define SENT_MAX 16 /* as in relay/udp/udp_ask.c */
#define SESSIONS_MAX 20 /* of the rule */
#define CLIENTS 100

static int listener_fd = -1;
static int backend_fd = -1, other_fd = -1;

/* Has the listener forward to what is bound to @to_fd. */
static void berthd_says_forward(int to_fd, int fd)
{
	char more[64];

	(void)snprintf(more, sizeof(more),
		       ",\"max_connections\":%d,\"backend_namespace\":\"b\"",
		       SESSIONS_MAX);
	send_listener(LISTENER_ID, fd, "udp", forward_to(to_fd, more));
}

static int backend(void)
{
	int fd = bound_socket(SOCK_DGRAM, "127.0.0.1");

	set_wait(fd, WAIT_S * 1000);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	relay_start(1, 0);
	other_fd = backend();
	backend_fd = backend();
	listener_fd = bound_socket(SOCK_DGRAM, "127.0.0.1");
	assert_int_equal(fcntl(listener_fd, F_SETFL, O_NONBLOCK), 0);
	berthd_says_forward(backend_fd, listener_fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_stop();
	cleanup_close(&listener_fd);
	cleanup_close(&backend_fd);
	cleanup_close(&other_fd);
	return 0;
}

static int client(void)
{
	return connect_to(SOCK_DGRAM, "127.0.0.1", port_of(listener_fd));
}

static void say_byte(int fd, char byte)
{
	assert_int_equal(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
}

static void answer(unsigned long long request)
{
	assert_true(request > 0);
	(void)close(answer_with(request, SOCK_DGRAM));
}

static void netns_goes(const char *netns_id)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"netns_gone\",\"netns\":%s}", netns_id);
	berthd_says(text, -1);
	expect_closed(netns_id);
}

/* The backend hears @byte and answers, which the client hears. */
static void expect_served(int client_fd, char byte)
{
	struct sockaddr_in session;
	socklen_t len = sizeof(session);
	char got = 0;

	assert_int_equal(recvfrom(backend_fd, &got, 1, 0,
				  (struct sockaddr *)&session, &len),
			 1);
	assert_int_equal(got, byte);
	assert_int_equal(sendto(backend_fd, "!", 1, 0,
				(struct sockaddr *)&session, len),
			 1);
	assert_int_equal(recv(client_fd, &got, 1, 0), 1);
	assert_int_equal(got, '!');
}

/* What the backend hears next, and still has to hear. */
static char next_byte(void)
{
	char byte = 0;

	assert_int_equal(recv(backend_fd, &byte, 1, MSG_PEEK), 1);
	return byte;
}

/* Says something until a socket is asked for, as the listener may rest for a
 * moment. Return: the request. */
static unsigned long long say_until_asked(int fd)
{
	unsigned long long request;

	do
		say_byte(fd, '?');
	while (!(request = next_request(SOON_MS)));
	return request;
}

/* A new client is served. The backend hears all that it said. */
static void probe(void)
{
	int fd = client();

	answer(say_until_asked(fd));
	expect_served(fd, '?');
	say_byte(fd, '+');
	while (next_byte() == '?')
		expect_served(fd, '?');
	expect_served(fd, '+');
	(void)close(fd);
}

static void test_serves(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		probe();
}

static void test_keeps_what_is_said_meanwhile(void **state)
{
	int fd = client();
	unsigned long long request;

	(void)state;
	say_byte(fd, '1');
	request = next_request(WAIT_S * 1000);
	say_byte(fd, '2');
	say_byte(fd, '3');
	assert_int_equal(next_request(SOON_MS), 0); /* one is enough */
	answer(request);
	for (const char *byte = "123"; *byte; byte++)
		expect_served(fd, *byte);
	(void)close(fd);
}

/* Waits until the relay has read all that was said to the listener. */
static void wait_read(void)
{
	uint64_t end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;
	int next_bytes;

	for (;;) {
		assert_int_equal(ioctl(listener_fd, FIONREAD, &next_bytes), 0);
		if (next_bytes == 0)
			return;
		assert_true(monotonic_us() < end_us);
		(void)usleep(1000);
	}
}

/* The first SENT_MAX requests come; the first is number 1. */
static void ask_all(int *clients)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		clients[i] = client();
		say_byte(clients[i], '?');
	}
	for (unsigned int i = 1; i <= SENT_MAX; i++)
		assert_int_equal(next_request(WAIT_S * 1000), i);
	wait_read();
	assert_int_equal(next_request(SOON_MS), 0);
}

/* Answers all that is asked until the backend has heard of @n sessions. Return:
 * the last request. */
static unsigned long long answer_until_heard(int n)
{
	struct pollfd fds[] = { { .fd = berthd_fd, .events = POLLIN },
				{ .fd = backend_fd, .events = POLLIN } };
	unsigned long long last = SENT_MAX;

	for (unsigned int i = 1; i <= SENT_MAX; i++)
		answer(i);
	while (n > 0) {
		assert_true(poll(fds, ARRAY_SIZE(fds), WAIT_S * 1000) > 0);
		if (fds[0].revents) {
			last = next_request(WAIT_S * 1000);
			answer(last);
		}
		if (fds[1].revents) {
			expect(backend_fd, "?");
			n--;
		}
	}
	return last;
}

/* More clients than may have sessions push each other out while berthd does not
 * answer. Their requests stay few, and what was asked in vain is not asked
 * again. */
static void test_few_requests(void **state)
{
	int clients[CLIENTS];

	(void)state;
	ask_all(clients);
	/* The first requests, and those of the sessions that are left. */
	assert_true(answer_until_heard(SESSIONS_MAX) <=
		    SENT_MAX + SESSIONS_MAX);
	assert_int_equal(next_request(SOON_MS), 0);
	expect_silence(backend_fd);
	for (size_t i = 0; i < CLIENTS; i++)
		(void)close(clients[i]);
	probe();
}

/* berthd goes while they wait. */
static void test_berthd_goes(void **state)
{
	int clients[CLIENTS];

	(void)state;
	ask_all(clients);
	for (size_t i = 0; i < CLIENTS; i++)
		(void)close(clients[i]);
}

static void test_refused_by_berthd(void **state)
{
	int fd = client();

	(void)state;
	say_byte(fd, '?');
	refuse_with(next_request(WAIT_S * 1000), ENOENT);
	probe();
	expect_silence(fd);
	(void)close(fd);
}

/* Neither an error nor a socket; a socket of another kind; an answer to
 * nothing. */
static void test_odd_answers(void **state)
{
	int fds[2] = { client(), client() };
	char text[128];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"netns\":5}",
		       say_until_asked(fds[0]));
	berthd_says(text, -1);
	answer(99);
	probe();
	(void)close(answer_with(say_until_asked(fds[1]), SOCK_STREAM));
	probe();
	answer(1); /* that one was answered */
	probe();
	for (int i = 0; i < 2; i++) {
		expect_silence(fds[i]);
		(void)close(fds[i]);
	}
}

static void test_namespace_goes(void **state)
{
	struct sockaddr_in session;
	socklen_t len = sizeof(session);
	int fd = client();
	char byte;

	(void)state;
	say_byte(fd, '?');
	answer(next_request(WAIT_S * 1000));
	assert_int_equal(recvfrom(backend_fd, &byte, 1, 0,
				  (struct sockaddr *)&session, &len),
			 1);
	netns_goes("6");
	assert_int_equal(connect(backend_fd, (struct sockaddr *)&session, len),
			 0);
	say_byte(backend_fd, '!');
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	netns_goes("5");
	/* Nobody has its socket any more. */
	say_byte(backend_fd, '!');
	assert_int_equal(recv(backend_fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	session.sin_family = AF_UNSPEC;
	assert_int_equal(connect(backend_fd, (struct sockaddr *)&session, len),
			 0);
	(void)close(fd);
}

/* Behind the socket comes at once that its namespace goes. */
static void test_namespace_goes_with_the_answer(void **state)
{
	int fd = client();

	(void)state;
	say_byte(fd, '?');
	answer(next_request(WAIT_S * 1000));
	netns_goes("5");
	say_byte(fd, '?');
	assert_true(next_request(WAIT_S * 1000) > 0); /* a new session */
	(void)close(fd);
}

/* The answer is to a request of before: the session does not stay with it.
 * What it held went to the backend of then, or is kept for that of now. */
static void test_changed_meanwhile(void **state)
{
	unsigned long long request;
	int fd = client();

	(void)state;
	say_byte(fd, 'a');
	request = next_request(WAIT_S * 1000);
	berthd_says_forward(other_fd, -1);
	say_byte(fd, 'b');
	answer(request);
	(void)close(TAKE_FD(backend_fd));
	backend_fd = TAKE_FD(other_fd);
	request = next_request(SOON_MS); /* if 'b' came behind the change */
	while (!request) {
		say_byte(fd, 'b');
		request = next_request(SOON_MS);
	}
	answer(request);
	if (next_byte() == 'a')
		expect_served(fd, 'a');
	expect_served(fd, 'b');
	(void)close(fd);
}

/* The same, when berthd says so: nothing of what was said is lost. */
static void test_stale_request(void **state)
{
	unsigned long long request;
	unsigned int port = 0;
	int fd = client();

	(void)state;
	say_byte(fd, 'a');
	request = next_request(WAIT_S * 1000);
	berthd_says_forward(other_fd, -1);
	refuse_with(request, ESTALE);
	(void)close(TAKE_FD(backend_fd));
	backend_fd = TAKE_FD(other_fd);
	request = request_of(WAIT_S * 1000, &port);
	assert_int_equal(port, port_of(backend_fd));
	say_byte(fd, 'b');
	answer(request);
	expect_served(fd, 'a');
	expect_served(fd, 'b');
	(void)close(fd);
}

/* The rule answers by itself now: all that was held, too. */
static void test_stale_request_and_no_backend(void **state)
{
	unsigned long long request;
	int fd = client();
	char byte = 0;

	(void)state;
	say_byte(fd, 'a');
	request = next_request(WAIT_S * 1000);
	say_byte(fd, 'b');
	assert_int_equal(next_request(SOON_MS), 0); /* it is held */
	send_listener(LISTENER_ID, -1, "udp", "\"action\":\"echo\"");
	refuse_with(request, ESTALE);
	for (const char *expected = "ab"; *expected; expected++) {
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
		assert_int_equal(byte, *expected);
	}
	(void)close(fd);
}

/* berthd knows better, but nothing else was heard of: it is asked once more,
 * and not for ever. */
static void test_stale_request_without_an_end(void **state)
{
	int fd = client();

	(void)state;
	say_byte(fd, '?');
	refuse_with(next_request(WAIT_S * 1000), ESTALE);
	refuse_with(next_request(WAIT_S * 1000), ESTALE);
	assert_int_equal(next_request(SOON_MS), 0);
	probe();
	expect_silence(fd);
	(void)close(fd);
}

static void test_withdrawn_meanwhile(void **state)
{
	unsigned long long request;
	char text[512];
	int fd = client();

	(void)state;
	say_byte(fd, '?');
	request = next_request(WAIT_S * 1000);
	send_withdraw(LISTENER_ID, /* abort= */ true);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_non_null(strstr(text, "\"released\""));
	/* Not even the datagram that was held is forgotten in silence. */
	assert_non_null(strstr(text, "\"dropped\":1"));
	answer(request);
	netns_goes("5");
	expect_silence(backend_fd);
	(void)close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_serves),
		T(test_keeps_what_is_said_meanwhile),
		T(test_few_requests),
		T(test_berthd_goes),
		T(test_refused_by_berthd),
		T(test_odd_answers),
		T(test_namespace_goes),
		T(test_namespace_goes_with_the_answer),
		T(test_changed_meanwhile),
		T(test_stale_request),
		T(test_stale_request_and_no_backend),
		T(test_stale_request_without_an_end),
		T(test_withdrawn_meanwhile),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
