/* SPDX-License-Identifier: Apache-2.0 */
/* udp_end.h - how UDP sessions end, and which errors end them */
#ifndef RELAY_UDP_UDP_END_H
#define RELAY_UDP_UDP_END_H

#include <stdbool.h>

#include "relay/core/counters.h"
#include "relay/udp/udp_error.h"
#include "relay/udp/udp_socket.h"

struct timer;
struct udp_front;
struct udp_session;
struct worker;

/**
 * udp_end() - ends @session because of @ending: closes its socket and gives
 * back what it has
 *
 * What is held for it is dropped, and counted. Its memory is freed after the
 * batch of events.
 */
void udp_end(struct worker *worker, struct udp_session *session,
	     enum berth_ending ending);

/** udp_end_socket() - closes the socket of @session, if it has one, and gives
 * back all that belongs to the socket */
void udp_end_socket(struct worker *worker, struct udp_session *session);

/** udp_end_evicted() - ends @session because another one needs its room; counts
 * that it was limited */
void udp_end_evicted(struct worker *worker, struct udp_session *session,
		     enum berth_limit limit);

/** udp_end_all() - ends all sessions of @front because of @ending */
void udp_end_all(struct worker *worker, struct udp_front *front,
		 enum berth_ending ending);

/** udp_end_idle() - timer handler of udp_front.expire: ends the sessions that
 * were idle for too long. @user_data: the worker. */
void udp_end_idle(struct timer *timer, void *user_data);

/** udp_end_old() - timer handler of udp_session.lifetime: ends the session.
 * @user_data: the worker. */
void udp_end_old(struct timer *timer, void *user_data);

/** udp_end_refused() - ends @session, which could not be connected, and logs
 * @error, a negative errno */
void udp_end_refused(struct worker *worker, struct udp_session *session,
		     int error);

/** udp_end_log_refused() - logs that a client of @front has no session because
 * of @error, a negative errno; not if the log says that already, of a backend
 */
void udp_end_log_refused(struct worker *worker, const struct udp_front *front,
			 int error);

/** udp_end_family() - the address family of the backend of @session */
int udp_end_family(const struct udp_session *session);

/** udp_end_told() - the errors of earlier datagrams that the socket of @session
 * has queued. A UNIX socket has none. */
struct udp_told udp_end_told(const struct udp_session *session);

/** udp_end_may_leave() - would it help to end @session for what @verdict says
 * of its backend? */
bool udp_end_may_leave(const struct worker *worker,
		       const struct udp_session *session,
		       enum udp_verdict verdict);

/** udp_end_blame() - notes, counts and logs that the backend of @session failed
 * with @error, a positive errno */
void udp_end_blame(struct worker *worker, struct udp_session *session,
		   int error);

/**
 * udp_end_judged() - does what follows from an error for @session
 * @verdict:	of that error
 * @error:	a positive errno
 *
 * @session may have ended afterwards. The datagram is the caller's affair.
 */
void udp_end_judged(struct worker *worker, struct udp_session *session,
		    enum udp_verdict verdict, int error);

#endif
