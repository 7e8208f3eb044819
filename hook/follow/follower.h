/* SPDX-License-Identifier: Apache-2.0 */
/* follower.h - engines on one side, berthd on the other */
#ifndef HOOK_FOLLOW_FOLLOWER_H
#define HOOK_FOLLOW_FOLLOWER_H

#include <stdint.h>

struct follower;

/**
 * struct follower_config - what is followed; all borrowed
 * @docker_path, @podman_path: of the engines' sockets; NULL: not this one
 * @berthd_path: of berthd's control socket
 * @resync_us:	as in struct runtime_config
 */
struct follower_config {
	const char *docker_path;
	const char *podman_path;
	const char *berthd_path;
	uint64_t resync_us;
};

/** follower_new() - Return: 0; -ENOMEM; -errno of epoll_create1(2). */
int follower_new(const struct follower_config *config,
		 struct follower **ret_follower);

/** follower_run() - does not return, but for -errno of epoll_wait(2). */
int follower_run(struct follower *follower);

/** follower_free() - Return: NULL. NULL is fine. */
struct follower *follower_free(struct follower *follower);

#endif
