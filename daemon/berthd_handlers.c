// SPDX-License-Identifier: Apache-2.0
/* berthd_handlers.c - what berthd's layers ask and tell one another
 *
 * None of the layers knows another one, nor the daemon: each calls its struct
 * of operations, and here stands what that means for the others.
 */
#include "daemon/berthd_internal.h"

#include <inttypes.h>
#include <string.h>

#include "common/util.h"
#include "daemon/by_hand.h"
#include "daemon/config_store.h"
#include "daemon/control/control.h"
#include "daemon/consumers/mint.h"
#include "daemon/consumers/stats.h"
#include "daemon/fd_store.h"
#include "daemon/provided_files.h"
#include "daemon/reconcile.h"
#include "daemon/registrations_file.h"
#include "daemon/relay_process.h"
#include "daemon/rules_changes.h"
#include "daemon/startup_log.h"
#include "daemon/unserved.h"

int berthd_set_stats_rules(struct berthd *berthd)
{
	int r = stats_set_rules(berthd->stats,
				rule_store_ruleset(berthd->rules));

	if (r < 0)
		log_error_errno(r, "cannot count for the rules in force");
	return r;
}

void berthd_set_consumers_rules(struct berthd *berthd)
{
	if (consumers_set_rules(berthd->consumers,
				rule_store_ruleset(berthd->rules)) < 0)
		log_error("out of memory: a consumer has no socket");
}

static void rules_changed(void *user_data)
{
	struct berthd *berthd = user_data;

	startup_log_rules(berthd->rules);
	metrics_note_rules(&berthd->history, berthd->rules);
	rules_changes_note(berthd->rules_changes,
			   rule_store_ruleset(berthd->rules), berthd->binder);
	(void)berthd_set_stats_rules(
		berthd); /* it counts for the earlier ones */
	berthd_set_consumers_rules(berthd);
	reconcile_rules_changed(berthd->reconcile);
	berthd_event_rules(berthd);
}

static void netns_changed(struct netns *netns, void *user_data)
{
	struct berthd *berthd = user_data;

	reconcile_mark(berthd->reconcile, netns);
	control_netns_changed(berthd->control, netns);
}

static void netns_gone(struct netns *netns, void *user_data)
{
	struct berthd *berthd = user_data;

	reconcile_forget(berthd->reconcile, netns->id);
	fd_store_forget(berthd->store, netns->id);
	consumers_netns_gone(berthd->consumers, netns->id);
	control_netns_gone(berthd->control, netns->id);
	berthd_event_gone(berthd, netns);
}

void berthd_netns_planned(uint64_t netns_id, void *user_data)
{
	struct berthd *berthd = user_data;

	control_netns_settles(berthd->control, netns_id);
}

static void netns_freed(uint64_t netns_id, uint64_t elapsed_us, void *user_data)
{
	struct berthd *berthd = user_data;

	consumers_netns_freed(berthd->consumers, netns_id);
	histogram_add(&berthd->history.freed, elapsed_us);
	berthd_event_freed(berthd, netns_id);
	log_debug("the kernel freed netns %llu, %llu ms after its last name "
		  "went",
		  (unsigned long long)netns_id,
		  (unsigned long long)(elapsed_us / USEC_PER_MSEC));
}

static void registration_ended(const struct registration *registration,
			       const char *reason, void *user_data)
{
	struct berthd *berthd = user_data;

	control_registration_ended(berthd->control, registration->id);
	log_debug("registration %" PRIu64 " of container '%s' ended: %s",
		  registration->id, registration->container->name, reason);
}

static void registrations_changed(void *user_data)
{
	struct berthd *berthd = user_data;

	/* While they are restored there is no file yet. */
	if (berthd->registrations_file)
		registrations_file_changed(berthd->registrations_file);
}

