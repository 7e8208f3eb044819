/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - one epoll loop with descriptors, timers and a step after each batch
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;
struct loop_timer;

/**
 * typedef loop_fd_handler - a descriptor is ready
 * @events:	EPOLL* bits, as from epoll_wait(2)
 *
 * Must not block. May free any source or timer, its own included: the memory
 * goes after the batch, and no handler of a freed source runs any more.
 */
typedef void (*loop_fd_handler)(uint32_t events, void *user_data);
typedef void (*loop_timer_handler)(void *user_data);

/**
 * typedef loop_after_handler - runs after each batch of handlers, and at once
 * when the loop starts
 *
 * Return: true when work is left: the loop then polls without waiting and
 * calls again, so that descriptors are served between two slices of it.
 */
typedef bool (*loop_after_handler)(void *user_data);

/** loop_new() - Return: 0 or -errno of epoll_create1(2), -ENOMEM. */
int loop_new(struct loop **ret_loop);

/** loop_free() - frees the loop; its sources and timers must be freed before.
 */
struct loop *loop_free(struct loop *loop);

/**
 * loop_run() - dispatches until loop_quit() is called
 * Return: the code given to loop_quit(), or -errno of epoll_wait(2).
 */
int loop_run(struct loop *loop);

/** loop_quit() - has loop_run() return @code after this batch: what is ready
 * with it is handled first */
void loop_quit(struct loop *loop, int code);

/** loop_now_us() - monotonic time, read once per batch */
uint64_t loop_now_us(const struct loop *loop);

/** loop_set_after() - sets the one handler that runs after each batch */
void loop_set_after(struct loop *loop, loop_after_handler handler,
		    void *user_data);

/**
 * loop_add() - has @handler called while @fd is ready for @events
 * @fd:		stays the caller's; free the source before closing it
 * @events:	EPOLL* bits; level-triggered unless EPOLLET is among them
 * Return: 0 or -errno of epoll_ctl(2), -ENOMEM.
 */
int loop_add(struct loop *loop, int fd, uint32_t events,
	     loop_fd_handler handler, void *user_data,
	     struct loop_source **ret_source);

/**
 * loop_source_set_events() - changes what is waited for; 0 pauses the source
 *
 * With 0 the descriptor leaves the epoll set, so that not even EPOLLERR and
 * EPOLLHUP are reported. No system call when nothing changes.
 * Return: 0 or -errno of epoll_ctl(2).
 */
int loop_source_set_events(struct loop_source *source, uint32_t events);

/** loop_source_free() - forgets the source, not the fd. NULL is fine. */
struct loop_source *loop_source_free(struct loop_source *source);

/** loop_timer_new() - a timer that is not set. Return: 0 or -ENOMEM. */
int loop_timer_new(struct loop *loop, loop_timer_handler handler,
		   void *user_data, struct loop_timer **ret_timer);

/**
 * loop_timer_set() - fires once at @deadline_us on the monotonic clock
 *
 * A set timer is moved. A deadline in the past fires in the next batch.
 */
void loop_timer_set(struct loop_timer *timer, uint64_t deadline_us);

/** loop_timer_set_earlier() - as loop_timer_set(), but never postpones */
void loop_timer_set_earlier(struct loop_timer *timer, uint64_t deadline_us);

/** loop_timer_unset() - the timer does not fire any more, until it is set again
 */
void loop_timer_unset(struct loop_timer *timer);

/** loop_timer_is_set() - will the timer fire? */
bool loop_timer_is_set(const struct loop_timer *timer);

/** loop_timer_free() - forgets the timer; it does not fire any more. NULL is
 * fine. Returns NULL. */
struct loop_timer *loop_timer_free(struct loop_timer *timer);

#endif
