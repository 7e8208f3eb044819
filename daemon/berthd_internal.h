/* SPDX-License-Identifier: Apache-2.0 */
/* berthd_internal.h - what berthd.c and berthd_handlers.c share */
#ifndef DAEMON_BERTHD_INTERNAL_H
#define DAEMON_BERTHD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "binder/binder.h"
#include "binder/provide.h"
#include "daemon/berthd.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/metrics.h"
#include "daemon/events.h"
#include "daemon/privileges.h"
#include "rules/rules.h"
#include "watcher/news.h"
#include "watcher/watcher.h"

struct backend_status;
struct ending;
struct listener;

/**
 * struct berthd - see berthd.c
 * @ending:	NULL: what berthd leaves goes on without it
 * @relays_path: of the file of relay_process
 * @keeps_relay: the relay outlives this berthd
 */
struct berthd {
	struct config_store *config;
	struct loop *loop;
	struct loop_source *signal_source;
	struct mounts *mounts;
	struct rule_store *rules;
	struct rules_changes *rules_changes;
	struct watcher *watcher;
	struct containers_dir *containers_dir;
	struct registrations_file *registrations_file;
	struct binder *binder;
	struct provided_files *provided_files;
	struct provider *provider;
	struct reconcile *reconcile;
	struct consumers *consumers;
	struct stats *stats;
	struct relay_process *relay;
	struct control *control;
	struct metrics_history history;
	struct lifecycle *lifecycle;
	struct events events;
	struct fd_store *store;
	struct relay_user relay_user;
	size_t started_nofile;
	size_t listeners_possible;
	struct ending *ending;
	char *socket_dir;
	char *relays_path;
	int signal_fd;
	int lock_fd;
	bool ready;
	bool restarts;
	bool keeps_relay;
	bool has_sctp;
};

/* What the layers ask and tell; @user_data is the struct berthd. */
extern const struct consumers_ops berthd_consumers_ops;
extern const struct rule_store_ops berthd_rule_store_ops;
extern const struct watcher_ops berthd_watcher_ops;
extern const struct binder_ops berthd_binder_ops;
extern const struct provider_ops berthd_provider_ops;

/** berthd_set_stats_rules() - counts for the rules in force from now on.
 * Return: 0; -ENOMEM, logged: it counts for the earlier ones. */
int berthd_set_stats_rules(struct berthd *berthd);

/** berthd_set_consumers_rules() - consumers of the rules in force have sockets.
 * A failure is logged. */
void berthd_set_consumers_rules(struct berthd *berthd);

/** berthd_relay_connected() - Return: is this process connected as the relay?
 */
bool berthd_relay_connected(pid_t pid, void *user_data);

/** berthd_restart_relay() - Return: 0; -EOPNOTSUPP when the relay is not
 * berthd's; -errno of relay_process_restart(). */
int berthd_restart_relay(void *user_data);

/** berthd_set_log_level() - of berthd and berth-relay. Return: is one
 * connected?
 */
bool berthd_set_log_level(enum log_level level, void *user_data);

/** berthd_netns_planned() - the listeners of a namespace are what is wanted */
void berthd_netns_planned(uint64_t netns_id, void *user_data);

/** berthd_listener_refusal() - Return: why nobody would serve the listener,
 * borrowed until the next event; NULL: somebody does. */
const char *berthd_listener_refusal(const struct listener_spec *spec,
				    void *user_data);

/* berthd_events.c: what the layers tell, as events for whoever listens. Each
 * does nothing while nobody wants such an event. */

/** berthd_news_wanted() - for struct news_teller; @user_data is the struct
 * berthd */
bool berthd_news_wanted(enum news_kind kind, void *user_data);

/** berthd_news_tell() - the same */
void berthd_news_tell(const struct news *news, void *user_data);

/** berthd_event_gone() - the namespace has lost its last name */
void berthd_event_gone(struct berthd *berthd, const struct netns *netns);

/** berthd_event_freed() - the kernel freed the namespace */
void berthd_event_freed(struct berthd *berthd, uint64_t netns_id);

/** berthd_event_opened() - the listener accepts */
void berthd_event_opened(struct berthd *berthd,
			 const struct listener *listener);

/** berthd_event_waiting() - the listener waits; @user_data as above */
void berthd_event_waiting(const struct listener *listener, void *user_data);

/** berthd_event_closed() - the listener is closed, @by_hand or for another
 * reason */
void berthd_event_closed(struct berthd *berthd, const struct listener *listener,
			 bool by_hand);

/** berthd_event_rules() - another outcome of the rule files is in force */
void berthd_event_rules(struct berthd *berthd);

/** berthd_event_consumer_came() - process @pid is connected as the consumer */
void berthd_event_consumer_came(const char *consumer, pid_t pid,
				void *user_data);

/** berthd_event_consumer_lost() - its connection is over; @what happened */
void berthd_event_consumer_lost(struct berthd *berthd, const char *consumer,
				pid_t pid, const char *what);

/** berthd_event_backend() - a backend is down, or up again */
void berthd_event_backend(const struct backend_status *status, void *user_data);

/** berthd_event_full() - as many listeners are open as may be */
void berthd_event_full(void *user_data);

/** berthd_event_limited() - the namespace has @omitted listeners too many */
void berthd_event_limited(const struct netns *netns, size_t omitted,
			  void *user_data);

#endif
