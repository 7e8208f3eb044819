// SPDX-License-Identifier: Apache-2.0
/* test_hand_back.c - consumers that hand back what they have from before */
#include "consumers_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "daemon/consumers/consumer_config.h"
#include "daemon/consumers/known.h"
#include "tests/send_fds.h"

static void send_with(struct fixture *fixture, const char *text, const int *fds,
		      size_t n_fds)
{
	assert_int_equal(send_fds(fixture->peer_fd, text, strlen(text), fds,
				  n_fds, 0),
			 strlen(text));
}

/* Hands back listener @id with an event descriptor. */
static void hand(struct fixture *fixture, int id, const char *more)
{
	char text[256];
	int fd = eventfd(0, EFD_CLOEXEC);

	snprintf(text, sizeof(text),
		 "{\"type\":\"held\",\"id\":%d,\"netns\":%d,"
		 "\"protocol\":\"tcp\",\"address\":\"10.0.0.1\",\"port\":80,"
		 "\"interface\":\"\",\"rule\":\"r\"%s}",
		 id, id % 2 ? 6 : 5, more);
	send_with(fixture, text, &fd, 1);
	close(fd);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void assert_arrives(struct fixture *fixture, const char *type, int id,
			   bool with_fd)
{
	struct arrival arrival;

	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, type);
	assert_int_equal(arrival.id, id);
	assert_int_equal(arrival.fd >= 0, with_fd);
	if (arrival.fd >= 0)
		close(arrival.fd);
}

static void assert_nothing(struct fixture *fixture)
{
	struct arrival arrival;

	assert_false(arrive(fixture, &arrival));
}

/* What is adopted is not sent again, and what is new comes after it. */
static void test_adopted(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	attach_holding(fixture, 2);
	fixture->listeners[9].fd = eventfd(0, EFD_CLOEXEC);
	consumers_listener_opened(fixture->consumers, &fixture->listeners[9]);
	run(fixture);
	assert_nothing(fixture);
	hand(fixture, 1, "");
	run(fixture);
	assert_nothing(fixture);
	assert_string_equal(fixture->handed_back.consumer, SERVICE_RELAY);
	assert_int_equal(fixture->handed_back.claim.netns_id, 6);
	assert_int_equal(fixture->handed_back.claim.endpoint.family, AF_INET);
	assert_int_equal(fixture->handed_back.claim.endpoint.port, 80);
	assert_true(consumers_awaits(fixture->consumers, SERVICE_RELAY));
	hand(fixture, 2, "");
	run(fixture);
	run(fixture);
	assert_false(consumers_awaits(fixture->consumers, SERVICE_RELAY));
	assert_int_equal(fixture->n_not_awaited, 1);
	for (int i = 0; i < 3; i++) {
		assert_true(arrive(fixture, &arrival));
		assert_string_equal(arrival.type, "listener");
		assert_int_equal(arrival.fd >= 0, arrival.id == 10);
		if (arrival.fd >= 0)
			close(arrival.fd);
	}
	assert_int_equal(info(fixture).delivered, 3);

	/* It is a listener like every other. */
	close_listener(fixture, 0);
	run(fixture);
	assert_arrives(fixture, "withdraw", 1, false);
	release(fixture, 1);
	run(fixture);
	assert_int_equal(info(fixture).withdrawn, 0);
}

/* The connection was lost, not berthd. */
static void test_same_berthd(void **state)
{
	struct fixture *fixture = *state;

	attach(fixture);
	open_listeners(fixture, 2);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 2);
	attach_holding(fixture, 1);
	hand(fixture, 2, "");
	run(fixture);
	run(fixture);
	assert_arrives(fixture, "listener", 1, true);
	assert_arrives(fixture, "listener", 2, false);
	assert_nothing(fixture);
}

