// SPDX-License-Identifier: Apache-2.0
/* checker.c - tries backends again and again, whether there are clients or not
 *
 * Theory of operation: a check connects to a backend each `every`: TCP, UNIX,
 * or an SCTP association, see check_attempt.h. If that succeeds within
 * `timeout`, and the answer, if it asks for one, is as it should be, the socket
 * is closed at once. `fall` failures in a row leave the backend out
 * (target_health.out), until `rise` successes in a row. `every` counts from the
 * beginning of an attempt; two of a check never run at a time. A check has one
 * timer, for the beginning of the next attempt or the end of the one that runs,
 * and belongs to all rules that check that backend alike.
 *
 * Where berthd makes the socket for a client (minted.h), it makes those of the
 * checks, too, but for a socket that only was to stand in for the client. A
 * check asks for one before each attempt, and keeps none, so that it holds no
 * namespace for longer than an attempt lasts, and that ends when the namespace
 * goes. While berthd does not answer, there is no attempt.
 *
 * By UDP, silence is a success, unless somebody said lately that the backend is
 * not there: hosts say that about once a second only, however often they are
 * asked, so that the silence between says nothing.
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
#include "relay/core/minted.h"
#include "relay/core/serving.h"
#include "relay/core/target_connect.h"
#include "relay/core/target_health.h"

/* So many checks wait for a socket of berthd's at a time: clients need most of
 * the requests that it may have (BERTH_SOCKETS_MAX), and checks that need no
 * such socket go on while berthd is away. */
#define ASKED_MAX (CHECKER_RUNNING_MAX / 2)

/* When an attempt is made that found no place: at first, and at last if it
 * finds none again and again. */
#define LATER_US (50 * USEC_PER_MSEC)
#define LATER_MAX_US (1000 * USEC_PER_MSEC)

/* For so long after a failure silence says nothing, or for two intervals. */
#define DOUBT_US (3 * USEC_PER_SEC)

#define WHY_MAX 40

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
 * @minted:	what berthd was asked for; NULL: nothing
 * @netns_id:	where the socket of the attempt was born; 0: where it was does
 *		not go
 * @begun_us:	when the last attempt began, or asked for its socket
 * @later_us:	how long it waits for a place next; 0: LATER_US
 * @doubt_until_us: until then silence says nothing
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
	struct minted *minted;
	uint64_t netns_id;
	uint64_t begun_us;
	uint64_t later_us;
	uint64_t doubt_until_us;
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
 * @n_asked:	checks that wait for a socket
 * @stopped:	see checker_stop()
 */
struct checker {
	struct loop *loop;
	struct checker_ops ops;
	void *user_data;
	struct check *checks;
	unsigned int n_running;
	unsigned int n_asked;
	bool stopped;
};

static void attempt_end(struct check *check)
{
	if (check->attempt.state == CHECK_ATTEMPT_NONE)
		return;
	check_attempt_end(&check->attempt);
	check->netns_id = 0;
	check->checker->n_running--;
}

static void set_next(struct check *check, uint64_t in_us)
{
	loop_timer_set(check->timer, monotonic_us() + in_us);
}

/* The next attempt follows this one at once if it took that long. */
static void set_next_attempt(struct check *check)
{
	loop_timer_set(check->timer,
		       check->begun_us + check->key.every_ms * USEC_PER_MSEC);
}

/* There is no place. Each turn of the main thread passes by thousands of checks
 * otherwise, for as long as berthd is away. */
static void come_later(struct check *check)
{
	uint64_t most_us = check->key.every_ms * USEC_PER_MSEC;

	if (most_us > LATER_MAX_US)
		most_us = LATER_MAX_US;
	if (check->later_us == 0)
		check->later_us = LATER_US;
	set_next(check, check->later_us);
	check->later_us *= 2;
	if (check->later_us > most_us)
		check->later_us = most_us;
}

static const char *why(const struct check *check, char buffer[static WHY_MAX])
{
	const struct target_failure *last = &check->last;

	if (last->http_status)
		(void)snprintf(buffer, WHY_MAX, "it answered with status %u",
			       last->http_status); /* it fits */
	else if (last->error == ENOENT && check->plan.target.check_minted)
		return "there is no namespace of that name";
	else
		return strerror(last->error);
	return buffer;
}

static void log_out(const struct check *check, struct target_health *health)
{
	const struct target_key *key = &health->key;
	bool elsewhere = key->netns[0] != '\0';
	char buffer[WHY_MAX];

	if (!target_may_log(health, monotonic_us()))
		return;
	log_warning("rule '%s': checking '%s'%s%s%s failed %u times: %s; "
		    "leaving it out",
		    key->rule, key->backend, elsewhere ? " in '" : "",
		    key->netns, elsewhere ? "'" : "", check->failures,
		    why(check, buffer));
	atomic_store(&health->said, true);
}

