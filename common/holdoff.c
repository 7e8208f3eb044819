// SPDX-License-Identifier: Apache-2.0
/* holdoff.c - how soon may expensive work be repeated? */
#include "common/holdoff.h"

#include "common/util.h"

#define PAUSE_MIN_US (100 * USEC_PER_MSEC)
#define PAUSE_MAX_US (5 * USEC_PER_SEC)

uint64_t holdoff_next(struct holdoff *holdoff, uint64_t now_us)
{
	uint64_t at_us = now_us;

	if (now_us >= holdoff->quiet_until_us) {
		holdoff->pause_us = PAUSE_MIN_US;
	} else {
		at_us = now_us + holdoff->pause_us;
		holdoff->pause_us *= 2;
		if (holdoff->pause_us > PAUSE_MAX_US)
			holdoff->pause_us = PAUSE_MAX_US;
	}
	holdoff->quiet_until_us = at_us + 2 * holdoff->pause_us;
	return at_us;
}
