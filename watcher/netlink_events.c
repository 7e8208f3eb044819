// SPDX-License-Identifier: Apache-2.0
/* netlink_events.c - what rtnetlink tells of every namespace with an nsid
 *
 * Theory of operation: one socket hears the multicast groups of every
 * namespace that has an nsid in ours (NETLINK_LISTEN_ALL_NSID), whatever the
 * number of namespaces. The nsid comes beside the datagram, as a control
 * message; a datagram without one is about our own namespace.
 *
 * One recvmmsg(2) reads several datagrams, because the call that finds nothing
 * more would delay the listener that an event asks for. A short batch was
 * the end of the queue, or of what comes before an error, which the kernel
 * keeps for the next call (recvmmsg(2)). All of a batch is told before the
 * handler returns: the socket may have nothing more to wake it for the rest.
 *
 * When the queue is full the kernel drops every event until the queue is
 * empty, and says so once (ENOBUFS; NETLINK_S_CONGESTED). What is listed before
 * that goes stale unheard. So after a loss the queue is emptied first, up to as
 * many messages as it can hold, and the loss is told then.
 *
 * Messages of the group RTNLGRP_NSID about other namespaces' nsids arrive, too,
 * from those namespaces; they mean nothing here and are dropped.
 */
#include "watcher/netlink_events.h"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"
#include "watcher/netlink_socket.h"

#define EVENTS_PER_WAKE 256 /* then others have their turn */
#define EVENTS_PER_READ 16

/* The kernel doubles the size of the queue; a message takes this at least. */
#define QUEUED_BYTES_MIN 512

/* Where one datagram is received. */
struct datagram {
	struct sockaddr_nl from;
	struct iovec iov;
	char control[CMSG_SPACE(sizeof(int)) * 4];
};

/*
 * @queue_max:	messages that the socket's queue can hold
 * @drain:	after a loss: messages to be read, at most, before it is told
 * @buffers:	of the datagrams, EVENTS_PER_READ * NETLINK_DATAGRAM_BYTES
 */
struct netlink_events {
	struct nl_sock *sock;
	struct loop_source *source;
	const struct netlink_events_ops *ops;
	void *user_data;
	unsigned long count;
	size_t queue_max;
	size_t drain;
	struct mmsghdr msgs[EVENTS_PER_READ];
	struct datagram datagrams[EVENTS_PER_READ];
	unsigned char *buffers;
};

/* Points @msgs at the buffers, once. */
static void prepare_batch(struct netlink_events *events)
{
	for (size_t i = 0; i < EVENTS_PER_READ; i++) {
		struct datagram *datagram = &events->datagrams[i];

		datagram->iov = (struct iovec){
			.iov_base =
				events->buffers + i * NETLINK_DATAGRAM_BYTES,
			.iov_len = NETLINK_DATAGRAM_BYTES,
		};
		events->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &datagram->from,
			.msg_iov = &datagram->iov,
			.msg_iovlen = 1,
			.msg_control = datagram->control,
		};
	}
}

