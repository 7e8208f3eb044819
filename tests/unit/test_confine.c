// SPDX-License-Identifier: Apache-2.0
/* test_confine.c - what an intruder in the relay could still ask the kernel
 * for
 *
 * Each case runs in a child process that is confined as the relay is, and
 * makes one system call by its number, as an intruder would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/util.h"
#include "relay/confine.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define STATUS_NOT_CONFINED 255
#define UNIX_NAME_MAX 40

static pid_t parent_pid;
static int socket_fd;

/* Runs @call in a confined child. Return: the errno it ended with; 0. */
static int confined(long (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (confine_privileges() < 0 || confine_syscalls() < 0)
			_exit(STATUS_NOT_CONFINED);
		errno = 0;
		_exit(call() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	assert_int_not_equal(WEXITSTATUS(status), STATUS_NOT_CONFINED);
	return WEXITSTATUS(status);
}

/* clone(2) of a process: what would otherwise be the child ends at once. */
static long clone_process(unsigned long flags)
{
	long r = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);

	if (r == 0)
		_exit(0);
	return r;
}

static long call_fork(void)
{
	return clone_process(SIGCHLD);
}

static long call_clone_sharing_memory(void)
{
	return clone_process(CLONE_FS | CLONE_FILES | SIGCHLD);
}

static long call_clone_in_namespace(void)
{
	return clone_process(CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD);
}

static long call_vfork(void)
{
	long r = syscall(SYS_vfork);

	if (r == 0)
		_exit(0);
	return r;
}

static long call_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	long r = syscall(SYS_clone3, &args, sizeof(args));

	if (r == 0)
		_exit(0);
	return r;
}

static long call_execve(void)
{
	char *const argv[] = { "true", NULL };

	return syscall(SYS_execve, "/bin/true", argv, NULL);
}

static long call_kill(void)
{
	return syscall(SYS_kill, parent_pid, 0);
}

static long call_tkill(void)
{
	return syscall(SYS_tkill, parent_pid, 0);
}

static long call_tgkill_other(void)
{
	return syscall(SYS_tgkill, parent_pid, parent_pid, 0);
}

static long call_tgkill_self(void)
{
	return syscall(SYS_tgkill, getpid(), gettid(), 0);
}

static long call_sigqueue(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return syscall(SYS_rt_sigqueueinfo, parent_pid, 0, &info);
}

static long call_setown(void)
{
	return syscall(SYS_fcntl, socket_fd, F_SETOWN, parent_pid);
}

static long call_setown_ex(void)
{
	const struct f_owner_ex owner = { .type = F_OWNER_PID,
					  .pid = parent_pid };

	return syscall(SYS_fcntl, socket_fd, F_SETOWN_EX, &owner);
}

static long call_fcntl_dup(void)
{
	return syscall(SYS_fcntl, socket_fd, F_DUPFD_CLOEXEC, 0);
}

static long call_ioctl_unacked(void)
{
	int n;

	return syscall(SYS_ioctl, socket_fd, SIOCOUTQ, &n);
}

static long call_ioctl_other(void)
{
	int n;

	return syscall(SYS_ioctl, socket_fd, FIONREAD, &n);
}

static long call_pidfd_open(void)
{
	return syscall(SYS_pidfd_open, parent_pid, 0);
}

static long call_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_SEIZE, parent_pid, NULL, NULL);
}

static long call_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY, 0);
}

