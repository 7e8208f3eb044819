/* SPDX-License-Identifier: Apache-2.0 */
/* event_queue.h - events as text, until everybody who wants them has read them
 *
 * All readers share one queue, and each event is in it once. When the queue is
 * full, the readers that still want its oldest event are behind: they get
 * nothing more, and are told how many events they have lost. So a reader costs
 * nobody memory, and delays nobody.
 */
#ifndef DAEMON_CONTROL_EVENT_QUEUE_H
#define DAEMON_CONTROL_EVENT_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct event_queue;
struct event_reader;

/* Who reads events: some people and some programs. One bit each. */
#define EVENT_READERS_MAX 64u

/* What a reader may be behind: 10,000 namespaces with three listeners each that
 * come at once. Texts have some 300 bytes. */
#define EVENT_QUEUE_MAX 65536u
#define EVENT_QUEUE_BYTES_MAX (16u * 1024 * 1024)

/** event_queue_new() - empty. Return: 0 or -ENOMEM. */
int event_queue_new(struct loop *loop, struct event_queue **ret_queue);

/** event_queue_free() - its readers have left. NULL is fine. Return: NULL. */
struct event_queue *event_queue_free(struct event_queue *queue);

/**
 * event_queue_join() - one more reader, of the events that come from now on
 * @wake:	there is something to read, or the reader is behind. May have
 *		the reader leave.
 *
 * Return: 0; -ENOSPC: there are EVENT_READERS_MAX; -ENOMEM.
 */
int event_queue_join(struct event_queue *queue, void (*wake)(void *user_data),
		     void *user_data, struct event_reader **ret_reader);

/** event_reader_leave() - frees the reader. NULL is fine. Return: NULL. */
struct event_reader *event_reader_leave(struct event_reader *reader);

/** event_reader_bit() - Return: the bit that stands for the reader in
 * event_queue_add(). */
uint64_t event_reader_bit(const struct event_reader *reader);

/**
 * event_queue_add() - something has happened
 * @wanted_by:	the bits of the readers that want it
 * @text:	@len bytes, copied
 *
 * Readers are woken a moment later, with what else comes until then: what
 * clients of namespaces wait for goes first. Without memory the readers that
 * want it are behind.
 */
void event_queue_add(struct event_queue *queue, uint64_t wanted_by,
		     const char *text, size_t len);

/**
 * event_reader_next() - the next event that the reader wants
 * @ret_text:	borrowed until the next call
 *
 * Return: 1; -EAGAIN: there is none now; -EOVERFLOW: the reader is behind.
 */
int event_reader_next(struct event_reader *reader, const char **ret_text,
		      size_t *ret_len);

/** event_reader_lost() - Return: how many events the reader wanted and does not
 * get, because it is behind. */
uint64_t event_reader_lost(const struct event_reader *reader);

#endif
