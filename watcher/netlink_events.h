/* SPDX-License-Identifier: Apache-2.0 */
/* netlink_events.h - what rtnetlink tells of every namespace with an nsid */
#ifndef WATCHER_NETLINK_EVENTS_H
#define WATCHER_NETLINK_EVENTS_H

#include <stddef.h>

#include "common/loop.h"
#include "watcher/netlink_message.h"

struct netlink_events;

/**
 * struct netlink_events_ops - what the event socket tells; called from the loop
 * @item:	@item changed in the namespace @nsid, or in the own namespace
 *		(NETLINK_HOST); borrowed for the call
 * @nsid_new:	the kernel gave @nsid to a namespace
 * @nsid_freed:	the kernel freed the namespace that had @nsid
 * @lost:	events were lost, of any namespace; those that come from now on
 *		are whole again
 */
struct netlink_events_ops {
	void (*item)(int nsid, const struct netlink_item *item,
		     void *user_data);
	void (*nsid_new)(int nsid, void *user_data);
	void (*nsid_freed)(int nsid, void *user_data);
	void (*lost)(void *user_data);
};

/**
 * netlink_events_open() - hears of interfaces, addresses and nsids from now on
 * @loop:	calls the handlers; outlives the event socket
 * @buffer_bytes: receive buffer of the socket; the kernel doubles the value
 * @ops:	borrowed, and so is @user_data: both outlive the event socket
 * @ret_events:	the caller's, to be closed with netlink_events_close()
 *
 * Return: 0; -ENOMEM; -EPERM without CAP_NET_ADMIN or CAP_NET_BROADCAST;
 * -errno of socket(2), bind(2), setsockopt(2) or epoll_ctl(2).
 */
int netlink_events_open(struct loop *loop, size_t buffer_bytes,
			const struct netlink_events_ops *ops, void *user_data,
			struct netlink_events **ret_events);

/** netlink_events_close() - NULL is fine. Return: NULL. */
struct netlink_events *netlink_events_close(struct netlink_events *events);

/** netlink_events_count() - Return: the messages received so far. */
unsigned long netlink_events_count(const struct netlink_events *events);

#endif
