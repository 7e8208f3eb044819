// SPDX-License-Identifier: Apache-2.0
/* netlink.c - all contact with rtnetlink: events and dumps of any namespace
 *
 * Theory of operation: two sockets, whatever the number of namespaces.
 *
 * The event socket hears the multicast groups of every namespace that has an
 * nsid in ours (NETLINK_LISTEN_ALL_NSID). The nsid comes as a control message;
 * without one the message is about our own namespace. libnl's own receive
 * function has no room for control messages and fails on them for ever, so
 * receive_event_handler() replaces it; libnl still parses.
 *
 * The request socket assigns nsids and makes dumps. It is a socket of its own
 * so that its answers neither wait behind events nor get lost among them. The
 * kernel answers while it handles the request, so waiting for the answer does
 * not block; a time limit guards against the case that it got lost after all.
 * When an answer is not read to its end, the socket is replaced.
 *
 * A dump with a target nsid needs NETLINK_GET_STRICT_CHK: without it the
 * kernel ignores the attribute and lists our own namespace. The target echoed
 * in each message is compared all the same.
 *
 * Messages of the group NSID about other namespaces' nsids arrive too, from
 * those namespaces; they mean nothing here and are dropped.
 */
#include "watcher/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"

#define MESSAGE_BYTES 65536 /* dumps come in up to 32 KiB, events in 4 */
#define EVENTS_PER_WAKE 256 /* then others have their turn */
#define EVENTS_PER_READ 16
#define ANSWER_TIMEOUT_S 2

struct netlink {
	struct nl_sock *events, *requests;
	struct loop_source *source;
	const struct netlink_ops *ops;
	void *user_data;
	unsigned long event_count;
	size_t queue_max; /* messages that the event socket can hold */
	size_t drain; /* after a loss: messages to be read before it is told */
};

/* One message as recvmsg(2) gives it. */
struct datagram {
	struct sockaddr_nl from;
	struct iovec iov;
	char control[CMSG_SPACE(sizeof(int)) * 4];
};

/* What the last receive function saw beside the message. */
struct received {
	int nsid;
	int error;
	bool has_nsid;
};

/* The request that is being answered. */
struct request {
	uint32_t seq;
	int target_nsid;
	bool done;
	bool cut_off;
	int error;
	int nsid;
	void (*found_nsid)(int nsid, void *user_data);
	bool (*found)(const struct netlink_item *item, void *user_data);
	void *user_data;
};

/* What nl_cb_overwrite_recv() takes. */
typedef int receive_function(struct nl_sock *sock, struct sockaddr_nl *ret_from,
			     unsigned char **ret_buffer, struct ucred **creds);

/* libnl's receive hook carries no user data; only one thread receives. */
static struct received received;
static unsigned char receive_buffers[EVENTS_PER_READ][MESSAGE_BYTES];

/* What one recvmmsg(2) of the event socket gave, and how much is handed out. */
static struct {
	struct mmsghdr msgs[EVENTS_PER_READ];
	struct datagram datagrams[EVENTS_PER_READ];
	int n, next;
} batch;

static void read_nsid(struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	received.has_nsid = false;
	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_NETLINK ||
		    cmsg->cmsg_type != NETLINK_LISTEN_ALL_NSID)
			continue;
		memcpy(&received.nsid, CMSG_DATA(cmsg), sizeof(received.nsid));
		received.has_nsid = true;
	}
}

static void prepare(struct datagram *datagram, unsigned char *buffer,
		    struct msghdr *ret_msg)
{
	datagram->iov = (struct iovec){ buffer, MESSAGE_BYTES };
	*ret_msg = (struct msghdr){
		.msg_name = &datagram->from,
		.msg_namelen = sizeof(datagram->from),
		.msg_iov = &datagram->iov,
		.msg_iovlen = 1,
		.msg_control = datagram->control,
		.msg_controllen = sizeof(datagram->control),
	};
}

/* Gives libnl one message. Return: as a receive function of nl_cb */
static int hand_out(struct msghdr *msg, size_t len,
		    struct sockaddr_nl *ret_from, unsigned char **ret_buffer)
{
	const struct sockaddr_nl *from = msg->msg_name;

