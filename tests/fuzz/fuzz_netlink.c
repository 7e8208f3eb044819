// SPDX-License-Identifier: Apache-2.0
/* fuzz_netlink.c - any bytes as what rtnetlink says, events and answers
 *
 * libnl takes the bytes apart and calls the handlers, as it does with the
 * kernel's. The first byte says what came beside them. The file is included
 * because nothing outside has to do with a single message.
 */
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "watcher/netlink.c"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_size;
static uint8_t input_flags;

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

/* The input once, then nothing more. */
static int receive_input(struct nl_sock *sock, struct sockaddr_nl *ret_from,
			 unsigned char **ret_buffer, struct ucred **creds)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct datagram datagram = { 0 };
	struct msghdr msg;
	struct cmsghdr *cmsg;
	size_t n = input_size;

	(void)sock;
	(void)creds;
	if (!input) {
		received.error = EAGAIN;
		return -NLE_FAILURE;
	}
	prepare(&datagram, receive_buffers[0], &msg);
	if (n > MESSAGE_BYTES)
		n = MESSAGE_BYTES;
	memcpy(receive_buffers[0], input, n);
	input = NULL;
	msg.msg_name = &kernel;
	msg.msg_controllen = 0;
	if (input_flags & 1) {
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_NETLINK;
		cmsg->cmsg_type = NETLINK_LISTEN_ALL_NSID;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memset(CMSG_DATA(cmsg), 0, sizeof(int));
	}
	if (input_flags & 2)
		msg.msg_flags |= MSG_TRUNC;
	return hand_out(&msg, n, ret_from, ret_buffer);
}

static struct nl_sock *fuzz_socket(void)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_cb *cb;

	assert(sock);
	cb = nl_socket_get_cb(sock);
	nl_cb_overwrite_recv(cb, receive_input);
	nl_cb_put(cb);
	nl_socket_disable_seq_check(sock);
	return sock;
}

static void as_events(void)
{
	static const struct netlink_ops ops = { .item = got_item,
						.nsid_new = got_nsid,
						.nsid_freed = got_nsid,
						.lost = got_loss };
	struct netlink nl = { .ops = &ops, .queue_max = 4 };

	nl.events = fuzz_socket();
	assert(nl_socket_modify_cb(nl.events, NL_CB_VALID, NL_CB_CUSTOM,
				   event_handler, &nl) == 0);
	events_handler(EPOLLIN, &nl);
	nl_socket_free(nl.events);
}

static void as_answer(void)
{
	struct request request = { .target_nsid = 0,
				   .found = found_item,
				   .found_nsid = got_nsid };
	struct nl_sock *sock = fuzz_socket();

	assert(nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM,
				   answer_handler, &request) == 0);
	assert(nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM,
				   finish_handler, &request) == 0);
	assert(nl_socket_modify_cb(sock, NL_CB_ACK, NL_CB_CUSTOM, ack_handler,
				   &request) == 0);
	assert(nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, error_handler,
				       &request) == 0);
	while (!request.done && !request.cut_off && input)
		(void)nl_recvmsgs_default(sock); /* see request_wait() */
	nl_socket_free(sock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2) /* the kernel sends no empty datagrams */
		return 0;
	input_flags = data[0];
	input = data + 1;
	input_size = size - 1;
	if (input_flags & 4)
		as_answer();
	else
		as_events();
	return 0;
}
