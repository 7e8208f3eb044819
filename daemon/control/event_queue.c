// SPDX-License-Identifier: Apache-2.0
/* event_queue.c - events as text, until everybody who wants them has read them
 *
 * Theory of operation: each event has a set of readers that want it and have
 * not read it; without any it is freed. Each reader knows the first such event.
 * So a reader walks over each event once, and an event that no reader points to
 * can be taken out of the middle.
 */
#include "daemon/control/event_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/util.h"

/* How long readers are left asleep after an event: long enough for the listener
 * of a namespace that appears to be opened and served first, and for the events
 * of several namespaces to be read at once; too short for people to notice. */
#define WAKE_DELAY_US (20 * USEC_PER_MSEC)

struct queued_event {
	struct queued_event *prev, *next;
	uint64_t wanted_by;
	size_t len;
	char text[];
};

/**
 * struct event_reader - see event_queue.h
 * @first:	the first event that it wants; NULL: there is none
 * @given:	it was given @first, and has read it when it asks again
 * @n:		how many events it wants, @first included
 */
struct event_reader {
	struct event_queue *queue;
	unsigned int index;
	void (*wake)(void *user_data);
	void *user_data;
	struct queued_event *first;
	bool given;
	size_t n;
	bool behind;
	uint64_t lost;
};

struct event_queue {
	struct loop *loop;
	struct loop_timer *timer;
	struct queued_event *list;
	size_t n;
	size_t bytes;
	struct event_reader *readers[EVENT_READERS_MAX];
};

uint64_t event_reader_bit(const struct event_reader *reader)
{
	return UINT64_C(1) << reader->index;
}

static void timer_handler(void *user_data)
{
	struct event_queue *queue = user_data;

	for (size_t i = 0; i < EVENT_READERS_MAX; i++) {
		struct event_reader *reader = queue->readers[i];

		if (reader && (reader->first || reader->behind))
			reader->wake(reader->user_data);
	}
}

int event_queue_new(struct loop *loop, struct event_queue **ret_queue)
{
	struct event_queue *queue = calloc(1, sizeof(*queue));
	int r;

	if (!queue)
		return -ENOMEM;
	queue->loop = loop;
	r = loop_timer_new(loop, timer_handler, queue, &queue->timer);
	if (r < 0) {
		free(queue);
		return r;
	}
	*ret_queue = queue;
	return 0;
}

struct event_queue *event_queue_free(struct event_queue *queue)
{
	if (!queue)
		return NULL;
	loop_timer_free(queue->timer);
	free(queue);
	return NULL;
}

int event_queue_join(struct event_queue *queue, void (*wake)(void *user_data),
		     void *user_data, struct event_reader **ret_reader)
{
	struct event_reader *reader;
	unsigned int index = 0;

	while (index < EVENT_READERS_MAX && queue->readers[index])
		index++;
	if (index == EVENT_READERS_MAX)
		return -ENOSPC;
	reader = malloc(sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	*reader = (struct event_reader){
		.queue = queue,
		.index = index,
		.wake = wake,
		.user_data = user_data,
	};
	queue->readers[index] = reader;
	*ret_reader = reader;
	return 0;
}

static void event_remove(struct event_queue *queue, struct queued_event *event)
{
	/* An event without a next one is the last of the list, and its head's
	 * prev: the analyzer takes the two for independent.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	DL_DELETE(queue->list, event);
	queue->n--;
	queue->bytes -= event->len;
	free(event);
}

/* The reader has read its first event, or does not get it. */
static void reader_advance(struct event_reader *reader)
{
	struct event_queue *queue = reader->queue;
	struct queued_event *event = reader->first, *next = event->next;
	uint64_t bit = event_reader_bit(reader);

	while (next && !(next->wanted_by & bit))
		next = next->next;
	reader->first = next;
	reader->given = false;
	reader->n--;
	event->wanted_by &= ~bit;
	if (!event->wanted_by)
		event_remove(queue, event);
}

static void reader_drop(struct event_reader *reader)
{
	if (reader->given)
		reader_advance(reader);
	reader->behind = true;
	reader->lost += reader->n;
	while (reader->first)
		reader_advance(reader);
}

struct event_reader *event_reader_leave(struct event_reader *reader)
{
	if (!reader)
		return NULL;
	while (reader->first)
		reader_advance(reader);
	reader->queue->readers[reader->index] = NULL;
	free(reader);
	return NULL;
}

/* Return: the reader of the lowest bit in *@readers, which loses it. */
static struct event_reader *take_reader(const struct event_queue *queue,
					uint64_t *readers)
{
	unsigned int index = (unsigned int)__builtin_ctzll(*readers);

	*readers &= *readers - 1;
	return queue->readers[index];
}

/* There is no memory for an event that these readers want. */
static void readers_lose(struct event_queue *queue, uint64_t wanted_by)
{
	while (wanted_by) {
		struct event_reader *reader = take_reader(queue, &wanted_by);

		if (!reader->behind)
			reader_drop(reader);
		reader->lost++;
	}
}

/* One more event for each of @wanted_by that is not behind. */
static void readers_add(struct event_queue *queue, uint64_t wanted_by,
			struct queued_event *event)
{
	while (wanted_by) {
		struct event_reader *reader = take_reader(queue, &wanted_by);

		if (reader->behind) {
			reader->lost++;
			continue;
		}
		event->wanted_by |= event_reader_bit(reader);
		reader->n++;
		if (!reader->first)
			reader->first = event;
	}
}

/* Takes the oldest event out of the queue, which has others. */
static void drop_oldest(struct event_queue *queue)
{
	uint64_t slow;

	assert(queue->list);
	slow = queue->list->wanted_by;
	while (slow) {
		struct event_reader *reader = take_reader(queue, &slow);

		if (reader->given) /* so it has read it */
			reader_advance(reader);
		else
			reader_drop(reader);
	}
}

void event_queue_add(struct event_queue *queue, uint64_t wanted_by,
		     const char *text, size_t len)
{
	struct queued_event *event = malloc(sizeof(*event) + len);

	loop_timer_set_earlier(queue->timer,
			       loop_now_us(queue->loop) + WAKE_DELAY_US);
	if (!event) {
		readers_lose(queue, wanted_by);
		return;
	}
	event->wanted_by = 0;
	event->len = len;
	memcpy(event->text, text, len);
	DL_APPEND(queue->list, event);
	queue->n++;
	queue->bytes += len;
	readers_add(queue, wanted_by, event);
	if (!event->wanted_by) /* all of them are behind */
		event_remove(queue, event);
	while (queue->n > EVENT_QUEUE_MAX ||
	       queue->bytes > EVENT_QUEUE_BYTES_MAX)
		drop_oldest(queue);
}

int event_reader_next(struct event_reader *reader, const char **ret_text,
		      size_t *ret_len)
{
	if (reader->given)
		reader_advance(reader);
	if (reader->behind)
		return -EOVERFLOW;
	if (!reader->first)
		return -EAGAIN;
	reader->given = true;
	*ret_text = reader->first->text;
	*ret_len = reader->first->len;
	return 1;
}

uint64_t event_reader_lost(const struct event_reader *reader)
{
	return reader->lost;
}
