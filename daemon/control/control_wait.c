// SPDX-License-Identifier: Apache-2.0
/* control_wait.c - calls that are answered when listeners are open: Wait, and
 * Register
 *
 * The reply tells of the rows of the binder's table: those are the listeners
 * that the rules want in the namespace.
 */
#include "daemon/control/control_wait.h"

#include <inttypes.h>
#include <string.h>

#include "binder/binder.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/caller.h"
#include "daemon/control/describe.h"
#include "daemon/control/find.h"
#include "daemon/control/register_parse.h"
#include "daemon/control/varlink.h"
#include "daemon/control/waits.h"
#include "daemon/json_build.h"
#include "daemon/reconcile.h"
#include "watcher/registration.h"
#include "watcher/watcher.h"

/* Of 64 bits, with a NUL. */
#define DECIMAL_MAX 21

/* For the plan of a caller that does not wait. */
#define PLANNED_US (10 * USEC_PER_SEC)

struct control_wait {
	struct control_wait_config config;
	struct waits *waits;
};

/**
 * struct waiting - a call that waits
 * @caller:	who waits
 * @text:	what the caller calls the namespace
 * @registration: of Register, or 0
 */
struct waiting {
	struct waiter waiter;
	struct control_wait *wait;
	struct varlink_call *call;
	struct caller caller;
	char *text;
	uint64_t registration;
};

static void waiting_free(struct waiting *waiting)
{
	free(waiting->text);
	free(waiting);
}

static void waiting_cancelled(void *state)
{
	struct waiting *waiting = state;

	waits_remove(waiting->wait->waits, &waiting->waiter);
	waiting_free(waiting);
}

static json_t *describe_row(const struct listener *row, uint64_t now_us)
{
	json_t *object = describe_endpoint(&row->endpoint);

	json_put(&object, "interface", json_text(row->ifname));
	json_put(&object, "rule", json_text(row->service->rule));
	json_put(&object, "id", json_count(row->id));
	describe_attempt(&object, row, now_us);
	return object;
}

static json_t *describe_rows(struct binder *binder, uint64_t netns_id)
{
	uint64_t now_us = monotonic_us();
	struct listener *row = NULL;
	json_t *array = json_array();

	while ((row = binder_next_in(binder, netns_id, row)))
		json_add(&array, describe_row(row, now_us));
	return array;
}

static json_t *describe_end(const struct control_wait *wait,
			    const struct netns *netns, bool ready)
{
	return json_pack("{s:o, s:o, s:b, s:o, s:o}", "namespace",
			 json_text(netns_label(netns)), "namespace_id",
			 json_count(netns->id), "ready", ready, "listeners",
			 describe_rows(wait->config.binder, netns->id),
			 "omitted",
			 json_count(reconcile_omitted(wait->config.reconcile,
						      netns->id)));
}

static json_t *describe_registration(uint64_t id)
{
	char text[DECIMAL_MAX];

	(void)snprintf(text, sizeof(text), "%" PRIu64, id);
	return json_string(text);
}

static void reply_ambiguous(const struct waiting *waiting)
{
	struct netns *netns[FIND_MAX];
	size_t n;

	if (find_netns(waiting->wait->config.watcher, &waiting->caller,
		       waiting->text, netns, &n) < 0)
		varlink_reply(waiting->call, NULL);
	else
		find_ambiguous(waiting->call, netns, n, waiting->text);
}

static void reply_end(const struct waiting *waiting, const struct netns *netns,
		      bool ready)
{
	json_t *reply = describe_end(waiting->wait, netns, ready);

	if (waiting->registration)
		json_put(&reply, "registration",
			 describe_registration(waiting->registration));
	varlink_reply(waiting->call, reply);
}

/* The namespace went, and with it the registration. */
static void reply_ended(const struct waiting *waiting)
{
	varlink_error(waiting->call, "NoSuchNamespace",
		      json_pack("{s:o, s:s}", "namespace",
				json_text(waiting->text), "message",
				"the registration ended while its listeners "
				"were waited for"));
}

static void waiting_done(struct waiter *waiter, enum wait_end end)
{
	struct waiting *waiting = container_of(waiter, struct waiting, waiter);
	const struct control_wait *wait = waiting->wait;
	const struct netns *netns =
		watcher_find(wait->config.watcher, waiter->netns_id);

	if (end == WAIT_END_AMBIGUOUS)
		reply_ambiguous(waiting);
	else if (end != WAIT_END_ABSENT && netns)
		reply_end(waiting, netns, end == WAIT_END_READY);
	else if (waiting->registration)
		reply_ended(waiting);
	else
		find_error(waiting->call, wait->config.watcher,
			   &waiting->caller, waiting->text);
	waiting_free(waiting);
}

static int find(const struct waiter *waiter, uint64_t *ret_netns_id,
		void *user_data)
{
	const struct control_wait *wait = user_data;
	const struct waiting *waiting =
		container_of(waiter, struct waiting, waiter);
	struct netns *netns[FIND_MAX];
	size_t n;
	int r = find_netns(wait->config.watcher, &waiting->caller,
			   waiting->text, netns, &n);

	if (r < 0)
		return r;
	if (n > 1)
		return -ENOTUNIQ;
	if (n == 1)
		*ret_netns_id = netns[0]->id;
	return (int)n;
}

static bool may_be(const char *text, const struct netns *netns, void *user_data)
{
	(void)user_data;
	return find_may_be(netns, text);
}

