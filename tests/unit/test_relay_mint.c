// SPDX-License-Identifier: Apache-2.0
/* test_relay_mint.c - backends whose sockets berthd makes; the test takes
 * berthd's place
 *
 * Each test has a relay of its own, with one worker, in a child process.
 */
#include "relay_mint_fixture.h"

static int listener_fd = -1;
static int backend_fd = -1;

static int setup(void **state)
{
	(void)state;
	relay_start(1, 0);
	backend_fd = bound_socket(SOCK_STREAM, "127.0.0.1");
	set_wait(backend_fd, WAIT_S * 1000);
	listener_fd = bound_socket(SOCK_STREAM, "127.0.0.1");
	assert_int_equal(fcntl(listener_fd, F_SETFL, O_NONBLOCK), 0);
	send_listener(LISTENER_ID, listener_fd, "tcp",
		      forward_to(backend_fd, ",\"backend_namespace\":\"b\""));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_stop();
	cleanup_close(&listener_fd);
	cleanup_close(&backend_fd);
	return 0;
}

static int client(void)
{
	return connect_listener(listener_fd);
}

static int answer(unsigned long long request)
{
	return answer_with(request, SOCK_STREAM);
}

static int accepted(void)
{
	return accept_from(backend_fd);
}

/* The client has said "?". */
static void exchange_said(int client_fd, int server_fd)
{
	expect(server_fd, "?");
	say(server_fd, "!");
	expect(client_fd, "!");
}

static void exchange(int client_fd, int server_fd)
{
	say(client_fd, "?");
	exchange_said(client_fd, server_fd);
}

/* A connection that works: what went before it is over. Somebody else's that
 * ended may reach the backend before it. */
static void probe(void)
{
	int client_fd = client(), server_fd;
	char byte = 0;

	(void)close(answer(next_request(WAIT_S * 1000)));
	assert_int_equal(send(client_fd, "?", 1, MSG_NOSIGNAL), 1);
	do {
		server_fd = accepted();
		if (recv(server_fd, &byte, 1, 0) != 1)
			(void)close(TAKE_FD(server_fd));
	} while (server_fd < 0);
	assert_int_equal(byte, '?');
	exchange(client_fd, server_fd);
	(void)close(client_fd);
	(void)close(server_fd);
}

static void test_connects(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		probe();
}

/* berthd closes its copy a moment later than the relay: what happens to that
 * socket is none of the relay's business any more. */
static void test_copy_that_stays_open(void **state)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int client_fd = client(), copy_fd, server_fd;
	char byte;

	(void)state;
	copy_fd = answer(next_request(WAIT_S * 1000));
	server_fd = accepted();
	exchange(client_fd, server_fd);
	assert_int_equal(shutdown(client_fd, SHUT_WR), 0);
	assert_int_equal(recv(server_fd, &byte, 1, 0), 0);
	(void)close(server_fd);
	assert_int_equal(recv(client_fd, &byte, 1, 0), 0);
	(void)close(client_fd);
	probe();
	/* Wakes everybody who polls that socket. */
	assert_int_equal(connect(copy_fd, &nobody, sizeof(nobody)), 0);
	probe();
	(void)close(copy_fd);
}

static void test_refused_by_berthd(void **state)
{
	int client_fd = client();

	(void)state;
	refuse_with(next_request(WAIT_S * 1000), ENOENT);
	expect_reset(client_fd);
	probe();
}

static void change(int to_fd, const char *more)
{
	send_listener(LISTENER_ID, -1, "tcp", forward_to(to_fd, more));
}

/* The rule changes while the request is on its way: the client is connected
 * to what it says now, with another request. */
