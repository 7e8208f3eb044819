// SPDX-License-Identifier: Apache-2.0
/* test_checker.c - attempts to reach backends, and what follows from them */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/backend/backend_health.h"
#include "relay/core/checker.h"
#include "relay/core/minted.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

#define LOOK_US (2 * USEC_PER_MSEC)

/* Many checks of one backend, each of them with settings of its own. */
#define N_HERE (CHECKER_RUNNING_MAX - 8)
#define N_ELSEWHERE 16

/* What a backend at a UDP port does. */
enum mood {
	IS_TCP,
	UDP_HALF_DEAF, /* it refuses every other datagram, the first one too */
	UDP_SILENT,
	UDP_ECHOES,
};

/**
 * struct fixture - a checker, and a backend at a port of 127.0.0.1
 * @fd:		bound to it, perhaps listening
 * @done:	when the loop ends
 * @minted:	what the check asked berthd for; NULL: nothing, or it was
 *		answered
 * @answer:	berthd's: 0: a socket; else why there is none
 * @n_asked:	how often it was asked
 * @asked_us:	when, last
 * @socket_fd:	the last socket that it gave
 * @holds:	it does not answer now
 * @deaf_us:	since when it refuses datagrams, last
 * @enough_us:	when had_time() is true
 * @crowd:	what ask_crowd() was asked for, which is answered at the end
 */
struct fixture {
	struct loop *loop;
	struct loop_timer *timer;
	struct checker *checker;
	int fd;
	char to[32];
	bool (*done)(const struct fixture *fixture);
	struct serving *serving;
	struct target_health *health;
	struct minted *minted;
	int answer;
	unsigned int n_asked;
	uint64_t asked_us;
	int socket_fd;
	bool holds;
	enum mood mood;
	uint64_t deaf_us;
	uint64_t enough_us;
	struct minted *crowd[N_ELSEWHERE];
};

static struct minted *ask(const struct target_health *health,
			  const struct minted_ops *ops, void *owner,
			  void *user_data)
{
	struct fixture *fixture = user_data;
	const struct minted_purpose purpose = {
		.serving = fixture->serving,
		.check = true,
	};

	assert_ptr_equal(health, fixture->health);
	assert_null(fixture->minted);
	fixture->n_asked++;
	fixture->asked_us = monotonic_us();
	fixture->minted = minted_new(NULL, &purpose, ops, owner);
	return fixture->minted;
}

static const struct checker_ops ops = { .ask = ask };

/* Datagrams to a socket that is connected to somebody else are refused. */
static void set_deaf(struct fixture *fixture, bool deaf)
{
	const struct sockaddr_in peer = {
		.sin_family = deaf ? AF_INET : AF_UNSPEC,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	assert_int_equal(connect(fixture->fd, (const struct sockaddr *)&peer,
				 sizeof(peer)),
			 0);
	if (deaf)
		fixture->deaf_us = monotonic_us();
}

/* A backend that only keeps what it got would have no room for more soon. */
static void receive(const struct fixture *fixture)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char data[16];
	ssize_t n;

	while ((n = recvfrom(fixture->fd, data, sizeof(data), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &len)) >= 0) {
		if (fixture->mood == UDP_ECHOES)
			(void)sendto(fixture->fd, data, (size_t)n, 0,
				     (struct sockaddr *)&from, len);
	}
}

/* As the relay's main thread does, in a later turn. */
static void answer(struct fixture *fixture)
{
	struct minted *minted = TAKE_PTR(fixture->minted);

	if (fixture->mood == UDP_HALF_DEAF)
		set_deaf(fixture, fixture->n_asked % 2 == 1);
	if (fixture->answer == 0) {
		int type = fixture->mood ? SOCK_DGRAM : SOCK_STREAM;

		minted->fd =
			socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		fixture->socket_fd = minted->fd;
	}
	minted->error = fixture->answer;
	minted->netns_id = 7;
	minted_deliver(NULL, minted);
}

static void look(void *user_data)
{
	struct fixture *fixture = user_data;

	if (fixture->minted && !fixture->holds)
		answer(fixture);
	if (fixture->mood != IS_TCP)
		receive(fixture);
	if (fixture->done(fixture))
		loop_quit(fixture->loop, 0);
	else
		loop_timer_set(fixture->timer,
			       loop_now_us(fixture->loop) + LOOK_US);
}

