/* SPDX-License-Identifier: Apache-2.0 */
/* reason.h - why a listener waits, in words that say what would help */
#ifndef BINDER_REASON_H
#define BINDER_REASON_H

#include <stddef.h>

#include "binder/socket.h"
#include "binder/table.h"

/**
 * binder_reason_set() - fills in the row's error, reason, blocked_by and held
 * @blocker:	the row of berth's own that has the port, or NULL
 * @holder:	the name of the consumer that has not closed berth's earlier
 *		socket on the port yet, or NULL
 * @max_listeners: for BINDER_STEP_LIMIT: the limit that is reached
 */
void binder_reason_set(struct binder_row *row,
		       const struct binder_failure *failure,
		       const struct binder_row *blocker, const char *holder,
		       size_t max_listeners);

#endif
