// SPDX-License-Identifier: Apache-2.0
/* metrics.c - collects the facts that metrics are made of, in slices
 *
 * Theory of operation: a job first waits for what the consumers counted
 * (stats.c). Then it notes the ids of all namespaces that have listeners, looks
 * at the listeners of some in each turn of the loop, and adds them to their
 * groups. What is cheap to know comes last, in one turn. A listener that goes
 * meanwhile is left out.
 *
 * The listeners of a namespace lie in a list and are looked at one after the
 * other: finding each by its id would take as long as all the rest. Only where
 * a namespace has more than a turn may take, the ids of the others are noted.
 *
 * By rule, counters are those that stats.c has of the rule: they go on when
 * listeners come and go. By namespace, a group has one listener, and its
 * counters end with it: sums over listeners that come and go would fall.
 */
#include "daemon/control/metrics.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "binder/binder.h"
#include "common/netns.h"
#include "common/protocol.h"
#include "common/util.h"
#include "daemon/consumers/backends.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats.h"
#include "daemon/consumers/stats_counts.h"
#include "daemon/consumers/stats_parts.h"
#include "daemon/control/id_list.h"
#include "daemon/control/metrics_reasons.h"
#include "daemon/control/metrics_report.h"
#include "daemon/json_build.h"
#include "daemon/relay_process.h"
#include "daemon/shadows.h"
#include "rules/pattern.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

/* Listeners, or rules, of one turn: some tenth of a millisecond. */
#define PER_TURN 256

/* What normal deletion needs: the kernel frees in the background. */
#define LINGERING_MIN_US USEC_PER_SEC

/* Lingering namespaces of which is asked who keeps them. */
#define LINGERING_MAX 1000

/**
 * struct metrics_job - one report that is being made
 * @namespaces:	or NULL
 * @netns_ids:	of those that have listeners
 * @ids:	of listeners that are to be found one by one
 * @left:	how many listeners, or rules, may still be looked at in this
 *		turn
 * @draining, @pids: of listeners that are closed, and who holds each
 * @rule:	the next one whose counters are taken
 * @service, @protocol, @group: of the last listener, by rule
 * @netns_id, @netns: of the last listener, by namespace: NULL: it does not
 *		match
 * @view:	of the health of the last listener
 */
struct metrics_job {
	struct metrics_config config;
	struct metrics_request request;
	struct stats_waiter waiter;
	struct loop *loop;
	struct loop_timer *timer;
	struct stats_result *counted;
	struct metrics_report *report;
	struct id_list netns_ids;
	struct id_list ids;
	size_t left;
	struct id_list draining;
	struct id_list pids;
	size_t rule;
	const struct service *service;
	unsigned int protocol;
	struct metrics_group *group;
	uint64_t netns_id;
	json_t *netns;
	struct health_view view;
};

void metrics_note_rules(struct metrics_history *history,
			const struct rule_store *rules)
{
	size_t n = rule_store_files(rules);

	for (size_t i = 0; i < n; i++) {
		struct rule_file_info info;

		rule_store_file_info(rules, i, &info);
		if (info.errors && info.errors->n > 0)
			return;
	}
	history->rules_time = (uint64_t)time(NULL);
}

static bool rules_successful(const struct rule_store *rules)
{
	struct metrics_history history = { .rules_time = 0 };

	metrics_note_rules(&history, rules);
	return history.rules_time > 0;
}

static struct pattern *pattern_free(struct pattern *pattern)
{
	if (pattern)
		pattern_done(pattern);
	free(pattern);
	return NULL;
}

static void job_free(struct metrics_job *job)
{
	loop_timer_free(job->timer);
	stats_result_unref(job->counted);
	metrics_report_unref(job->report);
	id_list_done(&job->netns_ids);
	id_list_done(&job->ids);
	id_list_done(&job->draining);
	id_list_done(&job->pids);
	json_decref(job->netns);
	pattern_free(job->request.namespaces);
	free(job);
}

