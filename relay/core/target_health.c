// SPDX-License-Identifier: Apache-2.0
/* target_health.c - how a backend is, for all listeners of a rule */
#include "relay/core/target_health.h"

#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "relay/core/wakeup.h"

/* Appends @text and a NUL. Return: where it stands. */
static const char *key_add(struct target_key *key, const char *text)
{
	size_t len = strlen(text) + 1;
	char *at = key->text + key->len;

	memcpy(at, text, len);
	key->len += len;
	return at;
}

struct target_health *target_health_new(const char *rule, const char *netns,
					const char *backend,
					enum protocol protocol)
{
	const char *name = protocol_name(protocol);
	struct target_health *health = calloc(1, sizeof(*health));
	struct target_key *key;

	if (!health)
		return NULL;
	atomic_init(&health->refs, 1);
	key = &health->key;
	key->protocol = protocol;
	key->text = malloc(strlen(rule) + strlen(netns) + strlen(backend) +
			   strlen(name) + 4);
	if (!key->text) {
		free(health);
		return NULL;
	}
	key->rule = key_add(key, rule);
	key->netns = key_add(key, netns);
	key->backend = key_add(key, backend);
	(void)key_add(key, name); /* nobody reads it but in comparisons */
	return health;
}

struct target_health *target_health_ref(struct target_health *health)
{
	atomic_fetch_add_explicit(&health->refs, 1, memory_order_relaxed);
	return health;
}

struct target_health *target_take(struct target_health *health)
{
	atomic_fetch_add_explicit(&health->connections, 1,
				  memory_order_relaxed);
	return target_health_ref(health);
}

struct target_health *target_leave(struct target_health *health)
{
	if (health)
		atomic_fetch_sub_explicit(&health->connections, 1,
					  memory_order_relaxed);
	return target_health_unref(health);
}

struct target_health *target_health_unref(struct target_health *health)
{
	struct target_news *to = health ? health->to : NULL;
	unsigned int before;

	if (!health)
		return NULL;
	before = atomic_fetch_sub_explicit(&health->refs, 1,
					   memory_order_acq_rel);
	if (before == 1) {
		free(health->key.text);
		free(health);
	} else if (before == 2 && to) {
		/* The teller's is left. From here on @health may be gone. */
		if (!atomic_exchange(&to->unused, true))
			wakeup_kick(to->fd);
	}
	return NULL;
}

/* The last store of these functions is that to @quiet, the first one of
 * target_works() is so, too: whichever of them comes last, the words say that
 * it works, or @quiet does not. */
static void failures_add(struct target_health *health,
			 const struct target_failure *failure, uint64_t now_us,
			 uint64_t n)
{
	atomic_store_explicit(&health->error, failure->error,
			      memory_order_relaxed);
	atomic_store_explicit(&health->http_status, failure->http_status,
			      memory_order_relaxed);
	atomic_store_explicit(&health->failed_us, now_us, memory_order_relaxed);
	atomic_fetch_add(&health->failures, n);
	atomic_store(&health->quiet, false);
	target_health_news(health);
}

void target_failed(struct target_health *health, int error, uint64_t now_us,
		   uint64_t hold_us)
{
	const struct target_failure failure = { .error = error };

	atomic_store_explicit(&health->held_until_us, now_us + hold_us,
			      memory_order_relaxed);
	failures_add(health, &failure, now_us, 1);
}

void target_failed_check(struct target_health *health,
			 const struct target_failure *failure, uint64_t now_us,
			 uint64_t n)
{
	atomic_store(&health->out, true);
	failures_add(health, failure, now_us, n);
}

bool target_works(struct target_health *health)
{
	if (atomic_load_explicit(&health->quiet, memory_order_relaxed) ||
	    atomic_load(&health->out) || atomic_exchange(&health->quiet, true))
		return false;
	atomic_store(&health->failures, 0);
	atomic_store_explicit(&health->held_until_us, 0, memory_order_relaxed);
	target_health_news(health);
	return true;
}

void target_health_news(struct target_health *health)
{
	struct target_news *to = health->to;
	bool first;

	if (!to || atomic_exchange(&health->queued, true))
		return;
	pthread_mutex_lock(&to->lock);
	first = STAILQ_EMPTY(&to->list);
	STAILQ_INSERT_TAIL(&to->list, health, news);
	pthread_mutex_unlock(&to->lock);
	if (first)
		wakeup_kick(to->fd);
}

void target_news_init(struct target_news *news, int fd)
{
	*news = (struct target_news){ .fd = fd };
	(void)pthread_mutex_init(&news->lock, NULL); /* cannot fail: Linux */
	STAILQ_INIT(&news->list);
}

struct target_health *target_news_take(struct target_news *news)
{
	struct target_health *health;

	pthread_mutex_lock(&news->lock);
	health = STAILQ_FIRST(&news->list);
	STAILQ_INIT(&news->list);
	pthread_mutex_unlock(&news->lock);
	return health;
}

/* A new interval begins when the lines that the last one left out are told. */
bool target_may_log(struct target_health *health, uint64_t now_us)
{
	uint64_t begin_us = atomic_load(&health->log_begin_us);

	if ((begin_us == 0 || now_us >= begin_us + TARGET_LOG_INTERVAL_US) &&
	    (!health->to || atomic_load(&health->log_missed) == 0) &&
	    atomic_compare_exchange_strong(&health->log_begin_us, &begin_us,
					   now_us))
		atomic_store(&health->log_printed, 0);
	if (atomic_fetch_add(&health->log_printed, 1) < TARGET_LOG_BURST)
		return true;
	atomic_fetch_add(&health->log_missed, 1);
	target_health_news(health);
	return false;
}
