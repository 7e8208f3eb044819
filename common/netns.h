/* SPDX-License-Identifier: Apache-2.0 */
/* netns.h - what is observed of one network namespace, as plain data
 *
 * Only the watcher writes these; rules, binder and daemon read them.
 */
#ifndef COMMON_NETNS_H
#define COMMON_NETNS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/container.h"
#include "common/ip.h"

/* What names have as directory that are no files: somebody registered a
 * container, and the namespace has its name. */
#define NETNS_REGISTERED_DIR "registered"

/**
 * struct netns_name - one name
 * @dir:	a watched directory as configured, or NETNS_REGISTERED_DIR
 * @uid:	who gave the name; 0: root, whose word all rules go by. Names in
 *		watched directories are root's
 */
struct netns_name {
	char *dir;
	char *name;
	uid_t uid;
};

/** struct netns_interface - an interface; addresses point to it by index.
 * @up: somebody has set it up (IFF_UP), whether it can carry anything or not */
struct netns_interface {
	uint32_t ifindex;
	char ifname[IF_NAMESIZE];
	bool up;
};

/**
 * struct netns_address - an address that the kernel says is configured
 * @scope:	RT_SCOPE_* of rtnetlink(7)
 * @flags:	IFA_F_* of rtnetlink(7), all 32 bits (IFA_FLAGS)
 * @proto:	who has added it (IFA_PROTO): a number that the adder chose; 0:
 *		not said, and always so before Linux 5.18
 */
struct netns_address {
	struct ip_addr addr;
	uint8_t prefix_bits;
	uint8_t scope;
	uint32_t ifindex;
	uint32_t flags;
	uint8_t proto;
};

/**
 * struct netns - one network namespace
 * @id:		SO_NETNS_COOKIE (5.14); on older kernels a number with the
 *		highest bit set. Never used again for another namespace.
 * @host:	the namespace that berthd itself lives in
 * @since_us:	by the monotonic clock: when the kernel made its file in nsfs,
 *		which a name keeps; without one when it was first seen. 0, the
 *		boot, for the host's own.
 * @names:	those that root gave, in the order in which they were found,
 *		then the others; none for a host namespace that nobody named,
 *		and for one that is going
 * @names_version: another number whenever @names are others; never 0 with one
 * @addresses_known: @addresses holds what the kernel says, since
 *		watcher_read_addresses() or watcher_observe_addresses() was
 *		called; until then it is empty
 * @observed:	@interfaces does, too, and whoever plans is told when one of
 *		the two changes, since watcher_observe_addresses() was called
 * @addresses_omitted: how many addresses were left out because of the limit
 * @containers:	those that berthd was told of, in the order of
 *		container_compare()
 */
struct netns {
	uint64_t id;
	uint64_t since_us;
	bool host;
	bool addresses_known;
	bool observed;
	struct netns_name *names;
	size_t n_names;
	unsigned int names_version;
	struct netns_interface *interfaces;
	size_t n_interfaces;
	struct netns_address *addresses;
	size_t n_addresses;
	size_t addresses_omitted;
	const struct container **containers;
	size_t n_containers;
};

/**
 * netns_label() - how a log line names the namespace: its first name, "host",
 * or "netns" when it has neither. Never NULL, owned by @netns.
 */
const char *netns_label(const struct netns *netns);

/** netns_find_interface() - by index, or NULL */
const struct netns_interface *netns_find_interface(const struct netns *netns,
						   uint32_t ifindex);

/** netns_named_interface() - by name, or NULL */
const struct netns_interface *netns_named_interface(const struct netns *netns,
						    const char *ifname);

/**
 * netns_address_usable() - can a listener be bound to it now?
 *
 * False while IPv6 duplicate address detection runs (IFA_F_TENTATIVE without
 * IFA_F_OPTIMISTIC) and after it failed (IFA_F_DADFAILED). A deprecated
 * address is usable: RFC 4862 section 5.5.4 keeps it for existing traffic,
 * and servers on it must go on answering.
 */
bool netns_address_usable(const struct netns_address *address);

/** netns_address_failed() - did duplicate address detection find another host
 * that has the address? */
bool netns_address_failed(const struct netns_address *address);

#endif
