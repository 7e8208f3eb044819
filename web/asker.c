// SPDX-License-Identifier: Apache-2.0
/* asker.c - a thread that asks berthd, one question after the other
 *
 * Theory of operation: the calls of client/ block, and while berthd takes its
 * time the viewers must have what is known already. So a thread makes the
 * calls. It has one question at a time: the loop's thread puts it in
 * (state ASKED) and takes the answer out (state ANSWERED).
 *
 * Between two questions the thread rests as long as the last one took. So
 * whoever asks, and however often, berthd is asked at most half of the time.
 */
#include "web/asker.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "common/loop.h"
#include "common/util.h"
#include "web/document.h"
#include "web/question.h"

/* Of one question. */
#define QUESTION_US (10 * USEC_PER_SEC)

/* The longest rest. */
#define REST_MAX_US USEC_PER_SEC

enum asker_state {
	ASKER_IDLE,
	ASKER_ASKED,
	ASKER_ANSWERED,
};

/**
 * struct asker - the thread
 * @mutex:	of the next three
 * @question:	in ASKED the thread's alone
 * @answered_fd: readable in ANSWERED
 */
struct asker {
	const char *socket;
	asker_handler handler;
	void *user_data;
	pthread_mutex_t mutex;
	pthread_cond_t asked;
	enum asker_state state;
	struct question question;
	struct document *document;
	struct loop_source *source;
	int answered_fd;
	bool busy;
};

static void asker_await(struct asker *asker)
{
	(void)pthread_mutex_lock(&asker->mutex); /* cannot fail: a plain one */
	while (asker->state != ASKER_ASKED)
		(void)pthread_cond_wait(&asker->asked, &asker->mutex);
	(void)pthread_mutex_unlock(&asker->mutex);
}

static void asker_answer(struct asker *asker, struct document *document)
{
	(void)pthread_mutex_lock(&asker->mutex);
	asker->document = document;
	asker->state = ASKER_ANSWERED;
	(void)pthread_mutex_unlock(&asker->mutex);
	(void)eventfd_write(asker->answered_fd, 1); /* never full: one answer */
}

static void rest(uint64_t us)
{
	const struct timespec time = {
		.tv_sec = (time_t)(us / USEC_PER_SEC),
		.tv_nsec = (long)(us % USEC_PER_SEC) * 1000,
	};

	(void)nanosleep(&time, NULL); /* no handler of signals runs here */
}

static void *asker_run(void *user_data)
{
	struct asker *asker = user_data;

	for (;;) {
		uint64_t begin_us, took_us;

		asker_await(asker);
		begin_us = monotonic_us();
		asker_answer(asker,
			     question_ask(&asker->question, asker->socket,
					  begin_us + QUESTION_US));
		took_us = monotonic_us() - begin_us;
		rest(took_us < REST_MAX_US ? took_us : REST_MAX_US);
	}
	return NULL;
}

static void answered_handler(uint32_t events, void *user_data)
{
	struct asker *asker = user_data;
	struct document *document;
	eventfd_t count;

	(void)events;
	(void)eventfd_read(asker->answered_fd, &count); /* it is readable */
	(void)pthread_mutex_lock(&asker->mutex);
	document = TAKE_PTR(asker->document);
	asker->state = ASKER_IDLE;
	(void)pthread_mutex_unlock(&asker->mutex);
	question_done(&asker->question);
	asker->busy = false;
	asker->handler(document, asker->user_data);
}

static int asker_init(struct asker *asker, struct loop *loop)
{
	pthread_t thread;
	int r;

	asker->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (asker->answered_fd < 0)
		return -errno;
	r = loop_add(loop, asker->answered_fd, EPOLLIN, answered_handler, asker,
		     &asker->source);
	if (r < 0)
		return r;
	(void)pthread_mutex_init(&asker->mutex, NULL); /* cannot fail: Linux */
	(void)pthread_cond_init(&asker->asked, NULL); /* as above */
	return -pthread_create(&thread, NULL, asker_run, asker);
}

int asker_new(struct loop *loop, const char *socket, asker_handler handler,
	      void *user_data, struct asker **ret_asker)
{
	struct asker *asker = calloc(1, sizeof(*asker));
	int r;

	if (!asker)
		return -ENOMEM;
	asker->socket = socket;
	asker->handler = handler;
	asker->user_data = user_data;
	r = asker_init(asker, loop);
	if (r < 0) {
		loop_source_free(asker->source);
		cleanup_close(&asker->answered_fd);
		free(asker);
		return r;
	}
	*ret_asker = asker;
	return 0;
}

bool asker_busy(const struct asker *asker)
{
	return asker->busy;
}

int asker_ask(struct asker *asker, const struct question *question)
{
	int r = question_copy(question, &asker->question);

	if (r < 0)
		return r;
	asker->busy = true;
	(void)pthread_mutex_lock(&asker->mutex);
	asker->state = ASKER_ASKED;
	(void)pthread_cond_signal(&asker->asked);
	(void)pthread_mutex_unlock(&asker->mutex);
	return 0;
}