static void job_done(struct metrics_job *job, int result)
{
	struct metrics_report *report = result == 0 ? TAKE_PTR(job->report)
						    : NULL;
	struct metrics_request request = job->request;

	request.namespaces = NULL;
	job_free(job);
	request.done(report, request.user_data);
	metrics_report_unref(report);
}

static bool netns_matches(const struct metrics_job *job,
			  const struct netns *netns)
{
	const struct pattern *pattern = job->request.namespaces;

	if (netns->n_names == 0)
		return pattern_matches(pattern, netns_label(netns)) !=
		       pattern->negated;
	for (size_t i = 0; i < netns->n_names; i++) {
		if (pattern_matches(pattern, netns->names[i].name) !=
		    pattern->negated)
			return true;
	}
	return false;
}

/* Has @job->netns be the name of the namespace, if it matches. Return: 0 or
 * -ENOMEM. */
static int job_go_to_netns(struct metrics_job *job, uint64_t netns_id)
{
	const struct netns *netns;

	if (job->netns_id == netns_id)
		return 0;
	json_decref(job->netns);
	job->netns = NULL;
	job->netns_id = netns_id;
	netns = watcher_find(job->config.watcher, netns_id);
	if (!netns || !netns_matches(job, netns))
		return 0;
	job->netns = json_text(netns_label(netns));
	return job->netns ? 0 : -ENOMEM;
}

/* The group of all listeners of a rule and protocol; NULL: no memory. */
static struct metrics_group *group_of_rule(struct metrics_job *job,
					   const struct service *service,
					   unsigned int protocol)
{
	if (job->group && job->service == service && job->protocol == protocol)
		return job->group;
	job->service = service;
	job->protocol = protocol;
	job->group = metrics_group_get(job->report, NULL, service->rule,
				       protocol_name((enum protocol)protocol),
				       NULL);
	if (job->group) {
		/* Two rules may have one name, and templates make several
		 * services of one rule. */
		job->group->drops |=
			metrics_reasons_drops(service, (enum protocol)protocol);
		job->group->limits |= metrics_reasons_limits(
			service, (enum protocol)protocol);
	}
	return job->group;
}

/* The group of a listener; *@ret_group is NULL if its namespace does not match.
 * Return: 0 or -ENOMEM. */
static int group_of(struct metrics_job *job, uint64_t netns_id,
		    const struct service *service,
		    const struct endpoint *endpoint,
		    struct metrics_group **ret_group)
{
	char text[ENDPOINT_TEXT_MAX];
	const char *protocol = protocol_name((enum protocol)endpoint->protocol);

	*ret_group = NULL;
	if (!job->request.namespaces) {
		*ret_group = group_of_rule(job, service, endpoint->protocol);
		return *ret_group ? 0 : -ENOMEM;
	}
	if (job_go_to_netns(job, netns_id) < 0)
		return -ENOMEM;
	if (!job->netns)
		return 0;
	/* Behind its protocol and a space. */
	*ret_group = metrics_group_get(
		job->report, json_string_value(job->netns), service->rule,
		protocol, endpoint_fmt(endpoint, text) + strlen(protocol) + 1);
	return *ret_group ? 0 : -ENOMEM;
}

static enum metrics_state state_of(const struct listener *listener)
{
	switch (listener->state) {
	case LISTENER_OPEN:
		return METRICS_LISTENING;
	case LISTENER_WAITING:
		return METRICS_WAITING;
	case LISTENER_REFUSED:
		break;
	}
	return METRICS_REFUSED;
}

/* One that waits for another to close has an error, but no next attempt. */
static void note_reason(struct metrics_report *report,
			const struct listener *listener)
{
	if (listener->state != LISTENER_WAITING)
		return;
	if (listener->error == EMFILE && listener->next_attempt_us == 0)
		report->limited++;
	else
		metrics_report_wait(report, listener->error);
}

