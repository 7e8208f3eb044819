// SPDX-License-Identifier: Apache-2.0
/* reconcile.c - makes what is open equal to what the rules want of what exists
 *
 * Theory of operation: events only mark a namespace. A step takes marked
 * namespaces, plans each anew from its whole present state and hands the
 * outcome to the binder, which applies the difference. Start-up, a reload of
 * the rules, lost events and a single new address are all the same operation.
 *
 * Two queues: single events go into the first, passes over everything into the
 * second. The second is served in slices of SLICE_US, and only when the first
 * is empty, so one namespace's event never waits behind ten thousand.
 */
#include "daemon/reconcile.h"

#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"
#include "common/log_teller.h"
#include "common/util.h"
#include "daemon/by_hand.h"
#include "daemon/shadows.h"
#include "rules/circles.h"

#define SLICE_US (2 * USEC_PER_MSEC)
#define OBSERVE_RETRY_US USEC_PER_SEC

/* Lines about one namespace. */
#define LOG_INTERVAL_US (5 * USEC_PER_SEC)
#define LOG_BURST 10

enum subject_queue {
	SUBJECT_IDLE,
	SUBJECT_EVENT, /* in the first queue */
	SUBJECT_PASS, /* in the second */
};

/* Rules of which was said why a listener of theirs is not opened: once each,
 * not for every namespace. */
struct said {
	UT_hash_handle hh;
	char rule[];
};

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u

/* What is kept of a namespace between two steps. */
struct subject {
	uint64_t netns_id;
	enum subject_queue queue;
	unsigned int names_version; /* what consumers know */
	uint32_t container; /* a checksum of the name that they know */
	bool applied; /* the last plan, whole */
	uint64_t marked_us; /* first, since it was looked at; 0: it is not */
	size_t omitted;
	struct shadows_of shadowed;
	struct subject *prev, *next; /* in its queue */
	UT_hash_handle hh;
};

struct reconcile {
	struct loop *loop;
	struct reconcile_config config;
	struct watcher *watcher;
	struct binder *binder;
	struct provider *provider;
	struct rule_store *rules;
	struct loop_timer *observe_timer;
	struct subject *subjects; /* by netns_id */
	struct subject *events;
	struct subject *pass;
	struct log_teller *teller;
	struct by_hand by_hand;
	struct shadows shadows;
	struct said *said; /* by rule; no more than there are rules */
	uint64_t planned;
	uint64_t event_us; /* of the one that is being looked at; 0: none is */
};

/* Some namespace's addresses could not be read: look at all of them again. */
static void reconcile_observe_again(void *user_data)
{
	reconcile_mark_all(user_data);
}

int reconcile_new(struct loop *loop, const struct reconcile_config *config,
		  struct reconcile **ret_reconcile)
{
	struct reconcile *reconcile = malloc(sizeof(*reconcile));
	int r;

	if (!reconcile)
		return -ENOMEM;
	*reconcile = (struct reconcile){
		.loop = loop,
		.config = *config,
	};
	r = loop_timer_new(loop, reconcile_observe_again, reconcile,
			   &reconcile->observe_timer);
	if (r == 0)
		r = log_teller_new(loop, LOG_INTERVAL_US, LOG_BURST,
				   &reconcile->teller);
	if (r < 0) {
		(void)loop_timer_free(
			reconcile->observe_timer); /* is always NULL */
		free(reconcile);
		return r;
	}
	*ret_reconcile = reconcile;
	return 0;
}

void reconcile_connect(struct reconcile *reconcile, struct watcher *watcher,
		       struct binder *binder, struct provider *provider,
		       struct rule_store *rules)
{
	reconcile->watcher = watcher;
	reconcile->binder = binder;
	reconcile->provider = provider;
	reconcile->rules = rules;
}

static void subject_dequeue(struct reconcile *reconcile,
			    struct subject *subject)
{
	switch (subject->queue) {
	case SUBJECT_IDLE:
		return;
	case SUBJECT_EVENT:
		DL_DELETE(reconcile->events, subject);
		break;
	case SUBJECT_PASS:
		DL_DELETE(reconcile->pass, subject);
		break;
	}
	subject->queue = SUBJECT_IDLE;
}

static void subject_free(struct reconcile *reconcile, struct subject *subject)
{
	subject_dequeue(reconcile, subject);
	HASH_DEL(reconcile->subjects, subject);
	shadows_clear(&reconcile->shadows, &subject->shadowed);
	free(subject);
}

static void said_clear(struct reconcile *reconcile)
{
	struct said *said, *next;

	HASH_ITER (hh, reconcile->said, said, next) {
		HASH_DEL(reconcile->said, said);
		free(said);
	}
}