static void run_until(struct fixture *fixture,
		      bool (*done)(const struct fixture *fixture))
{
	fixture->done = done;
	loop_timer_set(fixture->timer, 0);
	assert_int_equal(loop_run(fixture->loop), 0);
}

static bool is_out(const struct fixture *fixture)
{
	return atomic_load(&fixture->health->out);
}

static bool is_quiet(const struct fixture *fixture)
{
	return atomic_load(&fixture->health->quiet);
}

static struct serving *serving_in(const struct fixture *fixture,
				  const char *rule, uint32_t fall,
				  const char *netns)
{
	const char *to = fixture->to, *problem;
	const struct berth_listener listener = {
		.log = "",
		.balance = "",
		.rule = rule,
		.action = "forward",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = netns,
		.to = &to,
		.n_to = 1,
		.check_every_ms = fall ? 10 : 0,
		.check_timeout_ms = 10,
		.check_rise = 2,
		.check_fall = fall,
		.check_http_path = "",
		.check_http_host = "",
		.check_send = fixture->mood ? "?" : "",
	};
	enum protocol protocol = fixture->mood ? PROTOCOL_UDP : PROTOCOL_TCP;
	struct serving *serving;

	assert_int_equal(serving_new(&listener, protocol, &serving, &problem),
			 0);
	return serving;
}

static struct serving *serving_of(const struct fixture *fixture,
				  const char *rule, uint32_t fall)
{
	return serving_in(fixture, rule, fall, "");
}

/* A port of the backend's kind. */
static void bind_backend(struct fixture *fixture)
{
	int type = fixture->mood ? SOCK_DGRAM : SOCK_STREAM, other;
	static const int on = 1;
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	fixture->fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fixture->fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(fixture->fd, (struct sockaddr *)&in, &len),
			 0);
	(void)snprintf(fixture->to, sizeof(fixture->to), "127.0.0.1:%u",
		       ntohs(in.sin_port));
	if (type == SOCK_STREAM)
		return;
	/* A UDP socket keeps the port that it asked for by its number only,
	 * when it is not connected any more. */
	other = fixture->fd;
	fixture->fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(setsockopt(i ? other : fixture->fd, SOL_SOCKET,
					    SO_REUSEADDR, &on, sizeof(on)),
				 0);
	assert_int_equal(bind(fixture->fd, (struct sockaddr *)&in, len), 0);
	(void)close(other);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	bind_backend(fixture);
	assert_int_equal(loop_new(&fixture->loop), 0);
	assert_int_equal(loop_timer_new(fixture->loop, look, fixture,
					&fixture->timer),
			 0);
	assert_int_equal(checker_new(fixture->loop, &ops, fixture,
				     &fixture->checker),
			 0);
	fixture->serving = serving_of(fixture, "web", 3);
	fixture->health = fixture->serving->backends[0].health;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	checker_set(fixture->checker, fixture->health, NULL, 0);
	fixture->checker = checker_free(fixture->checker);
	fixture->timer = loop_timer_free(fixture->timer);
	fixture->loop = loop_free(fixture->loop);
	fixture->serving = serving_unref(fixture->serving);
	cleanup_close(&fixture->fd);
	free(fixture);
	return 0;
}

static void check(struct fixture *fixture, const struct serving *serving)
{
	checker_set(fixture->checker, fixture->health, serving, 0);
}

static void test_falls_and_rises(void **state)
{
	struct fixture *fixture = *state;

	check(fixture, fixture->serving);
	run_until(fixture, is_out);
	assert_true(atomic_load(&fixture->health->failures) >= 3);
	assert_int_equal(atomic_load(&fixture->health->error), ECONNREFUSED);
	/* The only one is tried all the same; that says nothing of it. */
	assert_int_equal(backend_pick(fixture->serving, 0, 0, 1), 0);
	backend_works(fixture->serving, 0);
	assert_true(atomic_load(&fixture->health->failures) >= 3);
	assert_int_equal(listen(fixture->fd, 16), 0);
	run_until(fixture, is_quiet);
	assert_false(is_out(fixture));
	assert_int_equal(atomic_load(&fixture->health->failures), 0);
}

/* What a client met is over with the next success. */
static void test_success_frees(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(listen(fixture->fd, 4096), 0);
	backend_failed(fixture->serving, 0, ECONNRESET, monotonic_us());
	check(fixture, fixture->serving);
	run_until(fixture, is_quiet);
	assert_int_equal(atomic_load(&fixture->health->held_until_us), 0);
}

