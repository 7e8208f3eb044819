// SPDX-License-Identifier: Apache-2.0
/* test_consumers.c - deliveries and withdrawals over a real socket pair */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/mint.h"
#include "lib/berth.h"

#define LISTENERS 400 /* more than a socket buffer takes */

struct fixture {
	struct loop *loop;
	struct consumers *consumers;
	struct service *service;
	struct listener listeners[LISTENERS];
	int lost;
	uint64_t released;
	int peer_fd;
	uint64_t counted_id;
	struct berth_counts counted;
	int n_counted;
	int n_final;
	int n_minted;
};

/* What arrived at the consumer. */
struct arrival {
	char type[16];
	json_int_t id;
	bool abort;
	int fd;
};

static const struct netns *find_netns(uint64_t netns_id, void *user_data)
{
	static const struct netns netns = { .id = 5 };

	(void)user_data;
	return netns_id == 5 ? &netns : NULL;
}

static struct listener *find_listener(uint64_t id, void *user_data)
{
	struct fixture *fixture = user_data;

	if (id == 0 || id > LISTENERS || fixture->listeners[id - 1].fd < 0)
		return NULL;
	return &fixture->listeners[id - 1];
}

static void released(uint64_t netns_id, void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->released = netns_id;
}

static void counted(uint64_t id, struct service *service,
		    const struct berth_counts *counts, bool final,
		    void *user_data)
{
	struct fixture *fixture = user_data;

	assert_ptr_equal(service, fixture->service);
	fixture->counted_id = id;
	fixture->counted = *counts;
	fixture->n_counted += !final;
	fixture->n_final += final;
}

static void stats_changed(void *user_data)
{
	(void)user_data;
}

/* As if every question were of before a change. */
static int mint(const struct listener *listener,
		const struct mint_target *target, int *ret_fd,
		uint64_t *ret_netns_id, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)ret_fd;
	(void)ret_netns_id;
	assert_int_equal(listener->id, target->id);
	fixture->n_minted++;
	return -ESTALE;
}

static void lost(const char *consumer, void *user_data)
{
	struct fixture *fixture = user_data;

	assert_string_equal(consumer, SERVICE_RELAY);
	fixture->lost++;
}

static int setup(void **state)
{
	static const struct consumers_ops ops = {
		.find_netns = find_netns,
		.find_listener = find_listener,
		.released = released,
		.counted = counted,
		.stats_changed = stats_changed,
		.mint = mint,
		.lost = lost,
	};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	fixture->peer_fd = -1;
	fixture->service = service_new();
	fixture->service->rule = strdup("r");
	fixture->service->consumer = strdup(SERVICE_RELAY);
	fixture->service->action = SERVICE_ECHO;
	for (int i = 0; i < LISTENERS; i++)
		fixture->listeners[i] = (struct listener){
			.id = (uint64_t)i + 1,
			.netns_id = i % 2 ? 5 : 6,
			.service = fixture->service,
			.endpoint = { .port = 80 },
			.fd = -1,
		};
	return loop_new(&fixture->loop) < 0 ||
	       consumers_new(fixture->loop, &ops, fixture,
			     &fixture->consumers) < 0;
}

static void open_listeners(struct fixture *fixture, int n)
{
	for (int i = 0; i < n; i++) {
		fixture->listeners[i].fd = eventfd(0, EFD_CLOEXEC);
		consumers_listener_opened(fixture->consumers,
					  &fixture->listeners[i]);
	}
}

static void close_listener(struct fixture *fixture, int i)
{
	if (fixture->listeners[i].fd < 0)
		return;
	consumers_listener_closing(fixture->consumers, &fixture->listeners[i]);
	close(TAKE_FD(fixture->listeners[i].fd));
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < LISTENERS; i++)
		close_listener(fixture, i);
	consumers_free(fixture->consumers);
	if (fixture->peer_fd >= 0)
		close(fixture->peer_fd);
	loop_free(fixture->loop);
	service_unref(fixture->service);
	free(fixture);
	return 0;
}

static void attach(struct fixture *fixture)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	if (fixture->peer_fd >= 0)
		close(fixture->peer_fd);
	fixture->peer_fd = fds[1];
	assert_int_equal(consumers_attach(fixture->consumers, SERVICE_RELAY,
					  fds[0], 42),
			 0);
}

/* Lets the loop run until what is ready has been handled. */
static bool quit_after(void *user_data)
{
	struct fixture *fixture = user_data;

	if (consumers_step(fixture->consumers))
		return true;
	loop_quit(fixture->loop, 0);
	return false;
}

static void run(struct fixture *fixture)
{
	loop_set_after(fixture->loop, quit_after, fixture);
	assert_int_equal(loop_run(fixture->loop), 0);
}

