// SPDX-License-Identifier: Apache-2.0
/* close_safely.c - receives and closes what came from a program that is not
 * trusted, without waiting for it
 *
 * Theory of operation: close(2) may wait, and for as long as another program
 * likes. A socket with SO_LINGER waits for its peer to take what was sent; a
 * file of FUSE waits for the program that serves it. The kernel closes
 * descriptors in many places beside close(2): those in a message for which the
 * receiver has no room, those in the queue of a socket that is closed, and
 * those in the queues of sockets in such queues. Each of these waits, too,
 * whatever O_NONBLOCK says.
 *
 * So what is not known to be harmless is closed by a child that shares our
 * table of descriptors, and whom a signal ends after a second: each of these
 * waits ends with the process. A message is looked at before it is taken
 * (MSG_PEEK): then we have a copy of its descriptor when the kernel closes the
 * one in the queue, and only the last one waits.
 *
 * A socket that listens, and one of datagrams, has no peer to wait for; and its
 * port is to be free at once.
 */
#include "common/close_safely.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"

/* Harmless descriptors are closed in microseconds. */
#define CLOSE_SECONDS 1

/* More messages than fit into the buffer that a sender may have. */
#define UNREAD_MAX 4096

/* The child that closes. It uses nothing but system calls: it may be a copy of
 * a process with threads. */
static _Noreturn void close_and_exit(int fd, pid_t parent)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;

	/* Else it would keep our descriptors when we are killed. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* as far as it goes */
	(void)sigaction(SIGALRM, &action, NULL); /* cannot fail */
	(void)sigemptyset(&set); /* cannot fail */
	(void)sigaddset(&set, SIGALRM); /* cannot fail */
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* cannot fail */
	(void)alarm(CLOSE_SECONDS); /* nothing was set before */
	if (getppid() == parent)
		(void)close(fd); /* nobody to tell */
	_exit(0);
}

void close_elsewhere(int fd)
{
	/* Without a signal at its end the child is none that anybody waits for
	 * by SIGCHLD. */
	struct clone_args args = { .flags = CLONE_FILES };
	pid_t parent = getpid();
	long pid;

	/* Earlier ones: nobody else waits for such children. */
	while (waitpid(-1, NULL, WNOHANG | __WCLONE) > 0)
		;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		close_and_exit(fd, parent);
	if (pid < 0)
		(void)close(fd); /* it may wait, but must not stay */
}

static int int_option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* Has a socket reset what is connected, instead of waiting for it. */
static void end_lingering(int fd)
{
	const struct linger hard = { .l_onoff = 1 };
	struct linger linger;
	socklen_t len = sizeof(linger);

	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
	    linger.l_onoff && linger.l_linger > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard,
				 sizeof(hard)); /* cannot fail */
}

void close_foreign(int fd)
{
	int domain = int_option(fd, SO_DOMAIN);
	bool ip = domain == AF_INET || domain == AF_INET6;

	if (!ip || (int_option(fd, SO_ACCEPTCONN) != 1 &&
		    int_option(fd, SO_TYPE) != SOCK_DGRAM)) {
		close_elsewhere(fd);
		return;
	}
	/* With SCTP associations that nobody has accepted count as connected.
	 * Others can set it again, but as long as they have the socket this is
	 * not the last close. */
	end_lingering(fd);
	(void)close(fd); /* nothing of ours is in it */
}

/* What is the next message of a connection that nothing more arrives on?
 * Return: 1: it has no descriptor; 0: there is none; -1: it has descriptors. */
static int look_at_unread(int fd)
{
	/* With SO_PASSCRED each message has this, unlike the end. */
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct msghdr message = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) < 0 ||
	    message.msg_controllen == 0)
		return 0;
	return (message.msg_flags & MSG_CTRUNC) ? -1 : 1;
}

void close_unread(int fd)
{
	int on = 1, found = 1;

	(void)shutdown(fd, SHUT_RDWR); /* so that nothing more arrives */
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		found = -1;
	for (int i = 0; found > 0; i++) {
		found = i < UNREAD_MAX ? look_at_unread(fd) : -1;
		if (found > 0)
			(void)recv(fd, NULL, 0, MSG_DONTWAIT); /* unheard */
	}
	if (found == 0)
		(void)close(fd); /* nothing is in it */
	else
		close_elsewhere(fd);
}

/* Receives without taking it what @message has room for, and at most one
 * descriptor. Return: as recvmsg(2), or -EPROTO. */
static ssize_t look_with_fd(int fd, struct iovec *iov, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = iov,
		.msg_iovlen = iov ? 1 : 0,
		.msg_control = control.space,
		/* Not CMSG_SPACE(): there two would fit. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	const struct cmsghdr *cmsg;
	ssize_t n = recvmsg(fd, &message,
			    MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
	/* Another one had no room. */
	return (message.msg_flags & MSG_CTRUNC) ? -EPROTO : n;
}

/* Looks at the next message. Return: as receive_safely(). */
static ssize_t look_at_message(int fd, int *ret_fd)
{
	ssize_t n = look_with_fd(fd, NULL, ret_fd);

	return n < 0 ? n : 0;
}

ssize_t receive_safely(int fd, char *buffer, size_t size, int *ret_fd)
{
	int passed_fd = -1;
	ssize_t n = look_at_message(fd, &passed_fd);

	if (n == 0) {
		n = recv(fd, buffer, size, MSG_DONTWAIT | MSG_TRUNC);
		n = n < 0 ? -errno : n;
	}
	/* A descriptor with nothing said is not the end of the connection. */
	if (n == 0 && passed_fd >= 0)
		n = -EPROTO;
	if (n < 0) {
		if (passed_fd >= 0)
			close_foreign(passed_fd);
		return n;
	}
	*ret_fd = passed_fd;
	return n;
}

ssize_t receive_bytes_safely(int fd, char *buffer, size_t size, int *ret_fd)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	int passed_fd = -1;
	ssize_t n = look_with_fd(fd, &iov, &passed_fd);

	/* The same bytes: what arrived since is behind them. What the kernel
	 * drops with them is not the last copy of the descriptor. */
	if (n > 0) {
		n = recv(fd, buffer, (size_t)n, MSG_DONTWAIT);
		n = n < 0 ? -errno : n;
	}
	if (n <= 0) {
		if (passed_fd >= 0)
			close_foreign(passed_fd);
		return n;
	}
	*ret_fd = passed_fd;
	return n;
}

void close_stream(int fd)
{
	int unread;

	(void)shutdown(fd, SHUT_RDWR); /* so that nothing more arrives */
	if (ioctl(fd, FIONREAD, &unread) == 0 && unread == 0)
		(void)close(fd); /* nothing is in it */
	else
		close_elsewhere(fd);
}
