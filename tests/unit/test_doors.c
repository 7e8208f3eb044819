// SPDX-License-Identifier: Apache-2.0
/* test_doors.c - consumers that connect to their sockets, and take over */
#include "consumers_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/consumers/consumer_config.h"
#include "daemon/consumers/door.h"
#include "daemon/consumers/known.h"

#define DRAINING_MAX 4 /* connections of one consumer */
#define BASE "/tmp/berth-test-doors-XXXXXX"

static char base[] = BASE;

static int setup_doors(void **state)
{
	static const struct consumer_config relay = {
		.name = (char *)SERVICE_RELAY,
		.mode = 0600,
	};
	struct fixture *fixture;

	memcpy(base, BASE, sizeof(BASE));
	if (!mkdtemp(base) || setup(state) != 0)
		return 1;
	fixture = *state;
	fixture->any_pid = true;
	assert_int_equal(consumers_configure(fixture->consumers, &relay, 1), 0);
	return consumers_open_doors(fixture->consumers, base);
}

static int teardown_doors(void **state)
{
	char path[128];

	teardown(state);
	(void)snprintf(path, sizeof(path), "%s/consumers", base);
	assert_int_equal(rmdir(path), 0); /* no socket is left */
	return rmdir(base);
}

static const char *socket_path(const char *name)
{
	static char path[108];

	(void)snprintf(path, sizeof(path), "%s/consumers/%s.sock", base, name);
	return path;
}

static mode_t socket_mode(const char *name)
{
	struct stat st;

	if (lstat(socket_path(name), &st) < 0)
		return 0;
	assert_true(S_ISSOCK(st.st_mode));
	return st.st_mode & 0777;
}

static int enter(struct fixture *fixture, const char *hello)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		       socket_path(SERVICE_RELAY));
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, hello, strlen(hello), 0), strlen(hello));
	handle_ready(fixture);
	handle_ready(fixture);
	return fd;
}

static int enter_plainly(struct fixture *fixture)
{
	return enter(fixture, "{\"type\":\"hello\",\"version\":1}");
}

static int take_over(struct fixture *fixture)
{
	return enter(fixture, "{\"type\":\"hello\",\"version\":1,"
			      "\"takeover\":true}");
}

/* The next message at @fd is of this type. Return: its id. */
static json_int_t expect(struct fixture *fixture, int fd, const char *type)
{
	struct arrival arrival;

	fixture->peer_fd = fd;
	assert_true(arrive(fixture, &arrival));
	fixture->peer_fd = -1;
	cleanup_close(&arrival.fd);
	assert_string_equal(arrival.type, type);
	return arrival.id;
}

static int count_all(struct fixture *fixture, int fd, const char *type)
{
	int n;

	fixture->peer_fd = fd;
	n = arrive_all(fixture, type);
	fixture->peer_fd = -1;
	return n;
}

static void test_sockets_follow_the_configuration(void **state)
{
	static const struct consumer_config list[] = {
		{ .name = (char *)"a.b-c_1", .mode = 0666 },
		{ .name = (char *)SERVICE_RELAY, .mode = 0660 },
	};
	struct fixture *fixture = *state;

	assert_int_equal(socket_mode(SERVICE_RELAY), 0600);
	assert_int_equal(consumers_configure(fixture->consumers, list, 2), 0);
	assert_int_equal(socket_mode(SERVICE_RELAY), 0660);
	assert_int_equal(socket_mode("a.b-c_1"), 0666);
	assert_int_equal(consumers_count(fixture->consumers), 2);
	assert_int_equal(consumers_configure(fixture->consumers, NULL, 0), 0);
	assert_int_equal(socket_mode(SERVICE_RELAY), 0);
	assert_int_equal(socket_mode("a.b-c_1"), 0);
	assert_int_equal(consumers_count(fixture->consumers), 1);
}

