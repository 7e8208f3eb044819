// SPDX-License-Identifier: Apache-2.0
/* confine.c - what berth-web gives up before it sees a viewer's byte
 *
 * The filter of system calls is an allow-list. What is not on it fails with
 * EPERM, as in relay/confine.c. What is left: taking viewers from the socket
 * that listens already, and UNIX sockets to connect to berthd and the log. No
 * file, no program, no other thread, no signal to others.
 */
#include "web/confine.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

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
	return 0;
}

int web_confine_privileges(void)
{
	int r = drop_capabilities();

	if (r < 0)
		return log_error_errno(r, "cannot drop the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return log_error_errno(errno, "cannot set no_new_privs");
	if (getuid() == 0)
		log_warning("running as root, although without capabilities; "
			    "give berth-web a user of its own");
	return 0;
}

static const int allowed[] = {
	/* viewers */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(read),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* berthd */
	SCMP_SYS(connect),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	/* what stderr is, and which process writes to the log */
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(geteuid),
	/* a thread that has just begun */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
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
	SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	/* the end, also by abort(3) */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* F_SETOWN, say, has the kernel signal others on one's behalf. */
static int allow_fcntl(scmp_filter_ctx filter)
{
	static const int commands[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD,
					F_DUPFD_CLOEXEC };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_EQ,
					     (scmp_datum_t)commands[i], 0));
	return r;
}

static int allow_all(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = allow_fcntl(filter);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket),
				     1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
	/* abort(3) signals itself. */
	if (r == 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	return r;
}

static int filter_syscalls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!filter)
		return -ENOMEM;
	/* Logging what was refused needs Linux 4.14. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = allow_all(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int web_confine_syscalls(void)
{
	int r;

	if (SANITIZED) {
		log_info("built with sanitizers: no filter of system calls");
		return 0;
	}
	tzset(); /* the C library reads its files now, not later */
	r = filter_syscalls();
	return r < 0 ? log_error_errno(r, "cannot filter system calls") : 0;
}
