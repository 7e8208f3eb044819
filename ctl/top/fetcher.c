// SPDX-License-Identifier: Apache-2.0
/* fetcher.c - a thread that asks berthd again and again */
#include "ctl/top/fetcher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"

/* How soon a berthd that is gone is looked for again, if the interval is not
 * shorter. */
#define AGAIN_MS 500

/**
 * struct top_fetcher - what the two threads share
 * @lock:	of all below
 * @woken:	something of it has changed
 * @now:	asks before the interval is over
 * @sample, @failure, @failed: the last answer, not taken yet
 */
struct top_fetcher {
	const char *path;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	int64_t interval_ms;
	bool now;
	bool failed;
	struct top_sample *sample;
	struct top_failure failure;
};

static struct timespec after(const struct timespec *time, int64_t ms)
{
	const int64_t ns_per_ms = 1000000, ns_per_s = 1000 * ns_per_ms;
	int64_t ns = time->tv_nsec + ms * ns_per_ms;

	return (struct timespec){ .tv_sec = time->tv_sec + ns / ns_per_s,
				  .tv_nsec = ns % ns_per_s };
}

static void answered(struct top_fetcher *fetcher, struct top_sample *sample,
		     const struct top_failure *failure)
{
	(void)pthread_mutex_lock(&fetcher->lock);
	top_sample_free(fetcher->sample);
	fetcher->sample = sample;
	fetcher->failed = !sample;
	if (!sample)
		fetcher->failure = *failure;
	(void)pthread_mutex_unlock(&fetcher->lock);
	/* It can only fail when it is readable anyway. */
	(void)eventfd_write(fetcher->fd, 1);
}

static void await(struct top_fetcher *fetcher, const struct timespec *began,
		  bool failed)
{
	struct timespec until;
	int64_t ms;
	int r = 0;

	(void)pthread_mutex_lock(&fetcher->lock);
	while (!fetcher->now && r != ETIMEDOUT) {
		ms = fetcher->interval_ms;
		if (failed && ms > AGAIN_MS)
			ms = AGAIN_MS;
		until = after(began, ms);
		r = pthread_cond_timedwait(&fetcher->woken, &fetcher->lock,
					   &until);
	}
	fetcher->now = false;
	(void)pthread_mutex_unlock(&fetcher->lock);
}

static void *fetch_for_ever(void *user_data)
{
	struct top_fetcher *fetcher = user_data;
	struct top_failure failure;
	struct top_sample *sample;
	struct timespec began;

	for (;;) {
		/* It does not fail for this clock. */
		(void)clock_gettime(CLOCK_MONOTONIC, &began);
		(void)top_fetch(fetcher->path, &sample, &failure);
		answered(fetcher, sample, &failure);
		await(fetcher, &began, !sample);
	}
	return NULL;
}

static int start_thread(struct top_fetcher *fetcher)
{
	sigset_t all, before;
	pthread_t thread;
	int r;

	(void)sigfillset(&all); /* it cannot fail, nor can the next but one */
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r == 0) {
		r = pthread_create(&thread, NULL, fetch_for_ever, fetcher);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	return r == 0 ? -pthread_detach(thread) : -r;
}

static int init_locks(struct top_fetcher *fetcher)
{
	pthread_condattr_t attributes;
	int r = pthread_condattr_init(&attributes);

	if (r == 0)
		r = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(&fetcher->woken, &attributes);
	if (r == 0)
		r = pthread_mutex_init(&fetcher->lock, NULL);
	return -r;
}

int top_fetcher_start(const char *path, int64_t interval_ms,
		      struct top_fetcher **ret_fetcher)
{
	struct top_fetcher *fetcher = calloc(1, sizeof(*fetcher));
	int r;

	if (!fetcher)
		return -ENOMEM;
	fetcher->path = path;
	fetcher->interval_ms = interval_ms;
	fetcher->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = fetcher->fd < 0 ? -errno : init_locks(fetcher);
	if (r == 0)
		r = start_thread(fetcher);
	if (r == 0) {
		*ret_fetcher = fetcher;
		return 0;
	}
	if (fetcher->fd >= 0)
		(void)close(fetcher->fd);
	free(fetcher);
	return r;
}

int top_fetcher_fd(const struct top_fetcher *fetcher)
{
	return fetcher->fd;
}

int top_fetcher_take(struct top_fetcher *fetcher,
		     struct top_sample **ret_sample,
		     struct top_failure *ret_failure)
{
	eventfd_t count;
	int r = 0;

	(void)eventfd_read(fetcher->fd, &count); /* it may be empty */
	(void)pthread_mutex_lock(&fetcher->lock);
	*ret_sample = TAKE_PTR(fetcher->sample);
	if (*ret_sample) {
		r = 1;
	} else if (fetcher->failed) {
		*ret_failure = fetcher->failure;
		fetcher->failed = false;
		r = -1;
	}
	(void)pthread_mutex_unlock(&fetcher->lock);
	return r;
}

void top_fetcher_set_interval(struct top_fetcher *fetcher, int64_t interval_ms)
{
	(void)pthread_mutex_lock(&fetcher->lock);
	fetcher->interval_ms = interval_ms;
	fetcher->now = true;
	(void)pthread_cond_signal(&fetcher->woken);
	(void)pthread_mutex_unlock(&fetcher->lock);
}
