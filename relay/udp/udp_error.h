/* SPDX-License-Identifier: Apache-2.0 */
/* udp_error.h - what an error of a datagram socket is about
 *
 * Pure: no system calls, no state.
 */
#ifndef RELAY_UDP_UDP_ERROR_H
#define RELAY_UDP_UDP_ERROR_H

#include <stdbool.h>

#include "relay/core/counters.h"

struct serving;

/* Where an error comes from. */
enum udp_origin {
	UDP_ORIGIN_CONNECT, /* socket(2), bind(2), connect(2), or berthd */
	UDP_ORIGIN_SEND, /* a system call that sent a datagram */
	UDP_ORIGIN_TOLD, /* an earlier datagram, by ICMP or the kernel */
};

/* What follows from an error, in order of gravity. */
enum udp_verdict {
	UDP_VERDICT_DATAGRAM, /* one datagram is lost, and all else is well */
	UDP_VERDICT_HOST, /* the host or the rule lacks something; the backend
			   * is not to blame, and another would not help */
	UDP_VERDICT_ELSEWHERE, /* there is no way from here to this backend,
				* which is not to blame; to another there
				* may be one */
	UDP_VERDICT_SOCKET, /* the socket sends no more, perhaps because its
			     * own address is gone; a new socket may */
	UDP_VERDICT_UNREACHABLE, /* there is no way to the backend now */
	UDP_VERDICT_REFUSED, /* the backend itself is not there */
};

/**
 * udp_error_verdict() - looks up what follows from an error
 * @error:	a positive errno
 */
enum udp_verdict udp_error_verdict(enum udp_origin origin, int error);

/** udp_error_drop() - as what a datagram counts that is lost because of
 * @error, a positive errno */
enum berth_drop udp_error_drop(enum udp_origin origin, int error);

/**
 * udp_error_is_clients() - is @error of a socket that stands in for the client,
 * and about the client's address, so that no other backend would do better?
 * @error:	of UDP_ORIGIN_CONNECT, a positive errno
 */
bool udp_error_is_clients(const struct serving *serving, int error);

/** udp_error_blames() - is @error, of UDP_ORIGIN_CONNECT and positive, the
 * backend's fault? */
bool udp_error_blames(const struct serving *serving, int error);

#endif