/* Why one that waits does so is told elsewhere. */
static void note_health(struct metrics_job *job, struct metrics_group *group,
			const struct listener *listener)
{
	struct health health;

	if (listener->state != LISTENER_OPEN)
		return;
	health_look(&job->config.health, listener, NULL, &job->view);
	health = health_of(&job->view.facts);
	if (health.state == HEALTH_UNREACHABLE ||
	    health.state == HEALTH_BACKEND_DOWN)
		group->unreachable[health.cause]++;
}

/* Return: 0 or -ENOMEM. */
static int add_listener(struct metrics_job *job,
			const struct listener *listener)
{
	struct berth_counts counts;
	struct metrics_group *group;
	int r = group_of(job, listener->netns_id, listener->service,
			 &listener->endpoint, &group);

	if (r < 0)
		return r;
	note_reason(job->report, listener);
	if (!group)
		return 0;
	group->listeners[state_of(listener)]++;
	note_health(job, group, listener);
	if (!job->request.namespaces)
		return 0;
	if (stats_result_listener(job->counted, listener, &counts)) {
		stats_counts_add(&group->counts, &counts);
		group->counted = true;
	}
	return 0;
}

/* Looks at the listeners of one namespace, or notes their ids. Return: 1; 0:
 * there are no more; -ENOMEM. */
static int step_netns(struct metrics_job *job)
{
	uint64_t netns_id = id_list_next(&job->netns_ids);
	struct listener *listener = NULL;
	int r = 0;

	if (!netns_id)
		return 0;
	while (r == 0 && (listener = binder_next_in(job->config.binder,
						    netns_id, listener))) {
		if (job->left == 0) {
			r = id_list_add(&job->ids, listener->id);
		} else {
			job->left--;
			r = add_listener(job, listener);
		}
	}
	return r < 0 ? r : 1;
}

/* Return: 1; 0: there are no more; -ENOMEM. */
static int step_listener(struct metrics_job *job)
{
	uint64_t id = id_list_next(&job->ids);
	const struct listener *listener =
		id ? binder_find(job->config.binder, id) : NULL;

	if (!id)
		return 0;
	return listener && add_listener(job, listener) < 0 ? -ENOMEM : 1;
}

static int step_draining(struct metrics_job *job)
{
	uint64_t id = id_list_next(&job->draining);
	pid_t pid = (pid_t)id_list_next(&job->pids);
	struct consumer_draining info;
	struct metrics_group *group;

	if (!id)
		return 0;
	if (!consumers_find_draining(job->config.consumers, id, pid, &info))
		return 1;
	if (group_of(job, info.netns_id, info.service, info.endpoint, &group) <
	    0)
		return -ENOMEM;
	if (group)
		group->listeners[METRICS_DRAINING]++;
	return 1;
}

/* A rule counts for all that it has listeners of. */
static void mark_counted(struct metrics_report *report, const char *rule)
{
	for (unsigned int i = 0; i < PROTOCOL_COUNT; i++) {
		struct metrics_group *group = metrics_group_find(
			report, NULL, rule, protocol_name((enum protocol)i),
			NULL);

		if (group)
			group->counted = true;
	}
}

/* The counters of a rule. Two files may have rules of one name. */
static int step_rule(struct metrics_job *job)
{
	struct ruleset *ruleset = stats_result_ruleset(job->counted);
	const struct stats_part *part;
	struct metrics_group *group;
	struct rule_info info;

	if (job->request.namespaces || job->rule >= ruleset_size(ruleset))
		return 0;
	ruleset_rule_info(ruleset, job->rule, &info);
	for (part = stats_result_parts(job->counted, job->rule); part;
	     part = part->next) {
		if (part->protocol >= PROTOCOL_COUNT)
			continue;
		group = metrics_group_get(
			job->report, NULL, info.name,
			protocol_name((enum protocol)part->protocol), NULL);
		if (!group)
			return -ENOMEM;
		stats_counts_add(&group->counts, &part->counts);
	}
	mark_counted(job->report, info.name);
	job->rule++;
	return 1;
}

