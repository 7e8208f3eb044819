// SPDX-License-Identifier: Apache-2.0
/* health_teller.c - tells berthd and the log how backends are
 *
 * Theory of operation: a table has every backend of every rule that is served,
 * with a reference of its own. One of which there are news, or something left
 * to be said, is in a list besides, with the time from which on it may be said:
 * berthd is told of one backend once a second at most, and of a bounded number
 * of them in one turn. Whatever happened meanwhile is told at once then. While
 * one is in the list, its workers do not wake the main thread for it.
 *
 * A backend that no serving refers to any more is told to be gone.
 */
#include "relay/core/health_teller.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/checker.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

/* Between two words to berthd about one backend. */
#define TELL_US (1 * USEC_PER_SEC)

/* Messages in one turn, and the time until the next turn: thousands of backends
 * that all fail do not keep berthd from its work. Also until the connection may
 * have room. */
#define TELL_BATCH 64
#define TURN_US (100 * USEC_PER_MSEC)

#define NEVER_US UINT64_MAX

/**
 * struct health_teller - see the file's head
 * @table:	all of them, by key
 * @counted:	the count begins with this one next; NULL: with the first
 * @active:	those with something to be said
 * @news:	of them, by workers
 * @unused:	some may have no serving any more
 */
struct health_teller {
	struct loop *loop;
	struct loop_timer *timer;
	struct berth *berth;
	struct target_news news;
	struct checker *checker;
	struct target_health *table;
	struct target_health *counted;
	struct target_health *active;
	bool unused;
};

static uint64_t teller_now(const struct health_teller *teller)
{
	return loop_now_us(teller->loop);
}

static void set_active(struct health_teller *teller,
		       struct target_health *health, uint64_t due_us)
{
	if (!health->active)
		DL_APPEND(teller->active, health);
	health->active = true;
	health->due_us = due_us;
	loop_timer_set_earlier(teller->timer, due_us);
}

static void set_passive(struct health_teller *teller,
			struct target_health *health)
{
	if (health->active)
		DL_DELETE(teller->active, health);
	health->active = false;
}

/* Sharing */

static struct target_health *find(const struct health_teller *teller,
				  const struct target_key *key)
{
	struct target_health *health;

	HASH_FIND(hh, teller->table, key->text, key->len, health);
	return health;
}

/* @health gets into the table. */
static void adopt(struct health_teller *teller, struct target_health *health)
{
	HASH_ADD_KEYPTR(hh, teller->table, health->key.text, health->key.len,
			health);
	if (!health->hh.tbl)
		return;
	health->to = &teller->news;
	(void)target_health_ref(health);
}

static void share(struct health_teller *teller, struct serving_backend *target)
{
	struct target_health *mine = target->health;
	struct target_health *shared = find(teller, &mine->key);

	if (!shared) {
		adopt(teller, mine);
		return;
	}
	target->health = target_health_ref(shared);
	(void)target_health_unref(mine);
	/* The rule may be one that berthd had forgotten. */
	shared->retell |= shared->told.known;
	if (shared->retell)
		set_active(teller, shared, shared->told_us + TELL_US);
}

void health_teller_share(struct health_teller *teller, struct serving *serving)
{
	struct target_health *health;

	for (unsigned int i = 0; i < serving->n_backends; i++) {
		share(teller, &serving->backends[i]);
		health = serving->backends[i].health;
		if (health->to)
			checker_set(teller->checker, health, serving, i);
	}
}

/* Telling */

static struct target_told look(const struct target_health *health)
{
	struct target_told seen = {
		.checked = health->check,
		.failures = atomic_load(&health->failures),
		.connections = atomic_load(&health->connections),
	};

	seen.down = seen.failures > 0 || atomic_load(&health->out);
	seen.known = seen.down || atomic_load(&health->quiet);
	return seen;
}

static bool is_told(const struct target_health *health,
		    const struct target_told *seen)
{
	return !health->retell && health->told.known == seen->known &&
	       health->told.down == seen->down &&
	       health->told.checked == seen->checked &&
	       health->told.failures == seen->failures;
}

