// SPDX-License-Identifier: Apache-2.0
/* netlink_requests.c - what is asked of rtnetlink: nsids, and listings of any
 * namespace that has one
 *
 * Theory of operation: requests have a socket of their own, so that answers
 * neither wait behind events nor get lost among them. The kernel answers while
 * it handles the request, so waiting for the answer does not block; a time
 * limit guards against the case that the answer got lost after all. When an
 * answer is not read to its end, the socket is replaced: the rest of the answer
 * would be taken for the next one.
 *
 * A dump with a target nsid needs NETLINK_GET_STRICT_CHK: without it the kernel
 * ignores the attribute and lists our own namespace. The target echoed in each
 * message is compared all the same.
 */
#include "watcher/netlink_requests.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/netlink_socket.h"

#define ANSWER_TIMEOUT_S 2

/*
 * @sock:	NULL: the last one was given up, and no other could be opened
 * @buffer:	one datagram of an answer, NETLINK_DATAGRAM_BYTES
 */
struct netlink_requests {
	struct nl_sock *sock;
	unsigned char *buffer;
};

/*
 * The request that is being answered
 * @error:	negative errno that the kernel answered
 * @interrupted: things changed while the kernel listed them
 */
struct request {
	uint32_t seq;
	int target_nsid;
	bool done;
	bool interrupted;
	int error;
	int nsid;
	void (*found_nsid)(int nsid, void *user_data);
	bool (*found)(const struct netlink_item *item, void *user_data);
	void *user_data;
};

static int open_socket(struct nl_sock **ret_sock)
{
	const struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	struct nl_sock *sock = NULL;
	int r = netlink_socket_open(&sock);

	if (r < 0)
		return r;
	r = netlink_socket_set(sock, NETLINK_GET_STRICT_CHK);
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

int netlink_requests_open(struct netlink_requests **ret_requests)
{
	struct netlink_requests *requests = calloc(1, sizeof(*requests));
	int r;

	if (!requests)
		return -ENOMEM;
	requests->buffer = malloc(NETLINK_DATAGRAM_BYTES);
	r = requests->buffer ? open_socket(&requests->sock) : -ENOMEM;
	if (r < 0) {
		netlink_requests_close(requests);
		return r;
	}
	*ret_requests = requests;
	return 0;
}

struct netlink_requests *
netlink_requests_close(struct netlink_requests *requests)
{
	if (!requests)
		return NULL;
	nl_socket_free(requests->sock); /* NULL is fine */
	free(requests->buffer);
	free(requests);
	return NULL;
}

/* An error, or the acknowledgement: error 0. */
static int take_error(struct request *request, struct nlmsghdr *hdr)
{
	const struct nlmsgerr *answer = nlmsg_data(hdr);

	if (!nlmsg_valid_hdr(hdr, sizeof(*answer)))
		return -EBADMSG;
	request->error = answer->error;
	request->done = true;
	return 0;
}

/* The last message of a dump. If the dump failed half-way, only this message
 * says so. */
static int take_end(struct request *request, struct nlmsghdr *hdr)
{
	int error;

	if (nlmsg_datalen(hdr) >= (int)sizeof(error)) {
		memcpy(&error, nlmsg_data(hdr), sizeof(error));
		if (error < 0)
			request->error = error;
	}
	request->done = true;
	return 0;
}

static int take_nsid(struct request *request, struct nlmsghdr *hdr)
{
	request->nsid = netlink_message_nsid(hdr);
	if (request->found_nsid && request->nsid >= 0)
		request->found_nsid(request->nsid, request->user_data);
	return 0;
}

static int take_item(struct request *request, struct nlmsghdr *hdr)
{
	struct netlink_item item;
	int target;

	if (!request->found || !netlink_message_item(hdr, &item, &target))
		return 0;
	if (target != request->target_nsid)
		return -ESTALE;
	return request->found(&item, request->user_data) ? 0 : -EFBIG;
}

/* Return: 0; -errno: the rest of the answer is not to be read. */
static int take_message(struct request *request, struct nlmsghdr *hdr)
{
	if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
		request->interrupted = true;
	switch (hdr->nlmsg_type) {
	case NLMSG_ERROR:
		return take_error(request, hdr);
	case NLMSG_DONE:
		return take_end(request, hdr);
	case RTM_NEWNSID:
		return take_nsid(request, hdr);
	default:
		return take_item(request, hdr);
	}
}

/* Takes what the datagram of @len bytes at @hdr says about @request. Return: as
 * take_message(). */
static int take_datagram(struct request *request, struct nlmsghdr *hdr, int len)
{
	int r = 0;

	for (; r == 0 && !request->done && nlmsg_ok(hdr, len);
	     hdr = nlmsg_next(hdr, &len)) {
		if (hdr->nlmsg_seq == request->seq)
			r = take_message(request, hdr);
	}
	return r;
}

/* Reads one datagram. Return: 0; -errno: the rest is not to be read. */
static int read_answer(struct netlink_requests *requests,
		       struct request *request)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n;

	/* With MSG_TRUNC the length is that of the whole datagram. */
	n = recvfrom(nl_socket_get_fd(requests->sock), requests->buffer,
		     NETLINK_DATAGRAM_BYTES, MSG_TRUNC,
		     (struct sockaddr *)&from, &from_len);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n > NETLINK_DATAGRAM_BYTES)
		return -ENOBUFS;
	if (from.nl_pid != 0) /* not from the kernel */
		return 0;
	return take_datagram(request, (void *)requests->buffer, (int)n);
}

/* The rest of an answer is still coming, or never will. */
static void replace_socket(struct netlink_requests *requests)
{
	nl_socket_free(requests->sock);
	requests->sock = NULL;
	(void)open_socket(&requests->sock); /* the next request tries again */
}

