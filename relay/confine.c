// SPDX-License-Identifier: Apache-2.0
/* confine.c - what the relay gives up before it sees a stranger's byte
 *
 * Theory of operation: berthd starts the relay under a user of its own,
 * without capabilities and with no_new_privs. All of it is done here again,
 * because the relay may be started by something else, and a second drop costs
 * nothing.
 *
 * The filter of system calls is an allow-list. What is not on it fails with
 * EPERM and is logged by the kernel (audit type 1326), rather than killing: a
 * C library may try a newer call and fall back, and a relay that is alive and
 * fails one call is worth more to its containers than a dead one, while an
 * attacker is stopped all the same. No new program, no file, no signal to
 * others.
 *
 * A filter sees the numbers of a call and nothing behind a pointer. So it knows
 * the family of a socket when it is made, but never an address: bind(2) to one
 * of IPv4 looks like bind(2) to a path of as many bytes. The relay therefore
 * binds nothing, and listens nowhere. What has to have an address of its own is
 * bound by berthd, see daemon/consumers/mint.c, but for SCTP, which has a call
 * of its own for it. For the same reason the filter cannot tell whom a socket
 * connects or sends to.
 */
#include "relay/confine.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int drop_capabilities(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	/* Only who has CAP_SETPCAP may clear the bounding set; with
	 * no_new_privs and an empty permitted set it gives nothing back. */
	(void)capng_apply(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	(void)capng_apply(CAPNG_SELECT_AMBIENT); /* empty with the others */
	if (capng_get_caps_process() < 0)
		return -EIO;
	return capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE
		       ? 0
		       : -EPERM;
}

int confine_privileges(void)
{
	int r;

	r = drop_capabilities();
	if (r < 0)
		return log_error_errno(r, "cannot drop the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return log_error_errno(errno, "cannot set no_new_privs");
	/* No core dumps, no ptrace(2) by the same user; a sanitizer looks at
	 * its own process in /proc. */
	if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return log_error_errno(errno, "cannot clear 'dumpable'");
	if (getuid() == 0)
		log_warning("running as root, although without capabilities; "
			    "give the relay a user of its own");
	return 0;
}

static const int allowed[] = {
	/* traffic */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(splice),
	SCMP_SYS(pipe2),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* beginning of the threads and the loops */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(signalfd4),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	/* memory, locks, time, randomness */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrandom),
	/* the end, also by abort(3) */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
};

/* The sockets to backends, and the one to berthd. A raw one, or one of another
 * protocol, would be another way out. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const struct {
		int family;
		int type;
		int protocol;
	} sockets[] = {
		{ AF_INET, SOCK_STREAM, 0 },
		{ AF_INET, SOCK_STREAM, IPPROTO_SCTP },
		{ AF_INET, SOCK_DGRAM, 0 },
		{ AF_INET6, SOCK_STREAM, 0 },
		{ AF_INET6, SOCK_STREAM, IPPROTO_SCTP },
		{ AF_INET6, SOCK_DGRAM, 0 },
		{ AF_UNIX, SOCK_STREAM, 0 },
		{ AF_UNIX, SOCK_DGRAM, 0 },
		{ AF_UNIX, SOCK_SEQPACKET, 0 },
	};
	static const scmp_datum_t flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sockets) && r == 0; i++)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].family,
				0),
			SCMP_A1(SCMP_CMP_MASKED_EQ, ~flags & UINT32_MAX,
				(scmp_datum_t)sockets[i].type),
			SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].protocol,
				0));
	return r;
}

/* Others could bind a socket to an interface, join a group, filter, or have the
 * kernel load code. Of SCTP all: they concern associations of its own, and
 * bind to addresses that the host has. */
static int allow_options(scmp_filter_ctx filter)
{
	static const struct {
		int level;
		int name;
	} options[] = {
		{ SOL_SOCKET, SO_LINGER },
		{ SOL_SOCKET, SO_OOBINLINE },
		/* Binds nothing by itself, and lets only berthd's user share
		 * the port of a socket that berthd bound. */
		{ SOL_SOCKET, SO_REUSEPORT },
		{ SOL_SOCKET, SO_RXQ_OVFL },
		{ SOL_SOCKET, SO_SNDBUF },
		{ IPPROTO_IP, IP_MTU_DISCOVER },
		{ IPPROTO_IP, IP_PKTINFO },
		{ IPPROTO_IP, IP_RECVERR },
		{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES },
		{ IPPROTO_IPV6, IPV6_MTU_DISCOVER },
		{ IPPROTO_IPV6, IPV6_RECVERR },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO },
		{ IPPROTO_IPV6, IPV6_V6ONLY },
		{ IPPROTO_TCP, TCP_NODELAY },
		{ IPPROTO_UDP, UDP_GRO },
	};
	int r;

	r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 1,
			     SCMP_A1(SCMP_CMP_EQ, IPPROTO_SCTP, 0));
	for (size_t i = 0; i < ARRAY_SIZE(options) && r == 0; i++)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
			SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)options[i].level, 0),
			SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)options[i].name, 0));
	return r;
}

/* Threads, but no processes; no signals but to itself. The flags of clone3(2)
 * cannot be seen here, so the C library is sent to clone(2). */
static int allow_threads(scmp_filter_ctx filter)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
				 SCMP_SYS(clone3), 0);

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
					     CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	return r;
}

static int allow_all(scmp_filter_ctx filter)
{
	/* F_SETOWN, say, has the kernel signal others on one's behalf. */
	static const int commands[] = { F_DUPFD_CLOEXEC, F_SETPIPE_SZ };
	int r;

	/* How much a peer has not acknowledged yet, and nothing else. */
	r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			     SCMP_A1(SCMP_CMP_EQ, SIOCOUTQ, 0));

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(commands) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_EQ,
					     (scmp_datum_t)commands[i], 0));
	/* To no name: only a UNIX socket can be bound so, and gets one that the
	 * kernel chooses, to be answered by. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bind), 1,
				     SCMP_A2(SCMP_CMP_EQ, sizeof(sa_family_t),
					     0));
	if (r == 0)
		r = allow_threads(filter);
	if (r == 0)
		r = allow_sockets(filter);
	return r == 0 ? allow_options(filter) : r;
}

int confine_syscalls(void)
{
	scmp_filter_ctx filter;
	int r;

	if (SANITIZED) {
		log_info("built with sanitizers: no filter of system calls");
		return 0;
	}
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return log_error_errno(ENOMEM, "cannot filter system calls");
	/* Logging what was refused needs Linux 4.14. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	r = allow_all(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r < 0)
		return log_error_errno(r, "cannot filter system calls");
	return 0;
}
