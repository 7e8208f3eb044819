// SPDX-License-Identifier: Apache-2.0
/* fuzz_netlink.c - any bytes as what rtnetlink says, events and answers
 *
 * The first byte of the input says whether the rest is an event or an answer,
 * and what came beside it. Both files are included because they receive
 * datagrams from the kernel only.
 */
/* NOLINTBEGIN(bugprone-suspicious-include) */
#include "watcher/netlink_events.c"
#include "watcher/netlink_requests.c"
/* NOLINTEND(bugprone-suspicious-include) */

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of the first byte of the input. */
#define HAS_NSID 1
#define TRUNCATED 2
#define IS_ANSWER 4

static void check_item(const struct netlink_item *item)
{
	switch (item->type) {
	case NETLINK_LINK:
	case NETLINK_LINK_GONE:
		assert(memchr(item->link.ifname, '\0',
			      sizeof(item->link.ifname)));
		break;
	case NETLINK_ADDRESS:
	case NETLINK_ADDRESS_GONE:
		assert(item->address.addr.family == AF_INET ||
		       item->address.addr.family == AF_INET6);
		break;
	}
}

static void got_item(int nsid, const struct netlink_item *item, void *user_data)
{
	(void)nsid;
	(void)user_data;
	check_item(item);
}

static void got_nsid(int nsid, void *user_data)
{
	(void)user_data;
	assert(nsid >= 0);
}

static void got_loss(void *user_data)
{
	(void)user_data;
}

static bool found_item(const struct netlink_item *item, void *user_data)
{
	(void)user_data;
	check_item(item);
	return item->address.prefix_bits != 0x7f;
}

/* One datagram of the event socket: what came beside it is in @flags. */
static void as_event(unsigned char *bytes, size_t size, uint8_t flags)
{
	static const struct netlink_events_ops ops = { .item = got_item,
						       .nsid_new = got_nsid,
						       .nsid_freed = got_nsid,
						       .lost = got_loss };
	struct netlink_events events = { .ops = &ops };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { bytes, size };
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_flags = flags & TRUNCATED ? MSG_TRUNC : 0,
	};
	struct cmsghdr *cmsg;

	if (flags & HAS_NSID) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_NETLINK;
		cmsg->cmsg_type = NETLINK_LISTEN_ALL_NSID;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	}
	(void)tell_datagram(&events, &msg, (unsigned int)size); /* any */
}

static void as_answer(unsigned char *bytes, size_t size)
{
	struct request request = { .target_nsid = 0,
				   .found = found_item,
				   .found_nsid = got_nsid };
	int r = take_datagram(&request, (void *)bytes, (int)size);

	assert(r <= 0 && (r == 0 || !request.done));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *bytes;

	/* The kernel sends no empty datagrams. */
	if (size < 2 || size > NETLINK_DATAGRAM_BYTES)
		return 0;
	bytes = malloc(size - 1); /* aligned, and nothing lies behind it */
	assert(bytes);
	memcpy(bytes, data + 1, size - 1);
	if (data[0] & IS_ANSWER)
		as_answer(bytes, size - 1);
	else
		as_event(bytes, size - 1, data[0]);
	free(bytes);
	return 0;
}
