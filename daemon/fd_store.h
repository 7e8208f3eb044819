/* SPDX-License-Identifier: Apache-2.0 */
/* fd_store.h - listeners of an earlier berthd, from the service manager */
#ifndef DAEMON_FD_STORE_H
#define DAEMON_FD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct binder;
struct fd_store;
struct listener;

/**
 * fd_store_take() - takes all descriptors that berthd was started with, and
 * closes at once what is no listener of berth
 * @loop:	outlives the store
 *
 * Clears LISTEN_* in the environment; no program that berthd starts inherits
 * one of them. Logs what is wrong. The manager still has what it gave.
 * Return: 0, also when there is none; -ENOMEM.
 */
int fd_store_take(struct loop *loop, struct fd_store **ret_store);

/** fd_store_awaits() - may a listener that came back be @listener, or does the
 * manager still have one with its port? Then it waits until the binder is told
 * so (binder_await_end()). */
bool fd_store_awaits(const struct fd_store *store,
		     const struct listener *listener);

/** fd_store_forget() - the namespace goes: closes what is not decided yet */
void fd_store_forget(struct fd_store *store, uint64_t netns_id);

/**
 * fd_store_decide() - all namespaces are known, and planned: gives the binder
 * what it wants, and closes the rest
 *
 * @binder:	must exist as long as the loop runs
 *
 * A bounded slice. After the last one the manager is told to forget all that it
 * gave; when it has, the binder tries what waited for that.
 * Return: true while there is more to decide.
 */
bool fd_store_decide(struct fd_store *store, struct binder *binder);

/** fd_store_is_decided() - is no candidate left? */
bool fd_store_is_decided(const struct fd_store *store);

/** fd_store_is_done() - is all decided, and has the manager forgotten all? */
bool fd_store_is_done(const struct fd_store *store);

/**
 * fd_store_finish() - has the manager forget what it was not told to forget yet
 * @notify_fd:	of notify_open()
 *
 * Blocks, until @deadline_us at most. All must be decided.
 * Return: 0; -ETIMEDOUT; -errno.
 */
int fd_store_finish(struct fd_store *store, int notify_fd,
		    uint64_t deadline_us);

/** fd_store_free() - closes what is not decided. NULL is fine. Return: NULL. */
struct fd_store *fd_store_free(struct fd_store *store);

#endif
