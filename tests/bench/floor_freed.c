// SPDX-License-Identifier: Apache-2.0
/* floor_freed.c - the least that lets a namespace with connections go
 *
 * Listens in each namespace that appears, keeps the connections that it
 * accepts, and closes all of them abortively when the name goes. The first
 * byte of a client says what the client wants: 'q' is answered with one byte,
 * 'f' with more than the client will read. Arguments: DIR PORT. One namespace
 * at a time.
 */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define CONNS_MAX 256

enum { INOTIFY = 0x10000, MOUNTS, LISTENER }; /* else: a connection's fd */

static char pending[BENCH_NAME_MAX];
static int epoll_fd, listen_fd = -1;
static int conns[CONNS_MAX];
static size_t n_conns;

static void watch(int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event event = { .events = events, .data.u32 = tag };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		bench_die("epoll_ctl");
}

static void try_pending(const char *dir, uint16_t port)
{
	int netns_fd = pending[0] ? bench_netns_open(dir, pending) : -1;

	if (netns_fd < 0)
		return;
	listen_fd = bench_listen_in(netns_fd, 0, port);
	close(netns_fd);
	watch(listen_fd, EPOLLIN, LISTENER);
	pending[0] = '\0';
}

static void close_all(void)
{
	struct linger abort = { .l_onoff = 1 };

	close(listen_fd);
	for (size_t i = 0; i < n_conns; i++) {
		setsockopt(conns[i], SOL_SOCKET, SO_LINGER, &abort,
			   sizeof(abort));
		close(conns[i]);
	}
	n_conns = 0;
}

static void read_events(int inotify_fd)
{
	char buffer[4096] __attribute__((aligned(8)));
	ssize_t n = read(inotify_fd, buffer, sizeof(buffer));

	for (char *p = buffer; p < buffer + n;) {
		struct inotify_event *event = (void *)p;

		if (event->mask & IN_CREATE)
			snprintf(pending, sizeof(pending), "%s", event->name);
		else
			close_all();
		p += sizeof(*event) + event->len;
	}
}

static void accept_all(void)
{
	int fd;

	while (n_conns < CONNS_MAX &&
	       (fd = accept4(listen_fd, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		conns[n_conns++] = fd;
		watch(fd, EPOLLIN | EPOLLOUT | EPOLLET, (uint32_t)fd);
	}
}

static void serve(int fd)
{
	static char junk[65536];
	static bool floods[INOTIFY];
	char what;

	if (read(fd, &what, 1) == 1) {
		floods[fd] = what == 'f';
		if (write(fd, "a", 1) < 0)
			bench_die("write");
	}
	while (floods[fd] && write(fd, junk, sizeof(junk)) > 0)
		;
}

int main(int argc, char **argv)
{
	int inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	struct epoll_event events[64];
	uint16_t port;

	bench_init();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (argc != 3 ||
	    inotify_add_watch(inotify_fd, argv[1], IN_CREATE | IN_DELETE) < 0)
		bench_die("floor_freed DIR PORT");
	port = (uint16_t)bench_number(argv[2]);
	watch(inotify_fd, EPOLLIN, INOTIFY);
	watch(mounts_fd, EPOLLPRI, MOUNTS);
	bench_notify();
	for (;;) {
		int n = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == INOTIFY)
				read_events(inotify_fd);
			else if (events[i].data.u32 == LISTENER)
				accept_all();
			else if (events[i].data.u32 != MOUNTS)
				serve((int)events[i].data.u32);
		}
		try_pending(argv[1], port);
	}
}
