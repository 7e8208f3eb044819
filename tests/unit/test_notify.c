// SPDX-License-Identifier: Apache-2.0
/* test_notify.c - messages to a service manager that reads, or does not */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/notify.h"

#define SOON_US (20 * USEC_PER_MSEC)
#define GUARD_US (30 * USEC_PER_SEC)

struct fixture {
	int manager_fd;
	int fd;
};

/* An abstract name that the kernel chooses. */
static int setup(void **state)
{
	static struct fixture f;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	char name[sizeof(sa.sun_path) + 1];

	f.manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f.manager_fd, (struct sockaddr *)&sa,
			      sizeof(sa.sun_family)),
			 0);
	assert_int_equal(
		getsockname(f.manager_fd, (struct sockaddr *)&sa, &len), 0);
	snprintf(name, sizeof(name), "@%.*s",
		 (int)(len - sizeof(sa.sun_family) - 1), sa.sun_path + 1);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	assert_int_equal(notify_open(&f.fd), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	close(f->manager_fd);
	return unsetenv("NOTIFY_SOCKET");
}

/* Return: the descriptor that came with the message, or -1. */
static int receive(int manager_fd, char *text, size_t size)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, size - 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(manager_fd, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = -1;

	assert_true(n >= 0);
	text[n] = '\0';
	if (cmsg)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

static void test_message(void **state)
{
	struct fixture *f = *state;
	struct stat sent, got;
	char text[64];
	int fd;

	assert_int_equal(notify_send(f->fd, "A=1\nB=2", NULL, 0), 0);
	assert_int_equal(receive(f->manager_fd, text, sizeof(text)), -1);
	assert_string_equal(text, "A=1\nB=2");
	assert_int_equal(notify_send(f->fd, "C=3", &f->manager_fd, 1), 0);
	fd = receive(f->manager_fd, text, sizeof(text));
	assert_string_equal(text, "C=3");
	assert_int_equal(fstat(f->manager_fd, &sent), 0);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(sent.st_ino, got.st_ino);
	close(fd);
}

static void fill(struct fixture *f)
{
	int r;

	while ((r = notify_send(f->fd, "A=1", NULL, 0)) == 0)
		;
	assert_int_equal(r, -EAGAIN);
}

static void test_manager_that_does_not_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(notify_wait_read(f->fd, monotonic_us() + SOON_US),
			 -ETIMEDOUT);
	fill(f);
	assert_int_equal(notify_send_until(f->fd, "A=1", NULL, 0,
					   monotonic_us() + SOON_US),
			 -ETIMEDOUT);
	assert_int_equal(notify_send_until(f->fd, "A=1", NULL, 0, 0),
			 -ETIMEDOUT);
	assert_int_equal(notify_wait_read(f->fd, monotonic_us() + SOON_US),
			 -ETIMEDOUT);
}

static void *read_on(void *user_data)
{
	struct fixture *f = user_data;
	char text[64];
	int fd;

	do {
		fd = receive(f->manager_fd, text, sizeof(text));
		if (fd >= 0)
			close(fd);
	} while (strcmp(text, "BARRIER=1") != 0);
	return NULL;
}

static void test_manager_that_reads_late(void **state)
{
	struct fixture *f = *state;
	uint64_t deadline_us = monotonic_us() + GUARD_US;
	pthread_t thread;

	fill(f);
	assert_int_equal(pthread_create(&thread, NULL, read_on, f), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(notify_send_until(f->fd, "A=1", &f->fd, 1,
						   deadline_us),
				 0);
	assert_int_equal(notify_wait_read(f->fd, deadline_us), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_manager_that_is_gone(void **state)
{
	struct fixture *f = *state;

	close(f->manager_fd);
	f->manager_fd = -1;
	assert_int_equal(notify_send(f->fd, "A=1", NULL, 0), -ECONNREFUSED);
	/* The kernel has taken the connection back. */
	assert_int_equal(notify_wait_read(f->fd, monotonic_us() + GUARD_US),
			 -ENOTCONN);
}

static void test_socket_by_path(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/berth-notify-XXXXXX";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char text[8];

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/socket", dir);
	close(f->fd);
	close(f->manager_fd);
	f->manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(f->manager_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	assert_int_equal(notify_open(&f->fd), 0);
	assert_int_equal(notify_send(f->fd, "A=1", NULL, 0), 0);
	assert_int_equal(receive(f->manager_fd, text, sizeof(text)), -1);
	assert_string_equal(text, "A=1");
	assert_int_equal(unlink(sa.sun_path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_no_manager(void **state)
{
	char path[512];
	int fd = -1;

	(void)state;
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_open(&fd), -ENOENT);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_open(&fd), -ENOENT);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(notify_open(&fd), -EAFNOSUPPORT);
	setenv("NOTIFY_SOCKET", "@berth-nobody-is-here", 1);
	assert_int_equal(notify_open(&fd), -ECONNREFUSED);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_open(&fd), -ENAMETOOLONG);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_manager_that_does_not_read,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_manager_that_reads_late,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_manager_that_is_gone,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_by_path, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_manager, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