	if (msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		received.error = ENOBUFS; /* as good as lost */
		return -NLE_FAILURE;
	}
	received.error = 0;
	*ret_from = *from;
	if (from->nl_pid != 0) /* not the kernel */
		return 0;
	read_nsid(msg);
	*ret_buffer = malloc(len);
	if (!*ret_buffer) {
		received.error = ENOBUFS;
		return -NLE_NOMEM;
	}
	memcpy(*ret_buffer, msg->msg_iov->iov_base, len);
	return (int)len;
}

/* For nl_cb_overwrite_recv(): the buffer is libnl's to free. */
static int receive_handler(struct nl_sock *sock, struct sockaddr_nl *ret_from,
			   unsigned char **ret_buffer, struct ucred **creds)
{
	struct datagram datagram;
	struct msghdr msg;
	ssize_t n;

	(void)creds; /* not asked for: the sender's port says enough */
	do {
		prepare(&datagram, receive_buffers[0], &msg);
		n = recvmsg(nl_socket_get_fd(sock), &msg, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		received.error = errno;
		return -NLE_FAILURE;
	}
	return hand_out(&msg, (size_t)n, ret_from, ret_buffer);
}

static int read_batch(int fd)
{
	int n;

	do {
		for (size_t i = 0; i < EVENTS_PER_READ; i++)
			prepare(&batch.datagrams[i], receive_buffers[i],
				&batch.msgs[i].msg_hdr);
		n = recvmmsg(fd, batch.msgs, EVENTS_PER_READ, 0, NULL);
	} while (n < 0 && errno == EINTR);
	batch.next = 0;
	batch.n = n < 0 ? 0 : n;
	return n < 0 ? -errno : 0;
}

/*
 * The same for the event socket, which reads several at once: the call that
 * finds nothing more would delay the listener that an event asks for. A short
 * batch was the end of the queue, or of what comes before an error, which the
 * kernel keeps for the next call, see recvmmsg(2).
 */
static int receive_event_handler(struct nl_sock *sock,
				 struct sockaddr_nl *ret_from,
				 unsigned char **ret_buffer,
				 struct ucred **creds)
{
	struct mmsghdr *msg;
	int r = 0;

	(void)creds;
	if (batch.next == batch.n) {
		if (batch.n > 0 && batch.n < EVENTS_PER_READ) {
			batch.n = batch.next = 0;
			r = -EAGAIN;
		} else {
			r = read_batch(nl_socket_get_fd(sock));
		}
	}
	if (r < 0) {
		received.error = -r;
		return -NLE_FAILURE;
	}
	msg = &batch.msgs[batch.next++];
	return hand_out(&msg->msg_hdr, msg->msg_len, ret_from, ret_buffer);
}

static bool parse_link(struct nlmsghdr *hdr, struct netlink_item *ret_item,
		       int *ret_target)
{
	const struct ifinfomsg *info = nlmsg_data(hdr);
	struct nlattr *attr;

	/* Bridges tell about their ports under their own family: a port that
	 * leaves its bridge is no interface that is gone. */
	if (!nlmsg_valid_hdr(hdr, sizeof(*info)) ||
	    info->ifi_family != AF_UNSPEC)
		return false;
	*ret_item = (struct netlink_item){
		.type = hdr->nlmsg_type == RTM_NEWLINK ? NETLINK_LINK
						       : NETLINK_LINK_GONE,
		.link.ifindex = (uint32_t)info->ifi_index,
	};
	attr = nlmsg_find_attr(hdr, sizeof(*info), IFLA_TARGET_NETNSID);
	if (attr && nla_len(attr) >= (int)sizeof(int32_t))
		*ret_target = nla_get_s32(attr);
	attr = nlmsg_find_attr(hdr, sizeof(*info), IFLA_IFNAME);
	if (attr)
		(void)nla_strlcpy(ret_item->link.ifname, attr,
				  sizeof(ret_item->link.ifname));
	return attr || ret_item->type == NETLINK_LINK_GONE;
}

static bool parse_ip(const struct nlattr *attr, uint8_t family,
		     struct ip_addr *ret)
{
	int bytes = family == AF_INET ? 4 : 16;

	if (nla_len(attr) != bytes)
		return false;
	*ret = (struct ip_addr){ .family = family };
	memcpy(ret->bytes, nla_data(attr), (size_t)bytes);
	return true;
}

static bool parse_address(struct nlmsghdr *hdr, struct netlink_item *ret_item,
			  int *ret_target)
{
	static struct nla_policy policy[IFA_MAX + 1] = {
		[IFA_FLAGS] = { .type = NLA_U32 },
		[IFA_TARGET_NETNSID] = { .type = NLA_U32 },
	};
	struct nlattr *attrs[IFA_MAX + 1], *local;
	const struct ifaddrmsg *info = nlmsg_data(hdr);
	struct netns_address *address = &ret_item->address;

	if (!nlmsg_valid_hdr(hdr, sizeof(*info)) ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
	    nlmsg_parse(hdr, sizeof(*info), attrs, IFA_MAX, policy) < 0)
		return false;
	*ret_item = (struct netlink_item){
		.type = hdr->nlmsg_type == RTM_NEWADDR ? NETLINK_ADDRESS
						       : NETLINK_ADDRESS_GONE,
		.has_peer = attrs[IFA_LOCAL] && attrs[IFA_ADDRESS] &&
			    nla_memcmp(attrs[IFA_LOCAL],
				       nla_data(attrs[IFA_ADDRESS]),
				       nla_len(attrs[IFA_ADDRESS])) != 0,
	};
	address->prefix_bits = info->ifa_prefixlen;
	address->scope = info->ifa_scope;
	address->ifindex = info->ifa_index;
	address->flags = attrs[IFA_FLAGS] ? nla_get_u32(attrs[IFA_FLAGS])
					  : info->ifa_flags;
	if (attrs[IFA_TARGET_NETNSID])
		*ret_target = nla_get_s32(attrs[IFA_TARGET_NETNSID]);
	/* With a peer, IFA_ADDRESS is the peer's. */
	local = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	return local && parse_ip(local, info->ifa_family, &address->addr);
}

/* Return: is it an interface or an address? */
static bool parse_item(struct nlmsghdr *hdr, struct netlink_item *ret_item,
		       int *ret_target)
{
	*ret_target = NETLINK_HOST;
	switch (hdr->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return parse_link(hdr, ret_item, ret_target);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return parse_address(hdr, ret_item, ret_target);
	default:
		return false;
	}
}

static int parse_nsid(struct nlmsghdr *hdr)
{
	struct nlattr *attr =
		nlmsg_find_attr(hdr, sizeof(struct rtgenmsg), NETNSA_NSID);

	if (!attr || nla_len(attr) < (int)sizeof(int32_t))
		return NETNSA_NSID_NOT_ASSIGNED;
	return nla_get_s32(attr);
}

static int event_handler(struct nl_msg *msg, void *user_data)
{
	struct netlink *nl = user_data;
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct netlink_item item;
	int nsid, target;

	nl->event_count++;
	if (hdr->nlmsg_type == RTM_NEWNSID || hdr->nlmsg_type == RTM_DELNSID) {
		nsid = parse_nsid(hdr);
		if (received.has_nsid || nsid < 0)
			return NL_OK;
		if (hdr->nlmsg_type == RTM_NEWNSID)
			nl->ops->nsid_new(nsid, nl->user_data);
		else
			nl->ops->nsid_freed(nsid, nl->user_data);
		return NL_OK;
	}
	nsid = received.has_nsid ? received.nsid : NETLINK_HOST;
	if (parse_item(hdr, &item, &target))
		nl->ops->item(nsid, &item, nl->user_data);
	return NL_OK;
}

static void events_handler(uint32_t events, void *user_data)
{
	struct netlink *nl = user_data;

	(void)events; /* an error is read by recvmmsg(2) */
	/* Never with messages left in our hands, or a loss untold: the socket
	 * itself may have nothing more that would wake us. */
	for (int i = 0;
	     i < EVENTS_PER_WAKE || batch.next < batch.n || nl->drain > 0;
	     i++) {
		int r = nl_recvmsgs_default(nl->events);

		/* Until its queue is empty the kernel drops every event, and
		 * does not say so again (NETLINK_S_CONGESTED). What is listed
		 * before that goes stale unheard. */
		if (received.error == ENOBUFS || r == -NLE_NOMEM) {
			nl->drain = nl->queue_max;
			continue;
		}
		if (nl->drain > 0 &&
		    (received.error == EAGAIN || --nl->drain == 0)) {
			nl->drain = 0;
			nl->ops->lost(nl->user_data);
		}
		if (received.error)
			return;
	}
}

static int answer_handler(struct nl_msg *msg, void *user_data)
{
	struct request *request = user_data;
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct netlink_item item;
	int target;

	if (hdr->nlmsg_seq != request->seq)
		return NL_SKIP;
	if (hdr->nlmsg_type == RTM_NEWNSID) {
		request->nsid = parse_nsid(hdr);
		if (request->found_nsid && request->nsid >= 0)
			request->found_nsid(request->nsid, request->user_data);
		return NL_OK;
	}
	if (!request->found || !parse_item(hdr, &item, &target))
		return NL_OK;
	if (target != request->target_nsid) {
		request->error = -ESTALE;
		request->cut_off = true;
		return NL_STOP;
	}
	if (!request->found(&item, request->user_data)) {
		request->error = -EFBIG;
		request->cut_off = true;
		return NL_STOP;
	}
	return NL_OK;
}

static int finish_handler(struct nl_msg *msg, void *user_data)
{
	struct request *request = user_data;
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	int error;

	if (hdr->nlmsg_seq != request->seq)
		return NL_SKIP;
	/* A dump that fails half-way says so in its last message only. */
	if (nlmsg_datalen(hdr) >= (int)sizeof(error)) {
		memcpy(&error, nlmsg_data(hdr), sizeof(error));
		if (error < 0)
			request->error = error;
	}
	request->done = true;
	return NL_STOP;
}

static int ack_handler(struct nl_msg *msg, void *user_data)
{
	struct request *request = user_data;

	if (nlmsg_hdr(msg)->nlmsg_seq != request->seq)
		return NL_SKIP;
	request->done = true;
	return NL_STOP;
}

static int error_handler(struct sockaddr_nl *from, struct nlmsgerr *error,
			 void *user_data)
{
	struct request *request = user_data;

	(void)from; /* the kernel, see receive_handler() */
	if (error->msg.nlmsg_seq != request->seq)
		return NL_SKIP;
	request->error = error->error;
	request->done = true;
	return NL_STOP;
}

static int set_flag(struct nl_sock *sock, int option)
{
	const int one = 1;

	if (setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, option, &one,
		       sizeof(one)) < 0)
		return -errno;
	return 0;
}