static void test_second_is_denied(void **state)
{
	struct fixture *fixture = *state;
	int first, second;

	open_listeners(fixture, 2);
	first = enter_plainly(fixture);
	second = enter_plainly(fixture);
	run(fixture);
	(void)expect(fixture, first, "welcome");
	assert_int_equal(count_all(fixture, first, "listener"), 2);
	(void)expect(fixture, second, "denied");
	assert_int_equal(info(fixture).pid, getpid());
	/* Its place is free when it goes. */
	(void)close(first);
	(void)close(second);
	handle_ready(fixture);
	second = enter_plainly(fixture);
	(void)expect(fixture, second, "welcome");
	(void)close(second);
}

/* The first is told, asked for all that it was ever sent, and answers when it
 * is through; what the second is given does not depend on that. */
static void test_take_over(void **state)
{
	struct fixture *fixture = *state;
	int first, second;

	open_listeners(fixture, 3);
	first = enter_plainly(fixture);
	run(fixture);
	(void)expect(fixture, first, "welcome");
	assert_int_equal(count_all(fixture, first, "listener"), 3);
	second = take_over(fixture);
	run(fixture);
	(void)expect(fixture, second, "welcome");
	assert_int_equal(count_all(fixture, second, "listener"), 3);
	(void)expect(fixture, first, "taken_over");
	assert_int_equal(count_all(fixture, first, "withdraw"), 3);
	assert_int_equal(info(fixture).delivered, 3);
	assert_int_equal(info(fixture).withdrawn, 3);

	/* A namespace that goes is asked of both, at once. */
	close_listener(fixture, 0);
	consumers_netns_gone(fixture->consumers, 6);
	run(fixture);
	assert_int_equal(expect(fixture, second, "withdraw"), 1);
	assert_int_equal(count_all(fixture, first, "withdraw"), 2); /* 1, 3 */

	fixture->peer_fd = first;
	for (uint64_t id = 1; id <= 3; id++)
		release(fixture, id);
	run(fixture);
	assert_int_equal(info(fixture).withdrawn, 1);
	assert_int_equal(fixture->n_final, 3);
	(void)close(first);
	fixture->peer_fd = -1;
	run(fixture);
	assert_int_equal(info(fixture).delivered, 2);
	assert_true(info(fixture).connected);
	(void)close(second);
}

static bool heard_nothing(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN;
}

/* The second does not read: the first keeps what the second was not sent yet,
 * because nobody else has it when berthd is killed. */
static void test_take_over_from_whom(void **state)
{
	struct fixture *fixture = *state;
	int first, second, n_first = 0, n_second = 0;

	first = enter_plainly(fixture);
	(void)expect(fixture, first, "welcome");
	open_listeners(fixture, LISTENERS);
	while (n_first < LISTENERS) {
		run(fixture);
		n_first += count_all(fixture, first, "listener");
	}
	second = take_over(fixture);
	run(fixture);
	assert_true(heard_nothing(first));
	(void)expect(fixture, second, "welcome");
	while (n_second < LISTENERS) {
		n_second += count_all(fixture, second, "listener");
		handle_ready(fixture); /* there is room */
		run(fixture);
	}
	(void)expect(fixture, first, "taken_over");
	(void)close(first);
	(void)close(second);
}

/* It never reads: the first is not kept for ever. */
static void test_take_over_without_reading(void **state)
{
	struct fixture *fixture = *state;
	int first, second, n = 0;
	uint64_t since_us;

	first = enter_plainly(fixture);
	(void)expect(fixture, first, "welcome");
	open_listeners(fixture, LISTENERS);
	while (n < LISTENERS) {
		run(fixture);
		n += count_all(fixture, first, "listener");
	}
	since_us = monotonic_us();
	second = take_over(fixture);
	do
		run(fixture);
	while (heard_nothing(first));
	(void)expect(fixture, first, "taken_over");
	assert_true(monotonic_us() - since_us >= USEC_PER_SEC);
	(void)close(first);
	(void)close(second);
}

