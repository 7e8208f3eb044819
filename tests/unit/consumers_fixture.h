/* SPDX-License-Identifier: Apache-2.0 */
/* consumers_fixture.h - a consumer at the other end of a real socket pair */
#ifndef TESTS_UNIT_CONSUMERS_FIXTURE_H
#define TESTS_UNIT_CONSUMERS_FIXTURE_H

#include <setjmp.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/log.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/socket_request.h"
#include "lib/berth.h"

#define LISTENERS 400 /* more than a socket buffer takes */

struct fixture {
	struct loop *loop;
	struct consumers *consumers;
	struct service *service;
	struct listener listeners[LISTENERS];
	int came;
	int lost;
	uint64_t released;
	int peer_fd;
	uint64_t counted_id;
	struct berth_counts counted;
	int n_counted;
	bool no_memory;
	int n_final;
	int n_minted;
	int n_presence;
	bool any_pid; /* consumers connect themselves */
	int hand_back_result;
	struct handed_back handed_back;
	int n_handed_back;
	int n_not_awaited;
	bool any_service;
};

/* What arrived at the consumer. */
struct arrival {
	char type[16];
	json_int_t id;
	bool abort;
	int fd;
};

static inline const struct netns *find_netns(uint64_t netns_id, void *user_data)
{
	static const struct netns netns = { .id = 5 };

	(void)user_data;
	return netns_id == 5 ? &netns : NULL;
}

static inline const char *label_netns(uint64_t netns_id, void *user_data)
{
	return find_netns(netns_id, user_data) ? "five" : NULL;
}

static inline struct listener *find_listener(uint64_t id, void *user_data)
{
	struct fixture *fixture = user_data;

	if (id == 0 || id > LISTENERS || fixture->listeners[id - 1].fd < 0)
		return NULL;
	return &fixture->listeners[id - 1];
}

static inline void released(uint64_t netns_id, void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->released = netns_id;
}

static inline int counted(const struct consumer_count *count, void *user_data)
{
	struct fixture *fixture = user_data;

	if (!fixture->any_service)
		assert_ptr_equal(count->service, fixture->service);
	fixture->counted_id = count->id;
	fixture->counted = *count->counts;
	fixture->n_counted += !count->final;
	fixture->n_final += count->final;
	return fixture->no_memory ? -ENOMEM : 0;
}

static inline void ended(uint64_t connection, void *user_data)
{
	(void)connection;
	(void)user_data;
}

static inline void stats_changed(void *user_data)
{
	(void)user_data;
}

/* As if every request had been made before a change. */
static inline int mint(const struct listener *listener,
		       const struct socket_request *request, int *ret_fd,
		       uint64_t *ret_netns_id, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)ret_fd;
	(void)ret_netns_id;
	assert_int_equal(listener->id, request->id);
	fixture->n_minted++;
	return -ESTALE;
}

static inline void presence(void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->n_presence++;
}

/* Adopts the descriptor as the listener with the claimed id, if told to. */
static inline int hand_back(struct handed_back *handed_back, int fd,
			    const char **ret_reason, void *user_data)
{
	struct fixture *fixture = user_data;
	uint64_t id = handed_back->claim.id;
	int r = fixture->hand_back_result;

	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	fixture->handed_back = *handed_back;
	fixture->n_handed_back++;
	*ret_reason = "so it is";
	if (r < 0 || find_listener(id, fixture)) {
		close(fd);
		return r < 0 ? r : 1;
	}
	assert_in_range(id, 1, LISTENERS);
	fixture->listeners[id - 1].fd = fd;
	consumers_listener_opened(fixture->consumers,
				  &fixture->listeners[id - 1]);
	return 0;
}

static inline void not_awaited(void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->n_not_awaited++;
}

static inline void came(const char *consumer, pid_t pid, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)pid;
	assert_string_equal(consumer, SERVICE_RELAY);
	fixture->came++;
}

static inline void lost(const char *consumer, pid_t pid, const char *what,
			void *user_data)
{
	struct fixture *fixture = user_data;

	assert_non_null(what);
	assert_true(pid == (fixture->any_pid ? getpid() : 42));
	assert_string_equal(consumer, SERVICE_RELAY);
	fixture->lost++;
}

