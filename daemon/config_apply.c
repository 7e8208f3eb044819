// SPDX-License-Identifier: Apache-2.0
/* config_apply.c - makes changed settings take effect in a running berthd */
#include "daemon/config_apply.h"

#include <sys/resource.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/service.h"
#include "common/util.h"
#include "daemon/config.h"
#include "daemon/consumers/consumer_config.h"
#include "daemon/consumers/consumers.h"
#include "daemon/control/control.h"
#include "daemon/reconcile.h"
#include "daemon/relay_process.h"
#include "watcher/watcher.h"

/* Of the descriptor limit, kept for everything that is no listener: names
 * being opened, control connections, sockets being made. */
#define RESERVED_FDS 256

size_t config_listeners_possible(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return RESERVED_FDS;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* then the old one holds */
	if (limit.rlim_cur <= 2 * RESERVED_FDS)
		return limit.rlim_cur / 2;
	/* berth-relay has the same limit and needs some for connections. */
	return limit.rlim_cur - limit.rlim_cur / 8 - RESERVED_FDS;
}

size_t config_max_listeners(const struct config *config,
			    size_t listeners_possible)
{
	return config->max_listeners ? config->max_listeners
				     : listeners_possible;
}

static void apply_timeouts(const struct config_targets *targets,
			   const struct config *config)
{
	const struct consumers_timeouts timeouts = {
		.orphan_ms = config->orphan_timeout_us / USEC_PER_MSEC,
		.drain_ms = config->drain_timeout_us / USEC_PER_MSEC,
		.release_ms = config->release_timeout_us / USEC_PER_MSEC,
	};

	consumers_set_timeouts(targets->consumers, &timeouts);
}

static void apply_relay(const struct config_targets *targets,
			const struct config *config)
{
	if (targets->relay)
		relay_process_set(targets->relay, (unsigned int)config->workers,
				  config->log_level, config->log_format);
}

/* Those of the configuration, and berth-relay, whose socket is its user's
 * alone. */
static void apply_consumers(const struct config_targets *targets,
			    const struct config *config)
{
	size_t n = config->n_consumers;
	_cleanup_free_ struct consumer_config *list =
		calloc(n + 1, sizeof(*list));
	int r = -ENOMEM;

	if (list) {
		for (size_t i = 0; i < n; i++)
			list[i] = config->consumers[i];
		list[n] = (struct consumer_config){
			.name = (char *)SERVICE_RELAY,
			.uid = targets->relay_user.uid,
			.gid = targets->relay_user.gid,
			.mode = SOCKET_MODE_PRIVATE,
		};
		r = consumers_configure(targets->consumers, list, n + 1);
	}
	if (r < 0)
		log_error("out of memory: a consumer has no socket");
}

static void apply_setting(const struct config_targets *targets,
			  const struct config *config,
			  enum config_setting setting)
{
	switch (setting) {
	case CONFIG_WORKERS:
		apply_relay(targets, config);
		break;
	case CONFIG_MAX_LISTENERS:
		binder_set_max_listeners(
			targets->binder,
			config_max_listeners(config,
					     targets->listeners_possible));
		break;
	case CONFIG_MAX_LISTENERS_PER_NETNS:
		reconcile_set_max_per_netns(targets->reconcile,
					    config->max_per_netns);
		break;
	case CONFIG_MAX_ADDRESSES:
		watcher_set_max_addresses(targets->watcher,
					  config->max_addresses);
		break;
	case CONFIG_LOG_LEVEL:
		log_set_level(config->log_level);
		(void)consumers_set_log_level(
			targets->consumers,
			config->log_level); /* a later relay is, too */
		apply_relay(targets, config);
		break;
	case CONFIG_LOG_FORMAT:
		log_set_format(config->log_format);
		apply_relay(targets, config);
		break;
	case CONFIG_ORPHAN_TIMEOUT:
	case CONFIG_DRAIN_TIMEOUT:
	case CONFIG_RELEASE_TIMEOUT:
		apply_timeouts(targets, config);
		break;
	case CONFIG_CONSUMERS:
		apply_consumers(targets, config);
		break;
	case CONFIG_CONTROL:
		control_configured(targets->control);
		break;
	case CONFIG_NETNS_DIR:
	case CONFIG_RULES:
	case CONFIG_RUNTIME_DIR:
	case CONFIG_RELAY:
	case CONFIG_RELAY_USER:
	case CONFIG_RELAY_PROGRAM:
	case CONFIG_NETLINK_BUFFER:
	case CONFIG_REPORT_DIR:
		break;
	}
}

void config_apply(const struct config_targets *targets,
		  const struct config *config, uint32_t changed)
{
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (changed & UINT32_C(1) << i)
			apply_setting(targets, config, (enum config_setting)i);
	}
}
