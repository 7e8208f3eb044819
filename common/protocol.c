// SPDX-License-Identifier: Apache-2.0
/* protocol.c - the protocols: their names, ports, sockets and schemes */
#include "common/protocol.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"

/* The protocol 0 of socket(2) is TCP for a stream and UDP for datagrams. */
static const struct {
	const char *name;
	enum protocol port_space;
	struct protocol_socket socket;
} protocols[] = {
	[PROTOCOL_TCP] = { "tcp", PROTOCOL_TCP, { SOCK_STREAM, 0 } },
	[PROTOCOL_UDP] = { "udp", PROTOCOL_UDP, { SOCK_DGRAM, 0 } },
	[PROTOCOL_MPTCP] = { "mptcp",
			     PROTOCOL_TCP,
			     { SOCK_STREAM, IPPROTO_MPTCP } },
	[PROTOCOL_SCTP] = { "sctp",
			    PROTOCOL_SCTP,
			    { SOCK_STREAM, IPPROTO_SCTP } },
	[PROTOCOL_SCTP_SEQPACKET] = { "sctp-seqpacket",
				      PROTOCOL_SCTP,
				      { SOCK_SEQPACKET, IPPROTO_SCTP } },
};
_Static_assert(ARRAY_SIZE(protocols) == PROTOCOL_COUNT, "one for each");

static const char *const scheme_texts[] = {
	[SCHEME_NONE] = "",	 [SCHEME_TCP] = "tcp://",
	[SCHEME_UDP] = "udp://", [SCHEME_SCTP] = "sctp://",
	[SCHEME_UNIX] = "unix:",
};

const char *protocol_name(enum protocol protocol)
{
	return protocols[protocol].name;
}

int protocol_parse(const char *text, enum protocol *ret_protocol)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (strcmp(text, protocols[i].name) == 0) {
			*ret_protocol = (enum protocol)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool protocol_is_sctp(enum protocol protocol)
{
	return protocol_port_space(protocol) == PROTOCOL_SCTP;
}

enum protocol protocol_port_space(enum protocol protocol)
{
	return protocols[protocol].port_space;
}

struct protocol_socket protocol_socket(enum protocol protocol)
{
	return protocols[protocol].socket;
}

enum scheme scheme_parse(const char *text, const char **ret_rest)
{
	enum scheme scheme = SCHEME_NONE;

	for (size_t i = SCHEME_TCP; i < ARRAY_SIZE(scheme_texts); i++) {
		if (strncmp(text, scheme_texts[i], strlen(scheme_texts[i])) ==
		    0)
			scheme = (enum scheme)i;
	}
	if (ret_rest)
		*ret_rest = text + strlen(scheme_texts[scheme]);
	return scheme;
}

bool scheme_fits(enum scheme scheme, enum protocol protocol)
{
	switch (scheme) {
	case SCHEME_NONE:
	case SCHEME_UNIX:
		return true;
	case SCHEME_TCP:
		return protocol != PROTOCOL_UDP;
	case SCHEME_UDP:
		return protocol == PROTOCOL_UDP;
	case SCHEME_SCTP:
		return protocol_is_sctp(protocol);
	}
	return false;
}

enum protocol scheme_protocol(enum scheme scheme, enum protocol protocol)
{
	switch (scheme) {
	case SCHEME_NONE:
		break;
	case SCHEME_UNIX:
		return protocol == PROTOCOL_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	case SCHEME_TCP:
		return PROTOCOL_TCP;
	case SCHEME_UDP:
		return PROTOCOL_UDP;
	case SCHEME_SCTP:
		return PROTOCOL_SCTP;
	}
	return protocol_port_space(protocol);
}
