// SPDX-License-Identifier: Apache-2.0
/* berthd.c - the daemon: its layers put together
 *
 * Theory of operation: handlers of the loop only take note of what happened.
 * After each batch berthd_after() runs the stages in order, each a bounded
 * slice: the watcher finds out, reconcile plans and the binder opens, the
 * consumers are told, and what has time comes last. While any stage has work
 * left the loop polls without waiting, so that events are heard between two
 * slices.
 *
 * READY=1 is said once, when the watcher has seen all that existed at the start
 * and nothing is left to reconcile. A reload is over, for the service manager,
 * when no stage has work left: then the listeners are as the new rules want.
 */
#include "daemon/berthd_internal.h"

#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "common/code_pages.h"
#include "common/loop.h"
#include "common/mounts.h"
#include "common/util.h"
#include "daemon/config_apply.h"
#include "daemon/config_store.h"
#include "daemon/containers_dir.h"
#include "daemon/control/control.h"
#include "daemon/ending.h"
#include "daemon/fd_leave.h"
#include "daemon/fd_store.h"
#include "daemon/lifecycle.h"
#include "daemon/provided_files.h"
#include "daemon/reconcile.h"
#include "daemon/registrations_file.h"
#include "daemon/relay_process.h"
#include "daemon/rules_changes.h"
#include "daemon/runtime_dir.h"
#include "daemon/startup_log.h"
#include "daemon/consumers/stats.h"
#include "daemon/unserved.h"

/* Trying it may load the kernel's module. */
static bool kernel_has_sctp(void)
{
	_cleanup_close_ int fd =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);

	return fd >= 0;
}

static void apply_config(struct berthd *berthd, uint32_t changed)
{
	const struct config_targets targets = {
		.binder = berthd->binder,
		.consumers = berthd->consumers,
		.control = berthd->control,
		.reconcile = berthd->reconcile,
		.relay = berthd->relay,
		.relay_user = berthd->relay_user,
		.watcher = berthd->watcher,
		.listeners_possible = berthd->listeners_possible,
	};

	config_apply(&targets, config_store_config(berthd->config), changed);
}

static int reload_config(struct berthd *berthd, uint32_t *ret_changed)
{
	int r;

	*ret_changed = 0;
	r = config_store_reload(berthd->config, ret_changed);
	if (r == -ENOMEM)
		return r;
	apply_config(berthd, *ret_changed); /* the log's level, too */
	config_store_log(berthd->config, *ret_changed);
	return 0;
}

/* Problems in what was read are no failure: what was in force stays. */
static int reload(uint32_t *ret_changed, void *user_data)
{
	struct berthd *berthd = user_data;
	int r;

	lifecycle_reloading(berthd->lifecycle);
	r = reload_config(berthd, ret_changed);
	containers_dir_reload(berthd->containers_dir);
	return r < 0 ? r : rule_store_reload(berthd->rules);
}

/* Has everything end: relays, and what other consumers serve. */
static void end_all(struct berthd *berthd)
{
	berthd->keeps_relay = false;
	if (!berthd->ending && ending_new(berthd->loop, berthd->consumers,
					  berthd->relay, &berthd->ending) < 0)
		loop_quit(berthd->loop, 0); /* then it ends at once */
}

