/* SPDX-License-Identifier: Apache-2.0 */
/* asker.h - a thread that asks berthd, one question after the other */
#ifndef WEB_ASKER_H
#define WEB_ASKER_H

#include <stdbool.h>

struct asker;
struct document;
struct loop;
struct question;

/**
 * typedef asker_handler - a question was answered
 * @document:	its one reference is the handler's; NULL: out of memory
 */
typedef void (*asker_handler)(struct document *document, void *user_data);

/**
 * asker_new() - starts the thread, which runs until the process ends
 * @loop:	calls @handler
 * @socket:	berthd's control socket; must live as long
 * Return: 0; -ENOMEM; -errno of eventfd(2), epoll_ctl(2), pthread_create(3).
 */
int asker_new(struct loop *loop, const char *socket, asker_handler handler,
	      void *user_data, struct asker **ret_asker);

/** asker_busy() - is a question under way? */
bool asker_busy(const struct asker *asker);

/**
 * asker_ask() - asks a question; asker_busy() must be false
 *
 * The question is copied. The handler is called in a later batch of the loop,
 * within a time limit.
 * Return: 0 or -ENOMEM.
 */
int asker_ask(struct asker *asker, const struct question *question);

#endif
