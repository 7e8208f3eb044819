// SPDX-License-Identifier: Apache-2.0
/* floor_names.c - the least that makes a listener appear with a name
 *
 * inotify for the file, mountinfo for the mount over it, setns, socket, bind,
 * listen; and close when the name goes. Arguments: DIR PORT.
 */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define LISTENERS_MAX 4096

static struct {
	char name[BENCH_NAME_MAX];
	int fd;
} listeners[LISTENERS_MAX];
static size_t n_listeners;

static char pending[BENCH_NAME_MAX]; /* one creator: one name at a time */

static void try_pending(const char *dir, uint16_t port)
{
	int netns_fd;

	if (!pending[0])
		return;
	netns_fd = bench_netns_open(dir, pending);
	if (netns_fd < 0)
		return;
	strcpy(listeners[n_listeners].name, pending);
	listeners[n_listeners++].fd = bench_listen_in(netns_fd, 0, port);
	close(netns_fd);
	pending[0] = '\0';
}

static void forget(const char *name)
{
	for (size_t i = 0; i < n_listeners; i++) {
		if (strcmp(listeners[i].name, name) == 0) {
			close(listeners[i].fd);
			listeners[i] = listeners[--n_listeners];
			return;
		}
	}
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
			forget(event->name);
		p += sizeof(*event) + event->len;
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[2] = {
		{ .events = EPOLLIN, .data.u32 = 0 },
		{ .events = EPOLLPRI, .data.u32 = 1 },
	};
	int inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	uint16_t port;

	bench_init();
	if (argc != 3 ||
	    inotify_add_watch(inotify_fd, argv[1], IN_CREATE | IN_DELETE) < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, inotify_fd, &events[0]) < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, mounts_fd, &events[1]) < 0)
		bench_die("floor_names DIR PORT");
	port = (uint16_t)bench_number(argv[2]);
	bench_notify();
	for (;;) {
		int n = epoll_wait(epoll_fd, events, 2, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == 0)
				read_events(inotify_fd);
		}
		try_pending(argv[1], port);
	}
}