static void signal_handler(uint32_t events, void *user_data)
{
	struct berthd *berthd = user_data;
	struct signalfd_siginfo info;
	uint32_t changed;

	(void)events;
	if (read(berthd->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		log_info("SIGHUP: reading the configuration and the rules "
			 "again");
		if (reload(&changed, berthd) < 0)
			log_error("out of memory: what is in force stays");
		break;
	case SIGINT:
		log_info("SIGINT: ending, with all that is served");
		end_all(berthd);
		break;
	default:
		log_info("SIGTERM: ending; consumers go on");
		berthd->restarts = !berthd->ending;
		loop_quit(berthd->loop, 0);
		break;
	}
}

/* Has everything that existed been looked at, and taken back what consumers and
 * the service manager had of an earlier berthd? */
static bool start_is_complete(const struct berthd *berthd)
{
	struct binder_stats stats;

	if (!watcher_settled(berthd->watcher) ||
	    !consumers_settled(berthd->consumers) ||
	    !fd_store_is_done(berthd->store))
		return false;
	binder_get_stats(berthd->binder, &stats);
	return stats.awaited == 0;
}

/* All is planned now: takes back a slice of what an earlier berthd had. Return:
 * is there more? */
static bool take_back(struct berthd *berthd)
{
	if (fd_store_decide(berthd->store, berthd->binder))
		return true;
	consumers_take_back(berthd->consumers);
	return false;
}

static bool netns_exists(uint64_t netns_id, void *user_data)
{
	const struct berthd *berthd = user_data;

	return watcher_find(berthd->watcher, netns_id) != NULL;
}

static bool berthd_after(void *user_data)
{
	struct berthd *berthd = user_data;
	bool left;

	if (berthd->ending)
		return ending_step(berthd->ending);
	left = containers_dir_step(berthd->containers_dir);
	left = watcher_step(berthd->watcher) || left;
	left = reconcile_step(berthd->reconcile) || left;
	control_step(berthd->control);
	if (!berthd->ready && !left && watcher_settled(berthd->watcher))
		left = take_back(berthd);
	if (!berthd->ready && !left && start_is_complete(berthd)) {
		berthd->ready = true;
		provider_forget_others(berthd->provider, netns_exists, berthd);
		lifecycle_ready(berthd->lifecycle);
		code_pages_release();
		log_info("ready");
	}
	if (berthd->ready || !left)
		left = consumers_step(berthd->consumers) || left;
	/* Behind what a container that starts is waiting for. */
	left = registrations_file_step(berthd->registrations_file) || left;
	if (!left)
		rules_changes_settled(berthd->rules_changes, berthd->binder);
	if (!left && lifecycle_is_reloading(berthd->lifecycle)) {
		lifecycle_ready(berthd->lifecycle);
		code_pages_release();
	}
	/* Before it is ready it is not idle, though it waits for consumers. */
	return watcher_batch_end(berthd->watcher,
				 /* idle= */ berthd->ready && !left) ||
	       left;
}

static int open_signals(struct berthd *berthd)
{
	sigset_t set;

	(void)sigemptyset(&set); /* none of these can fail */
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	berthd->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (berthd->signal_fd < 0)
		return -errno;
	return loop_add(berthd->loop, berthd->signal_fd, EPOLLIN,
			signal_handler, berthd, &berthd->signal_source);
}

/* What no part was given when it was made. */
static void apply_first(struct berthd *berthd)
{
	apply_config(berthd, UINT32_C(1) << CONFIG_ORPHAN_TIMEOUT |
				     UINT32_C(1) << CONFIG_DRAIN_TIMEOUT |
				     UINT32_C(1) << CONFIG_RELEASE_TIMEOUT |
				     UINT32_C(1) << CONFIG_CONSUMERS);
}

static int open_consumers(struct berthd *berthd, const struct config *config)
{
	char path[PATH_MAX];
	int r;

	r = consumers_new(berthd->loop, &berthd_consumers_ops, berthd,
			  &berthd->consumers);
	if (r == 0)
		r = stats_new(berthd->loop, berthd->consumers, &berthd->stats);
	(void)snprintf(path, sizeof(path), "%s/consumers.json",
		       config->runtime_dir); /* too long: the lock failed */
	if (r == 0)
		r = consumers_remember(berthd->consumers, path);
	if (r < 0)
		return log_error_errno(r, "cannot prepare for consumers");
	apply_first(berthd);
	return 0;
}

/* After the consumers' sockets were opened, which it connects to. */
static int start_relay(struct berthd *berthd, const struct config *config)
{
	struct relay_process_config relay_config = {
		.program = config->relay_program,
		.workers = (unsigned int)config->workers,
		.log_level = config->log_level,
		.log_format = config->log_format,
		.user = berthd->relay_user,
		.orphan_us = config->orphan_timeout_us,
		.connected = berthd_relay_connected,
		.user_data = berthd,
	};
	int r;

	if (asprintf(&berthd->socket_dir, "%s/consumers", config->runtime_dir) <
		    0 ||
	    asprintf(&berthd->relays_path, "%s/relays.json",
		     config->runtime_dir) < 0)
		return log_error_errno(ENOMEM, "cannot start berth-relay");
	relay_config.socket_dir = berthd->socket_dir;
	relay_config.known_path = berthd->relays_path;
	r = relay_process_new(berthd->loop, &relay_config, &berthd->relay);
	if (r < 0)
		return log_error_errno(r, "cannot start berth-relay");
	return 0;
}

/* Counts of an earlier berthd go on. */
static int keep_stats(struct berthd *berthd, const struct config *config)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/stats.json",
		       config->runtime_dir); /* too long: the lock failed */
	return stats_keep(berthd->stats, path);
}

