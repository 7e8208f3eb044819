// SPDX-License-Identifier: Apache-2.0
/* buffer.c - bytes that were read and could not be written on yet
 *
 * Most connections never need a buffer. Three sizes waste little memory on a
 * short rest. The pool keeps a few of each size, because a stream whose reader
 * is slower than its writer takes a buffer and gives it back with every step.
 */
#include "relay/core/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t class_bytes[BUFFER_CLASSES] = { 4096, 16384,
						      BUFFER_MAX_BYTES };

/* Buffers that the pool keeps: a quarter of a MiB of each size at most. */
static const unsigned int class_keep[BUFFER_CLASSES] = { 64, 16, 4 };

void buffer_pool_done(struct buffer_pool *pool)
{
	struct buffer *buffer;

	for (size_t i = 0; i < BUFFER_CLASSES; i++) {
		while ((buffer = pool->free[i])) {
			pool->free[i] = buffer->next;
			free(buffer);
		}
		pool->n_free[i] = 0;
	}
}

static uint32_t class_of(size_t size_bytes)
{
	uint32_t class = 0;

	assert(size_bytes <= BUFFER_MAX_BYTES);
	while (class_bytes[class] < size_bytes)
		class ++;
	return class;
}

uint32_t buffer_class_bytes(size_t size_bytes)
{
	return class_bytes[class_of(size_bytes)];
}

struct buffer *buffer_reserve(struct buffer_pool *pool, size_t size_bytes)
{
	uint32_t class = class_of(size_bytes);
	struct buffer *buffer = pool->free[class];

	if (buffer) {
		pool->free[class] = buffer->next;
		pool->n_free[class]--;
	} else {
		buffer = malloc(sizeof(*buffer) + class_bytes[class]);
		if (!buffer)
			return NULL;
		buffer->class = class;
	}
	buffer->begin = 0;
	buffer->end = 0;
	return buffer;
}

struct buffer *buffer_new(struct buffer_pool *pool, const void *data,
			  size_t size_bytes)
{
	struct buffer *buffer = buffer_reserve(pool, size_bytes);

	if (!buffer)
		return NULL;
	buffer->end = (uint32_t)size_bytes;
	memcpy(buffer->data, data, size_bytes);
	return buffer;
}

uint32_t buffer_bytes(const struct buffer *buffer)
{
	return class_bytes[buffer->class];
}

struct buffer *buffer_free(struct buffer_pool *pool, struct buffer *buffer)
{
	if (!buffer)
		return NULL;
	if (pool->n_free[buffer->class] >= class_keep[buffer->class]) {
		free(buffer);
		return NULL;
	}
	buffer->next = pool->free[buffer->class];
	pool->free[buffer->class] = buffer;
	pool->n_free[buffer->class]++;
	return NULL;
}
