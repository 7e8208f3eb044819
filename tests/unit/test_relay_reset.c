// SPDX-License-Identifier: Apache-2.0
/* test_relay_reset.c - a backend's reset that splice(2) does not report
 *
 * If the reset comes between two parts of one splice(2), the call returns what
 * it has moved, and the error is lost. The test makes that moment last: its
 * wrapper of splice(2) moves a first part, waits until the backend is gone,
 * and then takes the error.
 */
#include "relay_fixture.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CHUNK_BYTES 65536
#define CHUNKS 8 /* until the relay splices for certain */

/* Shared with the relay's process.
 * @armed: the next splice to a socket is the one
 * @given: its first part; the backend may go */
static struct {
	atomic_bool armed;
	atomic_bool given;
} * stage;

static char chunk[CHUNK_BYTES];

static bool is_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset,
	       size_t len, unsigned int flags)
{
	struct pollfd gone = { .fd = to };
	bool now = relay_pid == 0 && len > 1 && is_socket(to) &&
		   atomic_exchange(&stage->armed, false);
	ssize_t n = syscall(SYS_splice, from, from_offset, to, to_offset,
			    now ? len / 2 : len, flags);
	socklen_t error_len = sizeof(int);
	int error;

	if (!now)
		return n;
	atomic_store(&stage->given, true);
	if (n <= 0 || poll(&gone, 1, WAIT_S * 1000) != 1 ||
	    getsockopt(to, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 ||
	    error != ECONNRESET)
		abort(); /* the relay's end fails the test */
	return n;
}

static void wait_given(void)
{
	uint64_t end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;

	while (!atomic_load(&stage->given)) {
		assert_true(monotonic_us() < end_us);
		(void)usleep(100);
	}
}

static void reset_socket(int fd)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
	assert_int_equal(close(fd), 0);
}

/* Resets the backend in the middle of a bulk transfer, after it said @words.
 * Return: the client. */
static int reset_during_splice(const char *words, int *ret_listener)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1"), client, server;
	char members[128];
	uint64_t id;

	(void)snprintf(members, sizeof(members),
		       "\"action\":\"forward\",\"to\":[\"127.0.0.1:%u\"]",
		       port_of(backend));
	*ret_listener = open_listener("tcp", members, &id);
	client = connect_to(SOCK_STREAM, "127.0.0.1", port_of(*ret_listener));
	server = accept(backend, NULL, NULL);
	assert_true(server >= 0);
	set_wait(server, WAIT_S * 1000);
	atomic_store(&stage->given, false);
	for (int i = 0; i < CHUNKS; i++) {
		assert_int_equal(send(client, chunk, sizeof(chunk), 0),
				 sizeof(chunk));
		assert_int_equal(recv(server, chunk, sizeof(chunk),
				      MSG_WAITALL),
				 sizeof(chunk));
	}
	atomic_store(&stage->armed, true);
	assert_int_equal(send(client, chunk, sizeof(chunk), 0), sizeof(chunk));
	wait_given();
	say(server, words);
	reset_socket(server);
	(void)close(backend);
	return client;
}

static void test_is_a_reset_for_the_client(void **state)
{
	int listener, client;
	char byte;

	(void)state;
	relay_start(1, 0);
	client = reset_during_splice("", &listener);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	(void)close(client);
	(void)close(listener);
	relay_stop();
}

/* What it said may be the reason, and the client gets it. */
static void test_last_words_are_passed_on(void **state)
{
	int listener, client;
	char byte;

	(void)state;
	relay_start(1, 0);
	client = reset_during_splice("reason", &listener);
	expect(client, "reason");
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	(void)close(client);
	(void)close(listener);
	relay_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_a_reset_for_the_client),
		cmocka_unit_test(test_last_words_are_passed_on),
	};

	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stage == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