static int add_draining(const struct consumer_draining *info, void *user_data)
{
	struct metrics_job *job = user_data;

	if (id_list_add(&job->draining, info->id) < 0)
		return -ENOMEM;
	return id_list_add(&job->pids, (uint64_t)info->pid);
}

static int take_ids(struct metrics_job *job)
{
	struct listener *listener = NULL;

	while ((listener = binder_next_netns(job->config.binder, listener))) {
		if (id_list_add(&job->netns_ids, listener->netns_id) < 0)
			return -ENOMEM;
	}
	return consumers_each_draining(job->config.consumers, 0, add_draining,
				       job);
}

static int note_lingering(struct metrics_job *job)
{
	struct metrics_report *report = job->report;
	struct watcher_lingering *list =
		calloc(LINGERING_MAX, sizeof(struct watcher_lingering));
	uint64_t now_us = monotonic_us();
	size_t n;

	if (!list)
		return -ENOMEM;
	n = watcher_lingering(job->config.watcher, list, LINGERING_MAX);
	report->lingering = n > LINGERING_MAX ? n - LINGERING_MAX : 0;
	for (size_t i = 0; i < n && i < LINGERING_MAX; i++) {
		if (now_us - list[i].since_us < LINGERING_MIN_US)
			continue;
		report->lingering++;
		if (consumers_holds(job->config.consumers, list[i].netns_id) ||
		    binder_next_in(job->config.binder, list[i].netns_id, NULL))
			report->lingering_berth++;
	}
	report->lingering_others = report->lingering - report->lingering_berth;
	free(list);
	return 0;
}

/* All at once: consumers may tell something else between two turns. */
static int note_backends(struct metrics_report *report,
			 const struct backends *backends)
{
	const struct backend_status *status = NULL;
	int r = 0;

	report->backends =
		calloc(backends_count(backends) + 1, sizeof(*report->backends));
	if (!report->backends)
		return -ENOMEM;
	while (r == 0 && (status = backends_next(backends, status))) {
		const struct metrics_backend backend = {
			.rule = (char *)(uintptr_t)status->rule,
			.backend = status->backend,
			.netns = status->netns,
			.protocol = protocol_name(status->protocol),
			.up = status->state == BACKEND_UP,
			.connections = status->connections,
		};

		r = metrics_report_backend(report, &backend);
	}
	return r;
}

static int note_consumers(struct metrics_report *report,
			  const struct consumers *consumers)
{
	size_t n = consumers_count(consumers);

	report->consumers = calloc(n + 1, sizeof(*report->consumers));
	if (!report->consumers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct metrics_consumer *consumer = &report->consumers[i];
		struct consumer_info info;

		consumers_get_info(consumers, i, &info);
		consumer->name = strdup(info.name);
		if (!consumer->name)
			return -ENOMEM;
		report->n_consumers++;
		consumer->connected = info.connected;
		if (strcmp(info.name, SERVICE_RELAY) == 0 && info.connected &&
		    metrics_process_read(info.pid, &report->processes[1]) == 0)
			report->processes[1].program = "berth-relay";
	}
	return 0;
}

static void note_namespaces(struct metrics_report *report,
			    struct watcher *watcher)
{
	const struct registration *registration = NULL;
	uint64_t *registered = report->containers_registered;
	size_t files = watcher_container_count(watcher);
	struct netns *netns = NULL;
	struct watcher_stats stats;

	while ((netns = watcher_next(watcher, netns)))
		report->named += netns->n_names > 0;
	report->unreadable = watcher_unreadable_names(watcher);
	report->pending =
		watcher_pending_names(watcher, NULL, 0) - report->unreadable;
	while ((registration =
			watcher_next_registration(watcher, registration))) {
		registered[registration->source]++;
		files -= files > 0;
	}
	report->containers_files = files;
	watcher_get_stats(watcher, &stats);
	report->names_overflows = stats.names_overflows;
	report->netlink_overflows = stats.netlink_overflows;
	report->resyncs = stats.resyncs;
}

