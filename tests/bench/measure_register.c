// SPDX-License-Identifier: Apache-2.0
/* measure_register.c - from a call of Register to a connection, or a reply
 *
 * Prints nanoseconds, one sample a line.
 *
 *   measure_register opens SOCKET PORT COUNT
 *	registers new namespaces by descriptor, each on a connection of its own
 *	with which it ends; from sending the call to connect(2) succeeding
 *	inside
 *   measure_register again SOCKET PORT COUNT
 *	registers one container again and again; from sending the call to its
 *	reply
 *
 * As in measure_appears.c the measuring thread itself is inside, and tries
 * without a pause.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/un.h>

#define CALL                                                           \
	"{\"method\":\"io.berth.Register\",\"parameters\":{\"fd\":0,"  \
	"\"name\":\"bench\",\"labels\":{\"app\":\"web\"},\"wait_ms\":" \
	"10000,\"end_with_connection\":true}}"

/* More than the reply of one rule. */
#define REPLY_MAX 4096

static int control_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		bench_die("%s is too long", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		bench_die("%s", path);
	return fd;
}

/* Return: when the call was about to be sent. */
static uint64_t control_send(int control_fd, int netns_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = (char *)(uintptr_t)CALL,
			     .iov_len = sizeof(CALL) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	uint64_t begin_ns;

	control.header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int)),
	};
	memcpy(CMSG_DATA(&control.header), &netns_fd, sizeof(netns_fd));
	begin_ns = bench_now_ns();
	if (sendmsg(control_fd, &message, 0) != (ssize_t)sizeof(CALL))
		bench_die("sendmsg");
	return begin_ns;
}

/* Return: when all of the reply was there; it must say ready. */
static uint64_t control_reply(int control_fd)
{
	char reply[REPLY_MAX + 1];
	uint64_t now_ns;
	size_t len = 0;

	do {
		ssize_t n = recv(control_fd, reply + len, REPLY_MAX - len, 0);

		if (n <= 0)
			bench_die("no reply");
		len += (size_t)n;
	} while (reply[len - 1]);
	now_ns = bench_now_ns();
	if (!strstr(reply, "\"ready\":true"))
		bench_die("the reply is %s", reply);
	return now_ns;
}

static int enter_new_netns(void)
{
	int fd;

	bench_netns_new();
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("/proc/thread-self/ns/net");
	return fd;
}

static void measure_opens(const char *path, uint16_t port, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int control_fd = control_connect(path), fd;
		int netns_fd = enter_new_netns();
		uint64_t begin_ns = control_send(control_fd, netns_fd), end_ns;

		end_ns = bench_connect_spin(htonl(INADDR_LOOPBACK), port, &fd);
		printf("%llu\n", (unsigned long long)(end_ns - begin_ns));
		(void)control_reply(control_fd); /* not what is measured */
		close(fd);
		close(netns_fd);
		bench_netns_home();
		close(control_fd);
	}
}

static void measure_again(const char *path, unsigned int count)
{
	int control_fd = control_connect(path);
	int netns_fd = enter_new_netns();

	(void)control_send(control_fd, netns_fd);
	(void)control_reply(control_fd);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t begin_ns = control_send(control_fd, netns_fd);

		printf("%llu\n",
		       (unsigned long long)(control_reply(control_fd) -
					    begin_ns));
	}
	close(control_fd);
	close(netns_fd);
}

int main(int argc, char **argv)
{
	bench_init();
	if (argc == 5 && strcmp(argv[1], "opens") == 0)
		measure_opens(argv[2], (uint16_t)bench_number(argv[3]),
			      bench_number(argv[4]));
	else if (argc == 5 && strcmp(argv[1], "again") == 0)
		measure_again(argv[2], bench_number(argv[4]));
	else
		bench_die("measure_register opens|again SOCKET PORT COUNT");
	return 0;
}
