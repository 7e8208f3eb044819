// SPDX-License-Identifier: Apache-2.0
/* test_relay_memory.c - listeners for which the relay has no memory
 *
 * The test wraps the allocator of the C library by functions that fail once in
 * the relay, at the nth call. For each n until all calls succeed, the listener
 * is either served or refused; a refused listener is served when it is offered
 * again. The same is tested for a change of the listener.
 */
#include "relay_fixture.h"

#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/sockios.h>

#define POINTS_MAX 100 /* allocations for one listener, far above */
#define N_FILLERS 100 /* answers that fill a narrow connection */
#define NARROW_BYTES 5000

/* Sanitizers bring their own allocator, which cannot be wrapped as well. */
#ifndef __SANITIZE_ADDRESS__

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

/* Shared with the relay's process. @fail_at: 0: never
 * @then_fail_at: becomes @fail_at with the next message that has a descriptor;
 *		  berthd cannot know when the relay has handled those before */
static struct {
	atomic_uint then_fail_at;
	atomic_uint fail_at;
	atomic_bool failed;
} * injected;

/* jansson does not say that it found no memory, and may go on without. */
static bool is_jansson(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) && info.dli_fname &&
	       strstr(info.dli_fname, "libjansson");
}

static bool fails(const void *caller)
{
	if (relay_pid != 0 || !injected || atomic_load(&injected->fail_at) == 0)
		return false; /* not in the relay, or not now */
	if (is_jansson(caller) || atomic_fetch_sub(&injected->fail_at, 1) != 1)
		return false;
	atomic_store(&injected->failed, true);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL
						  : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL
						  : __libc_realloc(p, size);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t n = syscall(SYS_recvmsg, fd, message, flags);

	if (relay_pid == 0 && injected && n > 0 &&
	    message->msg_controllen > 0 &&
	    atomic_load(&injected->then_fail_at) > 0)
		atomic_store(&injected->fail_at,
			     atomic_exchange(&injected->then_fail_at, 0));
	return n;
}

static void expect_message(const char *type, uint64_t id)
{
	char text[256], expected[128];

	(void)snprintf(expected, sizeof(expected),
		       "{\"type\":\"%s\",\"id\":%llu}", type,
		       (unsigned long long)id);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_string_equal(text, expected);
}

/* Waits until the relay's main thread has handled all that was said so far.
 * Return: did it refuse @id meanwhile? */
static bool wait_handled(uint64_t id)
{
	static const char end[] =
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[]}";
	char text[256], refused[128];
	bool was_refused = false;

	(void)snprintf(refused, sizeof(refused),
		       "{\"type\":\"refused\",\"id\":%llu}",
		       (unsigned long long)id);
	berthd_says("{\"type\":\"stats\",\"request\":1}", -1);
	for (;;) {
		assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
		if (strcmp(text, end) == 0)
			return was_refused;
		assert_string_equal(text, refused);
		was_refused = true;
	}
}

/* What comes first, an answer to the client or berthd's? */
static bool is_answered(int client)
{
	struct pollfd fds[] = { { .fd = client, .events = POLLIN },
				{ .fd = berthd_fd, .events = POLLIN } };

	assert_true(poll(fds, ARRAY_SIZE(fds), WAIT_S * 1000) > 0);
	return fds[0].revents != 0;
}

/* Return: was one of the allocations made to fail? */
static bool serve_without_memory(const char *protocol, unsigned int at)
{
	bool stream = strcmp(protocol, "tcp") == 0, refused;
	int listener, client;
	uint64_t id;

	relay_start(1, 0);
	(void)wait_handled(0); /* it has all that it begins with */
	atomic_store(&injected->failed, false);
	atomic_store(&injected->then_fail_at, at);
	listener = open_listener(protocol, "\"action\":\"echo\"", &id);
	refused = wait_handled(id);
	if (stream) /* the worker needs none; its connections do */
		atomic_store(&injected->fail_at, 0);
	client = connect_to(stream ? SOCK_STREAM : SOCK_DGRAM, "127.0.0.1",
			    port_of(listener));
	say(client, "ask");
	if (!refused && !is_answered(client)) {
		expect_message("refused", id);
		refused = true;
	}
	atomic_store(&injected->fail_at, 0);
	if (refused)
		send_listener(id, listener, protocol, "\"action\":\"echo\"");
	expect(client, "ask");
	(void)close(client);
	withdraw(id, /* abort= */ true);
	(void)close(listener);
	relay_stop();
	return atomic_load(&injected->failed);
}

