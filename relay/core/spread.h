/* SPDX-License-Identifier: Apache-2.0 */
/* spread.h - which workers serve which listener
 *
 * The one place that decides it.
 */
#ifndef RELAY_CORE_SPREAD_H
#define RELAY_CORE_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listener;
struct relay_protocol;
struct share;

/**
 * spread_n_shares() - how many of @n_workers serve one listener
 */
size_t spread_n_shares(const struct relay_protocol *protocol, size_t n_workers);

/**
 * spread_worker() - which worker has share @index of listener @id
 */
size_t spread_worker(uint64_t id, size_t index, size_t n_shares,
		     size_t n_workers);

/** spread_first() - the share that accepts from the beginning; the listener's
 * others wait until they are asked */
struct share *spread_first(struct listener *listener);

/** spread_is_first() - is it @share? */
bool spread_is_first(const struct share *share);

/**
 * spread_pass() - worker: is the connection that waits to be left to another?
 * @share:	of a worker that may be busy
 *
 * Asks a worker that is not, once, and lets it have a turn's time. Then whoever
 * comes first accepts.
 */
bool spread_pass(const struct share *share, uint64_t now_us);

/** spread_needs_help() - is who began with @share's listener still busy? */
bool spread_needs_help(const struct share *share, uint64_t now_us);

/**
 * spread_other() - worker: who is to serve what it has just accepted?
 *
 * Return: the share of a worker that serves far fewer; NULL: @share's own.
 */
struct share *spread_other(const struct share *share, uint64_t now_us);

/** spread_events() - what the listening socket is registered with */
uint32_t spread_events(size_t n_shares);

#endif
