// SPDX-License-Identifier: Apache-2.0
/* udp_end.c - how UDP sessions end, and which errors end them
 *
 * Theory of operation: what an error means is decided in one table, see
 * udp_error.c. A backend that refuses datagrams ends the session, and for a
 * moment other backends are preferred to it. A backend that cannot be reached
 * ends the session only if there is another backend to go to: routes come and
 * go, and a session that stays finds the backend's answers when the routes are
 * back.
 */
#include "relay/udp/udp_end.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/backend_source.h"
#include "common/util.h"
#include "relay/backend/backend_log.h"
#include "relay/core/access_log.h"
#include "relay/core/admission.h"
#include "relay/backend/backend_health.h"
#include "relay/backend/failover.h"
#include "relay/core/minted.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_front.h"

/* How long a session lasts without a datagram once another relay has the
 * listener: the client asks there, and what the backend still has to say to the
 * last question comes within this time. */
#define DRAIN_IDLE_US (5 * USEC_PER_SEC)

/* Sessions that end per turn if many expire together. */
#define EXPIRE_BATCH 256

void udp_end_socket(struct worker *worker, struct udp_session *session)
{
	struct upstream *upstream = &session->upstream;

	upstream->own = own_socket_free(upstream->own);
	cleanup_close(&session->fd);
	session->fd = -1;
	admission_give_port(udp_front_of(session)->share->listener->netns,
			    upstream->ports);
	upstream->ports = 0;
	upstream->minted = minted_free(worker, upstream->minted);
	failover_leave(upstream);
}

/* As what a datagram counts that waited when its session ended. */
static enum berth_drop drop_of(enum berth_ending ending)
{
	if (ending == BERTH_ENDING_BACKEND_REFUSED ||
	    ending == BERTH_ENDING_CONNECT_TIMEOUT)
		return BERTH_DROP_UNREACHABLE;
	return ending == BERTH_ENDING_LIMIT ? BERTH_DROP_LIMIT
					    : BERTH_DROP_ENDED;
}

void udp_end(struct worker *worker, struct udp_session *session,
	     enum berth_ending ending)
{
	struct udp_front *front = udp_front_of(session);

	udp_front_dropped(front, drop_of(ending),
			  udp_ask_leave(worker, session));
	if (access_log_wants(front->share->serving, ending))
		access_log_note(worker, ROSTER_SESSIONS, &session->entry,
				front->share, ending);
	session->poll.handler = NULL;
	roster_remove(&worker->rosters[ROSTER_SESSIONS], &session->entry);
	udp_end_socket(worker, session);
	if (session->limited)
		timers_unreserve(&worker->timers, session->lifetime);
	admission_give(front->share->listener->netns, ADMISSION_SESSIONS, 1);
	counters_ended(udp_front_counters(front), ending);
	udp_session_remove(session);
	worker_bury(worker, &session->grave);
}

void udp_end_evicted(struct worker *worker, struct udp_session *session,
		     enum berth_limit limit)
{
	counters_limited(udp_front_counters(udp_front_of(session)), limit);
	udp_end(worker, session, BERTH_ENDING_LIMIT);
}

void udp_end_all(struct worker *worker, struct udp_front *front,
		 enum berth_ending ending)
{
	struct udp_session *session;

	while ((session = udp_table_oldest(front->table)))
		udp_end(worker, session, ending);
	timer_unset(&worker->timers, &front->expire);
}

static uint64_t idle_limit_us(const struct share *share)
{
	uint64_t idle_us = share->serving->idle_timeout_us;

	if (share->draining && idle_us > DRAIN_IDLE_US)
		return DRAIN_IDLE_US;
	return idle_us;
}

void udp_end_idle(struct timer *timer, void *user_data)
{
	struct udp_front *front = container_of(timer, struct udp_front, expire);
	struct worker *worker = user_data;
	uint64_t idle_us = idle_limit_us(front->share);
	struct udp_session *oldest;
	int budget = EXPIRE_BATCH;

	while ((oldest = udp_table_oldest(front->table)) &&
	       oldest->active_us + idle_us <= worker->now_us && budget-- > 0)
		udp_end(worker, oldest, BERTH_ENDING_IDLE);
	if (!oldest) {
		if (front->share->draining)
			share_drained(worker, front->share);
		return;
	}
	/* With work left: a moment later, so that this turn ends. */
	timer_set(&worker->timers, timer,
		  oldest->active_us + idle_us > worker->now_us
			  ? oldest->active_us + idle_us
			  : worker->now_us + 1);
}

