// SPDX-License-Identifier: Apache-2.0
/* backend_log.c - the log's lines about backends, of all protocols */
#include "relay/backend/backend_log.h"

#include <stdatomic.h>
#include <stdio.h>

#include "common/backend_source.h"
#include "common/log.h"
#include "relay/core/listener.h"
#include "relay/backend/backend_health.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"
#include "relay/core/worker.h"

/* Three parts of the words for a backend's namespace; empty if that is the
 * relay's own. */
struct place {
	const char *before, *name, *after;
};

static struct place place_of(const struct serving *serving)
{
	static const struct place own = { "", "", "" };

	if (!serving->backend_netns || !serving->backend_netns[0])
		return own;
	return (struct place){ " in '", serving->backend_netns, "'" };
}

/* Writes " from 10.0.0.1", or nothing, to @buffer. Return: @buffer. */
static const char *source_fmt(const struct serving_backend *target,
			      char *buffer, size_t size)
{
	const struct backend_source *source = target->source;
	char text[BACKEND_SOURCE_TEXT_MAX];

	buffer[0] = '\0';
	if (source)
		(void)snprintf(buffer, size, " from %s",
			       backend_source_fmt(source, text)); /* fits */
	return buffer;
}

void backend_log_failed(struct worker *worker, const struct listener *listener,
			const struct serving *serving, unsigned int index,
			const char *why, const char *next)
{
	struct serving_backend *target = &serving->backends[index];
	struct place place = place_of(serving);
	char from[BACKEND_SOURCE_TEXT_MAX + sizeof(" from ")];

	if (!target_may_log(target->health, worker->now_us))
		return;
	log_warning_about(&listener->about,
			  "%s: cannot connect to '%s'%s%s%s%s: %s; %s",
			  listener->label, target->text, place.before,
			  place.name, place.after,
			  source_fmt(target, from, sizeof(from)), why, next);
	/* Otherwise the relay is short of something, and the backend has not
	 * failed. */
	if (backend_failed_since(serving, index, 0))
		atomic_store_explicit(&target->health->said, true,
				      memory_order_relaxed);
}

void backend_reached(const struct listener *listener, struct serving *serving,
		     unsigned int index)
{
	const struct serving_backend *target = &serving->backends[index];
	struct target_health *health = target->health;
	struct place place = place_of(serving);

	if (!target_works(health))
		return;
	if (atomic_exchange_explicit(&health->said, false,
				     memory_order_relaxed))
		log_info_about(&listener->about, "%s: '%s'%s%s%s is back again",
			       listener->label, target->text, place.before,
			       place.name, place.after);
}
