// SPDX-License-Identifier: Apache-2.0
/* netlink_message.c - what one message of rtnetlink says
 *
 * libnl reads the attributes where the message lies: nothing is copied but
 * the few values that are kept.
 */
#include "watcher/netlink_message.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

static bool parse_link(struct nlmsghdr *hdr, struct netlink_item *ret_item,
		       int *ret_target)
{
	const struct ifinfomsg *info = nlmsg_data(hdr);
	struct nlattr *attr;

	/* Bridges tell about their ports under their own family: a port that
	 * leaves its bridge is no interface that is gone. */
	if (!nlmsg_valid_hdr(hdr, sizeof(*info)) ||
	    info->ifi_family != AF_UNSPEC)
		return false;
	*ret_item = (struct netlink_item){
		.type = hdr->nlmsg_type == RTM_NEWLINK ? NETLINK_LINK
						       : NETLINK_LINK_GONE,
		.link.ifindex = (uint32_t)info->ifi_index,
		.link.up = (info->ifi_flags & IFF_UP) != 0,
	};
	attr = nlmsg_find_attr(hdr, sizeof(*info), IFLA_TARGET_NETNSID);
	if (attr && nla_len(attr) >= (int)sizeof(int32_t))
		*ret_target = nla_get_s32(attr);
	attr = nlmsg_find_attr(hdr, sizeof(*info), IFLA_IFNAME);
	if (attr)
		(void)nla_strlcpy(ret_item->link.ifname, attr,
				  sizeof(ret_item->link.ifname));
	return attr || ret_item->type == NETLINK_LINK_GONE;
}

static bool parse_ip(const struct nlattr *attr, uint8_t family,
		     struct ip_addr *ret)
{
	int bytes = family == AF_INET ? 4 : 16;

	if (nla_len(attr) != bytes)
		return false;
	*ret = (struct ip_addr){ .family = family };
	memcpy(ret->bytes, nla_data(attr), (size_t)bytes);
	return true;
}

static bool parse_address(struct nlmsghdr *hdr, struct netlink_item *ret_item,
			  int *ret_target)
{
	static const struct nla_policy policy[IFA_MAX + 1] = {
		[IFA_FLAGS] = { .type = NLA_U32 },
		[IFA_TARGET_NETNSID] = { .type = NLA_U32 },
		[IFA_PROTO] = { .type = NLA_U8 },
	};
	struct nlattr *attrs[IFA_MAX + 1], *local;
	const struct ifaddrmsg *info = nlmsg_data(hdr);
	struct netns_address *address = &ret_item->address;

	if (!nlmsg_valid_hdr(hdr, sizeof(*info)) ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
	    nlmsg_parse(hdr, sizeof(*info), attrs, IFA_MAX, policy) < 0)
		return false;
	*ret_item = (struct netlink_item){
		.type = hdr->nlmsg_type == RTM_NEWADDR ? NETLINK_ADDRESS
						       : NETLINK_ADDRESS_GONE,
		.has_peer = attrs[IFA_LOCAL] && attrs[IFA_ADDRESS] &&
			    nla_memcmp(attrs[IFA_LOCAL],
				       nla_data(attrs[IFA_ADDRESS]),
				       nla_len(attrs[IFA_ADDRESS])) != 0,
	};
	address->prefix_bits = info->ifa_prefixlen;
	address->scope = info->ifa_scope;
	address->ifindex = info->ifa_index;
	address->flags = attrs[IFA_FLAGS] ? nla_get_u32(attrs[IFA_FLAGS])
					  : info->ifa_flags;
	if (attrs[IFA_PROTO])
		address->proto = nla_get_u8(attrs[IFA_PROTO]);
	if (attrs[IFA_TARGET_NETNSID])
		*ret_target = nla_get_s32(attrs[IFA_TARGET_NETNSID]);
	/* With a peer, IFA_ADDRESS is the peer's. */
	local = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	return local && parse_ip(local, info->ifa_family, &address->addr);
}

bool netlink_message_item(struct nlmsghdr *hdr, struct netlink_item *ret_item,
			  int *ret_target)
{
	*ret_target = NETLINK_HOST;
	switch (hdr->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return parse_link(hdr, ret_item, ret_target);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return parse_address(hdr, ret_item, ret_target);
	default:
		return false;
	}
}

int netlink_message_nsid(struct nlmsghdr *hdr)
{
	struct nlattr *attr =
		nlmsg_find_attr(hdr, sizeof(struct rtgenmsg), NETNSA_NSID);

	if (!attr || nla_len(attr) < (int)sizeof(int32_t))
		return NETNSA_NSID_NOT_ASSIGNED;
	return nla_get_s32(attr);
}
