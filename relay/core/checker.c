// SPDX-License-Identifier: Apache-2.0
/* checker.c - tries backends again and again, whether there are clients or not
 *
 * Theory of operation: a check connects to a backend each `every`: TCP, UNIX,
 * or an SCTP association, see check_attempt.h. If that succeeds within
 * `timeout`, and the answer, if it asks for one, is as it should be, the socket
 * is closed at once. `fall` failures in a row leave the backend out
 * (target_health.out), until `rise` successes in a row. A check has one timer,
 * for the beginning of the next attempt or the end of the one that runs, and
 * belongs to all rules that check that backend alike.
 *
 * A lack of descriptors, memory or local ports says nothing of the backend:
 * that attempt does not count.
 *
 * A bounded number of attempts runs at a time, so that thousands of backends
 * take few descriptors; the others come a little later.
 */
#include "relay/core/checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "relay/core/check_attempt.h"
#include "relay/core/serving.h"
#include "relay/core/target_connect.h"
#include "relay/core/target_health.h"

/* When an attempt is made that found no place. */
#define LATER_US (50 * USEC_PER_MSEC)

/**
 * struct check_key - without padding: it is hashed as bytes
 * @check_asks:	see struct serving
 */
struct check_key {
	uint64_t backend;
	uint64_t check_asks;
	uint32_t every_ms;
	uint32_t timeout_ms;
	uint32_t rise;
	uint32_t fall;
};

/**
 * struct check - see the file's head
 * @timer:	always set, but while the result of an attempt is handled
 * @successes, @failures: in a row
 * @last:	why it failed last
 * @out:	the backend is left out
 * @targets:	what is known of the backend, for each rule
 */
struct check {
	struct checker *checker;
	struct check_key key;
	struct check_plan plan;
	struct check_attempt attempt;
	struct loop_timer *timer;
	unsigned int successes;
	unsigned int failures;
	struct target_failure last;
	bool out;
	struct target_health *targets;
	UT_hash_handle hh;
};

/**
 * struct checker - all of them
 * @n_running:	attempts that run
 * @stopped:	see checker_stop()
 */
struct checker {
	struct loop *loop;
	struct check *checks;
	unsigned int n_running;
	bool stopped;
};

static void attempt_end(struct check *check)
{
	if (check->attempt.state == CHECK_ATTEMPT_NONE)
		return;
	check_attempt_end(&check->attempt);
	check->checker->n_running--;
}

static void set_next(struct check *check, uint64_t in_us)
{
	loop_timer_set(check->timer, monotonic_us() + in_us);
}

static void log_out(const struct check *check, struct target_health *health)
{
	const struct target_key *key = &health->key;
	const struct target_failure *last = &check->last;
	char status[sizeof("it answered with status ") + 10];

	if (!target_may_log(health, monotonic_us()))
		return;
	(void)snprintf(status, sizeof(status), "it answered with status %u",
		       last->http_status); /* it fits */
	log_warning("rule '%s': checking '%s' failed %u times: %s; leaving it "
		    "out",
		    key->rule, key->backend, check->failures,
		    last->http_status ? status : strerror(last->error));
	atomic_store(&health->said, true);
}

static void failed(struct check *check, struct target_failure failure)
{
	uint64_t now_us = monotonic_us();
	struct target_health *health;
	bool falls;

	check->successes = 0;
	check->last = failure;
	if (check->failures < UINT32_MAX)
		check->failures++;
	falls = !check->out && check->failures >= check->key.fall;
	check->out |= falls;
	if (!check->out)
		return;
	DL_FOREACH2(check->targets, health, check_next)
	{
		target_failed_check(health, &failure, now_us,
				    falls ? check->failures : 1);
		if (falls)
			log_out(check, health);
	}
}

static void succeeded(struct check *check)
{
	struct target_health *health;

	check->failures = 0;
	if (check->successes < UINT32_MAX)
		check->successes++;
	if (check->out && check->successes < check->key.rise)
		return;
	check->out = false;
	DL_FOREACH2(check->targets, health, check_next)
	{
		atomic_store(&health->out, false);
		if (target_works(health) &&
		    atomic_exchange(&health->said, false))
			log_info("rule '%s': '%s' is back again, as its check "
				 "says",
				 health->key.rule, health->key.backend);
	}
}

/* Does @error say nothing of the backend? */
static bool is_own_shortage(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EADDRNOTAVAIL:
	case EPROTONOSUPPORT: /* no SCTP in this kernel */
		return true;
	default:
		return false;
	}
}

