/* SPDX-License-Identifier: Apache-2.0 */
/* provide_visit.h - changes inside a namespace, by a socket born there */
#ifndef BINDER_PROVIDE_VISIT_H
#define BINDER_PROVIDE_VISIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

/* What berth's addresses have as IFA_PROTO, by which anybody can tell them from
 * those of others, and a berthd that was started again, too. */
#define PROVIDE_MARK 190

enum provide_change {
	PROVIDE_SET_UP, /* the interface */
	PROVIDE_ADD, /* the address, if it is not there */
	PROVIDE_REMOVE, /* the address */
};

/**
 * struct provide_request - one change
 * @addr, @prefix_bits: of an address
 * @on_loopback: the interface is the loopback interface
 * @error:	out: 0, or the positive errno that the kernel answered
 */
struct provide_request {
	enum provide_change change;
	uint32_t ifindex;
	struct ip_addr addr;
	uint8_t prefix_bits;
	bool on_loopback;
	int error;
};

/**
 * provide_visit() - asks the kernel for the changes, one after the other
 * @netns_fd:	never -1: nothing is changed in the caller's own namespace
 *
 * The one socket that this takes is made inside the namespace and closed
 * before this returns. A request that names another namespace would not do:
 * the kernel ignores the name and changes the caller's.
 * Return: 0, also when single changes failed (see @error); -EINVAL for -1;
 * -errno of netns_sockets() or of socket(2): then nothing was changed.
 */
int provide_visit(int netns_fd, struct provide_request *requests, size_t n);

#endif
