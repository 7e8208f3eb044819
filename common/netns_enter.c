// SPDX-License-Identifier: Apache-2.0
/* netns_enter.c - the one place where a thread enters a network namespace */
#include "common/netns_enter.h"

#include <fcntl.h>
#include <linux/types.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"

/* Debian 12's headers are older than these. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef NS_GET_ID
#define NS_GET_ID _IOR(NSIO, 13, __u64)
#endif

static int home_fd = -1;

int netns_enter_init(void)
{
	int fd;

	if (home_fd >= 0)
		return 0;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	home_fd = fd;
	return 0;
}

/* -1 is where the thread is already. Return: 0 or -errno. */
static int enter(int netns_fd)
{
	return netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

static void leave(int netns_fd)
{
	if (netns_fd >= 0 && setns(home_fd, CLONE_NEWNET) < 0) {
		log_error_errno(errno, "cannot return to the host's network "
				       "namespace; aborting");
		abort();
	}
}

int netns_sockets(int netns_fd, struct netns_socket *sockets, size_t n)
{
	int r = enter(netns_fd);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		/* The change of user takes away no capability that socket(2)
		 * needs. */
		if (sockets[i].owner)
			(void)setfsuid(sockets[i].owner);
		sockets[i].fd = socket(sockets[i].domain,
				       sockets[i].type | SOCK_CLOEXEC,
				       sockets[i].protocol);
		sockets[i].error = sockets[i].fd < 0 ? errno : 0;
		if (sockets[i].owner)
			(void)setfsuid(geteuid());
	}
	leave(netns_fd);
	return 0;
}

static int64_t number_read(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[24], *end; /* 20 digits, a sign */
	ssize_t len;
	long long value;

	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text) - 1);
	if (len <= 0)
		return -1;
	text[len] = '\0';
	value = strtoll(text, &end, 10);
	return end == text || value < 0 ? -1 : value;
}

int netns_numbers(int netns_fd, struct netns_number *numbers, size_t n)
{
	int r = enter(netns_fd);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		numbers[i].value = number_read(numbers[i].path);
	leave(netns_fd);
	return 0;
}

int netns_cookie(int netns_fd, uint64_t *ret_cookie)
{
	struct netns_socket sock = { .domain = AF_UNIX, .type = SOCK_DGRAM };
	_cleanup_close_ int fd = -1;
	socklen_t len = sizeof(*ret_cookie);
	__u64 id;
	int r;

	if (ioctl(netns_fd >= 0 ? netns_fd : home_fd, NS_GET_ID, &id) == 0) {
		*ret_cookie = id;
		return 0;
	}
	r = netns_sockets(netns_fd, &sock, 1);
	if (r < 0)
		return r;
	if (sock.fd < 0)
		return -sock.error;
	fd = sock.fd;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &len) < 0)
		return -errno;
	return 0;
}
