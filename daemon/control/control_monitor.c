// SPDX-License-Identifier: Apache-2.0
/* control_monitor.c - the method Monitor
 *
 * Theory of operation: all calls together are one sink of the bus. An event
 * that any of them wants becomes JSON once, and goes into the queue with the
 * set of those that want it; from there each call's list is made as its client
 * reads.
 */
#include "daemon/control/control_monitor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/netns.h"
#include "common/util.h"
#include "daemon/control/caller.h"
#include "daemon/control/describe_event.h"
#include "daemon/control/event_queue.h"
#include "daemon/control/find.h"
#include "daemon/control/json_write.h"
#include "daemon/control/monitor_parse.h"
#include "daemon/control/varlink.h"
#include "daemon/events.h"
#include "daemon/json_build.h"
#include "watcher/watcher.h"

/* Of one user other than root, so that nobody keeps others out. */
#define USER_READERS_MAX (EVENT_READERS_MAX / 8)

/* Texts up to this length need no memory of their own. */
#define TEXT_BYTES 2048

/**
 * struct monitor_call - one call
 * @netns_id:	the namespace that @filter last meant, which may be gone: later
 *		events of it have only its id
 * @ended:	who may call was configured anew
 */
struct monitor_call {
	struct control_monitor *monitor;
	struct event_reader *reader;
	struct monitor_filter filter;
	uint64_t netns_id;
	uid_t uid;
	bool root;
	bool ended;
	struct varlink_output *output;
	struct monitor_call *prev, *next;
};

struct control_monitor {
	struct events *events;
	struct watcher *watcher;
	struct event_queue *queue;
	struct events_sink sink;
	struct monitor_call *calls;
	bool listens;
};

static bool netns_wanted(struct monitor_call *call, const struct event *event)
{
	const char *text = call->filter.netns;
	const struct netns *netns;

	if (!text)
		return true;
	if (event->netns_id == 0)
		return false;
	netns = watcher_find(call->monitor->watcher, event->netns_id);
	if ((netns && find_is(netns, text)) ||
	    (event->netns && strcmp(event->netns, text) == 0))
		call->netns_id = event->netns_id;
	return event->netns_id == call->netns_id;
}

static bool is_wanted(struct monitor_call *call, const struct event *event)
{
	const char *rule = call->filter.rule;

	if (!(call->filter.kinds & UINT32_C(1) << event->kind))
		return false;
	if (rule && (!event->rule || strcmp(event->rule, rule) != 0))
		return false;
	return netns_wanted(call, event);
}

static void queue_text(struct control_monitor *monitor, uint64_t wanted_by,
		       const json_t *json)
{
	char small[TEXT_BYTES];
	_cleanup_free_ char *large = NULL;
	size_t len = json_write(json, small, sizeof(small));

	if (len > sizeof(small)) {
		large = malloc(len);
		if (!large)
			return;
		(void)json_write(json, large, len); /* it has room now */
	}
	event_queue_add(monitor->queue, wanted_by, large ? large : small, len);
}

static void heard(const struct event *event, void *user_data)
{
	struct control_monitor *monitor = user_data;
	struct monitor_call *call;
	uint64_t wanted_by = 0;
	json_t *json;

	DL_FOREACH (monitor->calls, call) {
		if (is_wanted(call, event))
			wanted_by |= event_reader_bit(call->reader);
	}
	if (!wanted_by)
		return;
	json = describe_event(event);
	if (json)
		queue_text(monitor, wanted_by, json);
	json_decref(json);
}

/* The calls are others: so may be what they want. */
static void listen_anew(struct control_monitor *monitor)
{
	const struct monitor_call *call;

	if (monitor->listens)
		events_leave(monitor->events, &monitor->sink);
	monitor->sink.kinds = 0;
	DL_FOREACH (monitor->calls, call)
		monitor->sink.kinds |= call->filter.kinds;
	monitor->listens = monitor->calls != NULL;
	if (monitor->listens)
		events_listen(monitor->events, &monitor->sink);
}

int control_monitor_new(struct loop *loop, struct events *events,
			struct watcher *watcher,
			struct control_monitor **ret_monitor)
{
	struct control_monitor *monitor = malloc(sizeof(*monitor));
	int r;

	if (!monitor)
		return -ENOMEM;
	*monitor = (struct control_monitor){
		.events = events,
		.watcher = watcher,
		.sink = { .heard = heard, .user_data = monitor },
	};
	r = event_queue_new(loop, &monitor->queue);
	if (r < 0) {
		free(monitor);
		return r;
	}
	*ret_monitor = monitor;
	return 0;
}

struct control_monitor *control_monitor_free(struct control_monitor *monitor)
{
	if (!monitor)
		return NULL;
	event_queue_free(monitor->queue);
	free(monitor);
	return NULL;
}

