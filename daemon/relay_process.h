/* SPDX-License-Identifier: Apache-2.0 */
/* relay_process.h - starts berth-relay, restarts it, ends it */
#ifndef DAEMON_RELAY_PROCESS_H
#define DAEMON_RELAY_PROCESS_H

#include <sys/types.h>

#include "common/log.h"
#include "common/loop.h"
#include "daemon/privileges.h"

struct relay_process;

/**
 * struct relay_process_config - how to start it
 * @program:	path; NULL: "berth-relay" beside berthd's own file, else in
 *		BERTH_LIBEXECDIR
 * @workers:	0: the relay's default
 */
struct relay_process_config {
	const char *program;
	struct relay_user user;
	unsigned int workers;
	enum log_level log_level;
};

/**
 * struct relay_process_ops - what it tells
 * @started:	a relay runs; @fd is berthd's end of its SOCK_SEQPACKET, to be
 *		taken
 */
struct relay_process_ops {
	void (*started)(int fd, pid_t pid, void *user_data);
};

/**
 * relay_process_new() - opens the program and starts it
 *
 * The program's file is opened once, so that a restart needs no path and runs
 * the same file. A relay that cannot be started is tried again, later and
 * later up to 5 s.
 * Return: 0; -errno of open(2) when there is no such program; -EACCES when the
 * file is no program; -ENOMEM.
 */
int relay_process_new(struct loop *loop,
		      const struct relay_process_config *config,
		      const struct relay_process_ops *ops, void *user_data,
		      struct relay_process **ret_relay);

/** relay_process_set() - for those that are started from now on; as in struct
 * relay_process_config */
void relay_process_set(struct relay_process *relay, unsigned int workers,
		       enum log_level log_level);

/** relay_process_reap() - to be called on SIGCHLD; restarts it when it ended */
void relay_process_reap(struct relay_process *relay);

/** relay_process_kill() - ends it at once (SIGKILL), if it is still the process
 * @pid; relay_process_reap() starts the next one */
void relay_process_kill(struct relay_process *relay, pid_t pid);

/**
 * relay_process_free() - ends it and waits, half a second at the most, before
 * it is killed. Its connection must be closed already. NULL is fine.
 */
struct relay_process *relay_process_free(struct relay_process *relay);

#endif