/* Return: was there a message? */
static bool arrive(struct fixture *fixture, struct arrival *ret)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char text[4096];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *cmsg;
	const char *type;
	json_t *json;
	int abort_flag = 0;
	ssize_t n = recvmsg(fixture->peer_fd, &message, MSG_DONTWAIT);

	*ret = (struct arrival){ .fd = -1 };
	if (n < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg)
		memcpy(&ret->fd, CMSG_DATA(cmsg), sizeof(int));
	json = json_loadb(text, (size_t)n, 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_unpack(json, "{s:s, s?I, s?I, s?b}", "type",
				     &type, "id", &ret->id, "request", &ret->id,
				     "abort", &abort_flag),
			 0);
	(void)snprintf(ret->type, sizeof(ret->type), "%s", type);
	ret->abort = abort_flag;
	json_decref(json);
	return true;
}

static int arrive_all(struct fixture *fixture, const char *type)
{
	struct arrival arrival;
	int n = 0;

	while (arrive(fixture, &arrival)) {
		assert_string_equal(arrival.type, type);
		if (arrival.fd >= 0)
			close(arrival.fd);
		n++;
	}
	return n;
}

static void release(struct fixture *fixture, uint64_t id)
{
	char text[64];
	int n = snprintf(text, sizeof(text),
			 "{\"type\":\"released\",\"id\":%d}", (int)id);

	assert_int_equal(send(fixture->peer_fd, text, (size_t)n, 0), n);
}

static struct consumer_info info(struct fixture *fixture)
{
	struct consumer_info result;

	consumers_get_info(fixture->consumers, 0, &result);
	return result;
}

/* More than the socket takes: the rest stays queued and follows. */
static void test_delivers_all(void **state)
{
	struct fixture *fixture = *state;
	int n = 0;

	open_listeners(fixture, LISTENERS);
	attach(fixture);
	run(fixture);
	assert_true(info(fixture).undelivered > 0);
	for (int i = 0; i < LISTENERS && info(fixture).undelivered > 0; i++) {
		n += arrive_all(fixture, "listener");
		run(fixture);
	}
	n += arrive_all(fixture, "listener");
	assert_int_equal(n, LISTENERS);
	assert_int_equal(info(fixture).delivered, LISTENERS);
}

static void test_delivers_again_after_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 3);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	close_listener(fixture, 0);
	close(TAKE_FD(fixture->peer_fd));
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->lost, 1);
	assert_false(info(fixture).connected);
	assert_int_equal(info(fixture).undelivered, 2);
	assert_int_equal(info(fixture).withdrawn, 0);
	attach(fixture);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "listener");
	assert_true(arrival.fd >= 0); /* with its descriptor once more */
	close(arrival.fd);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
}

static void test_withdraws_until_released(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 2);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 2);
	close_listener(fixture, 1);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "withdraw");
	assert_int_equal(arrival.id, 2);
	assert_false(arrival.abort);
	assert_int_equal(consumers_holds(fixture->consumers, 5), 1);

	/* Its namespace goes while its connections are finishing. */
	consumers_netns_gone(fixture->consumers, 5);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_int_equal(arrival.id, 2);
	assert_true(arrival.abort);

	release(fixture, 77); /* an id that nobody knows */
	release(fixture, 2);
	run(fixture);
	run(fixture);
	assert_int_equal(consumers_holds(fixture->consumers, 5), 0);
	assert_int_equal(fixture->released, 5);
	assert_int_equal(fixture->lost, 0);
}

/* Until it is released, a withdrawn listener's port is not free. */
static void test_holder(void **state)
{
	struct fixture *fixture = *state;
	const struct endpoint *endpoint = &fixture->listeners[0].endpoint;
	struct endpoint other = *endpoint;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	assert_null(consumers_holder(fixture->consumers, 6, endpoint));
	close_listener(fixture, 0);
	assert_string_equal(consumers_holder(fixture->consumers, 6, endpoint),
			    SERVICE_RELAY);
	other.port++;
	assert_null(consumers_holder(fixture->consumers, 6, &other));
	assert_null(consumers_holder(fixture->consumers, 5, endpoint));
	run(fixture);
	release(fixture, 1);
	run(fixture);
	run(fixture);
	assert_null(consumers_holder(fixture->consumers, 6, endpoint));
}

/* What the consumer never saw needs no withdrawal. */
static void test_closed_before_delivery(void **state)
{
	struct fixture *fixture = *state;

	attach(fixture);
	open_listeners(fixture, 1);
	close_listener(fixture, 0);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 0);
	assert_int_equal(info(fixture).withdrawn, 0);
}

static void test_change_is_sent_without_descriptor(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	consumers_listener_changed(fixture->consumers, &fixture->listeners[0]);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "listener");
	assert_int_equal(arrival.id, 1);
	assert_int_equal(arrival.fd, -1);
}