/* A bound socket that receives with @receive. */
static int open_socket(receive_function *receive, struct nl_sock **ret_sock)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_cb *cb;
	int r;

	if (!sock)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_ROUTE) < 0) {
		r = errno ? -errno : -EIO;
		nl_socket_free(sock);
		return r;
	}
	cb = nl_socket_get_cb(sock); /* takes a reference */
	nl_cb_overwrite_recv(cb, receive);
	nl_cb_put(cb);
	nl_socket_disable_seq_check(sock); /* request_wait() compares */
	*ret_sock = sock;
	return 0;
}

static int open_requests(struct nl_sock **ret_sock)
{
	const struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	struct nl_sock *sock = NULL;
	int r = open_socket(receive_handler, &sock);

	if (r < 0)
		return r;
	r = set_flag(sock, NETLINK_GET_STRICT_CHK);
	if (r < 0)
		log_error_errno(r, "the kernel cannot list another namespace's "
				   "addresses (NETLINK_GET_STRICT_CHK, "
				   "Linux 4.20)");
	if (r == 0 && setsockopt(nl_socket_get_fd(sock), SOL_SOCKET,
				 SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		r = -errno;
	if (r < 0) {
		nl_socket_free(sock);
		return r;
	}
	*ret_sock = sock;
	return 0;
}

static int open_events(size_t buffer_bytes, struct netlink *nl)
{
	const int bytes = buffer_bytes > INT32_MAX ? INT32_MAX
						   : (int)buffer_bytes;
	int r = open_socket(receive_event_handler, &nl->events);

	if (r < 0)
		return r;
	batch.n = batch.next = 0; /* of a socket before this one */
	r = nl_socket_set_nonblocking(nl->events);
	if (r < 0)
		return -EIO;
	if (setsockopt(nl_socket_get_fd(nl->events), SOL_SOCKET, SO_RCVBUFFORCE,
		       &bytes, sizeof(bytes)) < 0)
		return -errno;
	/* The kernel doubles it, and a message takes half a KiB at least. */
	nl->queue_max = (size_t)bytes * 2 / 512 + 1;
	r = set_flag(nl->events, NETLINK_LISTEN_ALL_NSID);
	if (r < 0)
		return r;
	r = nl_socket_modify_cb(nl->events, NL_CB_VALID, NL_CB_CUSTOM,
				event_handler, nl);
	if (r < 0)
		return -ENOMEM;
	if (nl_socket_add_memberships(nl->events, RTNLGRP_LINK,
				      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_NSID, 0) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

int netlink_open(struct loop *loop, size_t buffer_bytes,
		 const struct netlink_ops *ops, void *user_data,
		 struct netlink **ret_netlink)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int r;

	if (!nl)
		return -ENOMEM;
	nl->ops = ops;
	nl->user_data = user_data;
	r = open_events(buffer_bytes, nl);
	if (r == 0)
		r = open_requests(&nl->requests);
	if (r == 0)
		r = loop_add(loop, nl_socket_get_fd(nl->events), EPOLLIN,
			     events_handler, nl, &nl->source);
	if (r < 0) {
		netlink_close(nl);
		return r;
	}
	*ret_netlink = nl;
	return 0;
}

struct netlink *netlink_close(struct netlink *nl)
{
	if (!nl)
		return NULL;
	loop_source_free(nl->source);
	nl_socket_free(nl->events); /* NULL is fine */
	nl_socket_free(nl->requests);
	free(nl);
	return NULL;
}

/* The rest of an answer is still coming, or never will. */
static void replace_requests(struct netlink *nl)
{
	struct nl_sock *sock = NULL;
	int r = open_requests(&sock);

	nl_socket_free(nl->requests);
	nl->requests = r < 0 ? NULL : sock;
}

/* Reads until the answer to @request is complete. */
static int request_wait(struct netlink *nl, struct request *request)
{
	int r = 0;

	while (!request->done && !request->cut_off) {
		r = nl_recvmsgs_default(nl->requests);
		if (!request->done && received.error) {
			request->error = received.error == EAGAIN
						 ? -ETIMEDOUT
						 : -received.error;
			request->cut_off = true;
		}
	}
	if (request->cut_off)
		replace_requests(nl);
	if (request->error)
		return request->error;
	return r == -NLE_DUMP_INTR ? -EINTR : 0;
}

/* Sends @msg and waits for its answer. */
static int transact(struct netlink *nl, struct nl_msg *msg,
		    struct request *request)
{
	struct nl_sock *sock;
	int r;

	if (!nl->requests) {
		r = open_requests(&nl->requests);
		if (r < 0)
			return r;
	}
	sock = nl->requests;
	(void)nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM,
				  answer_handler, request); /* valid kinds: */
	(void)nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM,
				  finish_handler, request); /* these cannot */
	(void)nl_socket_modify_cb(sock, NL_CB_ACK, NL_CB_CUSTOM, ack_handler,
				  request); /* fail */
	(void)nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, error_handler,
				      request);
	nl_complete_msg(sock, msg);
	request->seq = nlmsg_hdr(msg)->nlmsg_seq;
	r = nl_send(sock, msg);
	if (r < 0)
		return errno ? -errno : -EIO;
	return request_wait(nl, request);
}

