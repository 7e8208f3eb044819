// SPDX-License-Identifier: Apache-2.0
/* sctp_message.c - SCTP messages: put together, and waiting to be sent on
 *
 * Linux sends a message in one call or not at all (there is no explicit end of
 * record), so what arrives in parts has to be whole before it can go on.
 * Peers decide how large that gets: each message has a limit, and so have all
 * messages of a worker together, and those of one namespace among them.
 */
#include "relay/sctp/sctp_message.h"

#include <string.h>

#include "common/util.h"

/* Parts grow a message by doubling, from this. */
#define SIZE_MIN 4096u

static size_t grown_size(const struct sctp_message *message, size_t needed,
			 size_t max_bytes)
{
	size_t size = message ? message->size * 2 : needed;

	if (message && size < SIZE_MIN)
		size = SIZE_MIN;
	if (size < needed)
		size = needed;
	return size < max_bytes ? size : max_bytes;
}

int sctp_message_append(struct budget *budget, struct sctp_message **message,
			const struct sctp_label *label, const void *data,
			size_t len, size_t max_bytes)
{
	struct sctp_message *old = *message, *grown = old;
	size_t old_len = old ? old->len : 0, old_size = old ? old->size : 0;
	size_t size;

	if (len > max_bytes || old_len > max_bytes - len)
		return -EMSGSIZE;
	if (!old || old_len + len > old_size) {
		size = grown_size(old, old_len + len, max_bytes);
		if (!budget_has_room(budget, size - old_size))
			return -ENOMEM;
		grown = realloc(old, sizeof(*grown) + size);
		if (!grown)
			return -ENOMEM;
		budget_take(budget, size - old_size);
		grown->size = size;
	}
	if (!old) {
		grown->next = NULL;
		grown->label = *label;
		grown->begin = 0;
		grown->len = 0;
	}
	memcpy(grown->data + grown->len, data, len);
	grown->len += len;
	*message = grown;
	return 0;
}

struct sctp_message *sctp_message_free(struct budget *budget,
				       struct sctp_message *message)
{
	if (message)
		budget_give(budget, message->size);
	free(message);
	return NULL;
}

void sctp_queue_push(struct sctp_queue *queue, struct sctp_message *message)
{
	message->next = NULL;
	if (queue->last)
		queue->last->next = message;
	else
		queue->first = message;
	queue->last = message;
	queue->bytes += message->len;
}

struct sctp_message *sctp_queue_pop(struct sctp_queue *queue)
{
	struct sctp_message *message = queue->first;

	if (!message)
		return NULL;
	queue->first = message->next;
	if (!queue->first)
		queue->last = NULL;
	queue->bytes -= message->len;
	return message;
}

size_t sctp_queue_clear(struct budget *budget, struct sctp_queue *queue)
{
	struct sctp_message *message;
	size_t n = 0;

	while ((message = sctp_queue_pop(queue))) {
		(void)sctp_message_free(budget, message); /* is always NULL */
		n++;
	}
	return n;
}
