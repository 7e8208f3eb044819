// SPDX-License-Identifier: Apache-2.0
/* events.c - what happened, told to whoever listens at that moment */
#include "daemon/events.h"

#include <assert.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "common/util.h"

static const char *const kind_names[] = {
	[EVENT_NETNS_APPEARED] = "namespace.appeared",
	[EVENT_NETNS_NAMED] = "namespace.named",
	[EVENT_NETNS_GONE] = "namespace.gone",
	[EVENT_NETNS_FREED] = "namespace.freed",
	[EVENT_CONTAINER_REGISTERED] = "container.registered",
	[EVENT_CONTAINER_GONE] = "container.gone",
	[EVENT_ADDRESS_ADDED] = "address.added",
	[EVENT_ADDRESS_GONE] = "address.gone",
	[EVENT_LISTENER_OPENED] = "listener.opened",
	[EVENT_LISTENER_WAITING] = "listener.waiting",
	[EVENT_LISTENER_CLOSED] = "listener.closed",
	[EVENT_BACKEND_DOWN] = "backend.down",
	[EVENT_BACKEND_UP] = "backend.up",
	[EVENT_RULE_LOADED] = "rule.loaded",
	[EVENT_RULE_REJECTED] = "rule.rejected",
	[EVENT_CONSUMER_COME] = "consumer.come",
	[EVENT_CONSUMER_LOST] = "consumer.lost",
	[EVENT_LIMIT_REACHED] = "limit.reached",
};
static_assert(ARRAY_SIZE(kind_names) == EVENT_KINDS, "each kind has a name");

const char *event_kind_name(enum event_kind kind)
{
	return kind_names[kind];
}

uint32_t event_kinds_parse(const char *text)
{
	size_t len = strlen(text);
	uint32_t kinds = 0;

	for (size_t i = 0; len > 0 && i < EVENT_KINDS; i++) {
		const char *name = kind_names[i];

		if (strncmp(name, text, len) == 0 &&
		    (name[len] == '\0' || name[len] == '.'))
			kinds |= UINT32_C(1) << i;
	}
	return kinds;
}

static void events_sum_up(struct events *events)
{
	const struct events_sink *sink;

	events->wanted = 0;
	DL_FOREACH (events->sinks, sink)
		events->wanted |= sink->kinds;
}

void events_listen(struct events *events, struct events_sink *sink)
{
	DL_APPEND(events->sinks, sink);
	events_sum_up(events);
}

void events_leave(struct events *events, struct events_sink *sink)
{
	DL_DELETE(events->sinks, sink);
	events_sum_up(events);
}

static uint64_t realtime_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * USEC_PER_SEC +
	       (uint64_t)now.tv_nsec / 1000;
}

void events_emit(struct events *events, const struct event *event)
{
	const struct events_sink *sink;
	struct event timed = *event;

	if (!events_wanted(events, event->kind))
		return;
	timed.time_us = realtime_us();
	DL_FOREACH (events->sinks, sink) {
		if (sink->kinds & UINT32_C(1) << event->kind)
			sink->heard(&timed, sink->user_data);
	}
}
