// SPDX-License-Identifier: Apache-2.0
/* fuzz_berth_restart.c - what one berthd after another says to libberth
 *
 * Each line of the input is a message; one that begins with "+" comes with a
 * listening socket. After an empty line berthd ends, and another one welcomes
 * the consumer. The program does what the man page says. Whatever is said: the
 * library names only descriptors that the program has, hands back as many
 * listeners as it promised, and leaves no descriptor open.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/util.h"
#include "lib/berth.h"
#include "tests/send_fds.h"

#define RESTARTS_MAX 4 /* each takes 10 ms */
#define LINES_MAX 64
#define TEXT_MAX 4096
#define WAIT_MS 10000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct berth *berth;
static int listen_fd, peer_fd, socket_fd;
static int taken[LINES_MAX];
static size_t n_taken;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

/* The program */

static int *find_taken(int fd)
{
	for (size_t i = 0; i < n_taken; i++) {
		if (taken[i] == fd)
			return &taken[i];
	}
	return NULL;
}

static void handle_message(struct berth_message *message)
{
	static const struct berth_counts counts = { .accepted = 1 };

	assert(message->held_fd < 0 || find_taken(message->held_fd));
	switch (message->type) {
	case BERTH_LISTENER:
		if (message->fd >= 0)
			taken[n_taken++] = TAKE_FD(message->fd);
		else if (message->held_fd < 0)
			(void)berth_refuse_listener(berth, message->id);
		break;
	case BERTH_WITHDRAW:
		if (message->held_fd >= 0)
			cleanup_close(find_taken(message->held_fd));
		if (message->abort || message->id % 2 == 0)
			(void)berth_released_counts(berth, message->id,
						    &counts);
		break;
	case BERTH_STATS:
		(void)berth_stats_add(berth, message->request, 1, &counts);
		(void)berth_stats_end(berth, message->request);
		break;
	case BERTH_NETNS_GONE:
		(void)berth_netns_closed(berth, message->netns_id);
		break;
	case BERTH_UNKNOWN:
	case BERTH_SOCKET:
	case BERTH_WELCOME:
	case BERTH_DENIED:
	case BERTH_TAKEN_OVER:
	case BERTH_CONNECTIONS:
	case BERTH_CLOSE:
	case BERTH_LOG_LEVEL:
		break;
	}
}

/* Return: 0 when there is nothing more; -EPIPE, -ESHUTDOWN. */
static int receive_all(void)
{
	struct berth_message *message;
	int r;

	do {
		message = NULL;
		r = berth_receive(berth, &message);
		assert((r == 1) == (message != NULL));
		if (message)
			handle_message(message);
		message = berth_message_free(message);
	} while (r == 1 || r == -EBADMSG || r == -EPROTO);
	assert(r == 0 || r == -EPIPE || r == -ESHUTDOWN);
	return r;
}

/* berthd */

static void berthd_listens(void)
{
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert(bind(listen_fd, (const struct sockaddr *)&address,
		    sizeof(address)) == 0);
	assert(listen(listen_fd, 1) == 0);
}

static void berthd_ends(void)
{
	(void)unlink(address.sun_path); /* it is there */
	cleanup_close(&listen_fd);
	cleanup_close(&peer_fd);
}

static void say(const char *text, size_t len, int fd)
{
	/* This fails when the library ended the connection. */
	(void)send_fd(peer_fd, text, len, fd, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Reads one message; the kernel closes its descriptor. */
static bool hear(char *text)
{
	ssize_t n = recv(peer_fd, text, TEXT_MAX - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static size_t hear_held(void)
{
	char text[TEXT_MAX];
	size_t n = 0;

	while (hear(text))
		n += strstr(text, "\"type\":\"held\"") != NULL;
	return n;
}

static void welcome(void)
{
	static const char text[] = "{\"type\":\"welcome\",\"version\":1}";
	char hello[TEXT_MAX];
	const char *held;
	size_t n_held;

	peer_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert(peer_fd >= 0 && hear(hello));
	assert(strstr(hello, "\"type\":\"hello\""));
	held = strstr(hello, "\"held\":");
	n_held = held ? strtoul(held + strlen("\"held\":"), NULL, 10) : 0;
	say(text, strlen(text), -1);
	assert(receive_all() == 0);
	assert(hear_held() == n_held);
}

/* Return: false when the library does not come back. */
static bool restart(void)
{
	struct pollfd fds[] = { { .fd = berth_fd(berth), .events = POLLIN },
				{ .events = POLLIN } };
	int r;

	berthd_ends();
	r = receive_all();
	if (r == -EPIPE)
		r = berth_reconnect(berth);
	if (r == -ESHUTDOWN)
		return false;
	assert(r == 0);
	berthd_listens();
	fds[1].fd = listen_fd;
	while (!fds[1].revents) {
		if (receive_all() < 0 || poll(fds, 2, WAIT_MS) <= 0)
			return false; /* it was taken over */
	}
	welcome();
	return true;
}

static void say_line(const char *line, size_t len)
{
	bool with_socket = line[0] == '+' && len > 1;

	if (with_socket)
		say(line + 1, len - 1, socket_fd);
	else
		say(line, len, -1);
}

static void run(const char *text, size_t size)
{
	unsigned int n_restarts = 0;
	const char *end;
	size_t len;

	for (int i = 0; i < LINES_MAX && size > 0; i++) {
		end = memchr(text, '\n', size);
		len = end ? (size_t)(end - text) : size;
		if (len > 0)
			say_line(text, len);
		if (receive_all() == -ESHUTDOWN)
			return;
		(void)hear_held();
		if (len == 0 && (n_restarts++ == RESTARTS_MAX || !restart()))
			return;
		text += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}
}

static int lowest_free_fd(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	assert(fd >= 0);
	(void)close(fd); /* a copy */
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = lowest_free_fd();

	n_taken = 0;
	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/tmp/berth-fuzz-%d.sock", getpid());
	socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(socket_fd >= 0 && listen(socket_fd, 1) == 0);
	berthd_listens();
	assert(berth_connect(address.sun_path, "fuzz", 0, &berth) == 0);
	welcome();
	run((const char *)data, size);
	berth = berth_free(berth);
	berthd_ends();
	cleanup_close(&socket_fd);
	for (size_t i = 0; i < n_taken; i++)
		cleanup_close(&taken[i]);
	assert(lowest_free_fd() == before);
	return 0;
}