static int open_rules(struct berthd *berthd, const struct config *config)
{
	int r;

	r = rule_store_new(berthd->loop,
			   (const char *const *)config->rules_dirs.list,
			   config->rules_dirs.n, &berthd_rule_store_ops, berthd,
			   &berthd->rules);
	if (r == 0)
		r = rule_store_follow_mounts(berthd->rules, berthd->mounts);
	if (r < 0)
		return startup_log_watch_error(r, "the rules");
	berthd->rules_changes = rules_changes_new();
	if (!berthd->rules_changes)
		return log_error_errno(ENOMEM, "cannot start");
	startup_log_rules(berthd->rules);
	metrics_note_rules(&berthd->history, berthd->rules);
	rules_changes_note(berthd->rules_changes,
			   rule_store_ruleset(berthd->rules), NULL);
	berthd_set_consumers_rules(berthd);
	r = consumers_open_doors(berthd->consumers, config->runtime_dir);
	if (r < 0)
		return log_error_errno(r, "cannot make '%s/consumers'",
				       config->runtime_dir);
	r = berthd_set_stats_rules(berthd);
	return r < 0 ? r : keep_stats(berthd, config);
}

/* With what an earlier berthd has left in namespaces. */
static int open_provider(struct berthd *berthd, const struct config *config)
{
	int r = provider_new(berthd->loop, &berthd_provider_ops, berthd,
			     &berthd->provider);

	if (r == 0)
		r = provided_files_new(config->runtime_dir,
				       &berthd->provided_files);
	if (r == 0)
		r = provided_files_load(berthd->provided_files,
					berthd->provider);
	return r;
}

static int open_layers(struct berthd *berthd, const struct config *config)
{
	const struct reconcile_config reconcile_config = {
		.max_per_netns = config->max_per_netns,
		.refusal = berthd_listener_refusal,
		.planned = berthd_netns_planned,
		.limited = berthd_event_limited,
		.user_data = berthd,
	};
	const struct binder_config binder_config = {
		.max_listeners = config_max_listeners(
			config, berthd->listeners_possible),
		.owner = berthd->relay_user.uid,
	};
	struct watcher_config watcher_config = {
		.dirs = (const char *const *)config->netns_dirs.list,
		.n_dirs = config->netns_dirs.n,
		.max_addresses = config->max_addresses,
		.netlink_buffer_bytes = config->netlink_buffer_bytes,
	};
	int r;

	r = mounts_new(berthd->loop, 0, &berthd->mounts);
	if (r < 0)
		return startup_log_watch_error(r, "mounts");
	watcher_config.mounts = berthd->mounts;
	r = open_rules(berthd, config);
	if (r < 0)
		return r;
	r = binder_new(berthd->loop, &binder_config, &berthd_binder_ops, berthd,
		       &berthd->binder);
	if (r == 0)
		r = open_provider(berthd, config);
	if (r == 0)
		r = reconcile_new(berthd->loop, &reconcile_config,
				  &berthd->reconcile);
	if (r < 0)
		return log_error_errno(r, "cannot prepare");
	r = watcher_new(berthd->loop, &watcher_config, &berthd_watcher_ops,
			berthd, &berthd->watcher);
	if (r < 0)
		return startup_log_watch_error(r, "network namespaces");
	reconcile_connect(berthd->reconcile, berthd->watcher, berthd->binder,
			  berthd->provider, berthd->rules);
	r = registrations_file_new(berthd->loop, config->runtime_dir,
				   berthd->watcher,
				   &berthd->registrations_file);
	if (r == 0)
		r = containers_dir_new(berthd->loop, config->runtime_dir,
				       berthd->mounts, berthd->watcher,
				       &berthd->containers_dir);
	return r < 0 ? startup_log_watch_error(r, "containers") : 0;
}

