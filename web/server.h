/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - viewers on one side, berthd on the other */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

/**
 * struct server_config - what it gets; must live as long
 * @listen_fd:	the listening socket; taken
 * @berthd_path: berthd's control socket
 * @any_host:	the Host header of requests may be anything
 * @hosts:	@n_hosts names that it may be besides those of host_allowed()
 * @timeout_us:	how long a viewer may take for a request, and twice that for
 *		reading the answer
 */
struct server_config {
	int listen_fd;
	const char *berthd_path;
	bool any_host;
	const char *const *hosts;
	size_t n_hosts;
	uint64_t timeout_us;
};

/**
 * server_new() - serves as soon as server_run() runs
 * Return: 0; -ENOMEM; -EIO: libmicrohttpd cannot start; -errno of what the
 * loop and the thread need.
 */
int server_new(const struct server_config *config, struct server **ret_server);

/** server_run() - serves for ever. Return: -errno of epoll_wait(2). */
int server_run(struct server *server);

#endif
