/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.h - the protocols: their names, ports, sockets and schemes
 *
 * Everything that is known of a protocol without looking at traffic stands
 * here once. The rules check with it, berthd makes sockets by it, and the relay
 * asks for sockets by it: so a privileged process and its client cannot
 * disagree.
 */
#ifndef COMMON_PROTOCOL_H
#define COMMON_PROTOCOL_H

#include <stdbool.h>

enum protocol {
	PROTOCOL_TCP,
	PROTOCOL_UDP,
	PROTOCOL_MPTCP, /* since Linux 5.6 */
	PROTOCOL_SCTP, /* one-to-one: a socket for each association */
	PROTOCOL_SCTP_SEQPACKET, /* one-to-many: one socket for all of them */
};
#define PROTOCOL_COUNT (PROTOCOL_SCTP_SEQPACKET + 1)

/** enum scheme - what stands in front of a backend's address */
enum scheme {
	SCHEME_NONE, /* the listener's own protocol */
	SCHEME_TCP,
	SCHEME_UDP,
	SCHEME_SCTP,
	SCHEME_UNIX,
};

/** struct protocol_socket - the last two arguments of socket(2) */
struct protocol_socket {
	int type;
	int protocol;
};

/** protocol_name() - "tcp", "udp", "mptcp", "sctp", "sctp-seqpacket" */
const char *protocol_name(enum protocol protocol);

/**
 * protocol_parse() - the reverse of protocol_name()
 * Return: 0, or -EINVAL with the output untouched.
 */
int protocol_parse(const char *text, enum protocol *ret_protocol);

/** protocol_is_sctp() - either kind of SCTP? */
bool protocol_is_sctp(enum protocol protocol);

/** protocol_port_space() - the protocol that stands for all that share its
 * ports: tcp and mptcp do, and both kinds of SCTP */
enum protocol protocol_port_space(enum protocol protocol);

/** protocol_socket() - which IP socket speaks @protocol; no flags are set */
struct protocol_socket protocol_socket(enum protocol protocol);

/**
 * scheme_parse() - which scheme does a backend's text begin with?
 * @ret_rest:	what stands behind the scheme, in @text; may be NULL
 */
enum scheme scheme_parse(const char *text, const char **ret_rest);

/**
 * scheme_fits() - can traffic of a listener go to such a backend?
 * @protocol:	of the listener
 *
 * SCTP can go to a stream where the rule says so, although its messages lose
 * their bounds there. Datagrams and streams never become each other.
 */
bool scheme_fits(enum scheme scheme, enum protocol protocol);

/**
 * scheme_protocol() - which protocol is spoken to such a backend?
 * @protocol:	of the listener
 *
 * Return: PROTOCOL_TCP, PROTOCOL_UDP or PROTOCOL_SCTP, which is its port space,
 * too. Towards backends there is no MPTCP, and an association of its own for
 * each client. By a UNIX socket TCP stands for a stream, UDP for datagrams.
 */
enum protocol scheme_protocol(enum scheme scheme, enum protocol protocol);

#endif
