/* SPDX-License-Identifier: Apache-2.0 */
/* backend_log.h - the log's lines about backends, of all protocols */
#ifndef RELAY_BACKEND_BACKEND_LOG_H
#define RELAY_BACKEND_BACKEND_LOG_H

struct listener;
struct serving;
struct worker;

/**
 * backend_log_failed() - says that backend @index was not reached
 * @why:	in words
 * @next:	what happens now
 *
 * Each rule and backend has a limit of such lines of its own.
 */
void backend_log_failed(struct worker *worker, const struct listener *listener,
			const struct serving *serving, unsigned int index,
			const char *why, const char *next);

/**
 * backend_reached() - notes that backend @index of @serving was reached
 *
 * Calls backend_works(), and logs it if the log says that the backend failed.
 */
void backend_reached(const struct listener *listener, struct serving *serving,
		     unsigned int index);

#endif
