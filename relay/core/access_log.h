/* SPDX-License-Identifier: Apache-2.0 */
/* access_log.h - a line for each connection, association or session that ends
 *
 * Only for rules that say `log`. The workers leave records, each in a ring of
 * its own, and one thread writes them. A worker waits for nobody: if its ring
 * is full, the record is lost, which is counted.
 */
#ifndef RELAY_CORE_ACCESS_LOG_H
#define RELAY_CORE_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/berth.h"
#include "relay/core/roster.h"

struct access_log;
struct serving;
struct share;
struct worker;

/** access_log_new() - nothing is logged yet. Return: NULL when memory is out.
 */
struct access_log *access_log_new(size_t n_workers);

/**
 * access_log_start() - by the main thread: starts the thread that writes, if it
 * does not run
 *
 * Before the first listener is served whose rule says `log`. Without the
 * thread all records are lost.
 * Return: 0 or -errno.
 */
int access_log_start(struct access_log *log);

/** access_log_wants() - is a client of @serving to be noted that ends so? */
bool access_log_wants(const struct serving *serving, enum berth_ending ending);

/**
 * access_log_note() - by the worker: leaves a record of a client that is about
 * to end, if its rule wants one
 * @kind:	the roster that @entry is in
 * @share:	what the client was accepted by
 * @ending:	why it ends
 *
 * While its sockets are open, which are asked for their addresses.
 */
void access_log_note(struct worker *worker, enum roster_kind kind,
		     const struct roster_entry *entry, struct share *share,
		     enum berth_ending ending);

/**
 * access_log_free() - writes what is left, for a moment at most. No worker may
 * run any more. Returns NULL; NULL is fine.
 */
struct access_log *access_log_free(struct access_log *log);

#endif
