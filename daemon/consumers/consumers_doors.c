// SPDX-License-Identifier: Apache-2.0
/* consumers_doors.c - which consumers there are, and who may be each
 *
 * A consumer has a socket while a rule in force or the configuration names it.
 * It stays known for as long as it is connected or has listeners.
 */
#include "daemon/consumers/consumers_internal.h"

#include <string.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/consumers/consumer_config.h"
#include "rules/rules.h"

/* A socket that cannot be opened (no descriptor, no space) is tried again. */
#define DOOR_RETRY_US (5 * USEC_PER_SEC)

static void consumer_entered(int fd, const struct consumer_peer *peer,
			     void *user_data)
{
	const struct consumer *consumer = user_data;
	int r = handshakes_add(consumer->all->handshakes, consumer->name, fd,
			       peer);

	if (r < 0)
		log_warning_errno(r, "consumer '%s': ignoring a connection",
				  consumer->name);
}

static void consumer_open_door(struct consumer *consumer)
{
	struct consumers *consumers = consumer->all;
	int r = door_open(consumers->loop, consumers->dir, consumer->name,
			  &consumer->access, consumer_entered, consumer,
			  &consumer->door);

	if (r == 0)
		return;
	log_error_errno(r,
			"consumer '%s': cannot listen on '%s/%s.sock'; trying "
			"again in 5 s",
			consumer->name, consumers->dir, consumer->name);
	consumers->doors_retry_us =
		loop_now_us(consumers->loop) + DOOR_RETRY_US;
	loop_timer_set_earlier(consumers->timer, consumers->doors_retry_us);
}

static void consumer_close_door(struct consumer *consumer)
{
	consumer->door = door_free(consumer->door);
	handshakes_end(consumer->all->handshakes, consumer->name);
}

static bool consumer_used(const struct consumer *consumer)
{
	return consumer->named || consumer->configured ||
	       consumer->connections || consumer->queue || consumer->done ||
	       strcmp(consumer->name, SERVICE_RELAY) == 0;
}

void consumers_update_doors(struct consumers *consumers)
{
	struct consumer *consumer, *next;
	bool wanted;

	consumers->doors_retry_us = 0;
	LL_FOREACH_SAFE (consumers->list, consumer, next) {
		wanted = consumers->dir &&
			 (consumer->named || consumer->configured);
		if (wanted && !consumer->door)
			consumer_open_door(consumer);
		else if (!wanted && consumer->door)
			consumer_close_door(consumer);
		if (!consumer_used(consumer)) {
			LL_DELETE(consumers->list, consumer);
			consumer_free(consumer);
		}
	}
}

static void consumer_set_access(struct consumer *consumer,
				const struct socket_access *access)
{
	if (socket_access_equal(&consumer->access, access))
		return;
	consumer->access = *access;
	if (consumer->door)
		door_set_access(consumer->door, access);
}

void consumer_init_access(struct consumer *consumer)
{
	consumer->access = (struct socket_access){
		.uid = geteuid(),
		.gid = getegid(),
		.mode = SOCKET_MODE_PRIVATE,
	};
}

void consumer_came_or_went(const struct consumer *consumer)
{
	const struct consumers *consumers = consumer->all;

	if (consumer->close_when_absent)
		consumers->ops.presence(consumers->user_data);
}

static void consumer_set_close(struct consumer *consumer, bool close_it)
{
	const struct consumers *consumers = consumer->all;

	if (consumer->close_when_absent == close_it)
		return;
	consumer->close_when_absent = close_it;
	consumers->ops.presence(consumers->user_data);
}

/* The consumer has no entry in the configuration. */
static void consumer_unconfigure(struct consumer *consumer)
{
	struct consumer without;

	consumer_init_access(&without);
	consumer_set_access(consumer, &without.access);
	consumer_set_close(consumer, false);
}

bool consumers_closed(const struct consumers *consumers, const char *name)
{
	const struct consumer *consumer = consumer_find(consumers, name);

	return consumer && consumer->close_when_absent && !consumer->current &&
	       !awaited_has(consumers->awaited, name);
}

/* A user who may not be this consumer any more is asked to let go, as if
 * another connection had taken over. */
static void consumer_check_access(struct consumer *consumer)
{
	const struct consumer_connection *conn = consumer->current;

	if (!conn || socket_access_allows(&consumer->access, conn->fd,
					  conn->peer.uid, conn->peer.gid))
		return;
	log_warning("consumer '%s' (pid %d, uid %u): this user may not be the "
		    "consumer any more; taking its listeners away",
		    consumer->name, conn->peer.pid, conn->peer.uid);
	consumer_take_over(consumer);
	consumer_came_or_went(consumer);
	hand_back_closed(consumer);
}

int consumers_configure(struct consumers *consumers,
			const struct consumer_config *list, size_t n)
{
	struct consumer *consumer;
	int r = 0;

	LL_FOREACH (consumers->list, consumer)
		consumer->configured = false;
	for (size_t i = 0; i < n; i++) {
		const struct socket_access access = {
			.uid = list[i].uid,
			.gid = list[i].gid,
			.mode = list[i].mode,
		};

		consumer = consumer_get(consumers, list[i].name);
		if (!consumer) {
			r = -ENOMEM;
			continue;
		}
		consumer->configured = true;
		consumer_set_access(consumer, &access);
		consumer_set_close(consumer, list[i].close_when_absent);
	}
	LL_FOREACH (consumers->list, consumer) {
		if (!consumer->configured)
			consumer_unconfigure(consumer);
		consumer_check_access(consumer);
	}
	consumers_update_doors(consumers);
	return r;
}

int consumers_set_rules(struct consumers *consumers,
			const struct ruleset *ruleset)
{
	struct consumer *consumer;
	int r = 0;

	LL_FOREACH (consumers->list, consumer)
		consumer->named = false;
	for (size_t i = 0; i < ruleset_size(ruleset); i++) {
		struct rule_info info;

		ruleset_rule_info(ruleset, i, &info);
		if (!info.consumer)
			continue;
		consumer = consumer_get(consumers, info.consumer);
		if (consumer)
			consumer->named = true;
		else
			r = -ENOMEM;
	}
	consumers_update_doors(consumers);
	if (backends_set_rules(consumers->backends, ruleset) < 0)
		r = -ENOMEM;
	return r;
}

int consumers_open_doors(struct consumers *consumers, const char *runtime_dir)
{
	char *dir = NULL;
	int r;

	if (asprintf(&dir, "%s/consumers", runtime_dir) < 0)
		return -ENOMEM;
	r = doors_dir_make(dir);
	if (r < 0) {
		free(dir);
		return r;
	}
	consumers->dir = dir;
	consumers_update_doors(consumers);
	return 0;
}