/* berthd was killed while one took over: both have listeners, and none is left
 * to wait until nobody else is there. */
static void test_both_hand_back(void **state)
{
	struct fixture *fixture = *state;
	int first, second;

	first = enter_plainly(fixture);
	(void)expect(fixture, first, "welcome");
	second =
		enter(fixture, "{\"type\":\"hello\",\"version\":1,\"held\":1}");
	run(fixture);
	(void)expect(fixture, second, "welcome");
	(void)expect(fixture, first, "taken_over");
	(void)close(first);
	(void)close(second);
}

/* Another process has the listeners, and is not back yet. */
static void test_awaited_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	struct known_consumer known = { .name = SERVICE_RELAY };
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/consumers.json", base);
	known.pid = fork();
	assert_true(known.pid >= 0);
	if (known.pid == 0) {
		pause();
		_exit(0);
	}
	known.started = known_started(known.pid);
	assert_int_equal(known_save(path, &known, 1), 0);
	assert_int_equal(consumers_remember(fixture->consumers, path), 0);
	fd = take_over(fixture);
	(void)expect(fixture, fd, "denied");
	(void)close(fd);
	assert_int_equal(kill(known.pid, SIGKILL), 0);
	assert_int_equal(waitpid(known.pid, NULL, 0), known.pid);
	handle_ready(fixture);
	fd = take_over(fixture);
	(void)expect(fixture, fd, "welcome");
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
}

/* Whoever takes over again and again has a bounded number of predecessors. */
static void test_take_over_often(void **state)
{
	struct fixture *fixture = *state;
	int fds[10];
	char byte;

	open_listeners(fixture, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = take_over(fixture);
		run(fixture);
		(void)expect(fixture, fds[i], "welcome");
		(void)expect(fixture, fds[i], "listener");
	}
	assert_int_equal(info(fixture).withdrawn, 4);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (i < 5) {
			while (recv(fds[i], &byte, 1, MSG_DONTWAIT) > 0)
				;
			assert_int_not_equal(errno, EAGAIN);
			errno = 0;
		}
		(void)close(fds[i]);
	}
}

static int drain_on(struct fixture *fixture)
{
	return enter(fixture, "{\"type\":\"hello\",\"version\":1,"
			      "\"draining\":true,\"held\":2}");
}

static size_t connections(const struct fixture *fixture)
{
	struct consumer_connection_info connection;
	size_t n = 0;

	while (consumers_connection_info(fixture->consumers, 0, n, &connection))
		n++;
	return n;
}

/* A consumer that was taken over by an earlier berthd is told what to let go,
 * and nothing else: the one that gets the listeners does not notice. */
static void test_drains_on(void **state)
{
	struct consumer_connection_info connection;
	struct fixture *fixture = *state;
	int old, new, fds[DRAINING_MAX];
	struct arrival arrival;

	open_listeners(fixture, 3);
	old = drain_on(fixture);
	(void)expect(fixture, old, "welcome");
	assert_false(info(fixture).connected);
	new = enter_plainly(fixture);
	(void)expect(fixture, new, "welcome");
	run(fixture);
	assert_int_equal(count_all(fixture, new, "listener"), 3);
	fixture->peer_fd = old;
	says(fixture, "{\"type\":\"held\",\"id\":1,\"netns\":6,\"rule\":\"r\","
		      "\"draining\":true}");
	says(fixture, "{\"type\":\"held\",\"id\":9,\"netns\":5,\"rule\":\"r\","
		      "\"draining\":true}");
	run(fixture);
	run(fixture);
	/* Of the two namespaces only this one is there. */
	for (int i = 0; i < 2; i++) {
		assert_true(arrive(fixture, &arrival));
		assert_string_equal(arrival.type, "withdraw");
		assert_int_equal(arrival.abort, arrival.id == 1);
	}
	assert_false(arrive(fixture, &arrival));
	consumers_netns_gone(fixture->consumers, 5);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_true(arrival.id == 9 && arrival.abort);
	fixture->any_service = true;
	release(fixture, 9);
	release(fixture, 1);
	run(fixture);
	run(fixture);
	fixture->peer_fd = -1;
	assert_int_equal(info(fixture).withdrawn, 0);
	assert_int_equal(info(fixture).delivered, 3);
	assert_int_equal(connections(fixture), 2);
	assert_true(consumers_connection_info(fixture->consumers, 0, 0,
					      &connection));
	assert_true(connection.draining_since_us > 0);
	/* As many as may drain, and no more. */
	for (int i = 1; i < DRAINING_MAX; i++) {
		fds[i] = drain_on(fixture);
		(void)expect(fixture, fds[i], "welcome");
	}
	fds[0] = drain_on(fixture);
	(void)expect(fixture, fds[0], "denied");
	for (int i = 0; i < DRAINING_MAX; i++)
		(void)close(fds[i]);
	assert_int_equal(count_all(fixture, new, "none"), 0);
	(void)close(old);
	(void)close(new);
}

