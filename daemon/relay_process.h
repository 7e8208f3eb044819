/* SPDX-License-Identifier: Apache-2.0 */
/* relay_process.h - starts berth-relay, restarts it, ends it
 *
 * A relay connects to its consumer socket by itself. The one that was started
 * last is the relay; earlier ones let their clients finish, and end.
 *
 * A relay outlives berthd, unless berthd ends it: the next berthd takes it
 * over.
 */
#ifndef DAEMON_RELAY_PROCESS_H
#define DAEMON_RELAY_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/log.h"
#include "common/loop.h"
#include "daemon/privileges.h"

struct relay_process;

/**
 * struct relay_process_config - how to start it
 * @program:	path; NULL: "berth-relay" beside berthd's own file, else in
 *		BERTH_LIBEXECDIR
 * @socket_dir:	absolute path of the directory of its socket; borrowed. The
 *		relay's user need not be able to walk to it
 * @known_path:	of the file that says which ones run; borrowed
 * @workers:	0: the relay's default
 * @orphan_us:	how long a relay goes on without berthd
 * @connected:	is that process connected as a consumer?
 */
struct relay_process_config {
	const char *program;
	const char *socket_dir;
	const char *known_path;
	struct relay_user user;
	unsigned int workers;
	enum log_level log_level;
	enum log_format log_format;
	uint64_t orphan_us;
	bool (*connected)(pid_t pid, void *user_data);
	void *user_data;
};

/**
 * relay_process_new() - opens the program, and starts it if no relay of an
 * earlier berthd runs
 *
 * The program's file is opened once, so that a restart after a crash needs no
 * path and runs the same file. A relay that cannot be started is tried again,
 * later and later up to a second.
 * Return: 0; -errno of open(2) when there is no such program; -EACCES when the
 * file is no program; -ENOMEM.
 */
int relay_process_new(struct loop *loop,
		      const struct relay_process_config *config,
		      struct relay_process **ret_relay);

/** relay_process_set() - for those that are started from now on; as in struct
 * relay_process_config */
void relay_process_set(struct relay_process *relay, unsigned int workers,
		       enum log_level log_level, enum log_format log_format);

/**
 * relay_process_restart() - starts another one, which takes over
 *
 * The program is opened anew, as it may be a newer one.
 * Return: 0; -EBUSY: RELAY_PROCESSES_MAX run; -errno of open(2) or fork(2):
 * then nothing has changed.
 */
int relay_process_restart(struct relay_process *relay);

/** relay_process_restarts() - how many were started when there had been one,
 * that of an earlier berthd included */
unsigned long relay_process_restarts(const struct relay_process *relay);

/** Those that may run at a time: one that serves, and as many as berthd keeps
 * connections of that let their clients finish. */
#define RELAY_PROCESSES_MAX 5

/** relay_process_has() - does the process @pid run, and is it one of these? */
bool relay_process_has(const struct relay_process *relay, pid_t pid);

/** relay_process_kill() - ends the process @pid at once (SIGKILL), if it is one
 * of these; the next one is started when it has ended */
void relay_process_kill(struct relay_process *relay, pid_t pid);

/** relay_process_end() - sends all of them the signal @number; none is started
 * any more */
void relay_process_end(struct relay_process *relay, int number);

/** relay_process_undo() - kills those that this berthd has started, and not
 * those of an earlier one: it cannot run */
void relay_process_undo(struct relay_process *relay);

/** relay_process_count() - how many run */
size_t relay_process_count(const struct relay_process *relay);

/** relay_process_free() - forgets them; those that run go on. NULL is fine. */
struct relay_process *relay_process_free(struct relay_process *relay);

#endif
