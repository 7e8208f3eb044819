// SPDX-License-Identifier: Apache-2.0
/* pipe.c - kernel pipes, through which splice(2) moves bytes
 *
 * A direction has a pipe only while it moves bytes, and keeps it beyond that
 * only while its receiver does not take what is in it. So few are needed, and
 * a small pool saves nearly all calls of pipe2(2). A pipe that is given back
 * with bytes in it is closed: nobody else may ever see them.
 */
#include "relay/core/pipe.h"

#include <fcntl.h>
#include <stdatomic.h>

#include "common/util.h"
#include "relay/core/admission.h"

/* Kept for the next taker: with nobody slow, one is all a thread needs. */
#define POOL_KEEP 8

static atomic_uint n_pipes;

static struct pipe *pipe_close(struct pipe *pipe)
{
	(void)close(pipe->read_fd); /* pipes */
	(void)close(pipe->write_fd);
	free(pipe);
	admission_give_fds(2);
	atomic_fetch_sub_explicit(&n_pipes, 1, memory_order_relaxed);
	return NULL;
}

static struct pipe *pipe_open(void)
{
	struct pipe *pipe = malloc(sizeof(*pipe));
	int fds[2];

	if (!pipe || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	/* A smaller one does, with more system calls. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	*pipe = (struct pipe){ .read_fd = fds[0], .write_fd = fds[1] };
	return pipe;
}

static struct pipe *pipe_new(void)
{
	struct pipe *pipe = NULL;

	if (atomic_fetch_add_explicit(&n_pipes, 1, memory_order_relaxed) <
	    PIPES_MAX) {
		if (admission_take_fds(2)) {
			pipe = pipe_open();
			if (pipe)
				return pipe;
			admission_give_fds(2);
		}
	}
	atomic_fetch_sub_explicit(&n_pipes, 1, memory_order_relaxed);
	return NULL;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
	struct pipe *pipe = pool->free;

	pool->used = true;
	if (!pipe)
		return pipe_new();
	pool->free = pipe->next;
	pool->n_free--;
	return pipe;
}

struct pipe *pipe_put(struct pipe_pool *pool, struct pipe *pipe)
{
	if (!pipe)
		return NULL;
	if (pipe->n_bytes > 0 || pool->n_free >= POOL_KEEP)
		return pipe_close(pipe);
	pipe->next = pool->free;
	pool->free = pipe;
	pool->n_free++;
	return NULL;
}

bool pipe_pool_trim(struct pipe_pool *pool)
{
	if (!pool->used)
		pipe_pool_done(pool);
	pool->used = false;
	return pool->free != NULL;
}

void pipe_pool_done(struct pipe_pool *pool)
{
	struct pipe *pipe;

	while ((pipe = pool->free)) {
		pool->free = pipe->next;
		(void)pipe_close(pipe);
	}
	pool->n_free = 0;
}
