/* SPDX-License-Identifier: Apache-2.0 */
/* consumer_config.h - what berthd.yaml says of one consumer */
#ifndef DAEMON_CONSUMERS_CONSUMER_CONFIG_H
#define DAEMON_CONSUMERS_CONSUMER_CONFIG_H

#include <stdbool.h>
#include <sys/types.h>

/* A consumer has a socket and connections: few enough for the descriptors that
 * berthd keeps for what is no listener. */
#define CONSUMER_CONFIGS_MAX 64u

/**
 * struct consumer_config - who may be a consumer, and what when nobody is
 * @name:	as in `handoff: NAME`
 * @uid, @gid, @mode: of its socket
 * @close_when_absent: its listeners are closed while nobody is connected;
 *		else clients wait in their backlogs
 */
struct consumer_config {
	char *name;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	bool close_when_absent;
};

#endif