static void test_shared(void **state)
{
	struct fixture *fixture = *state;
	struct serving *other = serving_of(fixture, "other", 3);
	struct target_health *others = other->backends[0].health;

	check(fixture, fixture->serving);
	checker_set(fixture->checker, others, other, 0);
	run_until(fixture, is_out);
	assert_true(atomic_load(&others->out));
	/* Who comes later knows at once. */
	checker_set(fixture->checker, others, NULL, 0);
	assert_false(atomic_load(&others->out));
	checker_set(fixture->checker, others, other, 0);
	assert_true(atomic_load(&others->out));
	checker_stop(fixture->checker);
	assert_false(is_out(fixture));
	assert_false(atomic_load(&others->out));
	checker_set(fixture->checker, others, other, 0);
	assert_null(others->check);
	other = serving_unref(other);
}

static void test_other_settings(void **state)
{
	struct fixture *fixture = *state;
	struct serving *never = serving_of(fixture, "web", 0);
	struct serving *once = serving_of(fixture, "web", 1);

	check(fixture, fixture->serving);
	check(fixture, once);
	run_until(fixture, is_out);
	check(fixture, never);
	assert_false(is_out(fixture));
	assert_null(fixture->health->check);
	never = serving_unref(never);
	once = serving_unref(once);
}

/* A backend in another namespace: berthd makes the sockets. */

static bool is_asked(const struct fixture *fixture)
{
	return fixture->minted != NULL;
}

static bool is_asked_often(const struct fixture *fixture)
{
	return fixture->n_asked >= 6;
}

static bool was_asked(const struct fixture *fixture)
{
	return fixture->n_asked > 0;
}

static bool has_socket(const struct fixture *fixture)
{
	return fixture->socket_fd > 0;
}

/* Nobody answers who connects to @fixture->fd from now on. */
static void fill_backlog(const struct fixture *fixture, int fds[static 2])
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);

	assert_int_equal(listen(fixture->fd, 0), 0);
	assert_int_equal(getsockname(fixture->fd, (struct sockaddr *)&to, &len),
			 0);
	for (size_t i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fds[i], (struct sockaddr *)&to, len);
	}
}

static void elsewhere(struct fixture *fixture)
{
	fixture->serving = serving_unref(fixture->serving);
	fixture->serving = serving_in(fixture, "web", 3, "blue");
	fixture->health = fixture->serving->backends[0].health;
	check(fixture, fixture->serving);
}

static void test_elsewhere(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(listen(fixture->fd, 4096), 0);
	/* What says nothing of the backend does not count. */
	fixture->answer = ETIMEDOUT;
	elsewhere(fixture);
	run_until(fixture, is_asked_often);
	assert_int_equal(atomic_load(&fixture->health->failures), 0);
	/* There is no namespace of that name. */
	fixture->answer = ENOENT;
	run_until(fixture, is_out);
	assert_int_equal(atomic_load(&fixture->health->error), ENOENT);
	fixture->answer = 0;
	run_until(fixture, is_quiet);
	/* The answer comes when nobody checks any more. */
	fixture->holds = true;
	run_until(fixture, is_asked);
	check(fixture, NULL);
	answer(fixture);
	assert_int_equal(fcntl(fixture->socket_fd, F_GETFD), -1);
}

/* berthd is asked at the beginning of each attempt, and the next one begins
 * when this one ends without an answer: its whole time is up then. On a machine
 * that stands still now and then, once is enough. */
