// SPDX-License-Identifier: Apache-2.0
/* relay_backend.c - the server behind the relays that are measured
 *
 * relay_backend PORT listens on all addresses, TCP and UDP. The first byte of
 * a connection says what its client wants:
 *	'e'	all that comes is sent back
 *	'u'	all that comes is thrown away, and its end answered with a byte
 *	'd'	more than anyone will read is sent
 *	's'	nothing is read and nothing sent
 * Datagrams are sent back. One thread: none of this may be what is measured.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#define FILES_MAX 16384
#define BUFFER_BYTES (256 * 1024)
#define DATAGRAMS 64
#define DATAGRAM_BYTES 2048
#define SENDS_PER_EVENT 16

static char buffer[BUFFER_BYTES];
static char modes[FILES_MAX];
static int epoll_fd;

static void watch(int op, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll_fd, op, fd, &event) < 0)
		bench_die("epoll_ctl");
}

static int open_socket(int type, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, bytes = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (type == SOCK_DGRAM) /* what is lost is lost by the relay */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
			   sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, SOMAXCONN) < 0))
		bench_die("port %u", port);
	watch(EPOLL_CTL_ADD, fd, EPOLLIN);
	return fd;
}

static void accept_all(int listen_fd)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (fd >= FILES_MAX)
			bench_die("more than %d connections", FILES_MAX);
		modes[fd] = 0;
		watch(EPOLL_CTL_ADD, fd, EPOLLIN);
	}
}

static void choose(int fd)
{
	int bytes = 16 * 1024; /* what stalls keeps little memory */

	modes[fd] = buffer[0];
	if (modes[fd] == 'd') {
		watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
	} else if (modes[fd] == 's') {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
		watch(EPOLL_CTL_MOD, fd, 0);
	}
}

static void serve(int fd, uint32_t events)
{
	ssize_t n;

	if (events & EPOLLOUT) {
		for (int i = 0; i < SENDS_PER_EVENT; i++) {
			n = send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL);
			if (n < 0 && errno == EAGAIN)
				return;
			if (n < 0)
				break;
		}
		if (n >= 0)
			return;
	}
	/* Bulk is thrown away, not copied: the relay is to be the slowest. */
	n = recv(fd, buffer, sizeof(buffer), modes[fd] == 'u' ? MSG_TRUNC : 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && !modes[fd])
		choose(fd);
	if (n > 0 && modes[fd] == 'e')
		n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
	if (n == 0 && modes[fd] == 'u')
		(void)send(fd, "k", 1, MSG_NOSIGNAL);
	if (n <= 0)
		close(fd);
}

static void echo_datagrams(int fd)
{
	static char data[DATAGRAMS][DATAGRAM_BYTES];
	static struct sockaddr_in from[DATAGRAMS];
	static struct iovec iov[DATAGRAMS];
	static struct mmsghdr messages[DATAGRAMS];
	int n, done = 0, sent;

	for (int i = 0; i < DATAGRAMS; i++) {
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
		};
	}
	n = recvmmsg(fd, messages, DATAGRAMS, 0, NULL);
	for (int i = 0; i < n; i++)
		iov[i].iov_len = messages[i].msg_len;
	for (; done < n; done += sent) {
		sent = sendmmsg(fd, messages + done, (unsigned int)(n - done),
				0);
		if (sent < 0)
			sent = 1; /* a client that is gone */
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];
	int stream_fd, datagram_fd;

	bench_init();
	bench_raise_files();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (argc != 2)
		bench_die("relay_backend PORT");
	stream_fd = open_socket(SOCK_STREAM, (uint16_t)bench_number(argv[1]));
	datagram_fd = open_socket(SOCK_DGRAM, (uint16_t)bench_number(argv[1]));
	bench_notify();
	for (;;) {
		int n = epoll_wait(epoll_fd, events, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == stream_fd)
				accept_all(fd);
			else if (fd == datagram_fd)
				echo_datagrams(fd);
			else
				serve(fd, events[i].events);
		}
	}
}
