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
 * others; sockets only of the families that backends have.
 */
#include "relay/confine.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
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
	SCMP_SYS(setsockopt),
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

static int allow_all(scmp_filter_ctx filter)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	/* Lengths of addresses. One without a name: only a UNIX socket can be
	 * bound to that, and gets a name that the kernel chooses, to be
	 * answered by. IPv4 and IPv6: the client's address, for a rule with
	 * `transparent`; for every other one the socket lacks the flag. */
	static const scmp_datum_t bound[] = { sizeof(sa_family_t),
					      sizeof(struct sockaddr_in),
					      sizeof(struct sockaddr_in6) };
	/* F_SETOWN, say, has the kernel signal others on one's behalf. */
	static const int commands[] = { F_DUPFD_CLOEXEC, F_SETPIPE_SZ };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
		if (r < 0)
			return r;
	}
	/* Threads, but no processes; no signals but to itself. The flags of
	 * clone3(2) cannot be seen here, so the C library is sent to clone(2).
	 */
	r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
			     0);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
					     CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(bound); i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bind), 1,
				     SCMP_A2(SCMP_CMP_EQ, bound[i], 0));
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_EQ,
					     (scmp_datum_t)commands[i], 0));
		if (r < 0)
			return r;
	}
	return 0;
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