/* The consumer's descriptor table is full: it is offered again, later. */
static void test_refused_is_offered_again(void **state)
{
	static const char refused[] = "{\"type\":\"refused\",\"id\":1}";
	struct fixture *fixture = *state;
	uint64_t begin_us;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	assert_int_equal(send(fixture->peer_fd, refused, sizeof(refused) - 1,
			      0),
			 sizeof(refused) - 1);
	begin_us = monotonic_us();
	run(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 0);
	assert_int_equal(info(fixture).undelivered, 1);
	while (info(fixture).undelivered > 0 &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	assert_true(monotonic_us() - begin_us >= USEC_PER_SEC / 2);
}

/* The same, when a rule's change waits to be sent: the consumer lacks the
 * listener as a whole, and is sent its descriptor. */
static void test_refused_while_changed(void **state)
{
	static const char refused[] = "{\"type\":\"refused\",\"id\":1}";
	struct fixture *fixture = *state;
	struct arrival arrival;
	uint64_t begin_us;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	consumers_listener_changed(fixture->consumers, &fixture->listeners[0]);
	assert_int_equal(send(fixture->peer_fd, refused, sizeof(refused) - 1,
			      0),
			 sizeof(refused) - 1);
	begin_us = monotonic_us();
	run(fixture); /* reads before it sends */
	assert_int_equal(arrive_all(fixture, "listener"), 0);
	assert_int_equal(info(fixture).undelivered, 1);
	while (info(fixture).undelivered > 0 &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_int_equal(arrival.id, 1);
	assert_true(arrival.fd >= 0);
	close(arrival.fd);
}

static void says(struct fixture *fixture, const char *text)
{
	assert_int_equal(send(fixture->peer_fd, text, strlen(text), 0),
			 strlen(text));
}

static void run_until_delivered(struct fixture *fixture)
{
	uint64_t begin_us = monotonic_us();

	while (info(fixture).undelivered > 0 &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_int_equal(info(fixture).undelivered, 0);
}

/* The refusal may be of an earlier offer than the last, which was taken: what
 * was ever sent is withdrawn when it closes. */
static void test_refused_is_withdrawn(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	says(fixture, "{\"type\":\"refused\",\"id\":1}");
	run(fixture);
	assert_int_equal(info(fixture).undelivered, 1);
	close_listener(fixture, 0);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "withdraw");
	assert_int_equal(arrival.id, 1);
	release(fixture, 1);
	run(fixture);
	assert_int_equal(info(fixture).withdrawn, 0);
}

/* What an earlier connection was sent is not withdrawn from the next. */
static void test_sent_to_an_earlier_connection(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	attach(fixture);
	close_listener(fixture, 0);
	assert_int_equal(info(fixture).withdrawn, 0);
}

/* The consumer has it, but could not take its change. */
static void test_change_is_repeated(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	consumers_listener_changed(fixture->consumers, &fixture->listeners[0]);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	says(fixture, "{\"type\":\"repeat\",\"id\":1}");
	run(fixture);
	assert_int_equal(info(fixture).undelivered, 1);
	run_until_delivered(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_int_equal(arrival.id, 1);
	assert_int_equal(arrival.fd, -1);

	/* It lacks the whole, and says so after that. */
	says(fixture, "{\"type\":\"repeat\",\"id\":1}");
	says(fixture, "{\"type\":\"refused\",\"id\":1}");
	says(fixture, "{\"type\":\"repeat\",\"id\":1}");
	run(fixture);
	run_until_delivered(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_true(arrival.fd >= 0);
	close(arrival.fd);
}

/* What it was not sent it cannot refuse, and what is closed is gone: neither
 * makes the others wait. */
static void test_refused_what_it_does_not_have(void **state)
{
	static const char *const refused[] = {
		"{\"type\":\"refused\",\"id\":1}",
		"{\"type\":\"refused\",\"id\":2}",
		"{\"type\":\"refused\",\"id\":0}",
		"{\"type\":\"refused\",\"id\":-1}",
		"{\"type\":\"refused\",\"id\":9223372036854775807}",
	};
	struct fixture *fixture = *state;

	open_listeners(fixture, 1);
	close_listener(fixture, 0);
	attach(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_true(send(fixture->peer_fd, refused[i],
				 strlen(refused[i]), 0) > 0);
	run(fixture);
	run(fixture);
	open_listeners(fixture, 3);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	assert_int_equal(fixture->lost, 0);
}

static void test_garbage_ends_the_connection(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(send(fixture->peer_fd, "garbage", 7, 0), 7);
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->lost, 1);
	assert_int_equal(info(fixture).undelivered, 1);
}

static void answer(struct fixture *fixture, const char *text)
{
	assert_int_equal(send(fixture->peer_fd, text, strlen(text), 0),
			 strlen(text));
	run(fixture);
	run(fixture);
}

static void expect_question(struct fixture *fixture, json_int_t request)
{
	struct arrival arrival;

	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "stats");
	assert_int_equal(arrival.id, request);
}

/* Only ids that the consumer has count, of the request that was asked last. */
static void test_counts(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 3);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	close_listener(fixture, 2);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "withdraw"), 1);
	answer(fixture, "{\"type\":\"stats\",\"request\":0,\"listeners\":"
			"[{\"id\":1}]}");
	assert_int_equal(fixture->n_counted, 0); /* nobody asked */

	consumers_ask_stats(fixture->consumers, 7);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 7), 1);
	expect_question(fixture, 7);
	answer(fixture, "{\"type\":\"stats\",\"request\":6,\"listeners\":"
			"[{\"id\":1}]}");
	assert_int_equal(fixture->n_counted, 0);
	answer(fixture, "{\"type\":\"stats\",\"request\":7,\"more\":true,"
			"\"listeners\":[{\"id\":2,\"accepted\":5,"
			"\"errors\":{\"111\":3}},{\"id\":9},{\"id\":-1}]}");
	assert_int_equal(fixture->n_counted, 1);
	assert_int_equal(fixture->counted_id, 2);
	assert_int_equal(fixture->counted.accepted, 5);
	assert_int_equal(fixture->counted.errors[0].error, 111);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 7), 1);
	assert_true(info(fixture).silent);
	/* One that is going is still the consumer's. */
	answer(fixture, "{\"type\":\"stats\",\"request\":7,\"listeners\":"
			"[{\"id\":3,\"active\":1}]}");
	assert_int_equal(fixture->counted_id, 3);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 7), 0);
	assert_false(info(fixture).silent);
	answer(fixture, "{\"type\":\"released\",\"id\":3,\"bytes_in\":8}");
	assert_int_equal(fixture->n_final, 1);
	assert_int_equal(fixture->counted.bytes_in, 8);
	answer(fixture, "{\"type\":\"released\",\"id\":3,\"bytes_in\":8}");
	assert_int_equal(fixture->n_final, 1); /* once */
	assert_int_equal(fixture->lost, 0);
}