/* Return: 0 or a negative errno. */
static int tell(struct health_teller *teller,
		const struct target_health *health, const char *state,
		const struct target_told *seen)
{
	uint64_t failed_us = atomic_load(&health->failed_us);
	uint64_t now_us = monotonic_us();
	struct berth_backend_state told = {
		.rule = health->key.rule,
		.backend = health->key.backend,
		.netns = health->key.netns,
		.protocol = protocol_name(health->key.protocol),
		.state = state,
		.checked = seen->checked,
		.failures = seen->failures,
		.failed_ms = -1,
		.since_ms = (now_us - health->since_us) / USEC_PER_MSEC,
		.connections = seen->connections,
	};

	if (failed_us) {
		told.error = atomic_load(&health->error);
		told.http_status = atomic_load(&health->http_status);
		/* A worker's time may be a little newer. */
		told.failed_ms = failed_us < now_us
					 ? (int64_t)((now_us - failed_us) /
						     USEC_PER_MSEC)
					 : 0;
	}
	return berth_tell_backend(teller->berth, &told);
}

/* Says what is new of it. Return: false: there is no room. */
static bool tell_news(struct health_teller *teller,
		      struct target_health *health)
{
	struct target_told seen = look(health);
	int r;

	if (!seen.known || is_told(health, &seen))
		return true;
	if (!health->told.known || seen.down != health->told.down)
		health->since_us = monotonic_us();
	r = tell(teller, health, seen.down ? "down" : "up", &seen);
	if (r == -EAGAIN || r == -ENOMEM)
		return false;
	/* Any other failure is the connection's end; after the next welcome
	 * everything is told anew. */
	health->told = seen;
	health->retell = false;
	health->told_us = teller_now(teller);
	return true;
}

/* Says how many lines were not printed, if it is time to. Return: when it is
 * time to; 0: there is nothing to be said. */
static uint64_t log_missed(struct target_health *health, uint64_t now_us,
			   bool at_once)
{
	uint64_t due_us =
		atomic_load(&health->log_begin_us) + TARGET_LOG_INTERVAL_US;
	unsigned int missed;

	if (atomic_load(&health->log_missed) == 0)
		return 0;
	if (!at_once && now_us < due_us)
		return due_us;
	missed = atomic_exchange(&health->log_missed, 0);
	log_warning("rule '%s': '%s': %u similar messages were not printed",
		    health->key.rule, health->key.backend, missed);
	return 0;
}

/* It is in the list, and its time has come. Return: false: there is no room. */
static bool visit(struct health_teller *teller, struct target_health *health)
{
	uint64_t next_us;

	/* Before anything is looked at: what changes afterwards is news. */
	atomic_store(&health->queued, false);
	if (!tell_news(teller, health))
		return false;
	next_us = log_missed(health, teller_now(teller), /* at_once= */ false);
	if (next_us)
		set_active(teller, health, next_us);
	else
		set_passive(teller, health);
	return true;
}