static int open_netns(uint64_t netns_id, int *ret_fd, void *user_data)
{
	struct berthd *berthd = user_data;
	const struct netns *netns = watcher_find(berthd->watcher, netns_id);
	int fd;

	if (!netns)
		return -ESTALE;
	if (netns->host) {
		*ret_fd = -1;
		return 0;
	}
	fd = watcher_open_netns(berthd->watcher, netns);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static void listener_opened(struct listener *listener, void *user_data)
{
	struct berthd *berthd = user_data;
	uint64_t event_us = reconcile_event_us(berthd->reconcile);

	if (event_us)
		histogram_add(&berthd->history.open, monotonic_us() - event_us);
	/* The kernel has SCTP now: the others need not wait for their time. */
	if (protocol_is_sctp(listener->endpoint.protocol) &&
	    !berthd->has_sctp) {
		berthd->has_sctp = true;
		reconcile_mark_all(berthd->reconcile);
	}
	consumers_listener_opened(berthd->consumers, listener);
	control_netns_settles(berthd->control, listener->netns_id);
	berthd_event_opened(berthd, listener);
}

static void listener_changed(struct listener *listener, void *user_data)
{
	struct berthd *berthd = user_data;

	consumers_listener_changed(berthd->consumers, listener);
}

static void listener_closing(struct listener *listener, void *user_data)
{
	struct berthd *berthd = user_data;

	const struct by_hand_entry *by_hand = by_hand_find(
		reconcile_by_hand(berthd->reconcile), listener->service->rule,
		listener->netns_id, &listener->endpoint);

	consumers_listener_closing(berthd->consumers, listener);
	berthd_event_closed(berthd, listener, /* by_hand= */ by_hand != NULL);
	if (by_hand && by_hand->reset)
		(void)consumers_end_draining(berthd->consumers, NULL,
					     listener->id);
}

/* Also of a namespace that has lost its last name. */
static const char *label_netns(uint64_t netns_id, void *user_data)
{
	const struct berthd *berthd = user_data;
	const struct netns *netns = watcher_find(berthd->watcher, netns_id);

	return netns ? netns_label(netns)
		     : watcher_last_name(berthd->watcher, netns_id);
}

static const char *listener_holder(uint64_t netns_id,
				   const struct endpoint *endpoint,
				   void *user_data)
{
	struct berthd *berthd = user_data;
	const char *name =
		consumers_holder(berthd->consumers, netns_id, endpoint);

	if (name && strcmp(name, SERVICE_RELAY) == 0)
		return "berth-relay";
	return name;
}

static const struct netns *find_netns(uint64_t netns_id, void *user_data)
{
	struct berthd *berthd = user_data;

	return watcher_find(berthd->watcher, netns_id);
}

static void consumer_released(uint64_t netns_id, void *user_data)
{
	struct berthd *berthd = user_data;
	const struct netns *netns = watcher_find(berthd->watcher, netns_id);

	/* Another endpoint may have waited for that very port. */
	if (!netns)
		return;
	binder_port_freed(berthd->binder, netns_id);
	reconcile_mark(berthd->reconcile, netns);
}

static struct listener *find_listener(uint64_t id, void *user_data)
{
	struct berthd *berthd = user_data;

	return binder_find(berthd->binder, id);
}

static int consumer_counted(const struct consumer_count *count, void *user_data)
{
	struct berthd *berthd = user_data;

	return stats_counted(berthd->stats, count);
}

static void consumer_ended(uint64_t connection, void *user_data)
{
	struct berthd *berthd = user_data;

	stats_connection_ended(berthd->stats, connection);
}

static void consumer_stats_changed(void *user_data)
{
	struct berthd *berthd = user_data;

	stats_consumers_changed(berthd->stats);
}

static int consumer_mint(const struct listener *listener,
			 const struct socket_request *request, int *ret_fd,
			 uint64_t *ret_netns_id, void *user_data)
{
	struct berthd *berthd = user_data;

	return mint_socket(berthd->watcher, listener, request, ret_fd,
			   ret_netns_id);
}

static void consumer_presence(void *user_data)
{
	struct berthd *berthd = user_data;

	if (!berthd->watcher) /* the first pass is still to come */
		return;
	reconcile_mark_all(berthd->reconcile);
	binder_await_end(berthd->binder);
}

static bool listener_given(const struct listener *listener, void *user_data)
{
	(void)user_data;
	return consumers_given(listener);
}

const char *berthd_listener_refusal(const struct listener_spec *spec,
				    void *user_data)
{
	const struct berthd *berthd = user_data;
	const char *reason = unserved_reason(spec);

	if (!reason &&
	    consumers_closed(berthd->consumers, spec->service->consumer))
		return "its consumer is not connected, and is configured with "
		       "when_absent: close";
	return reason;
}

static int consumer_hand_back(struct handed_back *handed_back, int fd,
			      const char **ret_reason, void *user_data)
{
	struct berthd *berthd = user_data;

	return binder_hand_back(berthd->binder, handed_back, fd, ret_reason);
}

static void consumer_not_awaited(void *user_data)
{
	struct berthd *berthd = user_data;

	/* A consumer may end before there is a binder. */
	if (berthd->binder)
		binder_await_end(berthd->binder);
}

static bool listener_awaits(const struct listener *listener, void *user_data)
{
	struct berthd *berthd = user_data;

	/* If it did not come the listeners are to be refused, and so not opened
	 * before reconcile gets to that. */
	return fd_store_awaits(berthd->store, listener) ||
	       consumers_awaits(berthd->consumers,
				listener->service->consumer) ||
	       consumers_closed(berthd->consumers, listener->service->consumer);
}

static void consumer_lost(const char *consumer, pid_t pid, const char *what,
			  void *user_data)
{
	struct berthd *berthd = user_data;

	berthd_event_consumer_lost(berthd, consumer, pid, what);
	/* However it ended: what it held of a namespace goes with it. */
	if (berthd->relay && strcmp(consumer, SERVICE_RELAY) == 0)
		relay_process_kill(berthd->relay, pid);
}

/* Only the relays that berthd has started are berth-relay: its user's other
 * processes get nothing. */
static const char *consumer_refusal(const char *consumer, pid_t pid,
				    void *user_data)
{
	const struct berthd *berthd = user_data;

	if (!berthd->relay || strcmp(consumer, SERVICE_RELAY) != 0 ||
	    relay_process_has(berthd->relay, pid))
		return NULL;
	return "berthd starts berth-relay itself, and did not start this "
	       "process";
}

bool berthd_relay_connected(pid_t pid, void *user_data)
{
	const struct berthd *berthd = user_data;

	return consumers_connected(berthd->consumers, SERVICE_RELAY, pid);
}

int berthd_restart_relay(void *user_data)
{
	struct berthd *berthd = user_data;

	if (!berthd->relay)
		return -EOPNOTSUPP;
	return relay_process_restart(berthd->relay);
}

bool berthd_set_log_level(enum log_level level, void *user_data)
{
	struct berthd *berthd = user_data;
	const struct config *config = config_store_config(berthd->config);

	log_set_level(level);
	if (berthd->relay)
		relay_process_set(berthd->relay, (unsigned int)config->workers,
				  level, config->log_format);
	return consumers_set_log_level(berthd->consumers, level);
}

static int provider_note(uint64_t netns_id, const struct provided *const *list,
			 size_t n, void *user_data)
{
	const struct berthd *berthd = user_data;

	return provided_files_note(berthd->provided_files, netns_id, list, n);
}

/* A listener on a wildcard may have connections on any address. */
static int drains_on(const struct consumer_draining *info, void *user_data)
{
	const struct ip_addr *addr = user_data;
	struct ip_addr drained = endpoint_addr(info->endpoint);

	return endpoint_is_wildcard(info->endpoint) ||
	       info->endpoint->multihomed || ip_addr_equal(&drained, addr);
}

static bool provider_in_use(uint64_t netns_id, const struct ip_addr *addr,
			    void *user_data)
{
	const struct berthd *berthd = user_data;
	struct ip_addr copy = *addr;

	return consumers_each_draining(berthd->consumers, netns_id, drains_on,
				       &copy) != 0;
}

static void provider_due(uint64_t netns_id, void *user_data)
{
	struct berthd *berthd = user_data;
	const struct netns *netns = watcher_find(berthd->watcher, netns_id);

	if (netns)
		reconcile_mark(berthd->reconcile, netns);
}

const struct consumers_ops berthd_consumers_ops = {
	.find_netns = find_netns,
	.label_netns = label_netns,
	.find_listener = find_listener,
	.released = consumer_released,
	.counted = consumer_counted,
	.ended = consumer_ended,
	.stats_changed = consumer_stats_changed,
	.mint = consumer_mint,
	.presence = consumer_presence,
	.hand_back = consumer_hand_back,
	.not_awaited = consumer_not_awaited,
	.came = berthd_event_consumer_came,
	.backend_changed = berthd_event_backend,
	.lost = consumer_lost,
	.refusal = consumer_refusal,
};

const struct rule_store_ops berthd_rule_store_ops = {
	.changed = rules_changed,
};

const struct watcher_ops berthd_watcher_ops = {
	.changed = netns_changed,
	.gone = netns_gone,
	.freed = netns_freed,
	.registration_ended = registration_ended,
	.registrations_changed = registrations_changed,
	.news = { .wanted = berthd_news_wanted, .tell = berthd_news_tell },
};

const struct binder_ops berthd_binder_ops = {
	.open_netns = open_netns,
	.opened = listener_opened,
	.changed = listener_changed,
	.closing = listener_closing,
	.holder = listener_holder,
	.awaits = listener_awaits,
	.given = listener_given,
	.waiting = berthd_event_waiting,
	.full = berthd_event_full,
	.label = label_netns,
};

const struct provider_ops berthd_provider_ops = {
	.open_netns = open_netns,
	.note = provider_note,
	.in_use = provider_in_use,
	.due = provider_due,
	.label = label_netns,
};