static int nsid_request(struct netlink *nl, int type, int flags, int netns_fd,
			int *ret_nsid)
{
	const struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	struct request request = { .nsid = NETNSA_NSID_NOT_ASSIGNED };
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	int r = -ENOMEM;

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, (void *)&head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(msg, NETNSA_FD, (uint32_t)netns_fd) < 0)
		goto out;
	if (type == RTM_NEWNSID &&
	    nla_put_s32(msg, NETNSA_NSID, NETNSA_NSID_NOT_ASSIGNED) < 0)
		goto out;
	r = transact(nl, msg, &request);
	if (r == 0)
		*ret_nsid = request.nsid;
out:
	nlmsg_free(msg);
	return r;
}

int netlink_get_nsid(struct netlink *nl, int netns_fd, int *ret_nsid)
{
	return nsid_request(nl, RTM_GETNSID, NLM_F_ACK, netns_fd, ret_nsid);
}

int netlink_assign_nsid(struct netlink *nl, int netns_fd, int *ret_nsid,
			bool *ret_new)
{
	int nsid = NETNSA_NSID_NOT_ASSIGNED;
	int r = nsid_request(nl, RTM_NEWNSID, NLM_F_ECHO | NLM_F_ACK, netns_fd,
			     &nsid);
	bool is_new = r == 0;

	/* Somebody else assigned one, or the notification was not echoed. */
	if (r == -EEXIST || (r == 0 && nsid < 0))
		r = netlink_get_nsid(nl, netns_fd, &nsid);
	if (r < 0)
		return r;
	if (nsid < 0)
		return -ESTALE;
	*ret_nsid = nsid;
	*ret_new = is_new;
	return 0;
}

