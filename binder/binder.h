/* SPDX-License-Identifier: Apache-2.0 */
/* binder.h - the table of listeners: sockets born in namespaces */
#ifndef BINDER_BINDER_H
#define BINDER_BINDER_H

#include <stddef.h>
#include <stdint.h>

#include "binder/adopt.h"
#include "binder/config.h"
#include "binder/listener.h"
#include "common/listener_spec.h"
#include "common/loop.h"

struct binder;

/**
 * binder_new() - an empty table
 * @loop:	outlives the binder
 * @config:	copied
 * @ops:	borrowed, and so is @user_data: both outlive the binder
 * @ret_binder:	the caller's, to be freed with binder_free()
 *
 * Return: 0 or -ENOMEM.
 */
int binder_new(struct loop *loop, const struct binder_config *config,
	       const struct binder_ops *ops, void *user_data,
	       struct binder **ret_binder);

/** binder_free() - closes all listeners, telling @closing for each open one.
 * NULL is fine. Return: NULL. */
struct binder *binder_free(struct binder *binder);

/**
 * binder_apply() - makes the listeners of one namespace what @specs say
 * @specs:	endpoints are unique; the binder takes what it keeps by its own
 *		reference (the caller still calls listener_spec_done())
 *
 * First closes the listeners that are not wanted (they may hold a port that
 * is), then enters the namespace at most once for all the sockets, then binds
 * and listens from outside. Waiting listeners of the namespace are tried again.
 * A listener that stays is not touched, unless its socket options differ.
 * Return: 0, also when listeners wait; -ENOMEM: some could not be noted.
 */
int binder_apply(struct binder *binder, uint64_t netns_id,
		 const struct listener_spec *specs, size_t n);

/** binder_told_of() - one namespace has other containers: calls @changed for
 * each of its open listeners whose connections are logged */
void binder_told_of(struct binder *binder, uint64_t netns_id);

/** binder_renamed() - one namespace has other names: calls @changed for each of
 * its open listeners */
void binder_renamed(struct binder *binder, uint64_t netns_id);

/** binder_forget() - closes all listeners of one namespace, which is gone */
void binder_forget(struct binder *binder, uint64_t netns_id);

/**
 * struct handed_back - a listener that a consumer has, as it says; or may have,
 * and an earlier berthd left behind
 * @consumer:	its name, borrowed
 */
struct handed_back {
	struct adopt_claim claim;
	const char *consumer;
};

/**
 * binder_hand_back() - adopts the socket of a listener, if it is what some rule
 * wants: it is open then, without having been opened anew
 * @fd:		of unknown kind; taken in any case
 * @ret_reason: static or listener-owned text, if it is not adopted
 *
 * Return: 0: it is adopted, and @opened was called; 1: the binder has that very
 * socket already; -ENOENT: no rule wants it; -EPERM: it is not what the
 * consumer says, or another consumer's; -ECANCELED: it does not fit; -EMFILE;
 * -ENOMEM.
 */
int binder_hand_back(struct binder *binder, struct handed_back *handed_back,
		     int fd, const char **ret_reason);

/** binder_port_freed() - a consumer has let go of a socket of berth's in this
 * namespace: the next binder_apply() tries what waits, at once */
void binder_port_freed(struct binder *binder, uint64_t netns_id);

/** binder_await_end() - @awaits may have other answers now: tries what waited
 * to be handed back, soon */
void binder_await_end(struct binder *binder);

/**
 * binder_next() - iterates over all listeners, namespace by namespace
 * @previous:	the last one, or NULL to begin
 *
 * Nothing may be applied in between. Return: the next one; NULL at the end.
 */
struct listener *binder_next(struct binder *binder, struct listener *previous);

/** binder_next_netns() - as binder_next(), but skips the other listeners of the
 * namespace of @previous: gives the first one of each namespace */
struct listener *binder_next_netns(struct binder *binder,
				   struct listener *previous);

/** binder_next_in() - as binder_next(), over the listeners of one namespace */
struct listener *binder_next_in(struct binder *binder, uint64_t netns_id,
				struct listener *previous);

/** binder_find() - by id. Return: the listener or NULL. */
struct listener *binder_find(struct binder *binder, uint64_t id);

/**
 * struct binder_stats - counts
 * @open, @waiting, @refused: listeners in this state now
 * @awaited:	of @waiting: to be handed back, or tried after that
 * @opened, @failed: attempts since the start
 */
struct binder_stats {
	size_t open;
	size_t waiting;
	size_t refused;
	size_t awaited;
	unsigned long opened;
	unsigned long failed;
};

/** binder_set_max_listeners() - as in struct binder_config, from now on; what
 * is open above it stays open */
void binder_set_max_listeners(struct binder *binder, size_t max_listeners);

/** binder_get_stats() - fills in all counts */
void binder_get_stats(const struct binder *binder,
		      struct binder_stats *ret_stats);

#endif
