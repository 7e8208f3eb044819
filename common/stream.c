// SPDX-License-Identifier: Apache-2.0
/* stream.c - how connected sockets end, and whether; urgent data */
#include "common/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/util.h"

int stream_set_hard(int fd, bool hard)
{
	const struct linger linger = { .l_onoff = hard, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
		return -errno;
	return 0;
}

int stream_set_inline(int fd, bool inlined)
{
	const int value = inlined;

	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

void stream_reset(int fd)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	/* Disconnect, which resets at once: close(2) of an MPTCP socket resets
	 * only some time later, and no close(2) resets while there is another
	 * copy of the descriptor. Fails for SCTP and UNIX sockets. */
	(void)connect(fd, &nobody, sizeof(nobody));
	(void)close(fd); /* nothing is left that could fail */
}

void stream_close(int fd)
{
	(void)stream_set_hard(fd, /* hard= */ false); /* it is a socket */
	(void)close(fd); /* nothing is left that could fail */
}

int stream_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info.tcpi_state);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	return info.tcpi_state;
}

int stream_unacked(int fd)
{
	int n;

	if (ioctl(fd, SIOCOUTQ, &n) < 0)
		return -errno;
	return n;
}

bool stream_is_through(int fd)
{
	int state = stream_state(fd);

	/* Fails for an MPTCP socket without subflows: nothing is left. */
	return state < 0 || state == TCP_CLOSE;
}