/* Return: is this the first time for @rule? */
static bool said_first(struct reconcile *reconcile, const char *rule)
{
	size_t len = strlen(rule);
	struct said *said;

	HASH_FIND(hh, reconcile->said, rule, len, said);
	if (said)
		return false;
	said = calloc(1, sizeof(*said) + len + 1);
	if (!said)
		return true;
	memcpy(said->rule, rule, len + 1);
	HASH_ADD_KEYPTR(hh, reconcile->said, said->rule, len, said);
	if (!said->hh.tbl)
		free(said);
	return true;
}

struct reconcile *reconcile_free(struct reconcile *reconcile)
{
	struct subject *subject, *tmp;

	if (!reconcile)
		return NULL;
	HASH_ITER (hh, reconcile->subjects, subject, tmp)
		subject_free(reconcile, subject);
	said_clear(reconcile);
	(void)by_hand_clear(&reconcile->by_hand); /* however many */
	loop_timer_free(reconcile->observe_timer);
	(void)log_teller_free(reconcile->teller); /* is always NULL */
	free(reconcile);
	return NULL;
}

static struct subject *subject_find(const struct reconcile *reconcile,
				    uint64_t netns_id)
{
	struct subject *subject;

	HASH_FIND(hh, reconcile->subjects, &netns_id, sizeof(netns_id),
		  subject);
	return subject;
}

static struct subject *subject_get(struct reconcile *reconcile,
				   uint64_t netns_id)
{
	struct subject *subject = subject_find(reconcile, netns_id);

	if (subject)
		return subject;
	subject = calloc(1, sizeof(*subject));
	if (subject) {
		subject->netns_id = netns_id;
		HASH_ADD(hh, reconcile->subjects, netns_id, sizeof(netns_id),
			 subject);
		if (subject->hh.tbl)
			return subject;
		free(subject);
	}
	/* Its next event, or the next pass, finds it again. */
	if (log_teller_ok(reconcile->teller, "out of memory"))
		log_error("out of memory: a network namespace is not looked "
			  "at; trying again in 1 s");
	loop_timer_set_earlier(reconcile->observe_timer,
			       loop_now_us(reconcile->loop) + OBSERVE_RETRY_US);
	return NULL;
}

static void subject_marked(const struct reconcile *reconcile,
			   struct subject *subject)
{
	if (!subject->marked_us)
		subject->marked_us = loop_now_us(reconcile->loop);
}

void reconcile_mark(struct reconcile *reconcile, const struct netns *netns)
{
	struct subject *subject = subject_get(reconcile, netns->id);

	if (!subject || subject->queue == SUBJECT_EVENT)
		return;
	subject_marked(reconcile, subject);
	subject_dequeue(reconcile, subject);
	subject->queue = SUBJECT_EVENT;
	DL_APPEND(reconcile->events, subject);
}

void reconcile_mark_all(struct reconcile *reconcile)
{
	struct netns *netns = NULL;
	struct subject *subject;

	while ((netns = watcher_next(reconcile->watcher, netns))) {
		subject = subject_get(reconcile, netns->id);
		if (!subject || subject->queue != SUBJECT_IDLE)
			continue;
		subject_marked(reconcile, subject);
		subject->queue = SUBJECT_PASS;
		DL_APPEND(reconcile->pass, subject);
	}
}

void reconcile_set_max_per_netns(struct reconcile *reconcile, size_t max)
{
	reconcile->config.max_per_netns = max;
	reconcile_mark_all(reconcile);
}

void reconcile_rules_changed(struct reconcile *reconcile)
{
	said_clear(reconcile);
	reconcile_mark_all(reconcile);
}

void reconcile_forget(struct reconcile *reconcile, uint64_t netns_id)
{
	struct subject *subject = subject_find(reconcile, netns_id);

	if (subject)
		subject_free(reconcile, subject);
	by_hand_forget(&reconcile->by_hand, netns_id);
	provider_forget(reconcile->provider, netns_id);
	binder_forget(reconcile->binder, netns_id);
}

/* struct place - a namespace, and who knows what its names are */
struct place {
	const struct watcher *watcher;
	const struct netns *netns;
};

static bool is_here(const char *name, void *user_data)
{
	const struct place *place = user_data;

	return watcher_find_name(place->watcher, name) == place->netns;
}

