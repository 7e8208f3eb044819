// SPDX-License-Identifier: Apache-2.0
/* log_teller.c - log_subjects for a program with an event loop */
#include "common/log_teller.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log_subjects.h"
#include "common/loop.h"

struct log_teller {
	struct loop *loop;
	struct loop_timer *timer;
	struct log_subjects subjects;
};

static void teller_due(void *user_data)
{
	struct log_teller *teller = user_data;
	uint64_t next_us =
		log_subjects_tell(&teller->subjects, loop_now_us(teller->loop));

	if (next_us != LOG_SUBJECTS_NEVER)
		loop_timer_set(teller->timer, next_us);
}

int log_teller_new(struct loop *loop, uint64_t interval_us, unsigned int burst,
		   struct log_teller **ret_teller)
{
	struct log_teller *teller = calloc(1, sizeof(*teller));
	int r;

	if (!teller)
		return -ENOMEM;
	teller->loop = loop;
	teller->subjects.interval_us = interval_us;
	teller->subjects.burst = burst;
	r = loop_timer_new(loop, teller_due, teller, &teller->timer);
	if (r < 0) {
		free(teller);
		return r;
	}
	*ret_teller = teller;
	return 0;
}

bool log_teller_ok(struct log_teller *teller, const char *fmt, ...)
{
	uint64_t now_us = loop_now_us(teller->loop);
	char text[LOG_SUBJECT_TEXT_MAX];
	va_list args;

	/* A long text is cut: subjects that differ only behind the cut are one
	 * then. */
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (log_subject_ok(&teller->subjects, text, now_us))
		return true;
	loop_timer_set_earlier(teller->timer,
			       now_us + teller->subjects.interval_us);
	return false;
}

struct log_teller *log_teller_free(struct log_teller *teller)
{
	if (!teller)
		return NULL;
	(void)loop_timer_free(teller->timer); /* is always NULL */
	free(teller);
	return NULL;
}
