/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - nsids, interfaces and addresses of the known namespaces */
#ifndef WATCHER_MONITOR_H
#define WATCHER_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "watcher/news.h"
#include "watcher/registry.h"
#include "watcher/status.h"

struct monitor;

/**
 * struct monitor_ops - what the monitor asks and tells
 * @open_netns:	opens @tracked. Return: a descriptor, the monitor's; -ESTALE
 *		when no name leads to it any more; -errno.
 * @recheck:	the kernel has freed what had the nsid of @tracked: are its
 *		names still true? If it has none any more, @tracked->nameless
 *		is set when this returns.
 * @changed:	the interfaces or addresses of @tracked, which is observed, are
 *		not what they were
 * @freed:	the kernel freed a namespace, @elapsed_us after its last name
 *		went
 */
struct monitor_ops {
	int (*open_netns)(const struct tracked *tracked, void *user_data);
	void (*recheck)(struct tracked *tracked, void *user_data);
	void (*changed)(struct tracked *tracked, void *user_data);
	void (*freed)(uint64_t netns_id, uint64_t elapsed_us, void *user_data);
};

/**
 * struct monitor_config - what to monitor, and with what
 * @loop, @registry: outlive the monitor; the registry has its host already
 * @max_addresses: interfaces, and addresses, kept for each namespace
 * @buffer_bytes: receive buffer of the event socket; 0: 4 MiB
 * @news:	outlives the monitor
 */
struct monitor_config {
	struct loop *loop;
	struct registry *registry;
	size_t max_addresses;
	size_t buffer_bytes;
	const struct news_teller *news;
};

/**
 * monitor_new() - hears of nsids, interfaces and addresses from now on
 * @ops:	borrowed, and so is @user_data: both outlive the monitor
 * @ret_monitor: the caller's, to be freed with monitor_free()
 *
 * Return: 0; -ENOMEM; -errno of netlink_events_open() or
 * netlink_requests_open().
 */
int monitor_new(const struct monitor_config *config,
		const struct monitor_ops *ops, void *user_data,
		struct monitor **ret_monitor);

/** monitor_free() - NULL is fine. Return: NULL. */
struct monitor *monitor_free(struct monitor *monitor);

/** monitor_step() - does a slice of listing addresses. Return: is there more?
 */
bool monitor_step(struct monitor *monitor);

/** monitor_assign_step() - does a slice of assigning nsids. Return: is there
 * more that can be done now? */
bool monitor_assign_step(struct monitor *monitor);

/** monitor_added() - @tracked has a name: gets an nsid in the background, if
 * it has none */
void monitor_added(struct monitor *monitor, struct tracked *tracked);

/** monitor_gone() - @tracked has no name any more: takes it out of all lists,
 * and waits for the kernel to free it. The caller removes it from the
 * registry. */
void monitor_gone(struct monitor *monitor, struct tracked *tracked);

/**
 * monitor_observe() - keeps the interfaces and addresses of @tracked from now
 * on
 *
 * Assigns an nsid and lists them before it returns. No-op when they are kept
 * already. Return: 0; -ESTALE when @tracked is on its way out; -ENOMEM; -errno
 * of @open_netns, netlink_assign_nsid() or netlink_dump().
 */
int monitor_observe(struct monitor *monitor, struct tracked *tracked);

/**
 * monitor_read() - keeps the addresses of @tracked from now on, but neither its
 * interfaces nor tells anybody
 *
 * No-op when they are kept already. When events were lost they are forgotten.
 * Return: as monitor_observe().
 */
int monitor_read(struct monitor *monitor, struct tracked *tracked);

/** monitor_last_name() - what a namespace without a name was called; borrowed
 * until the next event. NULL: unknown */
const char *monitor_last_name(const struct monitor *monitor, uint64_t netns_id);

/**
 * monitor_lingering() - lists the namespaces without a name that still live
 * @ret_lingering: the first @max of them, the oldest first
 *
 * Return: how many there are in all.
 */
size_t monitor_lingering(const struct monitor *monitor,
			 struct watcher_lingering *ret_lingering, size_t max);

/** monitor_set_max_addresses() - as in struct monitor_config, from now on; all
 * addresses that are kept are read again */
void monitor_set_max_addresses(struct monitor *monitor, size_t max_addresses);

/** monitor_get_stats() - fills in all counters but those of names */
void monitor_get_stats(const struct monitor *monitor,
		       struct watcher_stats *ret_stats);

#endif
