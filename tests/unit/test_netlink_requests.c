// SPDX-License-Identifier: Apache-2.0
/* test_netlink_requests.c - answers of rtnetlink: whole, late, cut off, forged
 *
 * Needs root. The answers are real, in a namespace of its own. recvfrom(2) is
 * wrapped, so that something can go wrong with one of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/util.h"
#include "watcher/netlink_requests.h"

#define NO_SUCH_NSID 12345

struct fixture {
	struct netlink_requests *requests;
	unsigned int found;
	unsigned int max;
};

/* What goes wrong with the next datagram. */
static enum {
	NOTHING,
	INTERRUPTED, /* its messages say that things changed meanwhile */
	LATE, /* it does not come in time */
	TOO_LONG,
	FORGED, /* another process sends an error before it */
	CUT_ERROR, /* an error is shorter than an error is */
} fault;

static void interrupt(struct nlmsghdr *hdr, ssize_t n)
{
	int left = (int)n;

	for (; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left))
		hdr->nlmsg_flags |= NLM_F_DUMP_INTR;
}

/* Puts an error with the number of the last request before the answer. */
static ssize_t put_error(void *buffer, size_t len, uint32_t port,
			 struct sockaddr_nl *from)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} message = {
		.header = { .nlmsg_len = (uint32_t)len,
			    .nlmsg_type = NLMSG_ERROR },
		.error = { .error = -EPERM },
	};

	message.header.nlmsg_seq = ((struct nlmsghdr *)buffer)->nlmsg_seq;
	memcpy(buffer, &message, len);
	*from = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_pid = port };
	return (ssize_t)len;
}

/* In place of the C library's. */
ssize_t recvfrom(int fd, void *restrict buffer, size_t size, int flags,
		 struct sockaddr *restrict from, socklen_t *restrict from_len)
{
	size_t error_len = sizeof(struct nlmsghdr) + sizeof(struct nlmsgerr);
	int now = fault;
	ssize_t n;

	fault = NOTHING;
	if (now == LATE) {
		errno = EAGAIN;
		return -1;
	}
	n = syscall(SYS_recvfrom, fd, buffer, size,
		    now == FORGED || now == CUT_ERROR ? flags | MSG_PEEK
						      : flags,
		    from, from_len);
	if (n < 0)
		return n;
	switch (now) {
	case INTERRUPTED:
		interrupt(buffer, n);
		return n;
	case TOO_LONG:
		return (ssize_t)size + 1;
	case FORGED:
		return put_error(buffer, error_len, (uint32_t)getpid(),
				 (void *)from);
	case CUT_ERROR:
		return put_error(buffer, error_len - 4, 0, (void *)from);
	default:
		return n;
	}
}

static bool found(const struct netlink_item *item, void *user_data)
{
	struct fixture *f = user_data;

	if (item->type == NETLINK_LINK)
		assert_string_equal(item->link.ifname, "lo");
	f->found++;
	return f->found < f->max;
}

static int dump(struct fixture *f, int nsid)
{
	f->found = 0;
	return netlink_dump(f->requests, nsid, found, f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->max = UINT32_MAX;
	fault = NOTHING;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up"), 0);
	assert_int_equal(netlink_requests_open(&f->requests), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)netlink_requests_close(f->requests);
	free(f);
	return 0;
}

/* The next request is answered whole, whatever was left of the last one. */
static void expect_whole(struct fixture *f)
{
	assert_int_equal(dump(f, NETLINK_HOST), 0);
	assert_in_range(f->found, 2, 3); /* lo, 127.0.0.1 and maybe ::1 */
}

static void test_nsids(void **state)
{
	struct fixture *f = *state;
	int fd, nsid, same;
	bool is_new;

	expect_whole(f);
	assert_int_equal(dump(f, NO_SUCH_NSID), -ESTALE);
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(netlink_get_nsid(f->requests, fd, &nsid), 0);
	assert_int_equal(nsid, -1);
	assert_int_equal(netlink_assign_nsid(f->requests, fd, &nsid, &is_new),
			 0);
	assert_true(is_new);
	assert_int_equal(netlink_assign_nsid(f->requests, fd, &same, &is_new),
			 0);
	assert_false(is_new);
	assert_int_equal(same, nsid);
	assert_int_equal(dump(f, nsid), 0);
	assert_in_range(f->found, 2, 3);
	(void)close(fd);
}

static void test_interrupted(void **state)
{
	struct fixture *f = *state;

	fault = INTERRUPTED;
	assert_int_equal(dump(f, NETLINK_HOST), -EINTR);
	assert_in_range(f->found, 2, 3);
	expect_whole(f);
}

static void test_late(void **state)
{
	struct fixture *f = *state;

	fault = LATE;
	assert_int_equal(dump(f, NETLINK_HOST), -ETIMEDOUT);
	expect_whole(f);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;

	fault = TOO_LONG;
	assert_int_equal(dump(f, NETLINK_HOST), -ENOBUFS);
	expect_whole(f);
}

static void test_forged(void **state)
{
	struct fixture *f = *state;

	fault = FORGED;
	expect_whole(f);
}

static void test_malformed_error(void **state)
{
	struct fixture *f = *state;

	fault = CUT_ERROR;
	assert_int_equal(dump(f, NETLINK_HOST), -EBADMSG);
	expect_whole(f);
}

static void test_cut_off(void **state)
{
	struct fixture *f = *state;

	f->max = 1;
	assert_int_equal(dump(f, NETLINK_HOST), -EFBIG);
	f->max = UINT32_MAX;
	expect_whole(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nsids),	  T(test_interrupted), T(test_late),
		T(test_too_long), T(test_forged),      T(test_malformed_error),
		T(test_cut_off),
	};
#undef T

	if (geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root for a namespace\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