static void failed(struct check *check, struct target_failure failure)
{
	uint64_t now_us = monotonic_us();
	uint64_t doubt_us = 2 * check->key.every_ms * USEC_PER_MSEC;
	struct target_health *health;
	bool falls;

	check->doubt_until_us =
		now_us + (doubt_us > DOUBT_US ? doubt_us : DOUBT_US);
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

	check->doubt_until_us = 0;
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
static bool is_own_shortage(const struct check *check, int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EPROTONOSUPPORT: /* no SCTP in this kernel */
		return true;
	case EADDRNOTAVAIL:
		/* No local port is left. A socket that is bound to the rule's
		 * addresses has one: they are not there. */
		return !check->plan.from;
	default:
		return false;
	}
}

/* Does @error, instead of a socket of berthd's, say nothing of the backend?
 * That the rule's address is not there does: no client reaches the backend,
 * either.
 */
static bool is_no_news(const struct check *check, int error)
{
	switch (error) {
	case ESTALE: /* the rule has changed */
	case EPERM: /* the same, or an older berthd, which knows no checks */
	case ECANCELED:
	case ETIMEDOUT:
	case EBADMSG:
		return true;
	case EADDRNOTAVAIL:
		return false;
	default:
		return is_own_shortage(check, error);
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
	set_next_attempt(check);
	if (r == 0)
		succeeded(check);
	else if (!is_own_shortage(check, -r))
		failed(check, failure);
}

/* Nobody said anything. */
static void silence(struct check *check)
{
	if (monotonic_us() >= check->doubt_until_us) {
		attempt_over(0, check);
		return;
	}
	attempt_end(check);
	set_next_attempt(check);
}

/* @fd: taken. */
static void attempt_begin(struct check *check, int fd)
{
	int r;

	check->checker->n_running++;
	r = check_attempt_begin(&check->attempt, fd);
	if (r == -EINPROGRESS)
		set_next(check, check->key.timeout_ms * USEC_PER_MSEC);
	else
		attempt_over(r, check);
}

/* berthd has answered. */
static void socket_answered(struct worker *worker, struct minted *minted)
{
	struct check *check = minted->owner;
	const struct target_failure failure = { .error = minted->error };
	int fd = TAKE_FD(minted->fd);

	check->netns_id = minted->netns_id;
	check->minted = minted_free(worker, minted);
	check->checker->n_asked--;
	if (fd >= 0)
		attempt_begin(check, fd);
	else if (!is_no_news(check, failure.error))
		failed(check, failure);
}

static const struct minted_ops minted_ops = { .answered = socket_answered };

/* A socket that is awaited will be a descriptor, too. */
static bool has_place(const struct checker *checker)
{
	return checker->n_running + checker->n_asked < CHECKER_RUNNING_MAX;
}

/* One is made, from now on. */
static void attempt_counts(struct check *check)
{
	check->begun_us = monotonic_us();
	check->later_us = 0;
}

/* Without an answer it is asked for again, unless it was asked for before. */
static void ask_for_socket(struct check *check)
{
	struct checker *checker = check->checker;
	struct target_health *health;

	if (check->minted) {
		set_next(check, check->key.every_ms * USEC_PER_MSEC);
		return;
	}
	if (!has_place(checker) || checker->n_asked >= ASKED_MAX) {
		come_later(check);
		return;
	}
	attempt_counts(check);
	set_next_attempt(check);
	DL_FOREACH2(check->targets, health, check_next)
	{
		check->minted = checker->ops.ask(health, &minted_ops, check,
						 checker->user_data);
		if (check->minted)
			break;
	}
	checker->n_asked += check->minted != NULL;
}

static void attempt_due(struct check *check)
{
	int fd;

	check->attempt.http_status = 0;
	if (check->plan.target.check_minted) {
		ask_for_socket(check);
		return;
	}
	if (!has_place(check->checker)) {
		come_later(check);
		return;
	}
	attempt_counts(check);
	fd = target_socket(&check->plan.target);
	if (fd < 0)
		attempt_over(fd, check);
	else
		attempt_begin(check, fd);
}

static void check_due(void *user_data)
{
	struct check *check = user_data;
	int r;

	if (check->attempt.state == CHECK_ATTEMPT_NONE) {
		attempt_due(check);
		return;
	}
	r = check_attempt_timed_out(&check->attempt);
	if (r == -EINPROGRESS)
		silence(check);
	else
		attempt_over(r, check);
}

void checker_netns_gone(struct checker *checker, uint64_t netns_id)
{
	struct check *check, *next;

	HASH_ITER (hh, checker->checks, check, next) {
		if (check->netns_id != netns_id)
			continue;
		attempt_end(check);
		set_next_attempt(check);
	}
}

/* Checks come and go */

static struct check *check_free(struct checker *checker, struct check *check)
{
	attempt_end(check);
	checker->n_asked -= check->minted != NULL;
	check->minted = minted_free(/* worker= */ NULL, check->minted);
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

int checker_new(struct loop *loop, const struct checker_ops *ops,
		void *user_data, struct checker **ret_checker)
{
	struct checker *checker = calloc(1, sizeof(*checker));

	if (!checker)
		return -ENOMEM;
	checker->loop = loop;
	checker->ops = *ops;
	checker->user_data = user_data;
	*ret_checker = checker;
	return 0;
}

struct checker *checker_free(struct checker *checker)
{
	free(checker);
	return NULL;
}
