/* SPDX-License-Identifier: Apache-2.0 */
/* listener_spec.h - a wanted listener: where, with what, for whom */
#ifndef COMMON_LISTENER_SPEC_H
#define COMMON_LISTENER_SPEC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/endpoint.h"
#include "common/ip.h"
#include "common/service.h"

/**
 * struct listener_spec - one wanted listener
 * @service:	one reference is owned by the spec
 * @ifname:	the interface through which the address matched; "" without one
 * @container:	name of the container through which the rule holds; NULL: its
 *		rule has no conditions on containers. Borrowed from the
 *		namespace that the plan is of.
 * @addrs:	the addresses of a @multihomed endpoint; owned
 * @freebind:	the address is literal and need not exist (IP_FREEBIND)
 * @observed:	the kernel told of the address, perhaps before it can be bound
 * @not_before_us: monotonic; it is opened then, and not closed for it when it
 *is open; 0: at once
 * @refusal:	static text when nothing serves this yet: it is listed, and
 *		not opened. NULL: it is to be opened.
 */
struct listener_spec {
	struct endpoint endpoint;
	struct service *service;
	char ifname[IF_NAMESIZE];
	const char *container;
	struct ip_addr *addrs;
	size_t n_addrs;
	bool freebind;
	bool observed;
	uint64_t not_before_us;
	const char *refusal;
};

/** listener_spec_done() - gives back what the spec owns, not the struct */
void listener_spec_done(struct listener_spec *spec);

#endif
