// SPDX-License-Identifier: Apache-2.0
/* test_access_log.c - a line for each client that ends, or a count */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/core/access_log.h"
#include "relay/core/listener.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

/* As many as a ring has, see access_log.c. */
#define RING_RECORDS 4096u
#define MORE 10u

#define GUARD_MS 15000

/* One worker with one listener, which has no socket. */
struct fixture {
	struct outbox outbox;
	struct worker worker;
	struct roster_entry entry;
	struct listener *listener;
	struct serving *serving;
};

static struct serving *described; /* by describe() */

static void describe(const struct worker *worker,
		     const struct roster_entry *entry,
		     struct roster_record *record)
{
	(void)worker;
	(void)entry;
	record->serving = serving_ref(described);
	record->client.family = AF_INET;
	record->client_port = 4711;
}

static const struct roster_ops roster_ops = { .describe = describe };

static void set_up(struct fixture *f, const char *which)
{
	const char *names[] = { "blue" }, *to[] = { "10.0.0.1:80" };
	const struct berth_listener offer = {
		.names = names,
		.n_names = 1,
		.protocol = "tcp",
		.address = "::1",
		.port = 80,
		.rule = "a rule",
		.action = "forward",
		.to = to,
		.n_to = 1,
		.text = "",
		.log = which,
		.balance = "",
		.container = "shop",
		.interface = "",
		.proxy_protocol = "",
		.backend_netns = "",
	};
	const char *problem;

	*f = (struct fixture){ .outbox.fd = -1 };
	assert_int_equal(
		serving_new(&offer, PROTOCOL_TCP, &f->serving, &problem), 0);
	described = f->serving;
	assert_int_equal(listener_new(1, -1, PROTOCOL_TCP, &test_about, 1,
				      &f->listener),
			 0);
	f->outbox.access = access_log_new(1);
	assert_non_null(f->outbox.access);
	f->worker.outbox = &f->outbox;
	f->worker.rosters[ROSTER_FLOWS].ops = &roster_ops;
	f->worker.now_us = monotonic_us();
	f->entry.began_us = f->worker.now_us - 5;
	f->entry.bytes_in = 3;
}

static void tear_down(struct fixture *f)
{
	f->outbox.access = access_log_free(f->outbox.access);
	(void)serving_unref(f->serving);
	f->listener->netns = NULL;
	(void)listener_free(f->listener);
}

static void note(struct fixture *f)
{
	access_log_note(&f->worker, ROSTER_FLOWS, &f->entry,
			&f->listener->shares[0], BERTH_ENDING_IDLE);
}

/* Reads lines of the log until there are @n. */
static char *read_lines(int fd, size_t n)
{
	char *text = NULL;
	size_t len = 0, lines = 0;

	while (lines < n) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t got;

		assert_int_equal(poll(&wait, 1, GUARD_MS), 1);
		text = realloc(text, len + PIPE_BUF + 1);
		assert_non_null(text);
		got = read(fd, text + len, PIPE_BUF);
		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++)
			lines += text[len + (size_t)i] == '\n';
		len += (size_t)got;
	}
	assert_non_null(text);
	text[len] = '\0';
	return text;
}

/* What finds no room is counted; the rest is written, and the count told. */
static void test_full(void **state)
{
	int saved = dup(STDERR_FILENO), fds[2];
	struct counts counts = { 0 };
	struct fixture f;
	char *text;

	(void)state;
	set_up(&f, "connections");
	for (unsigned int i = 0; i < RING_RECORDS + MORE; i++)
		note(&f);
	counters_sum(atomic_load(&f.listener->shares[0].counters), &counts);
	assert_int_equal(counts.values[COUNTER_UNLOGGED], MORE);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	assert_int_equal(access_log_start(f.outbox.access), 0);
	assert_int_equal(access_log_start(f.outbox.access), 0);
	text = read_lines(fds[0], RING_RECORDS + 1);
	assert_non_null(strstr(
		text, ": connection ending=idle rule=\"a rule\" netns=blue "
		      "container=shop listener=\"tcp [::1]:80\" "
		      "client=0.0.0.0:4711 backend=10.0.0.1:80 bytes_in=3 "
		      "bytes_out=0 duration_us=5\n"));
	assert_non_null(strstr(text, ": 10 connections or sessions that ended "
				     "have no line"));
	free(text);
	/* There is room again. */
	note(&f);
	free(read_lines(fds[0], 1));
	tear_down(&f);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The end does not wait for a log that takes nothing, and what nobody wrote is
 * given back. */
static void test_never_started(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, "connections");
	note(&f);
	assert_int_equal(atomic_load(&f.serving->refs), 2);
	f.outbox.access = access_log_free(f.outbox.access);
	assert_int_equal(atomic_load(&f.serving->refs), 1);
	tear_down(&f);
}

static void test_wants(void **state)
{
	static const struct {
		const char *log;
		enum berth_ending ending;
		bool wanted;
	} cases[] = {
		{ "", BERTH_ENDING_ERROR, false },
		{ "failures", BERTH_ENDING_ERROR, true },
		{ "failures", BERTH_ENDING_BACKEND_REFUSED, true },
		{ "failures", BERTH_ENDING_LIMIT, true },
		{ "failures", BERTH_ENDING_CLIENT_END, false },
		{ "failures", BERTH_ENDING_IDLE, false },
		{ "failures", BERTH_ENDING_NETNS_GONE, false },
		{ "connections", BERTH_ENDING_CLIENT_END, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;

		set_up(&f, cases[i].log);
		assert_int_equal(access_log_wants(f.serving, cases[i].ending),
				 cases[i].wanted);
		tear_down(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_never_started),
		cmocka_unit_test(test_wants),
	};

	log_init("test", LOG_LEVEL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