static void test_refused(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	attach_holding(fixture, 3);
	fixture->hand_back_result = -EPERM;
	hand(fixture, 1, ""); /* of namespace 6, which is not there */
	hand(fixture, 2, "");
	send_with(fixture,
		  "{\"type\":\"held\",\"id\":4,\"netns\":5,"
		  "\"protocol\":\"udp\",\"address\":\"*\",\"port\":53}",
		  NULL, 0);
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->n_handed_back, 2);
	assert_int_equal(info(fixture).withdrawn, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(arrive(fixture, &arrival));
		assert_string_equal(arrival.type, "withdraw");
		assert_int_equal(arrival.abort, arrival.id == 1);
	}
	assert_non_null(
		consumers_holder(fixture->consumers, 5,
				 &(struct endpoint){ .family = AF_UNSPEC,
						     .protocol = PROTOCOL_UDP,
						     .port = 53 }));
	consumers_netns_gone(fixture->consumers, 5);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "withdraw"), 2);
}

/* What only drains is withdrawn, and its last counts arrive. */
static void test_draining(void **state)
{
	struct fixture *fixture = *state;

	attach_holding(fixture, 1);
	says(fixture, "{\"type\":\"held\",\"id\":7,\"netns\":5,\"rule\":\"r\","
		      "\"draining\":true}");
	says(fixture, "{\"type\":\"released\",\"id\":7,\"accepted\":3}");
	fixture->any_service = true;
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->n_final, 1);
	assert_int_equal(fixture->counted.accepted, 3);
	assert_int_equal(info(fixture).withdrawn, 0);
}

static void test_netns(void **state)
{
	struct fixture *fixture = *state;

	attach_holding(fixture, 0);
	says(fixture, "{\"type\":\"held_netns\",\"netns\":5}");
	says(fixture, "{\"type\":\"held_netns\",\"netns\":77}");
	run(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "netns_gone"), 1);
	assert_int_equal(consumers_holds(fixture->consumers, 77), 1);
	consumers_netns_gone(fixture->consumers, 5);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "netns_gone"), 1);
}

/* Each ends the connection, and leaves no descriptor. */
static void test_lies(void **state)
{
	static const char *const texts[] = {
		"{\"type\":\"held\"}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,\"port\":0}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,\"port\":65536}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,"
		"\"protocol\":\"tcpx\"}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,\"address\":\"x\"}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,"
		"\"address\":\"fe80::1%\"}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,"
		"\"address\":\"fe80::1%-3\"}",
		"{\"type\":\"held\",\"id\":1,\"netns\":5,"
		"\"address\":\"fe80::1%4294967296\"}",
	};
	static const struct {
		const char *text;
		size_t n_fds;
	} passing[] = {
		{ "{\"type\":\"new\"}", 1 },
		{ "{\"type\":\"released\",\"id\":1}", 1 },
		{ "{\"type\":\"held\",\"id\":9,\"netns\":5,"
		  "\"address\":\"*\",\"port\":5}",
		  2 },
		{ "", 4 },
	};
	struct fixture *fixture = *state;
	int before, fds[4];

	attach_holding(fixture, 2);
	before = open_fds();
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		fixture->lost = 0;
		attach_holding(fixture, 2);
		send_with(fixture, texts[i], &fd, 1);
		close(fd);
		run(fixture);
		assert_int_equal(fixture->lost, 1);
	}
	/* More than it said, and one id twice. */
	for (int n_held = 0; n_held < 3; n_held++) {
		fixture->hand_back_result = n_held ? -ENOENT : 0;
		fixture->lost = 0;
		attach_holding(fixture, n_held);
		for (int i = 0; i < 3; i++)
			hand(fixture, 2, "");
		run(fixture);
		assert_int_equal(fixture->lost, 1);
	}
	/* Descriptors that nobody asked for. */
	for (int i = 0; i < 4; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	fixture->hand_back_result = 0;
	for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
		fixture->lost = 0;
		attach_holding(fixture, 1);
		send_with(fixture, passing[i].text, fds, passing[i].n_fds);
		run(fixture);
		assert_int_equal(fixture->lost, 1);
	}
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	attach_holding(fixture, 2);
	/* Another process closes them. */
	while (open_fds() != before)
		(void)usleep(100);
}

static bool not_awaited_now(void *user_data)
{
	struct fixture *fixture = user_data;

	if (fixture->n_not_awaited)
		loop_quit(fixture->loop, 0);
	return false;
}