/* The attempt is over. @r: 0, or a negative errno. */
static void attempt_over(int r, void *user_data)
{
	struct check *check = user_data;
	const struct target_failure failure = {
		.error = -r,
		.http_status = check->attempt.http_status,
	};

	attempt_end(check);
	set_next(check, check->key.every_ms * USEC_PER_MSEC);
	if (r == 0)
		succeeded(check);
	else if (!is_own_shortage(-r))
		failed(check, failure);
}

static void attempt_begin(struct check *check)
{
	struct checker *checker = check->checker;
	int fd, r;

	if (checker->n_running >= CHECKER_RUNNING_MAX) {
		set_next(check, LATER_US);
		return;
	}
	fd = target_socket(&check->plan.target);
	if (fd < 0) {
		attempt_over(fd, check);
		return;
	}
	checker->n_running++;
	r = check_attempt_begin(&check->attempt, fd);
	if (r == -EINPROGRESS)
		set_next(check, check->key.timeout_ms * USEC_PER_MSEC);
	else
		attempt_over(r, check);
}

static void check_due(void *user_data)
{
	struct check *check = user_data;

	if (check->attempt.state != CHECK_ATTEMPT_NONE)
		attempt_over(-ETIMEDOUT, check);
	else
		attempt_begin(check);
}

/* Checks come and go */

static struct check *check_free(struct checker *checker, struct check *check)
{
	attempt_end(check);
	if (check->hh.tbl)
		HASH_DEL(checker->checks, check);
	check->timer = loop_timer_free(check->timer);
	check_plan_done(&check->plan);
	free(check);
	return NULL;
}

/* Return: NULL when memory is out. */
static struct check *check_new(struct checker *checker,
			       const struct check_key *key,
			       const struct serving *serving,
			       unsigned int index)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->checker = checker;
	check->key = *key;
	check->attempt.loop = checker->loop;
	check->attempt.plan = &check->plan;
	check->attempt.over = attempt_over;
	check->attempt.user_data = check;
	if (check_plan_copy(serving, index, &check->plan) < 0 ||
	    loop_timer_new(checker->loop, check_due, check, &check->timer) < 0)
		return check_free(checker, check);
	HASH_ADD(hh, checker->checks, key, sizeof(check->key), check);
	if (!check->hh.tbl)
		return check_free(checker, check);
	set_next(check, 0);
	return check;
}

static void leave(struct checker *checker, struct target_health *health)
{
	struct check *check = TAKE_PTR(health->check);

	if (!check)
		return;
	DL_DELETE2(check->targets, health, check_prev, check_next);
	if (atomic_exchange(&health->out, false))
		target_health_news(health);
	if (!check->targets)
		(void)check_free(checker, check);
}

static void join(struct check *check, struct target_health *health)
{
	DL_APPEND2(check->targets, health, check_prev, check_next);
	health->check = check;
	if (check->out)
		target_failed_check(health, &check->last, monotonic_us(),
				    check->failures);
}

void checker_set(struct checker *checker, struct target_health *health,
		 const struct serving *serving, unsigned int index)
{
	struct check_key key = { .backend = 0 };
	struct check *check = NULL;

	if (serving && serving->check.every_ms && !checker->stopped) {
		key.backend = serving->backends[index].id;
		key.check_asks = serving->check_asks;
		key.every_ms = serving->check.every_ms;
		key.timeout_ms = serving->check.timeout_ms;
		key.rise = serving->check.rise;
		key.fall = serving->check.fall;
		/* The analyzer loses sight of what was copied.
		 * NOLINTNEXTLINE(clang-analyzer-core.*) */
		HASH_FIND(hh, checker->checks, &key, sizeof(key), check);
		if (!check)
			check = check_new(checker, &key, serving, index);
	}
	if (check && check == health->check)
		return;
	leave(checker, health);
	if (check)
		join(check, health);
}

void checker_stop(struct checker *checker)
{
	struct check *check, *next;
	struct target_health *health, *next_health;

	checker->stopped = true;
	HASH_ITER (hh, checker->checks, check, next) {
		DL_FOREACH_SAFE2 (check->targets, health, next_health,
				  check_next)
			leave(checker, health);
	}
}

int checker_new(struct loop *loop, struct checker **ret_checker)
{
	struct checker *checker = calloc(1, sizeof(*checker));

	if (!checker)
		return -ENOMEM;
	checker->loop = loop;
	*ret_checker = checker;
	return 0;
}

struct checker *checker_free(struct checker *checker)
{
	free(checker);
	return NULL;
}
