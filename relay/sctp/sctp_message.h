/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_message.h - SCTP messages: put together, and waiting to be sent on
 *
 * Knows no sockets.
 */
#ifndef RELAY_SCTP_SCTP_MESSAGE_H
#define RELAY_SCTP_SCTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/budget.h"

/**
 * struct sctp_label - what is passed on beside a message's bytes
 * @ppid:	as the peer has it; it is never swapped
 * @sid:	the stream
 */
struct sctp_label {
	uint32_t ppid;
	uint16_t sid;
	bool unordered;
};

/**
 * struct sctp_message - @len bytes of @data are there, room is for @size
 * @begin:	how many of them went on already, to a stream
 */
struct sctp_message {
	struct sctp_message *next;
	struct sctp_label label;
	size_t begin;
	size_t len;
	size_t size;
	uint8_t data[];
};

/** struct sctp_queue - whole messages, the oldest first; zero-initialize */
struct sctp_queue {
	struct sctp_message *first, *last;
	size_t bytes;
};

/**
 * sctp_message_append() - adds one more part to a message
 * @budget:	the memory that the message is part of
 * @message:	grows, and may move; NULL inside: this is the first part
 * @label:	of the message, with its first part; else ignored
 * @data:	the part, @len bytes, which are copied
 * @max_bytes:	of the whole message
 *
 * Return: 0; -EMSGSIZE: the message would be larger than @max_bytes; -ENOMEM:
 * memory is out, or the budget. On failure *@message is as before.
 */
int sctp_message_append(struct budget *budget, struct sctp_message **message,
			const struct sctp_label *label, const void *data,
			size_t len, size_t max_bytes);

/** sctp_message_free() - frees @message, which may be NULL, and gives its
 * memory back to @budget. Returns NULL. */
struct sctp_message *sctp_message_free(struct budget *budget,
				       struct sctp_message *message);

/** sctp_queue_push() - puts @message, which the queue owns then, last */
void sctp_queue_push(struct sctp_queue *queue, struct sctp_message *message);

/** sctp_queue_pop() - takes the oldest message out. Return: it, the caller's;
 * NULL: there is none. */
struct sctp_message *sctp_queue_pop(struct sctp_queue *queue);

/** sctp_queue_clear() - frees all messages. Return: how many there were. */
size_t sctp_queue_clear(struct budget *budget, struct sctp_queue *queue);

#endif