static int open_control(struct berthd *berthd, const struct config *config)
{
	const struct control_config control_config = {
		.watcher = berthd->watcher,
		.binder = berthd->binder,
		.rules = berthd->rules,
		.reconcile = berthd->reconcile,
		.consumers = berthd->consumers,
		.stats = berthd->stats,
		.relay_user = config->relay == CONFIG_RELAY_OWN
				      ? &berthd->relay_user
				      : NULL,
		.events = &berthd->events,
		.config = berthd->config,
		.containers_dir = berthd->containers_dir,
		.reload = reload,
		.restart_relay = berthd_restart_relay,
		.set_log_level = berthd_set_log_level,
		.user_data = berthd,
		.relay = berthd->relay,
		.history = &berthd->history,
		.started_us = monotonic_us(),
	};
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/control.sock",
		       config->runtime_dir); /* too long: bind(2) fails */
	r = control_new(berthd->loop, path, &control_config, &berthd->control);
	if (r < 0)
		return log_error_errno(r, "cannot serve berthctl on '%s'",
				       path);
	if (config->report_dir)
		control_report(berthd->control, config->report_dir);
	return 0;
}

/* Return: the descriptor limit. */
static size_t nofile_now(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;
}

int berthd_new(struct config_store *store, struct berthd **ret_berthd)
{
	const struct config *config = config_store_config(store);
	struct berthd *berthd = malloc(sizeof(*berthd));
	size_t started_nofile = nofile_now();
	int r;

	if (!berthd)
		return log_error_errno(ENOMEM, "cannot start");
	*berthd = (struct berthd){
		.config = store,
		.started_nofile = started_nofile,
		.listeners_possible = config_listeners_possible(),
		.signal_fd = -1,
		.lock_fd = -1,
	};
	*ret_berthd = berthd; /* berthd_free() takes what is half built */
	r = runtime_dir_take(config->runtime_dir, &berthd->lock_fd);
	if (r < 0)
		return r;
	r = loop_new(&berthd->loop);
	if (r == 0)
		r = lifecycle_new(berthd->loop, &berthd->lifecycle);
	if (r == 0)
		r = fd_store_take(berthd->loop, &berthd->store);
	if (r == 0)
		r = open_signals(berthd);
	if (r < 0)
		return log_error_errno(r, "cannot start");
	r = privileges_find_user(config->relay_user, &berthd->relay_user);
	if (r < 0)
		return startup_log_user_error(r, config->relay_user);
	r = open_consumers(berthd, config);
	if (r < 0)
		return r;
	r = privileges_drop(/* starts_relay= */ config->relay ==
			    CONFIG_RELAY_OWN);
	if (r < 0)
		return log_error_errno(r, "cannot give up capabilities");
	unserved_init();
	berthd->has_sctp = kernel_has_sctp();
	r = open_layers(berthd, config);
	if (r == 0 && config->relay == CONFIG_RELAY_OWN)
		r = start_relay(berthd, config);
	if (r < 0)
		return r;
	return open_control(berthd, config);
}

int berthd_run(struct berthd *berthd)
{
	int r;

	loop_set_after(berthd->loop, berthd_after, berthd);
	berthd->keeps_relay = true;
	r = loop_run(berthd->loop);
	lifecycle_stopping(berthd->lifecycle);
	if (berthd->restarts)
		fd_leave(berthd->store, berthd->binder, consumers_delivered,
			 berthd->started_nofile);
	return r;
}

struct berthd *berthd_free(struct berthd *berthd)
{
	if (!berthd)
		return NULL;
	berthd->control = control_free(berthd->control);
	/* It was started in vain: a later step of the start failed. */
	if (berthd->relay && !berthd->keeps_relay)
		relay_process_undo(berthd->relay);
	berthd->relay = relay_process_free(berthd->relay);
	binder_free(berthd->binder);
	provider_free(berthd->provider);
	provided_files_free(berthd->provided_files);
	fd_store_free(berthd->store);
	lifecycle_free(berthd->lifecycle);
	containers_dir_free(berthd->containers_dir);
	registrations_file_free(berthd->registrations_file);
	watcher_free(berthd->watcher);
	reconcile_free(berthd->reconcile);
	rules_changes_free(berthd->rules_changes);
	rule_store_free(berthd->rules);
	mounts_free(berthd->mounts);
	stats_free(berthd->stats);
	consumers_free(berthd->consumers);
	free(berthd->socket_dir);
	free(berthd->relays_path);
	ending_free(berthd->ending);
	loop_source_free(berthd->signal_source);
	if (berthd->signal_fd >= 0)
		(void)close(berthd->signal_fd); /* holds no data */
	if (berthd->loop)
		loop_free(berthd->loop);
	if (berthd->lock_fd >= 0)
		(void)close(berthd->lock_fd); /* gives the directory back */
	free(berthd);
	return NULL;
}