/* By rule only: no listener is there that could have series of its own. */
static int note_shadows(struct metrics_job *job)
{
	const struct shadows *shadows = job->config.shadows;
	struct metrics_group *group;

	for (int i = 0; i < PROTOCOL_COUNT && !job->request.namespaces; i++) {
		const struct shadow_sum *sum = shadows->sums[i];

		for (; sum; sum = sum->hh.next) {
			group = metrics_group_get(
				job->report, NULL, sum->rule,
				protocol_name((enum protocol)i), NULL);
			if (!group)
				return -ENOMEM;
			group->listeners[METRICS_SHADOWED] = sum->n;
		}
	}
	return 0;
}

/* All that is not counted listener by listener. Return: 0 or -ENOMEM. */
static int note_rest(struct metrics_job *job)
{
	const struct metrics_config *config = &job->config;
	struct metrics_report *report = job->report;
	struct utsname name;

	report->open = config->history->open;
	report->freed = config->history->freed;
	report->rules_time = config->history->rules_time
				     ? config->history->rules_time
				     : METRICS_UNKNOWN;
	report->rules_successful = rules_successful(config->rules);
	report->relay_restarts = config->relay
					 ? relay_process_restarts(config->relay)
					 : METRICS_UNKNOWN;
	if (uname(&name) == 0)
		(void)snprintf(report->kernel, sizeof(report->kernel), "%s",
			       name.release); /* is no longer */
	if (metrics_process_read(getpid(), &report->processes[0]) == 0)
		report->processes[0].program = "berthd";
	note_namespaces(report, config->watcher);
	if (note_lingering(job) < 0 || note_shadows(job) < 0 ||
	    note_consumers(report, config->consumers) < 0 ||
	    note_backends(report, consumers_backends(config->consumers)) < 0)
		return -ENOMEM;
	return metrics_report_list(report);
}

/* Return: 1: there is more; 0: the report is complete; -ENOMEM. */
static int job_turn(struct metrics_job *job)
{
	int r;

	for (job->left = PER_TURN; job->left > 0; job->left -= job->left > 0) {
		r = step_listener(job);
		if (r == 0)
			r = step_netns(job);
		if (r == 0)
			r = step_draining(job);
		if (r == 0)
			r = step_rule(job);
		if (r < 0)
			return r;
		if (r == 0)
			return note_rest(job);
	}
	return 1;
}

static void job_handler(void *user_data)
{
	struct metrics_job *job = user_data;
	int r = job_turn(job);

	if (r > 0)
		loop_timer_set(job->timer, loop_now_us(job->loop));
	else
		job_done(job, r);
}

static void job_counted(struct stats_result *result, void *user_data)
{
	struct metrics_job *job = user_data;
	int r = result ? take_ids(job) : -ENOMEM;

	if (r < 0) {
		job_done(job, r);
		return;
	}
	job->counted = stats_result_ref(result);
	loop_timer_set(job->timer, loop_now_us(job->loop));
}

struct metrics_job *metrics_collect(struct loop *loop,
				    const struct metrics_config *config,
				    const struct metrics_request *request)
{
	struct metrics_job *job = calloc(1, sizeof(*job));

	if (!job) {
		pattern_free(request->namespaces);
		return NULL;
	}
	job->loop = loop;
	job->config = *config;
	job->request = *request;
	job->waiter.done = job_counted;
	job->waiter.user_data = job;
	job->report = metrics_report_new();
	if (!job->report ||
	    loop_timer_new(loop, job_handler, job, &job->timer) < 0) {
		job_free(job);
		return NULL;
	}
	stats_collect(config->stats, &job->waiter);
	return job;
}

void metrics_cancel(struct metrics_job *job)
{
	if (!job->counted)
		stats_cancel(job->config.stats, &job->waiter);
	job_free(job);
}