static int call_next(void *state, const char **ret_text, size_t *ret_len)
{
	const struct monitor_call *call = state;

	if (call->ended)
		return -EOVERFLOW;
	return event_reader_next(call->reader, ret_text, ret_len);
}

static json_t *call_broken(void *state, const char **ret_error)
{
	const struct monitor_call *call = state;

	if (call->ended) {
		*ret_error = "io.berth.NotPermitted";
		return json_pack("{s:s}", "reason",
				 "who may call this was configured anew");
	}
	*ret_error = "io.berth.TooSlow";
	return json_pack("{s:o}", "lost",
			 json_count(event_reader_lost(call->reader)));
}

static void call_free(void *state)
{
	struct monitor_call *call = state;
	struct control_monitor *monitor = call->monitor;

	DL_DELETE(monitor->calls, call);
	event_reader_leave(call->reader);
	monitor_filter_done(&call->filter);
	free(call);
	listen_anew(monitor);
}

static void call_wake(void *user_data)
{
	const struct monitor_call *call = user_data;

	varlink_output_wake(call->output);
}

static bool caller_has_room(const struct control_monitor *monitor,
			    const struct caller *caller)
{
	const struct monitor_call *call;
	size_t n = 0;

	if (caller->rank == CALLER_ROOT)
		return true;
	DL_FOREACH (monitor->calls, call)
		n += call->uid == caller->uid;
	return n < USER_READERS_MAX;
}

/* Takes what @filter has. Return: 0; -ENOSPC; -ENOMEM. */
static int call_new(struct control_monitor *monitor,
		    const struct caller *caller, struct monitor_filter *filter,
		    struct monitor_call **ret_call)
{
	struct monitor_call *call;
	int r;

	if (!caller_has_room(monitor, caller))
		return -ENOSPC;
	call = malloc(sizeof(*call));
	if (!call)
		return -ENOMEM;
	*call = (struct monitor_call){
		.monitor = monitor,
		.uid = caller->uid,
		.root = caller->rank == CALLER_ROOT,
	};
	r = event_queue_join(monitor->queue, call_wake, call, &call->reader);
	if (r < 0) {
		free(call);
		return r;
	}
	call->filter = *filter;
	*filter = (struct monitor_filter){ .kinds = 0 };
	DL_APPEND(monitor->calls, call);
	*ret_call = call;
	return 0;
}

static void reply_failed(struct varlink_call *call, int error)
{
	if (error == -ENOSPC)
		varlink_error(call, "LimitReached",
			      json_pack("{s:s}", "message",
					"as many clients monitor as may"));
	else
		varlink_reply(call, NULL);
}

/* The first that is called so now, if there is any: its next event may be that
 * it is gone. Return: 0 or -ENOMEM. */
static int find_now(struct monitor_call *call, const struct caller *caller)
{
	struct netns *found[FIND_MAX];
	size_t n = 0;
	int r = 0;

	if (call->filter.netns)
		r = find_netns(call->monitor->watcher, caller,
			       call->filter.netns, found, &n);
	if (r == 0 && n > 0)
		call->netns_id = found[0]->id;
	return r;
}

static void reply_events(struct varlink_call *call,
			 struct monitor_call *monitor_call)
{
	static const struct varlink_array arrays[] = {
		{ .member = "events" },
	};
	const struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.next_text = call_next,
		.free = call_free,
		.broken = call_broken,
		.state = monitor_call,
		.patient = true,
	};

	monitor_call->output = varlink_call_output(call);
	varlink_reply_list(call, json_object(), &list);
}

void control_monitor_call(struct varlink_call *call,
			  struct control_monitor *monitor,
			  const struct caller *caller)
{
	_cleanup_(monitor_filter_done) struct monitor_filter filter = {
		.kinds = 0
	};
	struct parameter_problem problem;
	struct monitor_call *monitor_call = NULL;
	int r;

	r = monitor_parse(varlink_call_parameters(call), &filter, &problem);
	if (r == -EINVAL) {
		varlink_invalid_parameter(call, problem.parameter,
					  problem.expected);
		return;
	}
	if (r == 0 && !varlink_call_more(call)) {
		varlink_expected_more(call);
		return;
	}
	if (r == 0)
		r = call_new(monitor, caller, &filter, &monitor_call);
	if (r == 0) {
		r = find_now(monitor_call, caller);
		if (r < 0)
			call_free(monitor_call);
	}
	if (r < 0 || !monitor_call) {
		reply_failed(call, r);
		return;
	}
	listen_anew(monitor);
	reply_events(call, monitor_call);
}

void control_monitor_configured(struct control_monitor *monitor)
{
	struct monitor_call *call, *next;

	DL_FOREACH_SAFE (monitor->calls, call, next) {
		if (call->root)
			continue;
		call->ended = true;
		varlink_output_wake(call->output);
	}
}
