/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - kernel pipes, through which splice(2) moves bytes */
#ifndef RELAY_CORE_PIPE_H
#define RELAY_CORE_PIPE_H

#include <stdbool.h>
#include <stdint.h>

/* What one splice(2) may take in: a pipe's size, if the system allows it. An
 * unprivileged user may have as much (pipe-max-size); with a quarter of it the
 * same bytes cost a third more. See ADMISSION_PIPES_MAX, too. */
#define PIPE_BYTES (1024u * 1024)

/**
 * struct pipe - open; one direction of one connection has it, or the pool
 * @n_bytes:	how many are in it; the user of the pipe counts them
 */
struct pipe {
	struct pipe *next;
	int read_fd;
	int write_fd;
	uint32_t n_bytes;
};

/** struct pipe_pool - of one thread; zero-initialize */
struct pipe_pool {
	struct pipe *free;
	unsigned int n_free;
	bool used;
};

/**
 * pipe_take() - an empty pipe, from the pool or a new one
 *
 * Return: NULL when there are too many, or the system gives none.
 */
struct pipe *pipe_take(struct pipe_pool *pool);

/** pipe_put() - gives @pipe back; what is in it is lost. Returns NULL; NULL is
 * fine. */
struct pipe *pipe_put(struct pipe_pool *pool, struct pipe *pipe);

/**
 * pipe_pool_trim() - closes all pipes of the pool if none was taken since the
 * last call
 *
 * Return: is a pipe left?
 */
bool pipe_pool_trim(struct pipe_pool *pool);

/** pipe_pool_done() - closes all pipes of the pool */
void pipe_pool_done(struct pipe_pool *pool);

#endif