static int make_plan(const struct reconcile *reconcile,
		     const struct netns *netns, struct plan *ret_plan)
{
	struct place place = { reconcile->watcher, netns };
	struct plan plan;
	int r = plan_make(rule_store_ruleset(reconcile->rules), netns,
			  reconcile->config.max_per_netns, &plan);

	if (r < 0)
		return r;
	r = circles_refuse(&plan, netns, is_here, &place);
	if (r < 0) {
		plan_done(&plan);
		return r;
	}
	*ret_plan = plan;
	return 0;
}

/* What is provided is compared with what is there. */
static bool needs_addresses(const struct reconcile *reconcile,
			    const struct netns *netns, const struct plan *plan)
{
	return plan->needs_addresses ||
	       (!netns->observed && !netns->host &&
		(plan->n_provisions > 0 ||
		 provider_has(reconcile->provider, netns->id)));
}

int reconcile_plan(struct reconcile *reconcile, struct netns *netns,
		   struct plan *ret_plan)
{
	struct plan plan;
	int r;

	r = make_plan(reconcile, netns, &plan);
	if (r < 0)
		return r;
	if (needs_addresses(reconcile, netns, &plan)) {
		r = watcher_observe_addresses(reconcile->watcher, netns);
		if (r == 0 && plan.needs_addresses) {
			plan_done(&plan);
			return make_plan(reconcile, netns, ret_plan);
		}
		/* -ESTALE: it is going, and an event will say so. Else what
		 * needs no addresses is served meanwhile. */
		if (r < 0 && r != -ESTALE) {
			if (log_teller_ok(reconcile->teller, "netns '%s'",
					  netns_label(netns)))
				log_warning_errno(
					r,
					"cannot read the addresses of netns "
					"'%s'; trying again in 1 s",
					netns_label(netns));
			loop_timer_set_earlier(reconcile->observe_timer,
					       loop_now_us(reconcile->loop) +
						       OBSERVE_RETRY_US);
		}
	}
	*ret_plan = plan;
	return 0;
}

/* Of the name of the container that consumers are told of, see
 * consumer_listener_text(): FNV-1a. */
static uint32_t container_sum(const struct netns *netns)
{
	const char *name = netns->n_containers > 0 ? netns->containers[0]->name
						   : "";
	uint32_t sum = FNV_BASIS;

	for (; *name; name++)
		sum = (sum ^ (unsigned char)*name) * FNV_PRIME;
	return sum;
}

/* Refused and shadowed listeners: once for each rule. */
static void reconcile_log(struct reconcile *reconcile,
			  const struct netns *netns, const struct plan *plan)
{
	char endpoint[ENDPOINT_TEXT_MAX];
	struct log_about about = { .netns = netns_label(netns) };

	for (size_t i = 0; i < plan->n_specs; i++) {
		const struct listener_spec *spec = &plan->specs[i];

		if (!spec->refusal ||
		    !said_first(reconcile, spec->service->rule))
			continue;
		about.rule = spec->service->rule;
		about.listener = endpoint_fmt(&spec->endpoint, endpoint);
		log_warning_about(&about,
				  "rule '%s': %s in netns '%s' is refused: %s; "
				  "ignoring such listeners",
				  about.rule, about.listener, about.netns,
				  spec->refusal);
	}
	for (size_t i = 0; i < plan->n_shadows; i++) {
		const struct plan_shadow *shadow = &plan->shadows[i];

		if (!said_first(reconcile, shadow->rule))
			continue;
		about.rule = shadow->rule;
		about.listener = endpoint_fmt(&shadow->endpoint, endpoint);
		log_info_about(&about,
			       "rule '%s': %s in netns '%s' is shadowed by "
			       "rule '%s'; ignoring such listeners",
			       about.rule, about.listener, about.netns,
			       shadow->winner);
	}
}

static void refuse_by_hand(const struct reconcile *reconcile,
			   const struct netns *netns, struct plan *plan)
{
	for (size_t i = 0; reconcile->by_hand.list && i < plan->n_specs; i++) {
		struct listener_spec *spec = &plan->specs[i];

		if (by_hand_find(&reconcile->by_hand, spec->service->rule,
				 netns->id, &spec->endpoint))
			spec->refusal = BY_HAND_REASON;
	}
}

/* What listeners need comes before them, and goes after them. Return: 0 or
 * -ENOMEM, with as much done as could be. */
static int apply_plan(struct reconcile *reconcile, const struct netns *netns,
		      const struct plan *plan)
{
	int r = provider_apply(reconcile->provider, netns, plan->provisions,
			       plan->n_provisions);
	int result = binder_apply(reconcile->binder, netns->id, plan->specs,
				  plan->n_specs);

	provider_sweep(reconcile->provider, netns);
	return result < 0 ? result : r;
}