static void test_interval(void **state)
{
	const uint64_t every_us = 100 * USEC_PER_MSEC;
	struct fixture *fixture = *state;
	uint64_t before_us, shortest_us = UINT64_MAX;
	int fds[2];

	fill_backlog(fixture, fds);
	fixture->serving = serving_unref(fixture->serving);
	fixture->serving = serving_in(fixture, "web", 255, "blue");
	fixture->serving->check.every_ms = every_us / USEC_PER_MSEC;
	fixture->serving->check.timeout_ms = every_us / USEC_PER_MSEC;
	fixture->health = fixture->serving->backends[0].health;
	check(fixture, fixture->serving);
	for (int i = 0; i < 20 && shortest_us >= 2 * every_us; i++) {
		before_us = fixture->asked_us;
		fixture->n_asked = 0;
		run_until(fixture, was_asked);
		if (before_us && fixture->asked_us - before_us < shortest_us)
			shortest_us = fixture->asked_us - before_us;
	}
	assert_true(shortest_us < 2 * every_us);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static bool is_out_or_never(const struct fixture *fixture)
{
	return is_out(fixture) || fixture->n_asked > 12;
}

/* Silence after a datagram was refused says nothing: hosts do not refuse each.
 * An answer does. */
static void test_silence(void **state)
{
	struct fixture *fixture = *state;
	struct serving *patient;
	unsigned int n_asked;

	cleanup_close(&fixture->fd);
	fixture->mood = UDP_HALF_DEAF;
	bind_backend(fixture);
	elsewhere(fixture);
	run_until(fixture, is_out_or_never);
	assert_true(is_out(fixture));
	fixture->mood = UDP_SILENT;
	set_deaf(fixture, /* deaf= */ false);
	run_until(fixture, is_quiet);
	assert_true(monotonic_us() - fixture->deaf_us >= 3 * USEC_PER_SEC);
	/* The answer comes within the time, however slow this machine is. */
	patient = serving_in(fixture, "web", 3, "blue");
	patient->check.timeout_ms = 3600 * 1000;
	set_deaf(fixture, /* deaf= */ true);
	check(fixture, patient);
	run_until(fixture, is_out);
	fixture->mood = UDP_ECHOES;
	set_deaf(fixture, /* deaf= */ false);
	n_asked = fixture->n_asked;
	run_until(fixture, is_quiet);
	assert_true(fixture->n_asked <= n_asked + 4);
	patient = serving_unref(patient);
}

/* An attempt that lasts ends with the namespace of its socket. */
static void test_netns_gone(void **state)
{
	struct fixture *fixture = *state;
	int fds[2];

	fill_backlog(fixture, fds);
	elsewhere(fixture);
	run_until(fixture, has_socket);
	assert_int_equal(fcntl(fixture->socket_fd, F_GETFD), FD_CLOEXEC);
	checker_netns_gone(fixture->checker, 8);
	assert_int_equal(fcntl(fixture->socket_fd, F_GETFD), FD_CLOEXEC);
	checker_netns_gone(fixture->checker, 7);
	assert_int_equal(fcntl(fixture->socket_fd, F_GETFD), -1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
}

static struct minted *ask_crowd(const struct target_health *health,
				const struct minted_ops *its_ops, void *owner,
				void *user_data)
{
	struct fixture *fixture = user_data;
	const struct minted_purpose purpose = { .serving = fixture->serving,
						.check = true };

	(void)health;
	assert_true(fixture->n_asked < ARRAY_SIZE(fixture->crowd));
	return fixture->crowd[fixture->n_asked++] =
		       minted_new(NULL, &purpose, its_ops, owner);
}

static bool had_time(const struct fixture *fixture)
{
	return monotonic_us() > fixture->enough_us;
}

/* A socket that is asked for takes its place before it is there. */
static void test_places(void **state)
{
	static const struct checker_ops crowd_ops = { .ask = ask_crowd };
	struct serving *servings[N_HERE + N_ELSEWHERE];
	struct fixture *fixture = *state;
	struct checker *checker;
	int fds[2];

	fill_backlog(fixture, fds);
	assert_int_equal(
		checker_new(fixture->loop, &crowd_ops, fixture, &checker), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(servings); i++) {
		servings[i] =
			serving_in(fixture, "web", 3, i < N_HERE ? "" : "blue");
		servings[i]->check.timeout_ms = 3600 * 1000 + i;
		checker_set(checker, servings[i]->backends[0].health,
			    servings[i], 0);
	}
	fixture->enough_us = monotonic_us() + 200 * USEC_PER_MSEC;
	run_until(fixture, had_time);
	assert_int_equal(fixture->n_asked, CHECKER_RUNNING_MAX - N_HERE);
	for (size_t i = 0; i < ARRAY_SIZE(servings); i++) {
		checker_set(checker, servings[i]->backends[0].health, NULL, 0);
		servings[i] = serving_unref(servings[i]);
	}
	checker = checker_free(checker);
	for (size_t i = 0; i < fixture->n_asked; i++)
		minted_deliver(NULL, fixture->crowd[i]);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_falls_and_rises), T(test_success_frees),
		T(test_shared),		 T(test_other_settings),
		T(test_elsewhere),	 T(test_netns_gone),
		T(test_places),		 T(test_interval),
		T(test_silence),
	};
#undef T

	log_init("test_checker", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
