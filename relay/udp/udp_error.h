/* SPDX-License-Identifier: Apache-2.0 */
/* udp_error.h - what an error of a datagram socket says, and of what
 *
 * Pure: no system calls, no state.
 */
#ifndef RELAY_UDP_UDP_ERROR_H
#define RELAY_UDP_UDP_ERROR_H

#include <stdbool.h>

struct serving;

/* What the kernel was asked when it said the error. */
enum udp_origin {
	UDP_ORIGIN_CONNECT, /* socket(2), bind(2), connect(2), or berthd */
	UDP_ORIGIN_SEND, /* of the datagram that was being sent */
	UDP_ORIGIN_TOLD, /* of an earlier datagram, by ICMP or the kernel */
};

/* The later one is the graver one. */
enum udp_verdict {
	UDP_VERDICT_DATAGRAM, /* that datagram is lost, and all else is well */
	UDP_VERDICT_HOST, /* the host or the rule lacks something; the backend
			   * is not to blame, and no other would be better */
	UDP_VERDICT_ELSEWHERE, /* not from here to there; another backend may
				* be reachable, and this one is not to blame */
	UDP_VERDICT_SOCKET, /* the socket sends no more, perhaps because its
			     * own address is gone; a new one may */
	UDP_VERDICT_UNREACHABLE, /* there is no way to the backend now */
	UDP_VERDICT_REFUSED, /* the backend itself is not there */
};

/**
 * udp_error_verdict() - what is to be done about an error
 * @error:	a positive errno
 *
 * The table is at the head of udp_error.c.
 */
enum udp_verdict udp_error_verdict(enum udp_origin origin, int error);

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
