/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.h - bytes that were read and could not be written on yet */
#ifndef RELAY_CORE_BUFFER_H
#define RELAY_CORE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* What one read takes at most, so nothing longer can be left of it. */
#define BUFFER_MAX_BYTES 65536u
#define BUFFER_CLASSES 3

/** struct buffer - @data[@begin] to @data[@end - 1] wait to be written */
struct buffer {
	struct buffer *next; /* in the pool */
	uint32_t class;
	uint32_t begin;
	uint32_t end;
	uint8_t data[];
};

/** struct buffer_pool - of one thread; zero-initialize */
struct buffer_pool {
	struct buffer *free[BUFFER_CLASSES];
	unsigned int n_free[BUFFER_CLASSES];
};

/** buffer_pool_done() - frees the buffers of the pool */
void buffer_pool_done(struct buffer_pool *pool);

/**
 * buffer_new() - keeps a copy of @data
 * @size_bytes:	at most BUFFER_MAX_BYTES
 *
 * Return: NULL when memory is out.
 */
struct buffer *buffer_new(struct buffer_pool *pool, const void *data,
			  size_t size_bytes);

/**
 * buffer_reserve() - an empty buffer
 * @size_bytes:	what @data has room for, at least; at most BUFFER_MAX_BYTES
 *
 * Return: NULL when memory is out.
 */
struct buffer *buffer_reserve(struct buffer_pool *pool, size_t size_bytes);

/** buffer_class_bytes() - the memory that a buffer for @size_bytes would take
 */
uint32_t buffer_class_bytes(size_t size_bytes);

/** buffer_bytes() - the memory that @buffer takes, however much is in it */
uint32_t buffer_bytes(const struct buffer *buffer);

/** buffer_free() - gives @buffer back to the pool. Returns NULL; NULL is fine.
 */
struct buffer *buffer_free(struct buffer_pool *pool, struct buffer *buffer);

#endif
