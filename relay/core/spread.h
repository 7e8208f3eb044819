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
 * other shares wait until they are asked to join */
struct share *spread_first(struct listener *listener);

/** spread_is_first() - is @share the one of spread_first()? */
bool spread_is_first(const struct share *share);

/**
 * spread_pass() - by the worker: is the waiting client left to another worker?
 * @share:	the worker's, which may be busy
 *
 * Asks an idle worker to join, once, and lets it have the time of one turn.
 * Then the worker that comes first accepts.
 */
bool spread_pass(const struct share *share, uint64_t now_us);

/** spread_needs_help() - is the worker that @share's listener began with still
 * busy? */
bool spread_needs_help(const struct share *share, uint64_t now_us);

/**
 * spread_other() - by the worker: which worker is to serve a client that it has
 * just accepted?
 *
 * Return: the share of a worker that serves far fewer; NULL: @share's own.
 */
struct share *spread_other(const struct share *share, uint64_t now_us);

/** spread_events() - which epoll events are asked for, of a listening socket
 * that @n_shares shares have */
uint32_t spread_events(size_t n_shares);

#endif
