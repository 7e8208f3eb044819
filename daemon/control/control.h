/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - the Varlink service io.berth, for berthctl and any client */
#ifndef DAEMON_CONTROL_CONTROL_H
#define DAEMON_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "common/loop.h"

struct binder;
struct config_store;
struct consumers;
struct containers_dir;
struct control;
struct metrics_history;
struct events;
struct netns;
struct reconcile;
struct relay_process;
struct relay_user;
struct rule_store;
struct stats;
struct watcher;

/**
 * struct control_config - whom the service asks; all outlive it
 * @relay_user:	whom berth-relay runs as; NULL: berthd does not start it
 * @reload:	does what SIGHUP does, before it returns; *@ret_changed: which
 *		settings are others then. Return: 0 or -errno.
 * @restart_relay: has a new berth-relay take over from the one that runs.
 *		Return: 0 or -errno; -EBUSY: too many let their clients finish.
 * @set_log_level: of berthd and of berth-relay. Return: is one connected, which
 *		is told soon?
 * @relay:	NULL: berthd does not start berth-relay
 * @history:	what metrics are made of, too
 * @started_us:	monotonic
 */
struct control_config {
	struct watcher *watcher;
	struct binder *binder;
	struct rule_store *rules;
	struct reconcile *reconcile;
	struct consumers *consumers;
	struct stats *stats;
	const struct relay_user *relay_user;
	struct events *events;
	const struct config_store *config;
	const struct containers_dir *containers_dir;
	int (*reload)(uint32_t *ret_changed, void *user_data);
	int (*restart_relay)(void *user_data);
	bool (*set_log_level)(enum log_level level, void *user_data);
	void *user_data;
	const struct relay_process *relay;
	const struct metrics_history *history;
	uint64_t started_us;
};

/**
 * control_new() - serves on the UNIX socket at @path
 * @path:	replaced when it exists (the owner holds the directory's lock)
 * @config:	copied
 *
 * Return: 0; -ENAMETOOLONG; -ENOMEM; -errno of socket(2), bind(2), listen(2).
 */
int control_new(struct loop *loop, const char *path,
		const struct control_config *config,
		struct control **ret_control);

/**
 * control_report() - also serves io.systemd.Metrics, at "io.berth" in @dir, for
 * root alone
 *
 * A directory that is not there, on a host without a systemd that reads it, is
 * none to serve in; whatever else is wrong is logged.
 */
void control_report(struct control *control, const char *dir);

/** control_configured() - the section `control` of the configuration is another
 * one: ends the connections of those who may not connect any more */
void control_configured(struct control *control);

/** control_netns_changed() - @netns is new, or has other names or containers.
 * This and what follows are for those who wait; @control may be NULL. */
void control_netns_changed(struct control *control, const struct netns *netns);

/** control_netns_gone() - the namespace with this id is no more */
void control_netns_gone(struct control *control, uint64_t netns_id);

/** control_netns_settles() - the namespace was planned, or a listener opened */
void control_netns_settles(struct control *control, uint64_t netns_id);

/** control_registration_ended() - a registration ended by itself */
void control_registration_ended(struct control *control, uint64_t id);

/** control_step() - answers callers that wait, when all else of the batch was
 * acted on */
void control_step(struct control *control);

/** control_free() - ends all connections and removes the socket's file
 * Return: NULL. NULL is fine. */
struct control *control_free(struct control *control);

#endif