/* It said that it has something, and then nothing. */
static void test_late(void **state)
{
	struct fixture *fixture = *state;

	log_init("test", LOG_LEVEL_ERROR);
	attach_holding(fixture, 1);
	open_listeners(fixture, 1);
	loop_set_after(fixture->loop, not_awaited_now, fixture);
	assert_int_equal(loop_run(fixture->loop), 0);
	run(fixture);
	assert_arrives(fixture, "listener", 1, true);
	/* Better late than never. */
	hand(fixture, 2, "");
	run(fixture);
	run(fixture);
	assert_arrives(fixture, "listener", 2, false);
}

/* Nothing is read before it is known what is wanted. */
static void test_gate(void **state)
{
	struct fixture *fixture = *state;
	char dir[] = "/tmp/berth-back-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/consumers.json", dir);
	assert_int_equal(consumers_remember(fixture->consumers, path), 0);
	attach_holding(fixture, 1);
	hand(fixture, 1, "");
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->n_handed_back, 0);
	assert_false(consumers_settled(fixture->consumers));
	consumers_take_back(fixture->consumers);
	assert_false(consumers_settled(fixture->consumers));
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->n_handed_back, 1);
	assert_true(consumers_settled(fixture->consumers));
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

/* A berthd that is killed before a consumer is back leaves its name to the
 * next one. */
static void test_absent_is_remembered(void **state)
{
	struct fixture *fixture = *state;
	static struct known_consumer list[KNOWN_MAX];
	struct known_consumer absent = { .name = "absent", .pid = getpid() };
	char dir[] = "/tmp/berth-back-XXXXXX", path[64];
	int n;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/consumers.json", dir);
	absent.started = known_started(absent.pid);
	assert_int_equal(known_save(path, &absent, 1), 0);
	assert_int_equal(consumers_remember(fixture->consumers, path), 0);
	attach_holding(fixture, 0);
	/* The pid of the one that is connected is made up. */
	n = known_load(path, list);
	assert_true(n >= 1);
	assert_string_equal(list[n - 1].name, "absent");
	assert_int_equal(list[n - 1].pid, absent.pid);
	assert_true(list[n - 1].started == absent.started);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

/* A consumer that may hand back what it has counts as present: its listeners
 * are closed only when it is certain that it does not come. */
static void test_awaited_is_not_absent(void **state)
{
	static const struct consumer_config relay = {
		.name = (char *)SERVICE_RELAY,
		.mode = 0600,
		.close_when_absent = true,
	};
	struct known_consumer known = { .name = SERVICE_RELAY };
	struct fixture *fixture = *state;
	char dir[] = "/tmp/berth-back-XXXXXX", path[64];

	assert_int_equal(consumers_configure(fixture->consumers, &relay, 1), 0);
	assert_true(consumers_closed(fixture->consumers, SERVICE_RELAY));
	known.pid = fork();
	if (known.pid == 0) {
		(void)pause();
		_exit(0);
	}
	known.started = known_started(known.pid);
	assert_true(known.started > 0);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/consumers.json", dir);
	assert_int_equal(known_save(path, &known, 1), 0);
	assert_int_equal(consumers_remember(fixture->consumers, path), 0);
	assert_false(consumers_closed(fixture->consumers, SERVICE_RELAY));
	fixture->n_presence = 0;
	assert_int_equal(kill(known.pid, SIGKILL), 0);
	assert_int_equal(waitpid(known.pid, NULL, 0), known.pid);
	run(fixture);
	assert_true(consumers_closed(fixture->consumers, SERVICE_RELAY));
	assert_int_equal(fixture->n_presence, 1);
	assert_int_equal(fixture->n_not_awaited, 1);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_adopted),
		TEST(test_same_berthd),
		TEST(test_refused),
		TEST(test_draining),
		TEST(test_netns),
		TEST(test_lies),
		TEST(test_late),
		TEST(test_gate),
		TEST(test_absent_is_remembered),
		TEST(test_awaited_is_not_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