/* Told when it comes and when it goes, and whenever the configuration says
 * otherwise. */
static void test_closed_when_absent(void **state)
{
	static const struct consumer_config relay = {
		.name = (char *)SERVICE_RELAY,
		.mode = 0600,
		.close_when_absent = true,
	};
	struct fixture *fixture = *state;
	int fd;

	assert_false(consumers_closed(fixture->consumers, SERVICE_RELAY));
	assert_int_equal(consumers_configure(fixture->consumers, &relay, 1), 0);
	assert_true(consumers_closed(fixture->consumers, SERVICE_RELAY));
	assert_false(consumers_closed(fixture->consumers, "other"));
	assert_int_equal(fixture->n_presence, 1);
	fd = enter_plainly(fixture);
	assert_false(consumers_closed(fixture->consumers, SERVICE_RELAY));
	assert_int_equal(fixture->n_presence, 2);
	(void)close(fd);
	handle_ready(fixture);
	assert_true(consumers_closed(fixture->consumers, SERVICE_RELAY));
	assert_int_equal(fixture->n_presence, 3);
	assert_int_equal(consumers_configure(fixture->consumers, NULL, 0), 0);
	assert_false(consumers_closed(fixture->consumers, SERVICE_RELAY));
	assert_int_equal(fixture->n_presence, 4);
}

/* Owner and mode say who may connect, as they do for a file. */
static void test_who_may_enter(void **state)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
		bool may;
	} cases[] = {
		{ 0600, 12345, 9, true },     { 0600, 54321, 12345, false },
		{ 0660, 54321, 12345, true }, { 0660, 54321, 9, false },
		{ 0606, 54321, 9, true },     { 0606, 54321, 12345, false },
		{ 0066, 12345, 9, false },    { 0000, 0, 9, true },
	};
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct socket_access access = {
			.uid = 12345,
			.gid = 12345,
			.mode = cases[i].mode,
		};
		const struct consumer_peer peer = {
			.uid = cases[i].uid,
			.gid = cases[i].gid,
		};

		assert_int_equal(socket_access_allows(&access, fds[0], peer.uid,
						      peer.gid),
				 cases[i].may);
	}
	(void)close(fds[0]);
	(void)close(fds[1]);
}

#undef TEST
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_doors, teardown_doors)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sockets_follow_the_configuration),
		TEST(test_second_is_denied),
		TEST(test_take_over),
		TEST(test_take_over_from_whom),
		TEST(test_take_over_without_reading),
		TEST(test_both_hand_back),
		TEST(test_awaited_elsewhere),
		TEST(test_take_over_often),
		TEST(test_drains_on),
		TEST(test_closed_when_absent),
		cmocka_unit_test(test_who_may_enter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
