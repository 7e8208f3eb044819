/* SPDX-License-Identifier: Apache-2.0 */
/* netlink_requests.h - what is asked of rtnetlink: nsids, and listings of any
 * namespace that has one
 */
#ifndef WATCHER_NETLINK_REQUESTS_H
#define WATCHER_NETLINK_REQUESTS_H

#include "watcher/netlink_message.h"

struct netlink_requests;

/**
 * netlink_requests_open() - opens the socket for requests
 * @ret_requests: the caller's, to be closed with netlink_requests_close()
 *
 * Return: 0; -ENOMEM; -ENOPROTOOPT before Linux 4.20 (this is logged); -errno
 * of socket(2), bind(2) or setsockopt(2).
 */
int netlink_requests_open(struct netlink_requests **ret_requests);

/** netlink_requests_close() - NULL is fine. Return: NULL. */
struct netlink_requests *
netlink_requests_close(struct netlink_requests *requests);

/*
 * All requests wait for the kernel's answer, which it gives while it handles
 * the request. They return, beside the errors that are named at each of them:
 * -ENOMEM; -ETIMEDOUT when no answer came in two seconds; -EBADMSG for one
 * that is malformed; -errno that the kernel answers, or of sendmsg(2),
 * recvfrom(2), and of netlink_requests_open() when the socket is replaced.
 */

/**
 * netlink_assign_nsid() - gives a namespace an nsid, if it has none
 * @netns_fd:	of the namespace; stays the caller's
 * @ret_nsid:	the nsid that it has now
 * @ret_new:	it had none before: struct netlink_events_ops.nsid_new will be
 *		called for it
 *
 * Return: 0; -ESTALE when the nsid cannot be found out; others, see above.
 */
int netlink_assign_nsid(struct netlink_requests *requests, int netns_fd,
			int *ret_nsid, bool *ret_new);

/**
 * netlink_get_nsid() - asks for the nsid of a namespace
 * @netns_fd:	of the namespace; stays the caller's
 * @ret_nsid:	the nsid, or -1: the namespace has none
 *
 * Return: 0, or an error, see above.
 */
int netlink_get_nsid(struct netlink_requests *requests, int netns_fd,
		     int *ret_nsid);

/**
 * netlink_list_nsids() - lists the nsids in use
 * @found:	called for each of them, before this returns
 *
 * Return: 0; -EINTR when nsids came or went meanwhile, so that some may be
 * missing; others, see above.
 */
int netlink_list_nsids(struct netlink_requests *requests,
		       void (*found)(int nsid, void *user_data),
		       void *user_data);

/**
 * netlink_dump() - lists the interfaces, then the addresses of a namespace
 * @nsid:	its nsid, or NETLINK_HOST
 * @found:	called for each of them, before this returns; false cuts off the
 *		listing of interfaces, or of the addresses of one family
 *
 * Return: 0; -EINTR when things changed meanwhile, so that something may be
 * missing; -EFBIG when @found cut a listing off; -ESTALE when no namespace has
 * this nsid; others, see above.
 */
int netlink_dump(struct netlink_requests *requests, int nsid,
		 bool (*found)(const struct netlink_item *item,
			       void *user_data),
		 void *user_data);

/** netlink_dump_addresses() - as netlink_dump(), but only the addresses, which
 * the kernel (Linux 6.9) lists without its one big lock */
int netlink_dump_addresses(struct netlink_requests *requests, int nsid,
			   bool (*found)(const struct netlink_item *item,
					 void *user_data),
			   void *user_data);

#endif
