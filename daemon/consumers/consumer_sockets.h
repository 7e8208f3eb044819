/* SPDX-License-Identifier: Apache-2.0 */
/* consumer_sockets.h - sockets for backends that one consumer asked for
 *
 * A backend in another namespace needs a socket that was born there, one that
 * is reached from the client's address one with IP_TRANSPARENT. See
 * doc/consumer-protocol.md.
 */
#ifndef DAEMON_CONSUMERS_CONSUMER_SOCKETS_H
#define DAEMON_CONSUMERS_CONSUMER_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consumer_grant;
struct socket_request;
struct waiting_request;

/**
 * struct consumer_sockets - zero-initialize
 * @requests:	those without an answer, oldest first
 * @grants:	namespaces that it has sockets of, by id
 * @gone:	those of @grants that are gone, and that it was not told of
 */
struct consumer_sockets {
	struct waiting_request *requests;
	size_t n_requests;
	struct consumer_grant *grants;
	struct consumer_grant *gone;
};

/**
 * consumer_mint_t - makes a socket
 * @ret_netns_id: where it was born; 0: in a namespace that will not go
 *
 * Return: 0, or -errno of why there is none.
 */
typedef int consumer_mint_t(const struct socket_request *request, int *ret_fd,
			    uint64_t *ret_netns_id, void *user_data);

/** consumer_sockets_clear() - the connection is over: forgets its requests and
 * grants */
void consumer_sockets_clear(struct consumer_sockets *sockets);

/**
 * consumer_sockets_add() - has a request wait for its answer
 * @request:	copied, with its texts
 *
 * Return: 0; -EPROTO: more than the protocol allows; -ENOMEM.
 */
int consumer_sockets_add(struct consumer_sockets *sockets,
			 const struct socket_request *request);

/** consumer_sockets_listener() - the id of the listener that the first request
 * names; 0: there is no request */
uint64_t consumer_sockets_listener(const struct consumer_sockets *sockets);

/**
 * consumer_sockets_netns_gone() - a namespace goes: the consumer is to be told,
 * if it may have sockets of it that it was not told to close
 * Return: is it to be told?
 */
bool consumer_sockets_netns_gone(struct consumer_sockets *sockets,
				 uint64_t netns_id, uint64_t now_us);

/** consumer_sockets_all_gone() - the same for all of its namespaces */
void consumer_sockets_all_gone(struct consumer_sockets *sockets,
			       uint64_t now_us);

/** consumer_sockets_netns_closed() - the consumer answers that it has closed
 * what it had of a namespace */
void consumer_sockets_netns_closed(struct consumer_sockets *sockets,
				   uint64_t netns_id);

/**
 * consumer_sockets_send_gone() - tells of the first of @gone
 * Return: 0, or -errno of sendmsg(2); then it is still to be told.
 */
int consumer_sockets_send_gone(struct consumer_sockets *sockets, int socket_fd);

/**
 * consumer_sockets_send_answer() - answers the first request
 *
 * The socket is made only now, so that nothing is held that may wait.
 * Return: 0, or -errno of sendmsg(2); then it is still to be answered.
 */
int consumer_sockets_send_answer(struct consumer_sockets *sockets,
				 int socket_fd, consumer_mint_t *mint,
				 void *user_data);

/** consumer_sockets_oldest_us() - since when is the oldest `netns_closed` due?
 * 0: none is */
uint64_t consumer_sockets_oldest_us(const struct consumer_sockets *sockets);

/**
 * consumer_sockets_have() - the consumer says that it has sockets of that
 * namespace, from an earlier connection
 * Return: 0; -EPROTO: of more namespaces than there may be; -ENOMEM.
 */
int consumer_sockets_have(struct consumer_sockets *sockets, uint64_t netns_id);

/** consumer_sockets_hold() - may the consumer have sockets of that namespace?
 * @ret_due_us:	since when its `netns_closed` is due; 0: it is not
 */
bool consumer_sockets_hold(const struct consumer_sockets *sockets,
			   uint64_t netns_id, uint64_t *ret_due_us);

/** consumer_sockets_due() - of how many namespaces is `netns_closed` due? */
size_t consumer_sockets_due(const struct consumer_sockets *sockets);

/** consumer_sockets_each() - calls @handler for each namespace that the
 * consumer may have sockets of
 * @handler:	@due_us as of consumer_sockets_hold()
 */
void consumer_sockets_each(const struct consumer_sockets *sockets,
			   void (*handler)(uint64_t netns_id, uint64_t due_us,
					   void *user_data),
			   void *user_data);

#endif
