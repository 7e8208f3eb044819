// SPDX-License-Identifier: Apache-2.0
/* checker.c - tries backends again and again, whether there are clients or not
 *
 * Theory of operation: a check connects to a backend each `every`: TCP, UNIX,
 * or an SCTP association. If that succeeds within `timeout` the socket is
 * closed at once, without a byte. `fall` failures in a row leave the backend
 * out (target_health.out), until `rise` successes in a row. A check has one
 * timer, for the beginning of the next attempt or the end of the one that runs,
 * and belongs to all rules that check that backend alike.
 *
 * A lack of descriptors, memory or local ports says nothing of the backend:
 * that attempt does not count. So does a full backlog of a UNIX socket: clients
 * wait for it, see relay/backend.
 *
 * A bounded number of attempts runs at a time, so that thousands of backends
 * take few descriptors; the others come a little later.
 */
#include "relay/core/checker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/target_connect.h"
#include "relay/core/target_health.h"

/* When an attempt is made that found no place. */
#define LATER_US (50 * USEC_PER_MSEC)

/** struct check_key - without padding: it is hashed as bytes */
struct check_key {
	uint64_t backend;
	struct service_check settings;
};

/**
 * struct check - see the file's head
 * @target:	a copy of what connecting needs
 * @timer:	always set, but while the result of an attempt is handled
 * @source, @fd: of the attempt that runs; NULL, -1: none does
 * @successes, @failures: in a row
 * @error:	of the last failure
 * @out:	the backend is left out
 * @targets:	what is known of the backend, for each rule
 */
struct check {
	struct checker *checker;
	struct check_key key;
	struct serving_backend target;
	struct loop_timer *timer;
	struct loop_source *source;
	int fd;
	unsigned int successes;
	unsigned int failures;
	int error;
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
	if (check->fd < 0)
		return;
	check->source = loop_source_free(check->source);
	(void)close(TAKE_FD(check->fd)); /* resets: see target_socket() */
	check->checker->n_running--;
}

static void set_next(struct check *check, uint64_t in_us)
{
	loop_timer_set(check->timer, monotonic_us() + in_us);
}

static void log_out(const struct check *check, struct target_health *health,
		    int error)
{
	const struct target_key *key = &health->key;

	if (!target_may_log(health, monotonic_us()))
		return;
	log_warning("rule '%s': checking '%s' failed %u times: %s; leaving it "
		    "out",
		    key->rule, key->backend, check->failures, strerror(error));
	atomic_store(&health->said, true);
}

static void failed(struct check *check, int error)
{
	uint64_t now_us = monotonic_us();
	struct target_health *health;
	bool falls;

	check->successes = 0;
	check->error = error;
	if (check->failures < UINT32_MAX)
		check->failures++;
	falls = !check->out && check->failures >= check->key.settings.fall;
	check->out |= falls;
	if (!check->out)
		return;
	DL_FOREACH2(check->targets, health, check_next)
	{
		target_failed_check(health, error, now_us,
				    falls ? check->failures : 1);
		if (falls)
			log_out(check, health, error);
	}
}

static void succeeded(struct check *check)
{
	struct target_health *health;

	check->failures = 0;
	if (check->successes < UINT32_MAX)
		check->successes++;
	if (check->out && check->successes < check->key.settings.rise)
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
static void attempt_over(struct check *check, int r)
{
	attempt_end(check);
	set_next(check, check->key.settings.every_ms * USEC_PER_MSEC);
	if (r == 0 || r == -EAGAIN)
		succeeded(check);
	else if (!is_own_shortage(-r))
		failed(check, -r);
}

static void attempt_ready(uint32_t events, void *user_data)
{
	struct check *check = user_data;
	socklen_t len = sizeof(int);
	int error = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) &&
	    getsockopt(check->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error || (events & EPOLLOUT))
		attempt_over(check, -error);
}

/* Return: 0; -EINPROGRESS; -EAGAIN: a full backlog; -errno. */
static int attempt_connect(const struct check *check)
{
	const struct serving_backend *target = &check->target;
	struct sockaddr_storage to = { .ss_family = AF_UNSPEC };
	struct own_end end = { .protocol = target->protocol };
	int r;

	memcpy(&to, target->address, target->address_len);
	if (ip_addr_from_sockaddr(&to, &end.to, &end.to_port) < 0)
		return connect(check->fd, target->address,
			       target->address_len) < 0
			       ? -errno
			       : 0; /* UNIX */
	r = target_connect(check->fd, target, &end);
	/* Of an IP socket it is the lack of a local port. */
	return r == -EAGAIN ? -EADDRNOTAVAIL : r;
}

static void attempt_begin(struct check *check)
{
	const struct service_check *settings = &check->key.settings;
	struct checker *checker = check->checker;
	int r;

	if (checker->n_running >= CHECKER_RUNNING_MAX) {
		set_next(check, LATER_US);
		return;
	}
	check->fd = target_socket(&check->target);
	if (check->fd < 0) {
		attempt_over(check, check->fd);
		return;
	}
	checker->n_running++;
	r = attempt_connect(check);
	if (r == -EINPROGRESS) {
		set_next(check, settings->timeout_ms * USEC_PER_MSEC);
		r = loop_add(checker->loop, check->fd, EPOLLOUT, attempt_ready,
			     check, &check->source);
		if (r == 0)
			return;
	}
	attempt_over(check, r);
}

static void check_due(void *user_data)
{
	struct check *check = user_data;

	if (check->fd >= 0)
		attempt_over(check, -ETIMEDOUT);
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
	free(check->target.address);
	free(check->target.addrs);
	free(check);
	return NULL;
}

/* Return: 0 or -ENOMEM. */
static int copy_target(const struct serving_backend *target,
		       struct serving_backend *copy)
{
	copy->protocol = target->protocol;
	copy->address_len = target->address_len;
	copy->address = malloc(target->address_len);
	copy->addrs = target->addrs ? malloc(sizeof(*copy->addrs)) : NULL;
	if (!copy->address || (target->addrs && !copy->addrs))
		return -ENOMEM;
	memcpy(copy->address, target->address, target->address_len);
	if (target->addrs)
		*copy->addrs = *target->addrs;
	return 0;
}

/* Return: NULL when memory is out. */
static struct check *check_new(struct checker *checker,
			       const struct check_key *key,
			       const struct serving_backend *target)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->checker = checker;
	check->key = *key;
	check->fd = -1;
	if (copy_target(target, &check->target) < 0 ||
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
		target_failed_check(health, check->error, monotonic_us(),
				    check->failures);
}

void checker_set(struct checker *checker, struct target_health *health,
		 const struct serving *serving, unsigned int index)
{
	struct check_key key = { .backend = 0 };
	struct check *check = NULL;

	if (serving && serving->check.every_ms && !checker->stopped) {
		key.backend = serving->backends[index].id;
		key.settings = serving->check;
		/* The analyzer loses sight of what was copied.
		 * NOLINTNEXTLINE(clang-analyzer-core.*) */
		HASH_FIND(hh, checker->checks, &key, sizeof(key), check);
		if (!check)
			check = check_new(checker, &key,
					  &serving->backends[index]);
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
