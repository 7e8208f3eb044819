// SPDX-License-Identifier: Apache-2.0
/* udp_error.c - what an error of a datagram socket is about
 *
 * Theory of operation: an error of a connected datagram socket may be about the
 * datagram that is being sent, about one that was sent before, about the
 * socket, the backend, or this host. That depends on the errno and on where the
 * error comes from. So each row of the table has three columns:
 *
 * - connect: while the session's socket was made and connected. The kernel has
 *   just looked for a route, so "unreachable" is about the backend.
 * - send: a system call that sent a datagram failed by itself. The kernel may
 *   have looked for a route from the address that the socket got when it was
 *   connected. If that address is gone, the error is ENETUNREACH (Linux 6.18)
 *   or EINVAL (older ones), as if the backend could not be reached. Only
 * another connect(2) tells the difference: the session gets a new socket, and
 * the column "connect" judges the backend.
 * - told: a router or the peer answered an earlier datagram by ICMP, or a UNIX
 *   socket's peer is gone. The error waits in the socket. The next system call
 *   returns it, whatever it was to do, and does not do that.
 *
 * "Too big" is no failure: the kernel has noted the smaller size of the path
 * when it says so, and fragments the next datagram. EPERM comes from netfilter
 * if a rule drops a datagram, or the table of connections is full: it may be
 * about one datagram, or about all to that backend. So EPERM counts as a
 * backend that cannot be reached: another backend is taken if there is one, and
 * without another one no session ends.
 *
 * UNIX sockets have no column of their own: where they share an errno with IP,
 * it means the same (EACCES: not allowed; ECONNREFUSED: nobody is there).
 */
#include "relay/udp/udp_error.h"

#include <errno.h>
#include <stddef.h>

#include "common/util.h"
#include "relay/core/serving.h"

#define DATAGRAM UDP_VERDICT_DATAGRAM
#define HOST UDP_VERDICT_HOST
#define ELSEWHERE UDP_VERDICT_ELSEWHERE
#define SOCKET UDP_VERDICT_SOCKET
#define UNREACHABLE UDP_VERDICT_UNREACHABLE
#define REFUSED UDP_VERDICT_REFUSED

struct row {
	int error;
	enum udp_verdict connect, send, told;
};

/* For errors that are not in the table. If connect(2) fails, the backend was
 * not reached, whatever the error; otherwise nothing is known to be wrong with
 * it. */
static const struct row others = { 0, UNREACHABLE, DATAGRAM, DATAGRAM };

