/* SPDX-License-Identifier: Apache-2.0 */
/* awaited.h - consumers that may hand back what they have
 *
 * As long as one is awaited, nothing is opened that it serves: it may have the
 * socket. The wait is short and bounded, whatever the consumer does.
 */
#ifndef DAEMON_CONSUMERS_AWAITED_H
#define DAEMON_CONSUMERS_AWAITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "daemon/consumers/known.h"

struct awaited;

/** How long a living process is waited for that was connected before berthd was
 * started. It tries again after a quarter of this at most. */
#define AWAITED_HELLO_US UINT64_C(1000000)

/** How long one that is connected may take to hand back what it has. */
#define AWAITED_HANDING_US UINT64_C(2000000)

/**
 * awaited_new() - nobody is awaited
 * @ended:	called from the loop or from awaited_end(): the consumer @name
 *is not awaited any more; @late: its time is up Return: 0 or -ENOMEM.
 */
int awaited_new(struct loop *loop,
		void (*ended)(const char *name, bool late, void *user_data),
		void *user_data, struct awaited **ret_awaited);

/** awaited_free() - tells nobody. NULL is fine. Returns NULL. */
struct awaited *awaited_free(struct awaited *awaited);

/**
 * awaited_process() - waits for AWAITED_HELLO_US, at most as long as the
 * process of @known lives
 *
 * A failure means that it is not waited for.
 */
void awaited_process(struct awaited *awaited,
		     const struct known_consumer *known);

/** awaited_extend() - the consumer is connected: waits for AWAITED_HANDING_US
 * from now on, also if it was not awaited. Return: 0 or -ENOMEM. */
int awaited_extend(struct awaited *awaited, const char *name);

/** awaited_has() - is it awaited? */
bool awaited_has(const struct awaited *awaited, const char *name);

/**
 * awaited_processes() - those of awaited_process() that are not connected yet
 * @ret_list:	filled, with room for @max
 *
 * Return: how many.
 */
size_t awaited_processes(const struct awaited *awaited,
			 struct known_consumer *ret_list, size_t max);

/** awaited_pid() - the process of awaited_process() that is to be @name, and is
 * not connected yet; 0: there is none */
pid_t awaited_pid(const struct awaited *awaited, const char *name);

/** awaited_any() - is anybody? */
bool awaited_any(const struct awaited *awaited);

/** awaited_end() - the consumer has handed back everything, or its connection
 * is over */
void awaited_end(struct awaited *awaited, const char *name);

#endif
