/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile.h - makes what is open equal to what the rules want of what exists
 */
#ifndef DAEMON_RECONCILE_H
#define DAEMON_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "binder/binder.h"
#include "binder/provide.h"
#include "common/loop.h"
#include "rules/plan.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

struct by_hand;
struct reconcile;

/**
 * struct reconcile_config - limits, and whom to ask
 * @max_per_netns: listeners of one namespace
 * @refusal:	may a listener be opened? Returns NULL, or a static text why not
 * @planned:	the listeners of a namespace are what the rules want now, or
 *		wait for it; may be NULL
 * @limited:	@omitted listeners of a namespace are above @max_per_netns, and
 *		none were before; may be NULL
 */
struct reconcile_config {
	size_t max_per_netns;
	const char *(*refusal)(const struct listener_spec *spec,
			       void *user_data);
	void (*planned)(uint64_t netns_id, void *user_data);
	void (*limited)(const struct netns *netns, size_t omitted,
			void *user_data);
	void *user_data;
};

/** reconcile_new() - Return: 0 or -ENOMEM. */
int reconcile_new(struct loop *loop, const struct reconcile_config *config,
		  struct reconcile **ret_reconcile);

/** reconcile_set_max_per_netns() - as in struct reconcile_config, from now on;
 * every namespace is looked at again */
void reconcile_set_max_per_netns(struct reconcile *reconcile, size_t max);

/** reconcile_free() - NULL is fine. Returns NULL. */
struct reconcile *reconcile_free(struct reconcile *reconcile);

/** reconcile_connect() - names the layers; before the first mark */
void reconcile_connect(struct reconcile *reconcile, struct watcher *watcher,
		       struct binder *binder, struct provider *provider,
		       struct rule_store *rules);

/** reconcile_mark() - @netns is to be looked at in the next step, at once */
void reconcile_mark(struct reconcile *reconcile, const struct netns *netns);

/** reconcile_mark_all() - every namespace is, in slices behind single events */
void reconcile_mark_all(struct reconcile *reconcile);

/** reconcile_rules_changed() - as reconcile_mark_all(), and what the log says
 * once for each rule is said again */
void reconcile_rules_changed(struct reconcile *reconcile);

/** reconcile_event_us() - Return: when that happened because of which a
 * namespace is being looked at now: its first mark since it was looked at; 0:
 * none is. */
uint64_t reconcile_event_us(const struct reconcile *reconcile);

/** reconcile_forget() - the namespace is gone: closes all that is open in it,
 * and forgets what it was provided with */
void reconcile_forget(struct reconcile *reconcile, uint64_t netns_id);

/**
 * reconcile_step() - plans and applies marked namespaces, a bounded slice
 * Return: true while some are left.
 */
bool reconcile_step(struct reconcile *reconcile);

/**
 * reconcile_plan() - what @netns should have, for explain
 *
 * Observes its addresses when a rule needs them.
 * Return: 0 or -ENOMEM; the caller calls plan_done().
 */
int reconcile_plan(struct reconcile *reconcile, struct netns *netns,
		   struct plan *ret_plan);

/** reconcile_by_hand() - what people closed: such listeners are refused. After
 * a change reconcile_mark_all() applies it. */
struct by_hand *reconcile_by_hand(struct reconcile *reconcile);

/** reconcile_planned() - Return: how many times a namespace was planned, and
 * the outcome applied, since the start. */
uint64_t reconcile_planned(const struct reconcile *reconcile);

/** reconcile_settled() - Return: is all that is wanted in the namespace in the
 * binder's table, and nothing marked to be looked at? */
bool reconcile_settled(const struct reconcile *reconcile, uint64_t netns_id);

/** reconcile_provider() - what namespaces were provided with, to be shown */
const struct provider *reconcile_provider(const struct reconcile *reconcile);

/** reconcile_shadows() - of all namespaces, as they were planned last */
const struct shadows *reconcile_shadows(const struct reconcile *reconcile);

/** reconcile_omitted() - wanted listeners above the limit in @netns_id */
size_t reconcile_omitted(const struct reconcile *reconcile, uint64_t netns_id);

#endif
