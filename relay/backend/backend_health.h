/* SPDX-License-Identifier: Apache-2.0 */
/* backend_health.h - which backend is next, and which failed
 *
 * Callable by any thread.
 */
#ifndef RELAY_BACKEND_BACKEND_HEALTH_H
#define RELAY_BACKEND_BACKEND_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct serving;

/**
 * backend_pick() - the backend for a new connection or session, or the next one
 * after a failure
 * @client:	see balance_choose()
 * @tried:	bit i: backend i failed already, for this very connection
 *
 * A backend that failed a moment ago is skipped unless nothing else is left.
 * One of weight 0 is never chosen.
 * Return: its index; -1: all were tried.
 */
int backend_pick(const struct serving *serving, uint64_t client, uint64_t tried,
		 uint64_t now_us);

/** backend_failed() - backend @index could not be reached; after backend_pick()
 * @error:	why, a positive errno
 */
void backend_failed(struct serving *serving, unsigned int index, int error,
		    uint64_t now_us);

/** backend_works() - backend @index was reached */
void backend_works(struct serving *serving, unsigned int index);

/** backend_all_tried() - has @tried, as in backend_pick(), all that may be
 * chosen? */
bool backend_all_tried(const struct serving *serving, uint64_t tried);

/** backend_failed_since() - did backend @index fail after @since_us, and was it
 * not reached after that? */
bool backend_failed_since(const struct serving *serving, unsigned int index,
			  uint64_t since_us);

/** backend_has_other() - is there another backend than @index that did not fail
 * a moment ago? */
bool backend_has_other(const struct serving *serving, unsigned int index,
		       uint64_t now_us);

#endif
