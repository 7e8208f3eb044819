// SPDX-License-Identifier: Apache-2.0
/* outbox.c - what the workers tell the main thread */
#include "relay/core/outbox.h"

#include <errno.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/core/target_health.h"
#include "relay/core/wakeup.h"

int outbox_init(struct outbox *outbox)
{
	int fd = wakeup_new();

	if (fd < 0)
		return -errno;
	*outbox = (struct outbox){ .fd = fd };
	STAILQ_INIT(&outbox->requests);
	STAILQ_INIT(&outbox->health);
	(void)pthread_mutex_init(&outbox->lock, NULL); /* cannot fail: Linux */
	return 0;
}

void outbox_done(struct outbox *outbox)
{
	(void)close(outbox->fd); /* an eventfd */
	(void)pthread_mutex_destroy(&outbox->lock);
}

struct listener *outbox_take(struct outbox *outbox)
{
	struct listener *released;

	wakeup_drain(outbox->fd);
	pthread_mutex_lock(&outbox->lock);
	released = TAKE_PTR(outbox->released);
	pthread_mutex_unlock(&outbox->lock);
	return released;
}

struct census *outbox_take_census(struct outbox *outbox)
{
	return atomic_exchange(&outbox->census, NULL);
}

void outbox_census(struct outbox *outbox, struct census *census)
{
	atomic_store(&outbox->census, census);
	outbox_kick(outbox);
}

void outbox_kick(struct outbox *outbox)
{
	wakeup_kick(outbox->fd);
}

void outbox_health(struct outbox *outbox, struct target_health *health)
{
	bool first;

	pthread_mutex_lock(&outbox->lock);
	first = STAILQ_EMPTY(&outbox->health);
	STAILQ_INSERT_TAIL(&outbox->health, health, news);
	pthread_mutex_unlock(&outbox->lock);
	if (first)
		outbox_kick(outbox);
}

struct target_health *outbox_take_health(struct outbox *outbox)
{
	struct target_health *health;

	pthread_mutex_lock(&outbox->lock);
	health = STAILQ_FIRST(&outbox->health);
	STAILQ_INIT(&outbox->health);
	pthread_mutex_unlock(&outbox->lock);
	return health;
}

void outbox_health_unused(struct outbox *outbox)
{
	if (!atomic_exchange(&outbox->health_unused, true))
		outbox_kick(outbox);
}

bool outbox_take_health_unused(struct outbox *outbox)
{
	return atomic_exchange(&outbox->health_unused, false);
}

void outbox_ports_short(struct outbox *outbox, uint32_t space)
{
	if (space && atomic_exchange(&outbox->ports_short, space) == 0)
		outbox_kick(outbox);
}

void outbox_unuse(struct outbox *outbox, struct listener *listener)
{
	bool first;

	if (!listener_put(listener))
		return;
	pthread_mutex_lock(&outbox->lock);
	first = !outbox->released;
	LL_PREPEND2(outbox->released, listener, next_released);
	pthread_mutex_unlock(&outbox->lock);
	if (first)
		outbox_kick(outbox);
}