/* clang-format off */
static const struct row rows[] = {
	/* Nobody is there: the port is closed; the UNIX socket was closed, has
	 * another owner, or is shut for reading. */
	{ ECONNREFUSED,  REFUSED,     REFUSED,     REFUSED },
	{ ECONNRESET,    REFUSED,     REFUSED,     REFUSED },
	{ ENOTCONN,      REFUSED,     REFUSED,     REFUSED },
	{ EPIPE,         REFUSED,     REFUSED,     REFUSED },
	{ ENOPROTOOPT,   REFUSED,     REFUSED,     REFUSED },
	/* No such path; a file or a stream socket; no such namespace. */
	{ ENOENT,        REFUSED,     REFUSED,     REFUSED },
	{ ENOTDIR,       REFUSED,     REFUSED,     REFUSED },
	{ EPROTOTYPE,    REFUSED,     REFUSED,     REFUSED },
	/* No way: said by a router, by a route of this host, by the lack of
	 * one, or after nobody answered ARP or neighbour discovery. */
	{ EHOSTUNREACH,  UNREACHABLE, UNREACHABLE, UNREACHABLE },
	{ EHOSTDOWN,     UNREACHABLE, UNREACHABLE, UNREACHABLE },
	{ ENONET,        UNREACHABLE, UNREACHABLE, UNREACHABLE },
	{ EPROTO,        UNREACHABLE, UNREACHABLE, UNREACHABLE },
	{ EOPNOTSUPP,    UNREACHABLE, DATAGRAM,    UNREACHABLE },
	/* Prohibited: by a router, a route, the UNIX socket's mode; by a
	 * firewall of this host. */
	{ EACCES,        UNREACHABLE, UNREACHABLE, UNREACHABLE },
	{ EPERM,         UNREACHABLE, UNREACHABLE, UNREACHABLE },
	/* No way, or no way from the socket's own address. */
	{ ENETUNREACH,   UNREACHABLE, SOCKET,      UNREACHABLE },
	{ ENETDOWN,      UNREACHABLE, SOCKET,      UNREACHABLE },
	{ EINVAL,        UNREACHABLE, SOCKET,      DATAGRAM },
	{ EADDRNOTAVAIL, ELSEWHERE,   SOCKET,      DATAGRAM },
	{ ENODEV,        UNREACHABLE, SOCKET,      DATAGRAM },
	{ ENXIO,         UNREACHABLE, SOCKET,      DATAGRAM },
	/* Too large for UDP, for the UNIX socket's buffer, for the path. */
	{ EMSGSIZE,      UNREACHABLE, DATAGRAM,    DATAGRAM },
	/* This host, or the client that is stood in for, has no address of that
	 * family. */
	{ EAFNOSUPPORT,  ELSEWHERE,   DATAGRAM,    DATAGRAM },
	/* A shortage of buffers, memory, descriptors, watches, local ports;
	 * a UNIX backend that does not read fast enough. */
	{ EAGAIN,        HOST,        HOST,        HOST },
	{ ENOBUFS,       HOST,        HOST,        HOST },
	{ ENOMEM,        HOST,        HOST,        HOST },
	{ EMFILE,        HOST,        HOST,        HOST },
	{ ENFILE,        HOST,        HOST,        HOST },
	{ ENOSPC,        HOST,        HOST,        HOST },
	/* Its namespace has its share of the local ports. */
	{ EDQUOT,        HOST,        HOST,        HOST },
	/* berthd did not answer; or it has a newer rule, of which the relay will
	 * hear. */
	{ ETIMEDOUT,     HOST,        DATAGRAM,    DATAGRAM },
	{ ESTALE,        HOST,        HOST,        HOST },
};
/* clang-format on */

enum udp_verdict udp_error_verdict(enum udp_origin origin, int error)
{
	const struct row *row = &others;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].error == error)
			row = &rows[i];
	}
	switch (origin) {
	case UDP_ORIGIN_CONNECT:
		return row->connect;
	case UDP_ORIGIN_SEND:
		return row->send;
	case UDP_ORIGIN_TOLD:
		return row->told;
	}
	return others.told; /* no such origin */
}

enum berth_drop udp_error_drop(enum udp_origin origin, int error)
{
	bool sending = origin == UDP_ORIGIN_SEND;

	switch (error) {
	case EMSGSIZE:
		return sending ? BERTH_DROP_TOO_LARGE : BERTH_DROP_UNREACHABLE;
	case EAGAIN:
	case ENOBUFS:
		return sending ? BERTH_DROP_SEND_BUFFER : BERTH_DROP_LIMIT;
	case ENOMEM:
		return BERTH_DROP_MEMORY;
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
		return BERTH_DROP_LIMIT;
	default:
		break;
	}
	return udp_error_verdict(origin, error) >= UDP_VERDICT_ELSEWHERE
		       ? BERTH_DROP_UNREACHABLE
		       : BERTH_DROP_OTHER;
}

bool udp_error_is_clients(const struct serving *serving, int error)
{
	return serving->transparent &&
	       (error == EADDRINUSE || /* another socket has its port */
		error == EACCES || /* its port needs a privilege */
		error == EADDRNOTAVAIL); /* no socket may have its address */
}

bool udp_error_blames(const struct serving *serving, int error)
{
	return !udp_error_is_clients(serving, error) &&
	       udp_error_verdict(UDP_ORIGIN_CONNECT, error) >=
		       UDP_VERDICT_SOCKET;
}
