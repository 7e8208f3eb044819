/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.h - all contact with rtnetlink: events and dumps of any namespace */
#ifndef WATCHER_NETLINK_H
#define WATCHER_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/netns.h"

struct netlink;

/* In place of an nsid: the namespace that the process lives in. */
#define NETLINK_HOST (-1)

enum netlink_type {
	NETLINK_LINK, /* an interface is there, maybe under a new name */
	NETLINK_LINK_GONE,
	NETLINK_ADDRESS, /* an address is there, maybe with new flags */
	NETLINK_ADDRESS_GONE,
};

/**
 * struct netlink_item - one fact about one namespace
 * @link:	for the first two types; ifname is empty when it is gone
 * @address:	for the other two
 * @has_peer:	point to point: several such addresses of one interface may
 *		differ only in a peer that is not kept
 */
struct netlink_item {
	enum netlink_type type;
	struct netns_interface link;
	struct netns_address address;
	bool has_peer;
};

/**
 * struct netlink_ops - what the event socket tells; called from the loop
 * @item:	something changed in the namespace @nsid or NETLINK_HOST
 * @nsid_new:	the kernel gave @nsid to a namespace
 * @nsid_freed:	the kernel freed the namespace that had @nsid
 * @lost:	events were lost, of any namespace (ENOBUFS)
 */
struct netlink_ops {
	void (*item)(int nsid, const struct netlink_item *item,
		     void *user_data);
	void (*nsid_new)(int nsid, void *user_data);
	void (*nsid_freed)(int nsid, void *user_data);
	void (*lost)(void *user_data);
};

/**
 * netlink_open() - opens the event socket and the request socket
 * @buffer_bytes: receive buffer of the event socket
 * Return: 0; -ENOMEM; -EPERM without CAP_NET_ADMIN or CAP_NET_BROADCAST;
 * -ENOPROTOOPT before Linux 4.20 (said in the log); -errno.
 */
int netlink_open(struct loop *loop, size_t buffer_bytes,
		 const struct netlink_ops *ops, void *user_data,
		 struct netlink **ret_netlink);
struct netlink *netlink_close(struct netlink *netlink);

/**
 * netlink_assign_nsid() - gives the namespace at @netns_fd an nsid
 * @ret_new:	it had none before, so that @nsid_new will be called for it
 * Return: 0 or -errno.
 */
int netlink_assign_nsid(struct netlink *netlink, int netns_fd, int *ret_nsid,
			bool *ret_new);

/** netlink_get_nsid() - as above, but -1 when it has none */
int netlink_get_nsid(struct netlink *netlink, int netns_fd, int *ret_nsid);

/** netlink_list_nsids() - calls @found for each nsid in use. Return: 0, -errno
 */
int netlink_list_nsids(struct netlink *netlink,
		       void (*found)(int nsid, void *user_data),
		       void *user_data);

/**
 * netlink_dump() - lists interfaces, then addresses of a namespace
 * @nsid:	or NETLINK_HOST
 * @found:	returns false to cut the listing off
 *
 * Return: 0; -EINTR when things changed meanwhile, so that something may be
 * missing; -EFBIG when @found cut it off; -ESTALE when no namespace has this
 * nsid; -errno.
 */
int netlink_dump(struct netlink *netlink, int nsid,
		 bool (*found)(const struct netlink_item *item,
			       void *user_data),
		 void *user_data);

/** netlink_event_count() - messages received so far */
unsigned long netlink_event_count(const struct netlink *netlink);

#endif