static enum wait_verdict judge(uint64_t netns_id, void *user_data)
{
	const struct control_wait *wait = user_data;
	const struct control_wait_config *config = &wait->config;
	bool later = false, never;
	const struct listener *row = NULL;

	if (!reconcile_settled(config->reconcile, netns_id))
		return WAIT_VERDICT_UNPLANNED;
	never = reconcile_omitted(config->reconcile, netns_id) > 0;
	while ((row = binder_next_in(config->binder, netns_id,
				     (struct listener *)(uintptr_t)row))) {
		switch (row->state) {
		case LISTENER_OPEN:
			break;
		case LISTENER_WAITING:
			later = true;
			break;
		case LISTENER_REFUSED:
			/* It may be opened when its consumer connects. */
			if (consumers_closed(config->consumers,
					     row->service->consumer))
				later = true;
			else
				never = true;
			break;
		}
	}
	if (later)
		return WAIT_VERDICT_LATER;
	return never ? WAIT_VERDICT_NEVER : WAIT_VERDICT_READY;
}

static const struct waits_ops waits_ops = {
	.find = find,
	.may_be = may_be,
	.judge = judge,
};

int control_wait_new(struct loop *loop,
		     const struct control_wait_config *config,
		     struct control_wait **ret_wait)
{
	struct control_wait *wait = malloc(sizeof(*wait));
	int r;

	if (!wait)
		return -ENOMEM;
	*wait = (struct control_wait){ .config = *config };
	r = waits_new(loop, &waits_ops, wait, &wait->waits);
	if (r < 0) {
		free(wait);
		return r;
	}
	*ret_wait = wait;
	return 0;
}

struct control_wait *control_wait_free(struct control_wait *wait)
{
	if (!wait)
		return NULL;
	waits_free(wait->waits);
	free(wait);
	return NULL;
}

static void reply_limit(struct varlink_call *call)
{
	varlink_error(call, "LimitReached",
		      json_pack("{s:s}", "message",
				"too many callers wait for listeners already"));
}

/* Too many wait. A container that was registered stays so: its caller is told
 * how things stand now. Takes @waiting. */
static void waiting_refuse(struct varlink_call *call, struct waiting *waiting)
{
	if (waiting->registration) {
		waiting->call = call;
		waiting_done(&waiting->waiter, WAIT_END_NOT_READY);
		return;
	}
	reply_limit(call);
	waiting_free(waiting);
}

/* Takes @waiting, which is filled in but for its call. */
static void wait_begin(struct varlink_call *call, struct waiting *waiting,
		       uint64_t wait_us)
{
	if (waits_add(waiting->wait->waits, &waiting->waiter) < 0) {
		waiting_refuse(call, waiting);
		return;
	}
	waiting->call = varlink_call_defer(call, waiting_cancelled, waiting);
	if (!waiting->call) {
		waiting_cancelled(waiting);
		varlink_reply(call, NULL);
		return;
	}
	varlink_call_extend(waiting->call, wait_us);
}

/* @text: copied. Return: NULL: no memory. */
static struct waiting *waiting_new(struct control_wait *wait,
				   const struct caller *caller,
				   const char *text, uint64_t wait_us)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (waiting)
		waiting->text = strdup(text);
	if (!waiting || !waiting->text) {
		free(waiting);
		return NULL;
	}
	waiting->wait = wait;
	waiting->caller = *caller;
	waiting->waiter.user = caller->rank != CALLER_ROOT;
	waiting->waiter.once = wait_us == 0;
	waiting->waiter.deadline_us =
		monotonic_us() + (wait_us ? wait_us : PLANNED_US);
	waiting->waiter.done = waiting_done;
	return waiting;
}

void control_wait_call(struct varlink_call *call, struct control_wait *wait,
		       const struct caller *caller)
{
	struct parameter_problem problem;
	struct wait_told told;
	struct waiting *waiting;

	if (wait_parse(varlink_call_parameters(call), &told, &problem) < 0) {
		varlink_invalid_parameter(call, problem.parameter,
					  problem.expected);
		return;
	}
	waiting = waiting_new(wait, caller, told.name, told.timeout_us);
	if (!waiting) {
		varlink_reply(call, NULL);
		return;
	}
	waiting->waiter.text = waiting->text;
	wait_begin(call, waiting, told.timeout_us);
}

void control_wait_registered(struct varlink_call *call,
			     struct control_wait *wait,
			     const struct caller *caller,
			     const struct registration *registration,
			     uint64_t wait_us)
{
	struct waiting *waiting = waiting_new(
		wait, caller, registration->container->name, wait_us);

	if (!waiting) {
		varlink_reply(call, NULL);
		return;
	}
	waiting->registration = registration->id;
	waiting->waiter.netns_id = registration->netns_id;
	wait_begin(call, waiting, wait_us);
}

void control_wait_netns_changed(struct control_wait *wait,
				const struct netns *netns)
{
	waits_netns_changed(wait->waits, netns);
}

void control_wait_netns_gone(struct control_wait *wait, uint64_t netns_id)
{
	waits_netns_gone(wait->waits, netns_id);
}

void control_wait_look_again(struct control_wait *wait, uint64_t netns_id)
{
	waits_look_again(wait->waits, netns_id);
}

void control_wait_step(struct control_wait *wait)
{
	waits_step(wait->waits);
}
