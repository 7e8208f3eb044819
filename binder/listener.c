// SPDX-License-Identifier: Apache-2.0
/* listener.c - one row of the binder's table, as its owner sees it */
#include "binder/listener.h"

#include "common/util.h"

const char *listener_state_name(enum listener_state state)
{
	static const char *const names[] = {
		[LISTENER_OPEN] = "listening",
		[LISTENER_WAITING] = "waiting",
		[LISTENER_REFUSED] = "refused",
	};

	_Static_assert(ARRAY_SIZE(names) == LISTENER_REFUSED + 1,
		       "a name each");
	return names[state];
}
