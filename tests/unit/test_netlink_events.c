// SPDX-License-Identifier: Apache-2.0
/* test_netlink_events.c - reading the event socket: turns, losses, malformed
 * datagrams
 *
 * Needs root. A real event in a namespace of its own wakes the reader once.
 * The test decides what the reader then gets: recvmmsg(2) is wrapped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/util.h"
#include "watcher/netlink_events.h"

#define PER_WAKE 256 /* as in watcher/netlink_events.c */
#define LOST (-1)
#define CUT_OFF (-2)
#define FOREIGN (-3)
#define DOUBLE (-4)

struct fixture {
	struct loop *loop;
	struct netlink_events *events;
	unsigned int items, items_when_lost, lost;
};

/* What the wrapped calls give: so many datagrams of one message; LOST; or a
 * datagram that is CUT_OFF, is of another process (FOREIGN), or has two
 * messages (DOUBLE). A 0 ends it, from which on there is nothing. */
static const int *script;

struct link_message {
	struct nlmsghdr header;
	struct ifinfomsg info;
	struct rtattr attr;
	char ifname[8];
};

static void fill(struct mmsghdr *message_header)
{
	struct msghdr *header = &message_header->msg_hdr;
	static const struct link_message message = {
		.header = { .nlmsg_len = sizeof(message),
			    .nlmsg_type = RTM_NEWLINK },
		.info = { .ifi_family = AF_UNSPEC, .ifi_index = 7 },
		.attr = { .rta_len = RTA_LENGTH(sizeof(message.ifname)),
			  .rta_type = IFLA_IFNAME },
		.ifname = "eth0",
	};
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	memcpy(header->msg_iov->iov_base, &message, sizeof(message));
	memcpy(header->msg_name, &kernel, sizeof(kernel));
	header->msg_namelen = sizeof(kernel);
	header->msg_controllen = 0;
	header->msg_flags = 0;
	message_header->msg_len = sizeof(message);
}

static void spoil(struct mmsghdr *message, int how)
{
	struct link_message *first;

	fill(message);
	first = message->msg_hdr.msg_iov->iov_base;
	if (how == CUT_OFF)
		message->msg_hdr.msg_flags = MSG_TRUNC;
	if (how == FOREIGN)
		((struct sockaddr_nl *)message->msg_hdr.msg_name)->nl_pid = 1;
	if (how == DOUBLE) {
		first[1] = first[0];
		message->msg_len = sizeof(first[0]) + sizeof(first[1]);
	}
}

/* Nothing that is really there shall wake the reader again. */
static void drain(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		;
}

/* In place of the C library's. */
int recvmmsg(int fd, struct mmsghdr *messages, unsigned int n_max, int flags,
	     struct timespec *timeout)
{
	int n = *script;

	(void)flags;
	(void)timeout;
	drain(fd);
	errno = n == LOST ? ENOBUFS : EAGAIN;
	if (n == 0)
		return -1;
	script++;
	if (n == LOST)
		return -1;
	if (n < 0) {
		spoil(messages, n);
		return 1;
	}
	assert_in_range(n, 1, n_max);
	for (int i = 0; i < n; i++)
		fill(&messages[i]);
	return n;
}

static void item(int nsid, const struct netlink_item *item, void *user_data)
{
	struct fixture *f = user_data;

	assert_int_equal(nsid, NETLINK_HOST);
	assert_int_equal(item->type, NETLINK_LINK);
	assert_string_equal(item->link.ifname, "eth0");
	f->items++;
}

static void nsid_changed(int nsid, void *user_data)
{
	(void)nsid;
	(void)user_data;
}

static void lost(void *user_data)
{
	struct fixture *f = user_data;

	f->lost++;
	f->items_when_lost = f->items;
}

/* In the namespace that the test is in. */
static void cause_event(bool up)
{
	struct ifreq request = { .ifr_name = "lo",
				 .ifr_flags = up ? IFF_UP : 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	(void)close(fd);
}

static bool quit_after(void *user_data)
{
	struct fixture *f = user_data;

	loop_quit(f->loop, 0);
	return false;
}

static int setup(void **state)
{
	static const struct netlink_events_ops ops = {
		.item = item,
		.nsid_new = nsid_changed,
		.nsid_freed = nsid_changed,
		.lost = lost,
	};
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(
		netlink_events_open(f->loop, 1 << 20, &ops, f, &f->events), 0);
	loop_set_after(f->loop, quit_after, f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)netlink_events_close(f->events);
	(void)loop_free(f->loop);
	free(f);
	return 0;
}

/* Wakes the reader once, which then reads what @steps say. */
static void wake(struct fixture *f, const int *steps)
{
	script = steps;
	cause_event(/* up= */ true);
	assert_int_equal(loop_run(f->loop), 0);
	cause_event(/* up= */ false);
}

static void test_reads_to_the_end(void **state)
{
	static const int steps[] = { 16, 16, 5, 0 };
	struct fixture *f = *state;

	wake(f, steps);
	assert_int_equal(f->items, 37);
	assert_int_equal(f->lost, 0);
	assert_int_equal(*script, 0);
}

/* So many that others have their turn before the end. The kernel has the rest.
 */
static void test_others_have_their_turn(void **state)
{
	int steps[PER_WAKE / 16 + 3];
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps) - 1; i++)
		steps[i] = 16;
	steps[ARRAY_SIZE(steps) - 1] = 0;
	wake(f, steps);
	assert_int_equal(f->items, PER_WAKE);
	assert_int_equal(*script, 16);
}

/* The loss takes one of the turns, so that the last one ends within a batch:
 * nothing would wake the reader for what it has of it in hand, nor to tell of
 * the loss. */
static void test_nothing_stays_in_hand_after_a_loss(void **state)
{
	int steps[PER_WAKE / 16 + 2] = { LOST };
	struct fixture *f = *state;

	for (size_t i = 1; i < ARRAY_SIZE(steps) - 1; i++)
		steps[i] = 16;
	steps[ARRAY_SIZE(steps) - 1] = 0;
	wake(f, steps);
	assert_int_equal(f->items, PER_WAKE);
	assert_int_equal(*script, 0); /* the queue is empty */
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->items_when_lost, PER_WAKE);
}

/* The same loss told by a short batch before it. */
static void test_loss_behind_a_short_batch(void **state)
{
	static const int steps[] = { 16, LOST, 16, 3, 0 };
	struct fixture *f = *state;

	wake(f, steps);
	assert_int_equal(f->items, 35);
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->items_when_lost, 35);
}

/* What was cut off is lost; nothing of it is believed. */
static void test_cut_off(void **state)
{
	static const int steps[] = { CUT_OFF, 0 };
	struct fixture *f = *state;

	wake(f, steps);
	assert_int_equal(f->items, 0);
	assert_int_equal(f->lost, 1);
}

static void test_foreign(void **state)
{
	static const int steps[] = { FOREIGN, 0 };
	struct fixture *f = *state;

	wake(f, steps);
	assert_int_equal(f->items, 0);
	assert_int_equal(f->lost, 0);
}

static void test_two_messages_in_one_datagram(void **state)
{
	static const int steps[] = { DOUBLE, 0 };
	struct fixture *f = *state;

	wake(f, steps);
	assert_int_equal(f->items, 2);
	assert_int_equal(netlink_events_count(f->events), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_reads_to_the_end),
		T(test_others_have_their_turn),
		T(test_nothing_stays_in_hand_after_a_loss),
		T(test_loss_behind_a_short_batch),
		T(test_cut_off),
		T(test_foreign),
		T(test_two_messages_in_one_datagram),
	};
#undef T

	if (geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root for a namespace\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
