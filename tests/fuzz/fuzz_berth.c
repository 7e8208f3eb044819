// SPDX-License-Identifier: Apache-2.0
/* fuzz_berth.c - any datagram with any descriptors, as libberth receives it
 *
 * The first byte says how many descriptors come along. Whatever the message
 * is, the consumer has afterwards what it was told of, and nothing more.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"
#include "lib/berth.h"
#include "tests/send_fds.h"

#define FDS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int lowest_free_fd(int fd)
{
	int probe_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	assert(probe_fd >= 0);
	(void)close(probe_fd); /* a copy */
	return probe_fd;
}

static void send_message(int fd, const uint8_t *data, size_t size, size_t n_fds)
{
	const int fds[FDS_MAX] = { fd, fd, fd, fd };

	assert(send_fds(fd, data, size, fds, n_fds, MSG_DONTWAIT) ==
	       (ssize_t)size);
}

/* What a consumer that has one connection would do. */
static void answer(struct berth *berth, const struct berth_message *message)
{
	const struct berth_connection connection = {
		.id = 1,
		.listener = 2,
		.client = "10.0.0.2:99",
	};

	if (message->type == BERTH_CONNECTIONS) {
		assert(berth_connections_add(berth, message->request,
					     &connection) == 0);
		assert(berth_connections_end(berth, message->request, 0) == 0);
	}
	if (message->type == BERTH_CLOSE)
		assert(berth_connection_closed(berth, message->request,
					       message->connection, true) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_message *message = NULL;
	struct berth *berth = NULL;
	int fds[2], before, r;

	if (size < 2) /* an empty datagram is the connection's end */
		return 0;
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	assert(berth_new(fds[0], "fuzz", &berth) == 0);
	send_message(fds[1], data + 1, size - 1, data[0] % (FDS_MAX + 1));
	before = lowest_free_fd(fds[1]);
	r = berth_receive(berth, &message);
	assert(r == 1 || (r <= 0 && !message));
	if (message)
		answer(berth, message);
	message = berth_message_free(message);
	assert(lowest_free_fd(fds[1]) == before);
	r = berth_receive(berth, &message); /* it was taken */
	assert(r == 0 || r == -EPIPE || r == -ESHUTDOWN);
	berth = berth_free(berth);
	(void)close(fds[1]); /* nothing in it matters */
	return 0;
}
