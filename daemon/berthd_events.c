// SPDX-License-Identifier: Apache-2.0
/* berthd_events.c - what berthd's layers tell, as events for whoever listens */
#include "daemon/berthd_internal.h"

#include <stdio.h>

#include "binder/listener.h"
#include "common/container.h"
#include "common/util.h"
#include "daemon/consumers/backends.h"
#include "daemon/events.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

/* Of a sentence with numbers. */
#define REASON_MAX 128

static enum event_kind kind_of(enum news_kind kind)
{
	switch (kind) {
	case NEWS_APPEARED:
		return EVENT_NETNS_APPEARED;
	case NEWS_NAMED:
		return EVENT_NETNS_NAMED;
	case NEWS_ADDRESS_THERE:
		return EVENT_ADDRESS_ADDED;
	case NEWS_ADDRESS_GONE:
		return EVENT_ADDRESS_GONE;
	case NEWS_CONTAINER_THERE:
		return EVENT_CONTAINER_REGISTERED;
	case NEWS_CONTAINER_GONE:
		return EVENT_CONTAINER_GONE;
	case NEWS_ADDRESSES_OMITTED:
		break;
	}
	return EVENT_LIMIT_REACHED;
}

bool berthd_news_wanted(enum news_kind kind, void *user_data)
{
	const struct berthd *berthd = user_data;

	return events_wanted(&berthd->events, kind_of(kind));
}

void berthd_news_tell(const struct news *news, void *user_data)
{
	struct berthd *berthd = user_data;
	struct event event = {
		.kind = kind_of(news->kind),
		.netns_id = news->netns->id,
		.netns = netns_label(news->netns),
		.ifname = news->ifname,
	};

	if (news->container)
		event.container = news->container->name;
	if (news->address) {
		event.address = &news->address->addr;
		event.prefix_bits = news->address->prefix_bits;
	}
	if (news->kind == NEWS_ADDRESSES_OMITTED)
		event.reason = "the namespace has more addresses than "
			       "max_addresses; those above it are left out";
	events_emit(&berthd->events, &event);
}

/* What the namespace is called, or was. */
static const char *label(const struct berthd *berthd, uint64_t netns_id)
{
	const struct netns *netns = watcher_find(berthd->watcher, netns_id);

	return netns ? netns_label(netns)
		     : watcher_last_name(berthd->watcher, netns_id);
}

void berthd_event_gone(struct berthd *berthd, const struct netns *netns)
{
	const struct event event = {
		.kind = EVENT_NETNS_GONE,
		.netns_id = netns->id,
		.netns = watcher_last_name(berthd->watcher, netns->id),
	};

	events_emit(&berthd->events, &event);
}

void berthd_event_freed(struct berthd *berthd, uint64_t netns_id)
{
	const struct event event = {
		.kind = EVENT_NETNS_FREED,
		.netns_id = netns_id,
		.netns = watcher_last_name(berthd->watcher, netns_id),
	};

	events_emit(&berthd->events, &event);
}

static void emit_listener(struct berthd *berthd, enum event_kind kind,
			  const struct listener *listener, const char *reason)
{
	struct event event = {
		.kind = kind,
		.netns_id = listener->netns_id,
		.container = listener->container,
		.rule = listener->service->rule,
		.listener = listener->id,
		.endpoint = &listener->endpoint,
		.ifname = *listener->ifname ? listener->ifname : NULL,
		.reason = reason,
	};

	if (!events_wanted(&berthd->events, kind))
		return;
	event.netns = label(berthd, listener->netns_id);
	events_emit(&berthd->events, &event);
}

void berthd_event_opened(struct berthd *berthd, const struct listener *listener)
{
	emit_listener(berthd, EVENT_LISTENER_OPENED, listener, NULL);
}

void berthd_event_waiting(const struct listener *listener, void *user_data)
{
	emit_listener(user_data, EVENT_LISTENER_WAITING, listener,
		      listener->reason);
}