/* Return: how many datagrams were read; -errno of recvmmsg(2). */
static int read_batch(struct netlink_events *events)
{
	int n;

	do {
		/* The kernel writes the lengths that it used. */
		for (size_t i = 0; i < EVENTS_PER_READ; i++) {
			struct msghdr *msg = &events->msgs[i].msg_hdr;

			msg->msg_namelen = sizeof(struct sockaddr_nl);
			msg->msg_controllen =
				sizeof(events->datagrams[i].control);
		}
		n = recvmmsg(nl_socket_get_fd(events->sock), events->msgs,
			     EVENTS_PER_READ, 0, NULL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Return: the nsid that came beside the datagram, or NETLINK_HOST. */
static int nsid_beside(struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	int nsid;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_NETLINK ||
		    cmsg->cmsg_type != NETLINK_LISTEN_ALL_NSID)
			continue;
		memcpy(&nsid, CMSG_DATA(cmsg), sizeof(nsid));
		return nsid;
	}
	return NETLINK_HOST;
}

static void tell_nsid(const struct netlink_events *events, struct nlmsghdr *hdr)
{
	int nsid = netlink_message_nsid(hdr);

	if (nsid < 0)
		return;
	if (hdr->nlmsg_type == RTM_NEWNSID)
		events->ops->nsid_new(nsid, events->user_data);
	else
		events->ops->nsid_freed(nsid, events->user_data);
}

static void tell_message(struct netlink_events *events, struct nlmsghdr *hdr,
			 int nsid)
{
	struct netlink_item item;
	int target;

	events->count++;
	if (hdr->nlmsg_type == RTM_NEWNSID || hdr->nlmsg_type == RTM_DELNSID) {
		if (nsid == NETLINK_HOST)
			tell_nsid(events, hdr);
	} else if (netlink_message_item(hdr, &item, &target)) {
		events->ops->item(nsid, &item, events->user_data);
	}
}

/* Tells what a datagram of @len bytes holds, if the kernel has sent it.
 * Return: 0; -ENOBUFS: the datagram is cut off, which is as good as lost. */
static int tell_datagram(struct netlink_events *events, struct msghdr *msg,
			 unsigned int len)
{
	const struct sockaddr_nl *from = msg->msg_name;
	struct nlmsghdr *hdr = msg->msg_iov->iov_base;
	int left = (int)len, nsid;

	if (msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -ENOBUFS;
	if (from->nl_pid != 0)
		return 0;
	nsid = nsid_beside(msg);
	for (; nlmsg_ok(hdr, left); hdr = nlmsg_next(hdr, &left))
		tell_message(events, hdr, nsid);
	return 0;
}

/* Tells what @n datagrams hold. Return: as tell_datagram(). */
static int tell_batch(struct netlink_events *events, int n)
{
	int r = 0;

	for (int i = 0; i < n; i++) {
		if (tell_datagram(events, &events->msgs[i].msg_hdr,
				  events->msgs[i].msg_len) < 0)
			r = -ENOBUFS;
	}
	return r;
}

/* Another @n messages were read after a loss; @is_end: the queue is empty. */
static void drained(struct netlink_events *events, size_t n, bool is_end)
{
	events->drain -= n < events->drain ? n : events->drain;
	if (is_end)
		events->drain = 0;
	if (events->drain == 0)
		events->ops->lost(events->user_data);
}

static void events_handler(uint32_t epoll_events, void *user_data)
{
	struct netlink_events *events = user_data;
	size_t n_told = 0;
	bool is_end;

	(void)epoll_events; /* recvmmsg(2) returns what is wrong */
	do {
		int n = read_batch(events);

		is_end = n < EVENTS_PER_READ && n != -ENOBUFS;
		if (n == -ENOBUFS || tell_batch(events, n) < 0)
			events->drain = events->queue_max;
		else if (n > 0)
			n_told += (size_t)n;
		if (events->drain > 0)
			drained(events, n > 0 ? (size_t)n : 0, is_end);
	} while (!is_end && (n_told < EVENTS_PER_WAKE || events->drain > 0));
}

static int open_events(struct netlink_events *events, size_t buffer_bytes)
{
	const int bytes = buffer_bytes > INT32_MAX ? INT32_MAX
						   : (int)buffer_bytes;
	int r = netlink_socket_open(&events->sock);

	if (r < 0)
		return r;
	if (nl_socket_set_nonblocking(events->sock) < 0)
		return -EIO;
	if (setsockopt(nl_socket_get_fd(events->sock), SOL_SOCKET,
		       SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		return -errno;
	events->queue_max = (size_t)bytes * 2 / QUEUED_BYTES_MIN + 1;
	r = netlink_socket_set(events->sock, NETLINK_LISTEN_ALL_NSID);
	if (r < 0)
		return r;
	if (nl_socket_add_memberships(events->sock, RTNLGRP_LINK,
				      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_NSID, 0) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

int netlink_events_open(struct loop *loop, size_t buffer_bytes,
			const struct netlink_events_ops *ops, void *user_data,
			struct netlink_events **ret_events)
{
	struct netlink_events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return -ENOMEM;
	events->ops = ops;
	events->user_data = user_data;
	events->buffers =
		malloc((size_t)EVENTS_PER_READ * NETLINK_DATAGRAM_BYTES);
	r = events->buffers ? open_events(events, buffer_bytes) : -ENOMEM;
	if (r == 0)
		r = loop_add(loop, nl_socket_get_fd(events->sock), EPOLLIN,
			     events_handler, events, &events->source);
	if (r < 0) {
		netlink_events_close(events);
		return r;
	}
	prepare_batch(events);
	*ret_events = events;
	return 0;
}

struct netlink_events *netlink_events_close(struct netlink_events *events)
{
	if (!events)
		return NULL;
	loop_source_free(events->source);
	nl_socket_free(events->sock); /* NULL is fine */
	free(events->buffers);
	free(events);
	return NULL;
}

unsigned long netlink_events_count(const struct netlink_events *events)
{
	return events->count;
}
