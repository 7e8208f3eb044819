// SPDX-License-Identifier: Apache-2.0
/* pipe.c - kernel pipes, through which splice(2) moves bytes
 *
 * One direction of a connection has a pipe only while it moves bytes, and
 * longer only while its receiver does not take what is in the pipe. So few
 * pipes are needed, and a small pool saves nearly all calls of pipe2(2). A pipe
 * that is given back with bytes in it is closed: nobody else may see them.
 */
#include "relay/core/pipe.h"

#include <assert.h>
#include <fcntl.h>

#include "common/util.h"
#include "relay/core/admission.h"

/* Kept for the next taker: if no receiver is slow, a thread needs one. */
#define POOL_KEEP 8

static_assert(ADMISSION_PIPES_MAX * PIPE_BYTES <= 48u * 1024 * 1024,
	      "beyond this the kernel cripples pipes");

static struct pipe *pipe_close(struct pipe *pipe)
{
	(void)close(pipe->read_fd); /* pipes */
	(void)close(pipe->write_fd);
	free(pipe);
	admission_give_pipe();
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
	struct pipe *pipe;

	if (!admission_take_pipe())
		return NULL;
	pipe = pipe_open();
	if (!pipe)
		admission_give_pipe();
	return pipe;
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
