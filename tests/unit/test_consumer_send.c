// SPDX-License-Identifier: Apache-2.0
/* test_consumer_send.c - what comes before what, and for whom */
#include "consumers_fixture.h"

/* First the change of which the consumer knew nothing when it asked, also if it
 * is the last of many, then that its request was made before. */
static void test_change_comes_before_the_answer(void **state)
{
	static const char text[] =
		"{\"type\":\"socket\",\"request\":9,\"id\":3,\"to\":0}";
	struct fixture *fixture = *state;
	struct arrival arrival;
	bool changed = false;

	attach(fixture);
	open_listeners(fixture, 3);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	assert_int_equal(send(fixture->peer_fd, text, strlen(text), 0),
			 strlen(text));
	for (int i = 0; i < 3; i++)
		consumers_listener_changed(fixture->consumers,
					   &fixture->listeners[i]);
	run(fixture);
	while (arrive(fixture, &arrival) && strcmp(arrival.type, "socket") != 0)
		changed = changed || arrival.id == 3;
	assert_string_equal(arrival.type, "socket");
	assert_int_equal(arrival.id, 9);
	assert_true(changed);
	assert_int_equal(fixture->n_minted, 1);
}

/* Asks for a socket of listener 1. Return: how often one was minted by then. */
static int ask_of_first(struct fixture *fixture)
{
	static const char text[] =
		"{\"type\":\"socket\",\"request\":9,\"id\":1,\"to\":0}";
	struct arrival arrival;

	assert_int_equal(send(fixture->peer_fd, text, strlen(text), 0),
			 strlen(text));
	run(fixture);
	while (arrive(fixture, &arrival) && strcmp(arrival.type, "socket") != 0)
		cleanup_close(&arrival.fd);
	assert_string_equal(arrival.type, "socket");
	return fixture->n_minted;
}

/* A connection of a listener that no rule wants any more may finish: it gets
 * its socket, until the namespace goes. */
static void test_socket_of_a_withdrawn_listener(void **state)
{
	struct fixture *fixture = *state;

	attach(fixture);
	open_listeners(fixture, 1);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	close_listener(fixture, 0);
	assert_int_equal(ask_of_first(fixture), 1);
	consumers_netns_gone(fixture->consumers, 6);
	assert_int_equal(ask_of_first(fixture), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_change_comes_before_the_answer),
		TEST(test_socket_of_a_withdrawn_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