static inline const char *refusal(const char *consumer, pid_t pid,
				  void *user_data)
{
	(void)consumer;
	(void)pid;
	(void)user_data;
	return NULL;
}

static inline int setup(void **state)
{
	static const struct consumers_ops ops = {
		.find_netns = find_netns,
		.label_netns = label_netns,
		.find_listener = find_listener,
		.released = released,
		.counted = counted,
		.ended = ended,
		.stats_changed = stats_changed,
		.mint = mint,
		.presence = presence,
		.hand_back = hand_back,
		.not_awaited = not_awaited,
		.came = came,
		.lost = lost,
		.refusal = refusal,
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

static inline void open_listeners(struct fixture *fixture, int n)
{
	for (int i = 0; i < n; i++) {
		fixture->listeners[i].fd = eventfd(0, EFD_CLOEXEC);
		consumers_listener_opened(fixture->consumers,
					  &fixture->listeners[i]);
	}
}

static inline void close_listener(struct fixture *fixture, int i)
{
	if (fixture->listeners[i].fd < 0)
		return;
	consumers_listener_closing(fixture->consumers, &fixture->listeners[i]);
	close(TAKE_FD(fixture->listeners[i].fd));
}

static inline int teardown(void **state)
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

static inline bool quit_now(void *user_data)
{
	struct fixture *fixture = user_data;

	loop_quit(fixture->loop, 0);
	return false;
}

/* Lets the loop handle what is ready, without a step of the consumers. */
static inline void handle_ready(struct fixture *fixture)
{
	loop_set_after(fixture->loop, quit_now, fixture);
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_run(fixture->loop), 0);
}

/* A new consumer says hello, and that it is going to hand back listeners. */
static inline void attach_holding(struct fixture *fixture, int n_held)
{
	char hello[128], text[256];
	ssize_t n;
	int fds[2];

	(void)snprintf(hello, sizeof(hello),
		       "{\"type\":\"hello\",\"version\":1,"
		       "\"name\":\"test\",\"held\":%d}",
		       n_held); /* fits */

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	if (fixture->peer_fd >= 0)
		close(fixture->peer_fd);
	fixture->peer_fd = fds[1];
	assert_int_equal(consumers_attach(fixture->consumers, SERVICE_RELAY,
					  fds[0], 42),
			 0);
	assert_int_equal(send(fds[1], hello, strlen(hello), 0), strlen(hello));
	handle_ready(fixture);
	n = recv(fds[1], text, sizeof(text) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "\"welcome\""));
}

static inline void attach(struct fixture *fixture)
{
	attach_holding(fixture, 0);
}

/* Lets the loop run until what is ready has been handled. */
static inline bool quit_after(void *user_data)
{
	struct fixture *fixture = user_data;

	if (consumers_step(fixture->consumers))
		return true;
	loop_quit(fixture->loop, 0);
	return false;
}

static inline void run(struct fixture *fixture)
{
	loop_set_after(fixture->loop, quit_after, fixture);
	assert_int_equal(loop_run(fixture->loop), 0);
}

/* Return: was there a message? */
static inline bool arrive(struct fixture *fixture, struct arrival *ret)
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

static inline int arrive_all(struct fixture *fixture, const char *type)
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

static inline void release(struct fixture *fixture, uint64_t id)
{
	char text[64];
	int n = snprintf(text, sizeof(text),
			 "{\"type\":\"released\",\"id\":%d}", (int)id);

	assert_int_equal(send(fixture->peer_fd, text, (size_t)n, 0), n);
}

static inline struct consumer_info info(struct fixture *fixture)
{
	struct consumer_info result;

	consumers_get_info(fixture->consumers, 0, &result);
	return result;
}

static inline void says(struct fixture *fixture, const char *text)
{
	assert_int_equal(send(fixture->peer_fd, text, strlen(text), 0),
			 strlen(text));
}

static inline void answer(struct fixture *fixture, const char *text)
{
	assert_int_equal(send(fixture->peer_fd, text, strlen(text), 0),
			 strlen(text));
	run(fixture);
	run(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