/* Sends @msg and reads until the answer is complete. */
static int transact(struct netlink_requests *requests, struct nl_msg *msg,
		    struct request *request)
{
	int r = 0;

	if (!requests->sock)
		r = open_socket(&requests->sock);
	if (r < 0)
		return r;
	nl_complete_msg(requests->sock, msg);
	request->seq = nlmsg_hdr(msg)->nlmsg_seq;
	if (nl_send(requests->sock, msg) < 0)
		return errno ? -errno : -EIO;
	while (!request->done && r == 0)
		r = read_answer(requests, request);
	if (r < 0) {
		replace_socket(requests);
		return r;
	}
	if (request->error)
		return request->error;
	return request->interrupted ? -EINTR : 0;
}

/* Return: a message that begins with @head, the caller's; NULL: no memory. */
static struct nl_msg *begin_message(int type, int flags, const void *head,
				    size_t head_bytes)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (!msg || nlmsg_append(msg, (void *)(uintptr_t)head, head_bytes,
				 NLMSG_ALIGNTO) == 0)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int nsid_request(struct netlink_requests *requests, int type, int flags,
			int netns_fd, int *ret_nsid)
{
	const struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	struct request request = { .nsid = NETNSA_NSID_NOT_ASSIGNED };
	struct nl_msg *msg = begin_message(type, flags, &head, sizeof(head));
	int r = -ENOMEM;

	if (!msg)
		return -ENOMEM;
	if (nla_put_u32(msg, NETNSA_FD, (uint32_t)netns_fd) == 0 &&
	    (type != RTM_NEWNSID ||
	     nla_put_s32(msg, NETNSA_NSID, NETNSA_NSID_NOT_ASSIGNED) == 0))
		r = transact(requests, msg, &request);
	if (r == 0)
		*ret_nsid = request.nsid;
	nlmsg_free(msg);
	return r;
}

int netlink_get_nsid(struct netlink_requests *requests, int netns_fd,
		     int *ret_nsid)
{
	return nsid_request(requests, RTM_GETNSID, NLM_F_ACK, netns_fd,
			    ret_nsid);
}

int netlink_assign_nsid(struct netlink_requests *requests, int netns_fd,
			int *ret_nsid, bool *ret_new)
{
	int nsid = NETNSA_NSID_NOT_ASSIGNED;
	int r = nsid_request(requests, RTM_NEWNSID, NLM_F_ECHO | NLM_F_ACK,
			     netns_fd, &nsid);
	bool is_new = r == 0;

	/* Somebody else assigned one, or the notification was not echoed. */
	if (r == -EEXIST || (r == 0 && nsid < 0))
		r = netlink_get_nsid(requests, netns_fd, &nsid);
	if (r < 0)
		return r;
	if (nsid < 0)
		return -ESTALE;
	*ret_nsid = nsid;
	*ret_new = is_new;
	return 0;
}

int netlink_list_nsids(struct netlink_requests *requests,
		       void (*found)(int nsid, void *user_data),
		       void *user_data)
{
	const struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	struct request request = { .found_nsid = found,
				   .user_data = user_data };
	struct nl_msg *msg =
		begin_message(RTM_GETNSID, NLM_F_DUMP, &head, sizeof(head));
	int r;

	if (!msg)
		return -ENOMEM;
	r = transact(requests, msg, &request);
	nlmsg_free(msg);
	return r;
}

/* Adds the target, if there is one, as @attribute to the request for a dump,
 * and waits for the answer. Frees @msg, which may be NULL. */
static int dump(struct netlink_requests *requests, struct request *request,
		struct nl_msg *msg, int attribute)
{
	int r = -ENOMEM;

	if (msg && (request->target_nsid == NETLINK_HOST ||
		    nla_put_s32(msg, attribute, request->target_nsid) == 0))
		r = transact(requests, msg, request);
	nlmsg_free(msg);
	return r;
}

static int dump_links(struct netlink_requests *requests,
		      struct request *request)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct nl_msg *msg =
		begin_message(RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head));

	if (msg && nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return dump(requests, request, msg, IFLA_TARGET_NETNSID);
}

static int dump_addresses(struct netlink_requests *requests,
			  struct request *request, uint8_t family)
{
	const struct ifaddrmsg head = { .ifa_family = family };

	return dump(requests, request,
		    begin_message(RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head)),
		    IFA_TARGET_NETNSID);
}

/* Does a listing that returned @r make those after it useless? */
static bool ends_dump(int r)
{
	return r < 0 && r != -EINTR && r != -EFBIG && r != -EOPNOTSUPP;
}

static int dump_all(struct netlink_requests *requests, int nsid, bool links,
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
	int r = links ? dump_links(requests, &request) : 0, result = 0;

	for (size_t i = 0; !ends_dump(r); i++) {
		if (r == -EFBIG || (r == -EINTR && result == 0))
			result = r;
		if (i == ARRAY_SIZE(families))
			return result;
		request = fresh;
		r = dump_addresses(requests, &request, families[i]);
	}
	return r == -EINVAL || r == -ENOENT || r == -ENONET ? -ESTALE : r;
}

int netlink_dump(struct netlink_requests *requests, int nsid,
		 bool (*found)(const struct netlink_item *item,
			       void *user_data),
		 void *user_data)
{
	return dump_all(requests, nsid, /* links= */ true, found, user_data);
}

int netlink_dump_addresses(struct netlink_requests *requests, int nsid,
			   bool (*found)(const struct netlink_item *item,
					 void *user_data),
			   void *user_data)
{
	return dump_all(requests, nsid, /* links= */ false, found, user_data);
}
