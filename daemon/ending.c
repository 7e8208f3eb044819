// SPDX-License-Identifier: Apache-2.0
/* ending.c - everything ends with berthd: relays, and what consumers serve */
#include "daemon/ending.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/relay_process.h"

/* How long consumers may take to let go of what they have; and then the kernel,
 * to end a relay that was killed. */
#define END_US (USEC_PER_SEC / 2)

/**
 * struct ending - see ending.h
 * @timer:	for the end of END_US
 * @killed:	they had their time, and those relays that run were killed
 */
struct ending {
	struct loop *loop;
	struct consumers *consumers;
	struct relay_process *relay;
	struct loop_timer *timer;
	bool killed;
};

static size_t count_relays(const struct ending *ending)
{
	return ending->relay ? relay_process_count(ending->relay) : 0;
}

static void end_relays(const struct ending *ending, int number)
{
	if (ending->relay)
		relay_process_end(ending->relay, number);
}

static void ending_timeout(void *user_data)
{
	struct ending *ending = user_data;

	if (ending->killed) {
		log_error("berth-relay does not end; leaving it");
		loop_quit(ending->loop, 0);
		return;
	}
	ending->killed = true;
	if (count_relays(ending) > 0)
		log_warning("berth-relay does not end; killing it");
	end_relays(ending, SIGKILL);
	loop_timer_set(ending->timer, monotonic_us() + END_US);
}

int ending_new(struct loop *loop, struct consumers *consumers,
	       struct relay_process *relay, struct ending **ret_ending)
{
	struct ending *ending = calloc(1, sizeof(*ending));
	int r;

	if (!ending)
		return -ENOMEM;
	*ending = (struct ending){
		.loop = loop,
		.consumers = consumers,
		.relay = relay,
	};
	r = loop_timer_new(loop, ending_timeout, ending, &ending->timer);
	if (r < 0) {
		free(ending);
		return r;
	}
	consumers_end(consumers);
	end_relays(ending, SIGTERM);
	loop_timer_set(ending->timer, monotonic_us() + END_US);
	*ret_ending = ending;
	return 0;
}

bool ending_step(struct ending *ending)
{
	bool left = consumers_step(ending->consumers);

	if (count_relays(ending) == 0 &&
	    (ending->killed || !consumers_hold(ending->consumers)))
		loop_quit(ending->loop, 0);
	return left;
}

struct ending *ending_free(struct ending *ending)
{
	if (!ending)
		return NULL;
	loop_timer_free(ending->timer);
	free(ending);
	return NULL;
}