void udp_end_old(struct timer *timer, void *user_data)
{
	struct udp_session *session =
		container_of(timer, struct udp_session, lifetime);

	udp_end(user_data, session, BERTH_ENDING_LIFETIME);
}

/* A client without a session */

/* strerror(3) does not say what two of the shortages are about. */
static const char *refused_why(int error)
{
	switch (error) {
	case -EAGAIN:
		return "no local port is left (net.ipv4.ip_local_port_range)";
	case -EDQUOT:
		return "its namespace has its share of the local ports "
		       "(net.ipv4.ip_local_port_range)";
	default:
		return strerror(-error);
	}
}

/* All of the rule's source addresses: the family of the backend that failed is
 * not known here. */
static void sources_fmt(const struct serving *serving, char *buffer,
			size_t size)
{
	char text[BACKEND_SOURCE_TEXT_MAX];
	size_t len = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < serving->n_from && len < size; i++)
		len += (size_t)snprintf(
			buffer + len, size - len, "%s%s", i ? ", " : " from ",
			backend_source_fmt(&serving->from[i], text));
}

void udp_end_log_refused(struct worker *worker, const struct udp_front *front,
			 int error)
{
	const struct serving *serving = front->share->serving;
	const char *place = serving->backend_netns;
	char from[2 * BACKEND_SOURCE_TEXT_MAX];

	if (udp_error_blames(serving, -error))
		return; /* the backend has a line of its own */
	if (!worker_may_log(worker, front->share->listener, NULL))
		return;
	sources_fmt(serving, from, sizeof(from));
	log_warning_about(&front->share->listener->about,
			  "%s: no session%s%s%s%s; dropping datagrams: %s",
			  front->share->listener->label,
			  place && place[0] ? " with a backend in '" : "",
			  place ? place : "", place && place[0] ? "'" : "",
			  from, refused_why(error));
}

void udp_end_refused(struct worker *worker, struct udp_session *session,
		     int error)
{
	const struct serving *serving = udp_front_serving(session);
	enum berth_ending ending = BERTH_ENDING_ERROR;

	udp_end_log_refused(worker, udp_front_of(session), error);
	if (error == -ETIMEDOUT)
		ending = BERTH_ENDING_CONNECT_TIMEOUT;
	else if (error == -EAGAIN || error == -EDQUOT)
		ending = BERTH_ENDING_LIMIT;
	else if (udp_error_blames(serving, -error))
		ending = BERTH_ENDING_BACKEND_REFUSED;
	udp_end(worker, session, ending);
}

/* Errors of a session */

int udp_end_family(const struct udp_session *session)
{
	return udp_front_serving(session)
		->backends[session->upstream.index]
		.address->sa_family;
}

struct udp_told udp_end_told(const struct udp_session *session)
{
	if (udp_end_family(session) == AF_UNIX)
		return (struct udp_told){ .n = 0 };
	return udp_socket_told(session->fd);
}

bool udp_end_may_leave(const struct worker *worker,
		       const struct udp_session *session,
		       enum udp_verdict verdict)
{
	return verdict == UDP_VERDICT_REFUSED ||
	       backend_has_other(udp_front_serving(session),
				 session->upstream.index, worker->now_us);
}

void udp_end_blame(struct worker *worker, struct udp_session *session,
		   int error)
{
	struct udp_front *front = udp_front_of(session);
	struct serving *serving = front->share->serving;

	counters_failed(udp_front_counters(front), error);
	backend_failed(serving, session->upstream.index, error, worker->now_us);
	backend_log_failed(worker, front->share->listener, serving,
			   session->upstream.index, strerror(error),
			   backend_has_other(serving, session->upstream.index,
					     worker->now_us)
				   ? "trying the next"
				   : "dropping datagrams");
}

void udp_end_judged(struct worker *worker, struct udp_session *session,
		    enum udp_verdict verdict, int error)
{
	switch (verdict) {
	case UDP_VERDICT_DATAGRAM:
	case UDP_VERDICT_HOST:
	case UDP_VERDICT_ELSEWHERE:
		break;
	case UDP_VERDICT_SOCKET:
		udp_end(worker, session, BERTH_ENDING_ERROR);
		break;
	case UDP_VERDICT_UNREACHABLE:
	case UDP_VERDICT_REFUSED:
		udp_end_blame(worker, session, error);
		if (udp_end_may_leave(worker, session, verdict))
			udp_end(worker, session, BERTH_ENDING_BACKEND_REFUSED);
		break;
	}
}
