/* SPDX-License-Identifier: Apache-2.0 */
/* port_holders.h - which sockets of a namespace have a port that berth wants */
#ifndef DAEMON_CONTROL_PORT_HOLDERS_H
#define DAEMON_CONTROL_PORT_HOLDERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/endpoint.h"

/* One socket is enough to be in the way; a few tell of which program. */
#define PORT_HOLDERS_MAX 4u

/**
 * struct port_holder - a socket on the port
 * @endpoint:	what it is bound to, as a rule would have it
 * @uid:	whose it is
 * @inode:	its number in sockfs: /proc/PID/fd shows who has it
 */
struct port_holder {
	struct endpoint endpoint;
	uid_t uid;
	uint32_t inode;
};

/**
 * port_holders_find() - asks the kernel, by sock_diag(7) inside the namespace
 * @netns_fd:	as of netns_sockets()
 * @endpoint:	which a listener of berth's could not have
 * @ret_holders: of PORT_HOLDERS_MAX: those that keep it from being opened
 *
 * Does not block; the kernel walks through the sockets of the namespace.
 * Return: how many there are, at most PORT_HOLDERS_MAX; -EPROTONOSUPPORT for
 * SCTP; -errno of setns(2), socket(2), sendto(2) or recv(2).
 */
int port_holders_find(int netns_fd, const struct endpoint *endpoint,
		      struct port_holder *ret_holders);

#endif
