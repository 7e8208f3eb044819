/* SPDX-License-Identifier: Apache-2.0 */
/* worker_thread.h - the life of a worker: its thread and what that does
 *
 * All of it is for the main thread.
 */
#ifndef RELAY_CORE_WORKER_THREAD_H
#define RELAY_CORE_WORKER_THREAD_H

#include <stddef.h>

struct outbox;
struct relay_protocol;
struct worker;

/**
 * worker_thread_start() - starts a thread that serves what its inbox tells
 * @worker:	filled
 * @index:	its number, from 0
 * @outbox:	must outlive the worker
 * @protocols:	by enum protocol; must outlive the worker, too
 *
 * Return: 0 or a negative errno with nothing left behind.
 */
int worker_thread_start(struct worker *worker, size_t index,
			struct outbox *outbox,
			const struct relay_protocol *const *protocols);

/** worker_thread_join() - waits for the thread's end, see inbox_stop() */
void worker_thread_join(struct worker *worker);

/** worker_thread_done() - frees all that a joined worker has, after
 * share_forget() of each of its shares */
void worker_thread_done(struct worker *worker);

#endif
