/* SPDX-License-Identifier: Apache-2.0 */
/* check_attempt.h - one attempt of a check to reach its backend
 *
 * For the main thread. An attempt connects a socket, and says and hears what
 * the check asks for. Nothing of it outlives check_attempt_end().
 */
#ifndef RELAY_CORE_CHECK_ATTEMPT_H
#define RELAY_CORE_CHECK_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/check_http.h"
#include "relay/core/serving.h"

struct loop;
struct loop_source;

/**
 * struct check_plan - what each attempt does; a copy of what a serving says
 * @target:	only its protocol, its addresses and @check_minted are set
 * @from:	NULL, or what a socket of the relay's own is bound to, by SCTP
 * @datagrams:	the backend has an address, and is reached by UDP
 * @request:	what is said; NULL: a connection is enough
 * @status_min, @status_max: which statuses of the answer are a success
 */
struct check_plan {
	struct serving_backend target;
	struct backend_source *from;
	size_t n_from;
	bool datagrams;
	char *request;
	size_t request_len;
	uint16_t status_min;
	uint16_t status_max;
};

/** check_plan_copy() - the plan of a check. For check_plan_done() even on
 * failure. Return: 0 or -ENOMEM. */
int check_plan_copy(const struct serving *serving, unsigned int index,
		    struct check_plan *ret_plan);

/** check_plan_done() - frees what the plan has */
void check_plan_done(struct check_plan *plan);

enum check_attempt_state {
	CHECK_ATTEMPT_NONE, /* no attempt runs */
	CHECK_ATTEMPT_CONNECTS,
	CHECK_ATTEMPT_ASKS, /* the request is on its way */
	CHECK_ATTEMPT_WAITS, /* for the status of the answer */
};

/**
 * struct check_attempt - begins as zeros, but for the first four
 * @plan:	borrowed
 * @over:	the attempt has succeeded (0), or failed (a negative errno);
 *		calls check_attempt_end(). It is not called any more then, nor
 *		if check_attempt_begin() returned what happened.
 * @sent:	bytes of the request that were sent
 * @http:	the answer
 * @http_status: it failed because of this status; 0: it did not
 */
struct check_attempt {
	struct loop *loop;
	const struct check_plan *plan;
	void (*over)(int r, void *user_data);
	void *user_data;
	enum check_attempt_state state;
	int fd;
	struct loop_source *source;
	size_t sent;
	struct check_http http;
	unsigned int http_status;
};

/**
 * check_attempt_begin() - connects, and says what is to be said
 * @fd:		not connected; owned by the attempt
 *
 * Return: 0: it has succeeded; -EINPROGRESS: @over tells how it ended, unless
 * check_attempt_end() comes first; another -errno: it has failed.
 * check_attempt_end() is to be called in any case.
 */
int check_attempt_begin(struct check_attempt *attempt, int fd);

/** check_attempt_timed_out() - the time is up. Return: how the attempt ended,
 * as check_attempt_begin(); -EINPROGRESS: a datagram was sent, and nobody said
 * anything. */
int check_attempt_timed_out(struct check_attempt *attempt);

/** check_attempt_end() - closes what the attempt has; it is a reset for the
 * backend. One that does not run is fine. */
void check_attempt_end(struct check_attempt *attempt);

#endif
