// SPDX-License-Identifier: Apache-2.0
/* bench.c - what the benchmark's programs share */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>

#define NS_PER_SEC UINT64_C(1000000000)
#define CONNECT_MAX_NS (10 * NS_PER_SEC)
#define BIND_TRIES 100000

static int home_fd = -1;

void bench_die(const char *fmt, ...)
{
	int error = errno;
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

void bench_init(void)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_fd < 0)
		bench_die("/proc/thread-self/ns/net");
}

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

unsigned int bench_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value > UINT32_MAX) {
		errno = EINVAL;
		bench_die("'%s'", text);
	}
	return (unsigned int)value;
}

void bench_notify(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	int fd;

	if (!path || strlen(path) >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		bench_die("%s", path);
	close(fd);
}

void bench_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		bench_die("RLIMIT_NOFILE");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		bench_die("RLIMIT_NOFILE");
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		bench_die("lo");
	close(fd);
}

void bench_netns_new(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		bench_die("unshare");
	loopback_up();
}

static uint64_t netns_make(const char *dir, const char *name, bool up)
{
	char path[BENCH_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	/* In the order of ip-netns(8) and of the CNI plugins. */
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		bench_die("%s", path);
	close(fd);
	if (unshare(CLONE_NEWNET) < 0)
		bench_die("unshare");
	if (up)
		loopback_up();
	if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) < 0)
		bench_die("mount %s", path);
	return bench_now_ns();
}

uint64_t bench_netns_make(const char *dir, const char *name)
{
	return netns_make(dir, name, /* up= */ true);
}

uint64_t bench_netns_make_bare(const char *dir, const char *name)
{
	return netns_make(dir, name, /* up= */ false);
}

void bench_netns_remove(const char *dir, const char *name)
{
	char path[BENCH_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (umount2(path, MNT_DETACH) < 0 || unlink(path) < 0)
		bench_die("remove %s", path);
}

int bench_netns_open(const char *dir, const char *name)
{
	char path[BENCH_PATH_MAX];
	struct statfs fs;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC)) {
		close(fd);
		return -1;
	}
	return fd;
}

void bench_netns_enter(int netns_fd)
{
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		bench_die("setns");
}

void bench_netns_home(void)
{
	bench_netns_enter(home_fd);
}

/* The wildcard is dual-stack, as berth's `any` is. */
static socklen_t address_of(uint32_t addr4, uint16_t port,
			    struct sockaddr_storage *sa)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	struct sockaddr_in *in = (struct sockaddr_in *)sa;

	memset(sa, 0, sizeof(*sa));
	if (addr4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = addr4;
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

int bench_listen_in(int netns_fd, uint32_t addr4, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = address_of(addr4, port, &sa);
	int fd, on = 1, tries = 0;

	bench_netns_enter(netns_fd);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	bench_netns_home();
	/* Against connections in TIME_WAIT, as berth does. */
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		bench_die("socket for port %u", port);
	/* An address is told a moment before its local route exists. */
	while (bind(fd, (struct sockaddr *)&sa, len) < 0) {
		if (errno != EADDRNOTAVAIL || ++tries == BIND_TRIES)
			bench_die("bind to port %u", port);
	}
	if (listen(fd, SOMAXCONN) < 0)
		bench_die("listen on port %u", port);
	return fd;
}

uint64_t bench_connect_spin(uint32_t addr4, uint16_t port, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = address_of(addr4, port, &sa);
	uint64_t begin_ns = bench_now_ns(), now_ns;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket");
	while (connect(fd, (struct sockaddr *)&sa, len) < 0) {
		/* What is provided has no route until it is there. */
		if (errno != ECONNREFUSED && errno != ENETUNREACH)
			bench_die("connect to port %u", port);
		if (bench_now_ns() - begin_ns > CONNECT_MAX_NS)
			bench_die("nobody listens on port %u after 10 s", port);
	}
	now_ns = bench_now_ns();
	*ret_fd = fd;
	return now_ns;
}