static void tell_limited(struct reconcile *reconcile, const struct netns *netns,
			 size_t omitted)
{
	if (log_teller_ok(reconcile->teller, "netns '%s'", netns_label(netns)))
		log_warning_about(
			&(struct log_about){ .netns = netns_label(netns) },
			"netns '%s': %zu listeners above the limit of %zu are "
			"left out",
			netns_label(netns), omitted,
			reconcile->config.max_per_netns);
	if (reconcile->config.limited)
		reconcile->config.limited(netns, omitted,
					  reconcile->config.user_data);
}

static void reconcile_one(struct reconcile *reconcile, struct subject *subject)
{
	struct netns *netns;
	struct plan plan;
	int r;

	netns = watcher_find(reconcile->watcher, subject->netns_id);
	if (!netns) {
		reconcile_forget(reconcile, subject->netns_id);
		return;
	}
	reconcile->planned++;
	r = reconcile_plan(reconcile, netns, &plan);
	/* Reading the addresses marks it as changed: this plan has them. */
	subject_dequeue(reconcile, subject);
	if (r == 0) {
		for (size_t i = 0; i < plan.n_specs; i++) {
			if (!plan.specs[i].refusal)
				plan.specs[i].refusal =
					reconcile->config.refusal(
						&plan.specs[i],
						reconcile->config.user_data);
		}
		reconcile_log(reconcile, netns, &plan);
		refuse_by_hand(reconcile, netns, &plan);
		if (plan.omitted > 0 && subject->omitted == 0)
			tell_limited(reconcile, netns, plan.omitted);
		subject->omitted = plan.omitted;
		shadows_set(&reconcile->shadows, &subject->shadowed, &plan);
		r = apply_plan(reconcile, netns, &plan);
		plan_done(&plan);
	}
	subject->applied = r == 0;
	/* One that goes may be the one that backends are told. */
	if (r == 0 && subject->names_version != netns->names_version) {
		subject->names_version = netns->names_version;
		binder_renamed(reconcile->binder, netns->id);
	}
	if (r == 0 && subject->container != container_sum(netns)) {
		subject->container = container_sum(netns);
		binder_told_of(reconcile->binder, netns->id);
	}
	if (r == 0 && reconcile->config.planned)
		reconcile->config.planned(netns->id,
					  reconcile->config.user_data);
	if (r < 0) {
		if (log_teller_ok(reconcile->teller, "netns '%s'",
				  netns_label(netns)))
			log_warning_errno(r,
					  "netns '%s': cannot apply the rules; "
					  "trying again in 1 s",
					  netns_label(netns));
		loop_timer_set_earlier(reconcile->observe_timer,
				       loop_now_us(reconcile->loop) +
					       OBSERVE_RETRY_US);
	}
}

/* Serves one queue until it is empty or @deadline_us has passed. */
static bool reconcile_serve(struct reconcile *reconcile, struct subject **queue,
			    uint64_t deadline_us)
{
	while (*queue) {
		struct subject *subject = *queue;

		subject_dequeue(reconcile, subject);
		reconcile->event_us = subject->marked_us;
		subject->marked_us = 0;
		reconcile_one(reconcile, subject);
		reconcile->event_us = 0;
		if (monotonic_us() >= deadline_us)
			break;
	}
	return *queue != NULL;
}

bool reconcile_step(struct reconcile *reconcile)
{
	uint64_t deadline_us = monotonic_us() + SLICE_US;

	return reconcile_serve(reconcile, &reconcile->events, deadline_us) ||
	       reconcile_serve(reconcile, &reconcile->pass, deadline_us);
}

struct by_hand *reconcile_by_hand(struct reconcile *reconcile)
{
	return &reconcile->by_hand;
}

bool reconcile_settled(const struct reconcile *reconcile, uint64_t netns_id)
{
	const struct subject *subject = subject_find(reconcile, netns_id);

	return subject && subject->applied && subject->queue == SUBJECT_IDLE;
}

const struct provider *reconcile_provider(const struct reconcile *reconcile)
{
	return reconcile->provider;
}

uint64_t reconcile_event_us(const struct reconcile *reconcile)
{
	return reconcile->event_us;
}

size_t reconcile_omitted(const struct reconcile *reconcile, uint64_t netns_id)
{
	const struct subject *subject = subject_find(reconcile, netns_id);

	return subject ? subject->omitted : 0;
}

uint64_t reconcile_planned(const struct reconcile *reconcile)
{
	return reconcile->planned;
}

const struct shadows *reconcile_shadows(const struct reconcile *reconcile)
{
	return &reconcile->shadows;
}