void berthd_event_closed(struct berthd *berthd, const struct listener *listener,
			 bool by_hand)
{
	const char *reason = "no rule wants it as it was";

	if (!events_wanted(&berthd->events, EVENT_LISTENER_CLOSED))
		return;
	if (by_hand)
		reason = "closed by hand";
	else if (!watcher_find(berthd->watcher, listener->netns_id))
		reason = "its namespace is gone";
	emit_listener(berthd, EVENT_LISTENER_CLOSED, listener, reason);
}

static void emit_rule_file(struct berthd *berthd,
			   const struct rule_file_info *info)
{
	_cleanup_free_ char *problem = NULL;
	char loaded[REASON_MAX];
	struct event event = {
		.kind = EVENT_RULE_LOADED,
		.file = info->path,
		.reason = loaded,
	};

	(void)snprintf(loaded, sizeof(loaded), "%zu rule%s in force",
		       info->n_rules, info->n_rules == 1 ? "" : "s");
	if (info->errors->n > 0) {
		problem = rules_error_fmt(&info->errors->list[0]);
		event.kind = EVENT_RULE_REJECTED;
		event.reason = problem;
	}
	events_emit(&berthd->events, &event);
}

void berthd_event_rules(struct berthd *berthd)
{
	struct rule_file_info info;

	if (!events_wanted(&berthd->events, EVENT_RULE_LOADED) &&
	    !events_wanted(&berthd->events, EVENT_RULE_REJECTED))
		return;
	for (size_t i = 0; i < rule_store_files(berthd->rules); i++) {
		rule_store_file_info(berthd->rules, i, &info);
		if (info.changed)
			emit_rule_file(berthd, &info);
	}
}

void berthd_event_consumer_came(const char *consumer, pid_t pid,
				void *user_data)
{
	struct berthd *berthd = user_data;
	const struct event event = {
		.kind = EVENT_CONSUMER_COME,
		.consumer = consumer,
		.pid = pid,
	};

	events_emit(&berthd->events, &event);
}

void berthd_event_consumer_lost(struct berthd *berthd, const char *consumer,
				pid_t pid, const char *what)
{
	const struct event event = {
		.kind = EVENT_CONSUMER_LOST,
		.consumer = consumer,
		.pid = pid,
		.reason = what,
	};

	events_emit(&berthd->events, &event);
}

void berthd_event_backend(const struct backend_status *status, void *user_data)
{
	struct berthd *berthd = user_data;
	char reason[BACKENDS_SENTENCE_MAX];
	struct event event = {
		.kind = status->state == BACKEND_UP ? EVENT_BACKEND_UP
						    : EVENT_BACKEND_DOWN,
		.netns = *status->netns ? status->netns : NULL,
		.rule = status->rule,
		.backend = status->backend,
		.consumer = status->consumer,
	};

	if (!events_wanted(&berthd->events, event.kind))
		return;
	if (event.kind == EVENT_BACKEND_DOWN) {
		backends_sentence_fmt(status, monotonic_us(), reason);
		event.reason = reason;
	}
	events_emit(&berthd->events, &event);
}

void berthd_event_full(void *user_data)
{
	struct berthd *berthd = user_data;
	const struct event event = {
		.kind = EVENT_LIMIT_REACHED,
		.reason = "max_listeners are open: listeners wait for others "
			  "to close",
	};

	events_emit(&berthd->events, &event);
}

void berthd_event_limited(const struct netns *netns, size_t omitted,
			  void *user_data)
{
	struct berthd *berthd = user_data;
	char reason[REASON_MAX];
	const struct event event = {
		.kind = EVENT_LIMIT_REACHED,
		.netns_id = netns->id,
		.netns = netns_label(netns),
		.reason = reason,
	};

	(void)snprintf(reason, sizeof(reason),
		       "%zu listeners above max_listeners_per_netns are left "
		       "out",
		       omitted);
	events_emit(&berthd->events, &event);
}
