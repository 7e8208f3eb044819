/* SPDX-License-Identifier: Apache-2.0 */
/* failover.h - connecting to one backend after the other */
#ifndef RELAY_BACKEND_FAILOVER_H
#define RELAY_BACKEND_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

struct flow;
struct ip_addr;
struct serving;
struct share;
struct upstream;
struct worker;

/* Of any client that has a struct upstream */

/** failover_client() - notes who the client of @upstream is; before
 * failover_pick() with SERVICE_BALANCE_HASH. @address: AF_UNSPEC: unknown */
void failover_client(struct upstream *upstream, const struct ip_addr *address);

/**
 * failover_pick() - chooses among the backends that did not fail yet
 * @upstream:	its index is set, and the client counts with that backend; its
 *		client tells who it is, see failover_client()
 *
 * Return: is there one?
 */
bool failover_pick(const struct worker *worker, const struct serving *serving,
		   struct upstream *upstream);

/** failover_leave() - the client does not count with any backend any more */
void failover_leave(struct upstream *upstream);

/** failover_skip() - as failover_pick(), after the backend that was picked has
 * failed through no fault of its own */
bool failover_skip(const struct worker *worker, const struct serving *serving,
		   struct upstream *upstream);

/**
 * failover_next() - the backend that was picked cannot be reached: picks
 * another
 * @error:	a positive errno, which is counted and logged
 *
 * Return: is there one? If not, the caller ends the client.
 */
bool failover_next(struct worker *worker, struct share *share,
		   struct serving *serving, struct upstream *upstream,
		   int error);

/* Of flows. Each may leave the flow dead, if nothing else is said. */

/**
 * failover_begin() - serves the client of @flow, which is a new one
 *
 * Connects it to a backend if flow.serving forwards. Else the flow is open at
 * once.
 */
void failover_begin(struct worker *worker, struct flow *flow);

/** failover_timeout() - no backend was reached in time: tries the next */
void failover_timeout(struct worker *worker, struct flow *flow);

/** failover_await() - connect(2) has begun: waits for an event of the socket */
void failover_await(struct worker *worker, struct flow *flow);

/** failover_reached() - the backend's socket is connected: the flow is open */
void failover_reached(struct worker *worker, struct flow *flow);

/** failover_missed() - the backend that was picked cannot be reached, because
 * of @error, a positive errno: tries the next */
void failover_missed(struct worker *worker, struct flow *flow, int error);

/**
 * failover_handle() - the backend's socket reported @events of epoll(7)
 * @fd:		the socket, see flow_handle()
 *
 * Goes on with what connect(2) has come to, or runs the flow if it is open.
 */
void failover_handle(struct worker *worker, struct flow *flow, const int *fd,
		     uint32_t events);

/**
 * failover_close() - closes the socket to the backend and gives up all that
 * belongs to it, such as a place in a queue
 * @reset:	so that the backend sees a reset, else gracefully
 *
 * The flow lives on.
 */
void failover_close(struct worker *worker, struct flow *flow, bool reset);

/** failover_pins() - is the backend's socket in a namespace that may go, so
 * that it must not be left to the kernel? */
bool failover_pins(const struct flow *flow);

#endif
