// SPDX-License-Identifier: Apache-2.0
/* lifecycle.c - what berthd says of itself to the service manager
 *
 * Theory of operation: each message is sent on a socket of its own without
 * blocking, because a manager that does not read must not stop berthd. A lost
 * WATCHDOG=1 or RELOADING=1 does no harm: the next WATCHDOG=1 follows, and a
 * reload without RELOADING=1 only looks shorter. A lost READY=1 would leave the
 * unit starting or reloading, so a READY=1 that finds no room is sent again by
 * a timer.
 *
 * WATCHDOG=1 comes from a timer of the loop and from nowhere else. A loop that
 * hangs in a handler or in a stage runs no timer, and the manager acts.
 */
#include "daemon/lifecycle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "daemon/notify.h"

/* When a READY=1 that found no room is sent again. */
#define AGAIN_US (200 * USEC_PER_MSEC)

/* sd_watchdog_enabled(3): half of the interval. */
#define WATCHDOG_PARTS 2

/**
 * struct lifecycle - see the file's head
 * @again:	set while a READY=1 is owed
 * @watchdog:	set from the first READY=1 on, if there is a watchdog
 * @watchdog_us: between two WATCHDOG=1; 0: nobody asks for them
 */
struct lifecycle {
	struct loop *loop;
	struct loop_timer *again;
	struct loop_timer *watchdog;
	uint64_t watchdog_us;
	bool ready;
	bool reloading;
};

/* Return: 0, also where there is no manager; -EAGAIN: it does not read;
 * -errno. */
static int say(const char *text)
{
	_cleanup_close_ int fd = -1;
	int r = notify_open(&fd);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return notify_send(fd, text, NULL, 0);
}

static void say_ready(void *user_data)
{
	struct lifecycle *lifecycle = user_data;
	int r = say("READY=1");

	if (r == -EAGAIN)
		loop_timer_set(lifecycle->again,
			       loop_now_us(lifecycle->loop) + AGAIN_US);
	else if (r < 0)
		log_warning_errno(r, "cannot tell the service manager that "
				     "berthd is ready");
}

static void set_watchdog(struct lifecycle *lifecycle)
{
	loop_timer_set(lifecycle->watchdog,
		       loop_now_us(lifecycle->loop) + lifecycle->watchdog_us);
}

static void watchdog_handler(void *user_data)
{
	struct lifecycle *lifecycle = user_data;

	(void)say("WATCHDOG=1"); /* the next one follows */
	set_watchdog(lifecycle);
}

/* How often the manager wants to hear of this process. */
static uint64_t watchdog_interval_us(void)
{
	uint64_t us;
	int r = sd_watchdog_enabled(/* unset_environment= */ 0, &us);

	if (r < 0)
		log_warning_errno(r, "WATCHDOG_USEC or WATCHDOG_PID is no "
				     "number: ignoring it");
	return r > 0 ? us / WATCHDOG_PARTS : 0;
}

int lifecycle_new(struct loop *loop, struct lifecycle **ret_lifecycle)
{
	struct lifecycle *lifecycle = malloc(sizeof(*lifecycle));
	int r;

	if (!lifecycle)
		return -ENOMEM;
	*lifecycle = (struct lifecycle){
		.loop = loop,
		.watchdog_us = watchdog_interval_us(),
	};
	r = loop_timer_new(loop, say_ready, lifecycle, &lifecycle->again);
	if (r == 0)
		r = loop_timer_new(loop, watchdog_handler, lifecycle,
				   &lifecycle->watchdog);
	if (r < 0) {
		lifecycle_free(lifecycle);
		return r;
	}
	*ret_lifecycle = lifecycle;
	return 0;
}

void lifecycle_ready(struct lifecycle *lifecycle)
{
	if (!lifecycle->ready && lifecycle->watchdog_us > 0)
		set_watchdog(lifecycle);
	lifecycle->ready = true;
	lifecycle->reloading = false;
	say_ready(lifecycle);
}

void lifecycle_reloading(struct lifecycle *lifecycle)
{
	char text[64]; /* with the longest number */

	if (!lifecycle->ready)
		return;
	(void)snprintf(text, sizeof(text),
		       "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		       monotonic_us()); /* fits */
	/* A READY=1 that is still owed would end this reload too early. */
	loop_timer_unset(lifecycle->again);
	(void)say(text); /* without it the reload only looks shorter */
	lifecycle->reloading = true;
}

bool lifecycle_is_reloading(const struct lifecycle *lifecycle)
{
	return lifecycle->reloading;
}

void lifecycle_stopping(struct lifecycle *lifecycle)
{
	loop_timer_unset(lifecycle->again);
	(void)say("STOPPING=1"); /* the manager sees the end by itself */
}

struct lifecycle *lifecycle_free(struct lifecycle *lifecycle)
{
	if (!lifecycle)
		return NULL;
	loop_timer_free(lifecycle->again);
	loop_timer_free(lifecycle->watchdog);
	free(lifecycle);
	return NULL;
}