/* It has one question to read, however often somebody wants to know. */
static void test_silent_consumer_is_asked_once(void **state)
{
	struct fixture *fixture = *state;

	attach(fixture);
	for (uint64_t request = 1; request < 5; request++) {
		consumers_ask_stats(fixture->consumers, request);
		assert_int_equal(consumers_stats_waiting(fixture->consumers,
							 request),
				 request == 1);
		run(fixture);
	}
	assert_true(info(fixture).silent);
	assert_int_equal(arrive_all(fixture, "stats"), 1);
	answer(fixture, "{\"type\":\"stats\",\"request\":1,\"listeners\":[]}");
	assert_false(info(fixture).silent);
	consumers_ask_stats(fixture->consumers, 5);
	expect_question(fixture, 5);
	/* Another connection is another consumer. */
	attach(fixture);
	assert_false(info(fixture).silent);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 5), 0);
	consumers_ask_stats(fixture->consumers, 6);
	expect_question(fixture, 6);
}

static void test_wrong_counts_end_the_connection(void **state)
{
	static const char *const wrong[] = {
		"{\"type\":\"stats\",\"request\":1}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":{}}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[7]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[{}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"accepted\":-1}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"errors\":[]}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"errors\":{\"111\":\"3\"}}]}",
		"{\"type\":\"released\",\"id\":1,\"active\":0.5}",
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		attach(fixture);
		consumers_ask_stats(fixture->consumers, 1);
		run(fixture);
		answer(fixture, wrong[i]);
		assert_int_equal(fixture->lost, i + 1);
		assert_int_equal(consumers_stats_waiting(fixture->consumers, 1),
				 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* First the change of which the consumer knew nothing when it asked, also if it
 * is the last of many, then that its question is of before. */
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
		TEST(test_delivers_all),
		TEST(test_delivers_again_after_a_loss),
		TEST(test_withdraws_until_released),
		TEST(test_holder),
		TEST(test_closed_before_delivery),
		TEST(test_change_is_sent_without_descriptor),
		TEST(test_refused_is_offered_again),
		TEST(test_refused_while_changed),
		TEST(test_refused_is_withdrawn),
		TEST(test_sent_to_an_earlier_connection),
		TEST(test_change_is_repeated),
		TEST(test_refused_what_it_does_not_have),
		TEST(test_garbage_ends_the_connection),
		TEST(test_change_comes_before_the_answer),
		TEST(test_socket_of_a_withdrawn_listener),
		TEST(test_counts),
		TEST(test_silent_consumer_is_asked_once),
		TEST(test_wrong_counts_end_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
