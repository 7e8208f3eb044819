// SPDX-License-Identifier: Apache-2.0
/* control_drain.c - the methods Drain, Close and Undrain */
#include "daemon/control/control_drain.h"

#include <string.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/util.h"
#include "daemon/by_hand.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/control_connections.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "daemon/reconcile.h"
#include "rules/rules.h"

/**
 * struct target - what is meant by a text
 * @rule:	the name of a rule, or NULL
 * @listener:	in the table; NULL: a rule, or one that only drains
 * @id:		of a listener, or 0
 */
struct target {
	const char *rule;
	const struct listener *listener;
	uint64_t id;
};

/* The name of a rule comes first, then the number of a listener. Return: is
 * there such a rule in force, or such a listener in the table? */
static bool find_target(const struct control_drain *from, const char *text,
			struct target *ret_target)
{
	char *end;

	*ret_target = (struct target){ .rule = text };
	if (ruleset_has(rule_store_ruleset(from->rules), text))
		return true;
	if (text[0] < '0' || text[0] > '9')
		return false;
	*ret_target = (struct target){ .id = strtoull(text, &end, 10) };
	if (*end)
		ret_target->id = 0;
	if (ret_target->id)
		ret_target->listener =
			binder_find(from->binder, ret_target->id);
	return ret_target->listener != NULL;
}

static bool is_meant(const struct target *target,
		     const struct listener *listener)
{
	return target->rule ? strcmp(listener->service->rule, target->rule) == 0
			    : listener == target->listener;
}

static size_t count_open(struct binder *binder, const struct target *target)
{
	struct listener *listener = NULL;
	size_t n = 0;

	while ((listener = binder_next(binder, listener)))
		n += listener->state == LISTENER_OPEN &&
		     is_meant(target, listener);
	return n;
}

static void reply_no_target(struct varlink_call *call, const char *text)
{
	varlink_error(call, "NoSuchTarget",
		      json_pack("{s:s, s:s}", "target", text, "message",
				"there is no rule in force of this name, and "
				"no listener of this number"));
}

static int hold(const struct control_drain *from, const struct target *target,
		bool reset)
{
	const struct listener *listener = target->listener;

	return by_hand_add(reconcile_by_hand(from->reconcile), target->rule,
			   listener ? listener->netns_id : 0,
			   listener ? &listener->endpoint : NULL, reset);
}

static void reply_drained(struct varlink_call *call, size_t n, size_t n_reset,
			  bool reset)
{
	json_t *reply = json_object();

	json_put(&reply, "listeners", json_count(n));
	json_put(&reply, "draining", json_count(n_reset));
	if (reset)
		json_put(&reply, "connections", json_integer(0));
	varlink_reply(call, reply);
}

void control_drain(struct varlink_call *call, const struct control_drain *from,
		   bool reset)
{
	const char *text = varlink_call_string(call, "target");
	struct target target;
	bool found = find_target(from, text, &target);
	size_t n = found ? count_open(from->binder, &target) : 0, n_reset = 0;
	int r;

	if (reset && !found &&
	    control_close_connection(call, from->consumers, text))
		return;
	r = found ? hold(from, &target, reset) : 0;
	if (r == -ENOSPC)
		varlink_error(call, "TooMany", json_object());
	else if (r < 0)
		varlink_reply(call, NULL);
	if (r < 0)
		return;
	if (reset)
		n_reset = consumers_end_draining(from->consumers, target.rule,
						 target.id);
	if (!found && n_reset == 0) {
		reply_no_target(call, text);
		return;
	}
	log_info("control: a client closes '%s'%s", text,
		 reset ? " and resets its connections" : "");
	reconcile_mark_all(from->reconcile);
	reply_drained(call, n, n_reset, reset);
}

void control_undrain(struct varlink_call *call,
		     const struct control_drain *from)
{
	const char *text = varlink_call_string(call, "target");
	struct by_hand *by_hand = reconcile_by_hand(from->reconcile);
	struct target target;
	size_t n = 0;

	if (!text)
		n = by_hand_clear(by_hand);
	else if (by_hand_remove(by_hand, text, 0, NULL))
		n = 1;
	else if (find_target(from, text, &target) && target.listener)
		n = by_hand_remove(by_hand, NULL, target.listener->netns_id,
				   &target.listener->endpoint);
	if (text && n == 0) {
		varlink_error(call, "NoSuchTarget",
			      json_pack("{s:s, s:s}", "target", text, "message",
					"no such rule or listener was closed "
					"by hand"));
		return;
	}
	log_info("control: a client opens again what was closed by hand");
	reconcile_mark_all(from->reconcile);
	varlink_reply(call, json_pack("{s:o}", "targets", json_count(n)));
}
