// SPDX-License-Identifier: Apache-2.0
/* udp_address.c - which client sent a datagram to which address, and the way
 * back
 *
 * On a wildcard listener, routing might choose another address to answer from
 * than the one that the client sent to, and the client would not recognize the
 * answer. So that address is part of the key, and the kernel is told to send
 * each answer from there.
 */
#include "relay/udp/udp_address.h"

#include <errno.h>
#include <string.h>

#include "common/stand_in.h"

static void key_set_local4(struct udp_key *key, const struct in_pktinfo *info)
{
	/* The address to answer from, also after a broadcast. */
	if (key->family == AF_INET) {
		memcpy(key->local, &info->ipi_spec_dst, 4);
	} else {
		memset(key->local, 0, 10);
		memset(key->local + 10, 0xff, 2);
		memcpy(key->local + 12, &info->ipi_spec_dst, 4);
		key->ifindex = 0;
	}
}

static void key_set_local6(struct udp_key *key, const struct in6_pktinfo *info)
{
	if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr))
		return; /* no answer can come from that */
	memcpy(key->local, &info->ipi6_addr, sizeof(key->local));
	key->ifindex = IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)
			       ? info->ipi6_ifindex
			       : 0;
}

bool udp_control_read(const struct cmsghdr *cmsg, int level, int type,
		      void *ret_value, size_t size)
{
	if (cmsg->cmsg_level != level || cmsg->cmsg_type != type ||
	    cmsg->cmsg_len < CMSG_LEN(size))
		return false;
	memcpy(ret_value, CMSG_DATA(cmsg), size);
	return true;
}

static void key_note(struct udp_key *key, const struct cmsghdr *cmsg,
		     uint32_t *overflow)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info;

	if (udp_control_read(cmsg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info)))
		key_set_local4(key, &info);
	else if (key->family == AF_INET6 &&
		 udp_control_read(cmsg, IPPROTO_IPV6, IPV6_PKTINFO, &info6,
				  sizeof(info6)))
		key_set_local6(key, &info6);
	else
		(void)udp_control_read(cmsg, SOL_SOCKET, SO_RXQ_OVFL, overflow,
				       sizeof(*overflow)); /* seldom there */
}

void udp_key_received(struct udp_key *key, uint16_t family,
		      struct msghdr *header, uint32_t *overflow)
{
	const union udp_address *from = header->msg_name;
	struct cmsghdr *cmsg;

	*key = (struct udp_key){ .family = family };
	if (family == AF_INET) {
		memcpy(key->client, &from->in.sin_addr, 4);
		key->port = from->in.sin_port;
	} else {
		memcpy(key->client, &from->in6.sin6_addr, sizeof(key->client));
		key->port = from->in6.sin6_port;
		key->scope_id = from->in6.sin6_scope_id;
	}
	/* If both come, IP_PKTINFO comes last and overwrites IPV6_PKTINFO. */
	for (cmsg = CMSG_FIRSTHDR(header); cmsg;
	     cmsg = CMSG_NXTHDR(header, cmsg))
		key_note(key, cmsg, overflow);
}

static socklen_t address_set(union udp_address *address, uint16_t family,
			     const uint8_t *bytes, uint16_t port,
			     uint32_t scope_id)
{
	*address = (union udp_address){ .any.sa_family = family };
	if (family == AF_INET) {
		memcpy(&address->in.sin_addr, bytes, 4);
		address->in.sin_port = port;
		return sizeof(address->in);
	}
	memcpy(&address->in6.sin6_addr, bytes, 16);
	address->in6.sin6_port = port;
	address->in6.sin6_scope_id = scope_id;
	return sizeof(address->in6);
}

socklen_t udp_key_client(const struct udp_key *key, union udp_address *address)
{
	return address_set(address, key->family, key->client, key->port,
			   key->scope_id);
}

static bool key_has_local(const struct udp_key *key)
{
	static const uint8_t none[sizeof(key->local)];

	return memcmp(key->local, none, sizeof(none)) != 0;
}

socklen_t udp_key_local(const struct udp_key *key, uint16_t port,
			union udp_address *address)
{
	if (!key_has_local(key))
		return 0;
	return address_set(address, key->family, key->local, port,
			   key->ifindex);
}

static void end_read(const union udp_address *address, socklen_t len,
		     struct ip_addr *ret_addr)
{
	struct sockaddr_storage sa = { 0 };

	memcpy(&sa, address, len);
	(void)ip_addr_from_sockaddr(&sa, ret_addr, NULL); /* it is either */
}

void udp_key_ends(const struct udp_key *key, struct ip_addr *ret_client,
		  struct ip_addr *ret_local)
{
	union udp_address address;
	socklen_t len;

	len = udp_key_client(key, &address);
	end_read(&address, len, ret_client);
	len = udp_key_local(key, key->port, &address);
	*ret_local = (struct ip_addr){ .family = AF_UNSPEC };
	if (len > 0)
		end_read(&address, len, ret_local);
}

int udp_key_stand_in(const struct udp_key *key, int family,
		     struct ip_addr *ret_client, uint16_t *ret_port)
{
	struct sockaddr_storage from;
	union udp_address known;
	struct ip_addr client;
	socklen_t len;
	int r;

	memset(&from, 0, sizeof(from));
	len = udp_key_client(key, &known);
	memcpy(&from, &known, len);
	r = ip_addr_from_sockaddr(&from, &client, NULL);
	if (r == 0)
		r = stand_in_check(&client, family);
	if (r == 0 && key->port == 0)
		r = -EADDRNOTAVAIL;
	if (r < 0)
		return r;
	*ret_client = client;
	*ret_port = ntohs(key->port);
	return 0;
}

size_t udp_key_source(const struct udp_key *key, union udp_control *control)
{
	struct in6_pktinfo info6 = { .ipi6_ifindex = key->ifindex };
	struct in_pktinfo info = { 0 };

	if (!key_has_local(key))
		return 0;
	if (key->family == AF_INET) {
		memcpy(&info.ipi_spec_dst, key->local, 4);
		control->align = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(info)),
			.cmsg_level = IPPROTO_IP,
			.cmsg_type = IP_PKTINFO,
		};
		memcpy(CMSG_DATA(&control->align), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	memcpy(&info6.ipi6_addr, key->local, sizeof(key->local));
	control->align = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(info6)),
		.cmsg_level = IPPROTO_IPV6,
		.cmsg_type = IPV6_PKTINFO,
	};
	memcpy(CMSG_DATA(&control->align), &info6, sizeof(info6));
	return CMSG_SPACE(sizeof(info6));
}