static void test_offered_again(void **state)
{
	static const char *const protocols[] = { "tcp", "udp" };
	unsigned int at;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		at = 1;
		while (serve_without_memory(protocols[i], at))
			assert_true(++at < POINTS_MAX);
		assert_true(at > 5);
	}
}

/* Does it say @byte? It does so when the worker knows: soon. */
static bool is_served_so(int listener, char byte)
{
	uint64_t end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;
	char answer = 0;
	int client;

	do {
		client = connect_listener(listener);
		assert_int_equal(recv(client, &answer, 1, 0), 1);
		(void)close(client);
	} while (answer != byte && monotonic_us() < end_us);
	return answer == byte;
}

/* Return: was one of the allocations made to fail? */
static bool change_without_memory(unsigned int at)
{
	static const char change[] = "\"action\":\"respond\",\"text\":\"b\"";
	static const char end[] =
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[";
	char text[256], repeat[128];
	int listener;
	uint64_t id;

	relay_start(1, 0);
	listener = open_listener("tcp", "\"action\":\"respond\",\"text\":\"a\"",
				 &id);
	assert_true(is_served_so(listener, 'a'));
	(void)snprintf(repeat, sizeof(repeat),
		       "{\"type\":\"repeat\",\"id\":%llu}",
		       (unsigned long long)id);
	atomic_store(&injected->failed, false);
	atomic_store(&injected->fail_at, at);
	send_listener(id, -1, "tcp", change);
	berthd_says("{\"type\":\"stats\",\"request\":1}", -1);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	atomic_store(&injected->fail_at, 0);
	if (strcmp(text, repeat) == 0) {
		assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
		send_listener(id, -1, "tcp", change);
	}
	assert_memory_equal(text, end, strlen(end));
	assert_true(is_served_so(listener, 'b'));
	send_withdraw(id, /* abort= */ true);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
	(void)close(listener);
	relay_stop();
	return atomic_load(&injected->failed);
}

static void test_change_is_repeated(void **state)
{
	unsigned int at = 1;

	(void)state;
	while (change_without_memory(at))
		assert_true(++at < POINTS_MAX);
	assert_true(at > 2);
}

/* Until the relay took all that was said. */
static void wait_taken(void)
{
	uint64_t end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;
	int left = 1;

	while (left > 0) {
		assert_true(monotonic_us() < end_us);
		(void)sched_yield();
		assert_int_equal(ioctl(berthd_fd, SIOCOUTQ, &left), 0);
	}
}

/* Return: was one of the allocations made to fail? */
static bool withdraw_without_memory(unsigned int at)
{
	unsigned int n_released[N_FILLERS + 1] = { 0 };
	uint64_t first = last_id + 1, id;
	int listener;

	relay_start(1, NARROW_BYTES);
	(void)wait_handled(0);
	for (size_t i = 0; i < N_FILLERS; i++)
		send_withdraw(++last_id, /* abort= */ true);
	atomic_store(&injected->failed, false);
	atomic_store(&injected->then_fail_at, at);
	listener = open_listener("udp", "\"action\":\"echo\"", &id);
	send_withdraw(id, /* abort= */ true);
	wait_taken();
	for (size_t i = 0; i < ARRAY_SIZE(n_released); i++) {
		uint64_t released = receive_released(WAIT_S * 1000);

		assert_in_range(released, first, id);
		n_released[released - first]++;
	}
	for (size_t i = 0; i < ARRAY_SIZE(n_released); i++)
		assert_int_equal(n_released[i], 1);
	atomic_store(&injected->fail_at, 0);
	assert_false(wait_handled(id));
	(void)close(listener);
	relay_stop();
	return atomic_load(&injected->failed);
}

/* No `refused` leaves, because the connection is full; then the listener is
 * withdrawn, and that is what it is told in the end. */
static void test_withdrawn_before_it_is_refused(void **state)
{
	unsigned int at = 1;

	(void)state;
	while (withdraw_without_memory(at))
		assert_true(++at < POINTS_MAX);
	assert_true(at > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offered_again),
		cmocka_unit_test(test_change_is_repeated),
		cmocka_unit_test(test_withdrawn_before_it_is_refused),
	};

	injected = mmap(NULL, sizeof(*injected), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (injected == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	puts("0 PASSED: all SKIPPED, the sanitizer's allocator is in the way");
	return 0;
}

#endif
