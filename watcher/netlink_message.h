/* SPDX-License-Identifier: Apache-2.0 */
/* netlink_message.h - what one message of rtnetlink says */
#ifndef WATCHER_NETLINK_MESSAGE_H
#define WATCHER_NETLINK_MESSAGE_H

#include <stdbool.h>

#include "common/netns.h"

struct nlmsghdr;

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
 * @link:	for the first two types; ifname is empty when the interface is
 *		gone and the message does not name it
 * @address:	for the other two types
 * @has_peer:	the address is point to point: one interface may have several
 *		such addresses that differ only in the peer, which is not kept
 */
struct netlink_item {
	enum netlink_type type;
	struct netns_interface link;
	struct netns_address address;
	bool has_peer;
};

/**
 * netlink_message_item() - reads a message about an interface or an address
 * @hdr:	a whole message, see nlmsg_ok()
 * @ret_item:	what the message says; undefined after false
 * @ret_target:	the nsid that a dump echoes in each message, NETLINK_HOST when
 *		the message has none; undefined after false
 *
 * Return: true; false for a message of another type, of another family than
 * IPv4 and IPv6, about a port of a bridge, or one that is malformed.
 */
bool netlink_message_item(struct nlmsghdr *hdr, struct netlink_item *ret_item,
			  int *ret_target);

/**
 * netlink_message_nsid() - the nsid in an RTM_NEWNSID or RTM_DELNSID message
 * @hdr:	a whole message, see nlmsg_ok()
 *
 * Return: the nsid; -1 (NETNSA_NSID_NOT_ASSIGNED) when the message has none.
 */
int netlink_message_nsid(struct nlmsghdr *hdr);

#endif