int netlink_list_nsids(struct netlink *nl,
		       void (*found)(int nsid, void *user_data),
		       void *user_data)
{
	const struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	struct request request = { .found_nsid = found,
				   .user_data = user_data };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNSID, NLM_F_DUMP);
	int r = -ENOMEM;

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, (void *)&head, sizeof(head), NLMSG_ALIGNTO) == 0)
		r = transact(nl, msg, &request);
	nlmsg_free(msg);
	return r;
}

static int dump_links(struct netlink *nl, struct request *request)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_DUMP);
	int r = -ENOMEM;

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, (void *)&head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
		goto out;
	if (request->target_nsid != NETLINK_HOST &&
	    nla_put_s32(msg, IFLA_TARGET_NETNSID, request->target_nsid) < 0)
		goto out;
	r = transact(nl, msg, request);
out:
	nlmsg_free(msg);
	return r;
}

static int dump_addresses(struct netlink *nl, struct request *request,
			  uint8_t family)
{
	const struct ifaddrmsg head = { .ifa_family = family };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETADDR, NLM_F_DUMP);
	int r = -ENOMEM;

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, (void *)&head, sizeof(head), NLMSG_ALIGNTO) < 0)
		goto out;
	if (request->target_nsid != NETLINK_HOST &&
	    nla_put_s32(msg, IFA_TARGET_NETNSID, request->target_nsid) < 0)
		goto out;
	r = transact(nl, msg, request);
