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
#include "daemon/privileges.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

struct ending;

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

/** berthd_netns_planned() - the listeners of a namespace are what is wanted */
void berthd_netns_planned(uint64_t netns_id, void *user_data);

/** berthd_listener_refusal() - Return: why nobody would serve the listener,
 * borrowed until the next event; NULL: somebody does. */
const char *berthd_listener_refusal(const struct listener_spec *spec,
				    void *user_data);

#endif