static void forget(struct health_teller *teller, struct target_health *health)
{
	checker_set(teller->checker, health, NULL, 0);
	set_passive(teller, health);
	if (teller->counted == health)
		teller->counted = health->hh.next;
	/* The analyzer takes the table of what is listed to be empty.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(teller->table, health);
	(void)target_health_unref(health);
}

/* Nobody uses it any more. Return: false: there is no room to say so. */
static bool bury(struct health_teller *teller, struct target_health *health)
{
	int r = 0;

	if (health->told.known)
		r = tell(teller, health, "gone", &health->told);
	if (r == -EAGAIN || r == -ENOMEM)
		return false;
	(void)log_missed(health, teller_now(teller), /* at_once= */ true);
	forget(teller, health);
	return true;
}

/* There are no news then that nobody has heard of. */
static void take_news(struct health_teller *teller)
{
	struct target_health *health, *next;
	uint64_t due_us;

	for (health = target_news_take(&teller->news); health; health = next) {
		next = STAILQ_NEXT(health, news);
		due_us = health->told.known ? health->told_us + TELL_US : 0;
		if (!health->active || health->due_us > due_us)
			set_active(teller, health, due_us);
	}
}

static void bury_unused(struct health_teller *teller)
{
	struct target_health *health, *next;
	int n = 0;

	teller->unused = false;
	HASH_ITER (hh, teller->table, health, next) {
		/* If the teller's own reference is the only one, nobody can add
		 * another, or bring news any more. */
		if (atomic_load(&health->refs) > 1)
			continue;
		take_news(teller);
		if (n++ < TELL_BATCH && bury(teller, health))
			continue;
		teller->unused = true;
		break;
	}
}

/* Visits those whose time has come, a bounded number. Return: when the next one
 * is due; NEVER_US. */
static uint64_t visit_due(struct health_teller *teller, uint64_t now_us)
{
	uint64_t next_us = NEVER_US;
	struct target_health *health, *next;
	int n = 0;

	DL_FOREACH_SAFE (teller->active, health, next) {
		if (health->due_us > now_us) {
			if (health->due_us < next_us)
				next_us = health->due_us;
		} else if (n++ >= TELL_BATCH || !visit(teller, health)) {
			return now_us + TURN_US;
		}
	}
	return next_us;
}

/* One turn. */
static void teller_due(void *user_data)
{
	struct health_teller *teller = user_data;
	uint64_t now_us = teller_now(teller), next_us;

	if (teller->unused)
		bury_unused(teller);
	if (teller->unused)
		loop_timer_set_earlier(teller->timer, now_us + TURN_US);
	next_us = visit_due(teller, now_us);
	if (next_us != NEVER_US)
		loop_timer_set_earlier(teller->timer, next_us);
}

void health_teller_collect(struct health_teller *teller)
{
	teller->unused |= atomic_exchange(&teller->news.unused, false);
	take_news(teller);
	if (teller->unused)
		loop_timer_set_earlier(teller->timer,
				       teller_now(teller) + TURN_US);
}

/* Says how many clients it has, if berthd knows another number. What else is
 * new of it is said at its own time. Return: 1: it is said; 0: there is nothing
 * to say; or a negative errno. */
static int tell_count(struct health_teller *teller,
		      struct target_health *health)
{
	struct target_told now = health->told;
	int r;

	now.connections = atomic_load(&health->connections);
	if (!now.known || health->retell ||
	    now.connections == health->told.connections)
		return 0;
	r = tell(teller, health, now.down ? "down" : "up", &now);
	if (r < 0)
		return r;
	health->told = now;
	return 1;
}

void health_teller_count(struct health_teller *teller)
{
	struct target_health *health = teller->counted;
	unsigned int n = HASH_COUNT(teller->table);
	int told = 0, r;

	for (; n > 0 && told < TELL_BATCH; n--) {
		if (!health)
			health = teller->table;
		r = tell_count(teller, health);
		if (r < 0)
			break;
		told += r;
		health = health->hh.next;
	}
	teller->counted = health;
}

void health_teller_welcomed(struct health_teller *teller)
{
	struct target_health *health, *next;

	HASH_ITER (hh, teller->table, health, next) {
		health->retell = true;
		set_active(teller, health, teller_now(teller));
	}
}

void health_teller_netns_gone(struct health_teller *teller, uint64_t netns_id)
{
	checker_netns_gone(teller->checker, netns_id);
}

void health_teller_stop_checks(struct health_teller *teller)
{
	checker_stop(teller->checker);
}

/* Beginning and end */

struct health_teller *health_teller_free(struct health_teller *teller)
{
	struct target_health *health, *next;

	if (!teller)
		return NULL;
	HASH_ITER (hh, teller->table, health, next) {
		(void)log_missed(health, 0, /* at_once= */ true);
		forget(teller, health);
	}
	teller->checker = checker_free(teller->checker);
	teller->timer = loop_timer_free(teller->timer);
	(void)pthread_mutex_destroy(&teller->news.lock);
	free(teller);
	return NULL;
}

int health_teller_new(struct loop *loop, struct berth *berth, int wakeup_fd,
		      const struct checker_ops *ops, void *user_data,
		      struct health_teller **ret_teller)
{
	struct health_teller *teller = calloc(1, sizeof(*teller));
	int r;

	if (!teller)
		return -ENOMEM;
	teller->loop = loop;
	teller->berth = berth;
	target_news_init(&teller->news, wakeup_fd);
	r = loop_timer_new(loop, teller_due, teller, &teller->timer);
	if (r == 0)
		r = checker_new(loop, ops, user_data, &teller->checker);
	if (r < 0)
		return health_teller_free(teller), r;
	*ret_teller = teller;
	return 0;
}