static long call_unshare(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long call_setns(void)
{
	return syscall(SYS_setns, socket_fd, CLONE_NEWNET);
}

static long call_prctl(void)
{
	return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long call_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

static long call_socket_inet(void)
{
	return syscall(SYS_socket, AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long call_socket_unix(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static long call_socket_netlink(void)
{
	return syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long call_socket_packet(void)
{
	return syscall(SYS_socket, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long call_socket_raw(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_UDP);
}

static long call_socket_ping(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

static long call_socket_seqpacket(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0);
}

/* A pair of them is no way to a name either. */
static long call_socketpair(void)
{
	int fds[2];

	return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds);
}

/* Binds a new socket to the first @len bytes of a name. */
static long bind_new(const void *name, socklen_t len)
{
	const struct sockaddr *address = name;
	int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? fd : syscall(SYS_bind, fd, address, len);
}

/* To @n bytes of a path, in a directory that there is not, or of a name that is
 * no file. */
static long bind_unix(size_t n, bool abstract)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	memset(name.sun_path, 'n', n);
	memcpy(name.sun_path, abstract ? "" : "/nowhere/", abstract ? 1 : 9);
	return bind_new(&name, (socklen_t)(sizeof(sa_family_t) + n));
}

static long call_bind_unnamed(void)
{
	const struct sockaddr_un name = { .sun_family = AF_UNIX };

	return bind_new(&name, sizeof(sa_family_t));
}

/* As many bytes as an address of IPv4 has, and of IPv6. */
static long call_bind_path14(void)
{
	return bind_unix(sizeof(struct sockaddr_in) - sizeof(sa_family_t),
			 /* abstract= */ false);
}

static long call_bind_path26(void)
{
	return bind_unix(sizeof(struct sockaddr_in6) - sizeof(sa_family_t),
			 /* abstract= */ false);
}

static long call_bind_abstract14(void)
{
	return bind_unix(sizeof(struct sockaddr_in) - sizeof(sa_family_t),
			 /* abstract= */ true);
}

static long call_bind_abstract26(void)
{
	return bind_unix(sizeof(struct sockaddr_in6) - sizeof(sa_family_t),
			 /* abstract= */ true);
}

static long call_bind_path(void)
{
	return bind_unix(UNIX_NAME_MAX, /* abstract= */ false);
}

static long call_bind_inet(void)
{
	const struct sockaddr_in name = { .sin_family = AF_INET };

	return bind_new(&name, sizeof(name));
}

static long call_bind_inet6(void)
{
	const struct sockaddr_in6 name = { .sin6_family = AF_INET6 };

	return bind_new(&name, sizeof(name));
}

/* What is short is no address of IP. */
static long call_bind_inet_short(void)
{
	const struct sockaddr_in name = { .sin_family = AF_INET };

	return bind_new(&name, sizeof(sa_family_t));
}

static long call_listen(void)
{
	return syscall(SYS_listen, socket_fd, 1);
}

static long call_mknod(void)
{
	return syscall(SYS_mknodat, AT_FDCWD, "/tmp/test-confine",
		       S_IFSOCK | 0600, 0);
}

/* Another call that binds. Return: as without a filter: the kernel's answer to
 * a socket of TCP. */
static long call_bindx(void)
{
	const struct sockaddr_in name = { .sin_family = AF_INET };

	return syscall(SYS_setsockopt, socket_fd, IPPROTO_SCTP,
		       SCTP_SOCKOPT_BINDX_ADD, &name, sizeof(name));
}

static long set_option(int level, int name)
{
	const struct ip_mreqn group = { .imr_multiaddr.s_addr =
						htonl(0xe00000fb) };

	return syscall(SYS_setsockopt, socket_fd, level, name, &group,
		       sizeof(group));
}

static long call_option_interface(void)
{
	return syscall(SYS_setsockopt, socket_fd, SOL_SOCKET, SO_BINDTODEVICE,
		       "lo", sizeof("lo"));
}

static long call_option_group(void)
{
	return set_option(IPPROTO_IP, IP_ADD_MEMBERSHIP);
}

static long call_option_reuse(void)
{
	return set_option(SOL_SOCKET, SO_REUSEPORT);
}

static long call_option_transparent(void)
{
	return set_option(IPPROTO_IP, IP_TRANSPARENT);
}

static long call_option_filter(void)
{
	return set_option(SOL_SOCKET, SO_ATTACH_FILTER);
}

static long call_option_layer(void)
{
	return syscall(SYS_setsockopt, socket_fd, IPPROTO_TCP, TCP_ULP, "tls",
		       sizeof("tls"));
}

static long call_option_no_delay(void)
{
	static const int on = 1;

	return syscall(SYS_setsockopt, socket_fd, IPPROTO_TCP, TCP_NODELAY, &on,
		       sizeof(on));
}

static void *thread_main(void *user_data)
{
	*(int *)user_data = 1;
	return NULL;
}

static long call_thread(void)
{
	pthread_t thread;
	int ran = 0;

	errno = pthread_create(&thread, NULL, thread_main, &ran);
	if (errno == 0)
		errno = pthread_join(thread, NULL);
	return errno == 0 && ran ? 0 : -1;
}

static void test_system_calls(void **state)
{
	static const struct {
		const char *what;
		long (*call)(void);
		int error;
	} cases[] = {
		{ "a process by fork", call_fork, EPERM },
		{ "a process by vfork", call_vfork, EPERM },
		{ "a process by clone", call_clone_sharing_memory, EPERM },
		{ "a namespace by clone", call_clone_in_namespace, EPERM },
		/* What makes the C library fall back to clone(2). */
		{ "anything by clone3", call_clone3, ENOSYS },
		{ "another program", call_execve, EPERM },
		{ "a thread", call_thread, 0 },
		{ "a signal to itself", call_tgkill_self, 0 },
		{ "a signal by kill", call_kill, EPERM },
		{ "a signal by tkill", call_tkill, EPERM },
		{ "a signal by tgkill", call_tgkill_other, EPERM },
		{ "a signal by sigqueue", call_sigqueue, EPERM },
		{ "SIGIO for another process", call_setown, EPERM },
		{ "SIGIO for another, again", call_setown_ex, EPERM },
		{ "a copy of a descriptor", call_fcntl_dup, 0 },
		{ "what a peer did not take yet", call_ioctl_unacked, 0 },
		{ "another ioctl", call_ioctl_other, EPERM },
		{ "a process to hold", call_pidfd_open, EPERM },
		{ "a process to trace", call_ptrace, EPERM },
		{ "a file", call_open, EPERM },
		{ "a namespace of its own", call_unshare, EPERM },
		{ "another's namespace", call_setns, EPERM },
		{ "to be dumpable", call_prctl, EPERM },
		{ "another way to all calls", call_io_uring, EPERM },
		{ "a socket for IP", call_socket_inet, 0 },
		{ "a UNIX socket", call_socket_unix, 0 },
		{ "a name of the kernel's", call_bind_unnamed, 0 },
		{ "a path of 14 bytes", call_bind_path14, EPERM },
		{ "a path of 26 bytes", call_bind_path26, EPERM },
		{ "a longer path", call_bind_path, EPERM },
		{ "an abstract name of 14 bytes", call_bind_abstract14, EPERM },
		{ "an abstract name of 26 bytes", call_bind_abstract26, EPERM },
		{ "an IPv4 address", call_bind_inet, EPERM },
		{ "an IPv6 address", call_bind_inet6, EPERM },
		{ "no IPv4 address", call_bind_inet_short, EINVAL },
		{ "a file that is a socket", call_mknod, EPERM },
		{ "to be connected to", call_listen, EPERM },
		{ "to bind TCP by way of SCTP", call_bindx, ENOPROTOOPT },
		{ "an interface's traffic", call_option_interface, EPERM },
		{ "a group's traffic", call_option_group, EPERM },
		{ "a share in a port", call_option_reuse, 0 },
		{ "any address", call_option_transparent, EPERM },
		{ "a filter", call_option_filter, EPERM },
		{ "a protocol's module", call_option_layer, EPERM },
		{ "no delay", call_option_no_delay, 0 },
		{ "a raw socket", call_socket_raw, EPERM },
		{ "to ping", call_socket_ping, EPERM },
		{ "a socket for berthd", call_socket_seqpacket, 0 },
		{ "a pair of sockets", call_socketpair, EPERM },
		{ "a netlink socket", call_socket_netlink, EPERM },
		{ "a packet socket", call_socket_packet, EPERM },
	};
	int error;

	(void)state;
	if (SANITIZED) /* confine_syscalls() does nothing, and says so */
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		error = confined(cases[i].call);
		if (error != cases[i].error)
			fail_msg("%s: errno %d (%s), expected %d",
				 cases[i].what, error, strerror(error),
				 cases[i].error);
	}
}

static int setup(void **state)
{
	(void)state;
	parent_pid = getpid();
	socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return socket_fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	cleanup_close(&socket_fd);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system_calls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