static void test_stale_request(void **state)
{
	int client_fd = client(), server_fd, old_fd;
	unsigned long long request = next_request(WAIT_S * 1000);
	unsigned int port = 0;

	(void)state;
	old_fd = TAKE_FD(backend_fd);
	backend_fd = bound_socket(SOCK_STREAM, "127.0.0.1");
	set_wait(backend_fd, WAIT_S * 1000);
	change(backend_fd, ",\"backend_namespace\":\"b\"");
	refuse_with(request, ESTALE);
	request = request_of(WAIT_S * 1000, &port);
	assert_int_equal(port, port_of(backend_fd));
	(void)close(answer(request));
	server_fd = accepted();
	exchange(client_fd, server_fd);
	(void)close(client_fd);
	(void)close(server_fd);
	set_wait(old_fd, SOON_MS);
	assert_int_equal(accept(old_fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	(void)close(old_fd);
	probe();
}

/* berthd knows better, but nothing else was heard of: it is not asked for
 * ever, and the next client asks again. */
static void test_stale_request_without_an_end(void **state)
{
	int client_fd = client();

	(void)state;
	refuse_with(next_request(WAIT_S * 1000), ESTALE);
	expect_reset(client_fd);
	probe();
}

/* The rule of @before becomes that of @after while a client's request is on
 * its way; the client has said "?". Return: its connection. */
static int client_of_changing_rule(const char *before, const char *after)
{
	unsigned long long request;
	int client_fd;

	change(backend_fd, before);
	client_fd = client();
	say(client_fd, "?");
	request = next_request(WAIT_S * 1000);
	/* What it was before is another rule, too, when it is so again. */
	change(backend_fd, ",\"backend_namespace\":\"other\"");
	if (after)
		change(backend_fd, after);
	else
		send_listener(LISTENER_ID, -1, "tcp", "\"action\":\"echo\"");
	refuse_with(request, ESTALE);
	return client_fd;
}

static void expect_header(int server_fd, int client_fd)
{
	char header[128];

	(void)snprintf(header, sizeof(header),
		       "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n",
		       port_of(client_fd), port_of(listener_fd));
	expect(server_fd, header);
}

#define PLACE ",\"backend_namespace\":\"b\""
#define HEADER ",\"proxy_protocol\":\"v1\""

/* The backend is told what the rule says now, before what the client said. */
static void test_stale_request_and_headers(void **state)
{
	static const char *const rules[] = { PLACE, PLACE HEADER };
	int client_fd, server_fd;

	(void)state;
	for (int before = 0; before < 2; before++) {
		for (int after = 0; after < 2; after++) {
			client_fd = client_of_changing_rule(rules[before],
							    rules[after]);
			(void)close(answer(next_request(WAIT_S * 1000)));
			server_fd = accepted();
			if (after)
				expect_header(server_fd, client_fd);
			exchange_said(client_fd, server_fd);
			(void)close(client_fd);
			(void)close(server_fd);
		}
	}
}

/* The first request for the backend at @port, of a client that is made for it.
 * Until the worker knows of a rule that has changed, it asks for a backend of
 * the rule before. */
static unsigned long long first_request_for(unsigned int port, int *ret_client)
{
	for (;;) {
		int client_fd = client();
		unsigned int asked = 0;
		unsigned long long request = request_of(WAIT_S * 1000, &asked);

		assert_true(request > 0);
		if (asked == port) {
			*ret_client = client_fd;
			return request;
		}
		refuse_with(request, ENOENT);
		expect_reset(client_fd);
	}
}

/* The header was read behind by a backend that did not take it. */
static void test_stale_request_after_a_refusal(void **state)
{
	int refusing_fd = refusing_socket(), other_fd = refusing_socket();
	unsigned long long request;
	char to[256];
	int client_fd, server_fd;

	(void)state;
	(void)snprintf(to, sizeof(to),
		       "\"action\":\"forward\",\"to\":[\"127.0.0.1:%u\","
		       "\"127.0.0.1:%u\"]" PLACE HEADER,
		       port_of(refusing_fd), port_of(other_fd));
	send_listener(LISTENER_ID, -1, "tcp", to);
	request = first_request_for(port_of(refusing_fd), &client_fd);
	say(client_fd, "?");
	(void)close(answer(request));
	request = any_request(WAIT_S * 1000); /* for the second one */
	change(backend_fd, PLACE);
	refuse_with(request, ESTALE);
	(void)close(answer(next_request(WAIT_S * 1000)));
	server_fd = accepted();
	exchange_said(client_fd, server_fd);
	(void)close(client_fd);
	(void)close(server_fd);
	(void)close(refusing_fd);
	(void)close(other_fd);
}

/* There is no backend any more, but an answer. */
static void expect_echo_after(const char *before)
{
	int client_fd = client_of_changing_rule(before, NULL);

	expect(client_fd, "?");
	say(client_fd, "more");
	expect(client_fd, "more");
	assert_int_equal(shutdown(client_fd, SHUT_WR), 0);
	expect_end(client_fd);
	(void)close(client_fd);
}

static void test_stale_request_and_no_backend(void **state)
{
	(void)state;
	expect_echo_after(PLACE);
}

static void test_stale_request_and_no_header(void **state)
{
	(void)state;
	expect_echo_after(PLACE HEADER);
}

/* What is withdrawn while the request is on its way is served as it was. */
static void test_withdrawn_meanwhile(void **state)
{
	int client_fd = client(), server_fd;
	unsigned long long request = next_request(WAIT_S * 1000);
	char text[256];

	(void)state;
	send_withdraw(LISTENER_ID, /* abort= */ false);
	(void)close(answer(request));
	server_fd = accepted();
	exchange(client_fd, server_fd);
	(void)close(client_fd);
	(void)close(server_fd);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_non_null(strstr(text, "\"released\""));
}

/* Neither an error nor a socket; an answer to nothing, with one. */
static void test_odd_answers(void **state)
{
	int client_fd = client();
	char text[128];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"netns\":5}",
		       next_request(WAIT_S * 1000));
	(void)close(answer(99));
	berthd_says(text, -1);
	expect_reset(client_fd);
	(void)close(answer(1)); /* that one was answered */
	probe();
}

static void test_client_that_left(void **state)
{
	int client_fd = client();
	unsigned long long request = next_request(WAIT_S * 1000);

	(void)state;
	reset(client_fd);
	(void)close(answer(request));
	probe();
}

static void test_namespace_goes(void **state)
{
	int clients[3], servers[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		clients[i] = client();
		(void)close(answer(next_request(WAIT_S * 1000)));
		servers[i] = accepted();
		exchange(clients[i], servers[i]);
	}
	berthd_says("{\"type\":\"netns_gone\",\"netns\":6}", -1);
	expect_closed("6");
	exchange(clients[0], servers[0]);
	berthd_says("{\"type\":\"netns_gone\",\"netns\":5}", -1);
	expect_closed("5");
	for (int i = 0; i < 3; i++) {
		expect_reset(clients[i]);
		expect_reset(servers[i]);
	}
	probe();
}

/* Behind the socket comes at once that its namespace goes. */
static void test_namespace_goes_with_the_answer(void **state)
{
	int client_fd = client();

	(void)state;
	(void)close(answer(next_request(WAIT_S * 1000)));
	berthd_says("{\"type\":\"netns_gone\",\"netns\":5}", -1);
	expect_closed("5");
	expect_reset(client_fd);
}

static void test_no_more_questions_than_allowed(void **state)
{
	int clients[BERTH_SOCKETS_MAX + 20];
	unsigned long long request = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = client();
	for (unsigned int i = 1; i <= BERTH_SOCKETS_MAX; i++) {
		request = next_request(WAIT_S * 1000);
		assert_int_equal(request, i);
	}
	assert_int_equal(next_request(SOON_MS), 0);
	(void)close(answer(1));
	assert_int_equal(next_request(WAIT_S * 1000), BERTH_SOCKETS_MAX + 1);
	assert_int_equal(next_request(SOON_MS), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		(void)close(clients[i]);
	/* berthd goes while the others are on their way. */
}

/* Return: the listener that the next request is for. */
static unsigned long long asked_for(void)
{
	unsigned long long request, id;
	char text[256];

	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_int_equal(sscanf(text,
				"{\"type\":\"socket\",\"request\":%llu,"
				"\"id\":%llu,",
				&request, &id),
			 2);
	return id;
}

/* Return: how many clients of the listener the relay has accepted, each of
 * which has asked or waits for its turn to ask; no request is on its way. */
static unsigned long long accepted_by(unsigned long long listener_id)
{
	char text[1024], member[64];
	const char *found;

	berthd_says("{\"type\":\"stats\",\"request\":1}", -1);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_non_null(strstr(text, "\"stats\""));
	(void)snprintf(member, sizeof(member),
		       "\"id\":%llu,\"accepted\":", listener_id);
	found = strstr(text, member);
	return found ? strtoull(found + strlen(member), NULL, 10) : 0;
}

/* Many clients of one namespace do not stand before the first of another. */
static void test_namespaces_take_turns(void **state)
{
	int fd = bound_socket(SOCK_STREAM, "127.0.0.1");
	enum { WAITING = 40 };
	int clients[BERTH_SOCKETS_MAX + WAITING];
	bool came = false;
	int other;

	(void)state;
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	send_listener_of(2, LISTENER_ID + 1, fd, "tcp",
			 forward_to(backend_fd,
				    ",\"backend_namespace\":\"b\""));
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = client();
	for (size_t i = 0; i < BERTH_SOCKETS_MAX; i++)
		assert_int_equal(asked_for(), LISTENER_ID);
	assert_int_equal(next_request(SOON_MS), 0); /* the rest waits */
	other = connect_listener(fd);
	while (accepted_by(LISTENER_ID + 1) == 0)
		;
	/* It is counted a moment before it asks. Behind the others its turn
	 * would come when none of them is left. */
	for (unsigned int i = 1; !came && i < WAITING; i++) {
		refuse_with(i, ENOENT);
		came = asked_for() == LISTENER_ID + 1;
	}
	assert_true(came);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		(void)close(clients[i]);
	(void)close(other);
	(void)close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_connects),
		T(test_copy_that_stays_open),
		T(test_refused_by_berthd),
		T(test_namespaces_take_turns),
		T(test_stale_request),
		T(test_stale_request_without_an_end),
		T(test_stale_request_and_headers),
		T(test_stale_request_after_a_refusal),
		T(test_stale_request_and_no_backend),
		T(test_stale_request_and_no_header),
		T(test_withdrawn_meanwhile),
		T(test_odd_answers),
		T(test_client_that_left),
		T(test_namespace_goes),
		T(test_namespace_goes_with_the_answer),
		T(test_no_more_questions_than_allowed),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