out:
	nlmsg_free(msg);
	return r;
}

int netlink_dump(struct netlink *nl, int nsid,
		 bool (*found)(const struct netlink_item *item,
			       void *user_data),
		 void *user_data)
{
	/* By family: the dump of all of them takes the kernel's one big lock,
	 * which others hold for long. A kernel without IPv6 says EOPNOTSUPP. */
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	const struct request fresh = { .target_nsid = nsid,
				       .found = found,
				       .user_data = user_data };
	struct request request = fresh;
	bool interrupted = false, cut_off = false;
	int r = dump_links(nl, &request);

	for (size_t i = 0; i <= ARRAY_SIZE(families); i++) {
		interrupted |= r == -EINTR;
		cut_off |= r == -EFBIG;
		if (r < 0 && r != -EINTR && r != -EFBIG && r != -EOPNOTSUPP)
			break;
		if (i == ARRAY_SIZE(families)) {
			r = 0;
			break;
		}
		request = fresh;
		r = dump_addresses(nl, &request, families[i]);
	}
	if (r == -EINVAL || r == -ENOENT || r == -ENONET)
		return -ESTALE;
	if (r < 0)
		return r;
	return cut_off ? -EFBIG : interrupted ? -EINTR : 0;
}

unsigned long netlink_event_count(const struct netlink *nl)
{
	return nl->event_count;
}
