/* SPDX-License-Identifier: Apache-2.0 */
/* minted.h - sockets for backends that berthd mints, as a worker sees them
 *
 * Such a socket is born in another namespace, or bound to an address that only
 * berthd may bind to: the client's, or one of the rule's.
 */
#ifndef RELAY_CORE_MINTED_H
#define RELAY_CORE_MINTED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/ip.h"

struct minted;
struct minted_netns;
struct serving;
struct worker;

/**
 * struct minted_ops - what the owner of a socket does
 * @answered:	berthd answered: minted->fd or minted->error says what
 * @gone:	the socket's namespace goes: resets what uses the socket and
 *		calls minted_free(), before it returns
 */
struct minted_ops {
	void (*answered)(struct worker *worker, struct minted *minted);
	void (*gone)(struct worker *worker, struct minted *minted);
};

/**
 * struct minted_mail - from the main thread to a worker, in order
 * @gone:	a namespace goes; NULL: the mail is part of a struct minted,
 *		which is answered
 */
struct minted_mail {
	STAILQ_ENTRY(minted_mail) next;
	struct netns_gone *gone;
};

/** No namespace has this number. */
#define MINTED_FOR_CHECKS UINT64_MAX

/**
 * struct minted_purpose - which backend a socket is for
 * @id:		of the listener
 * @netns_id:	the listener's namespace, see struct listener; namespaces take
 *		turns, and so do all checks together, as MINTED_FOR_CHECKS
 * @serving:	what the client gets; berthd's rule may be newer
 * @to:		index of the backend
 * @client:	with `transparent`, the client's address, which stand_in_check()
 *		allows
 * @client_port: the client's port, for UDP
 * @check:	the socket is for a check
 */
struct minted_purpose {
	uint64_t id;
	uint64_t netns_id;
	struct serving *serving;
	unsigned int to;
	struct ip_addr client;
	uint16_t client_port;
	bool check;
};

/**
 * struct minted - one socket, from the request until it is closed
 *
 * From minted_request() until it comes back by mail it belongs to the main
 * thread, but for @owner and @ops.
 * @owner:	what @ops are called for, by the worker only; NULL: nobody waits
 *		for the socket any more
 * @worker:	that asked; NULL: the main thread did, see requester_ask()
 * @unwanted:	tells the main thread that there is no @owner
 * @purpose:	has a reference to its serving until it is answered
 * @sent_us:	when berthd was asked
 * @fd:		-1: there is no socket, or the owner took it
 * @error:	positive errno, if there is no socket
 * @netns_id:	the socket's namespace; 0: one that does not go
 * @prev, @next: in struct minted_netns
 * @waiting:	among other requests, until berthd is asked
 * @sent_prev, @sent_next: while its answer is awaited, oldest first
 */
struct minted {
	struct minted_mail mail;
	const struct minted_ops *ops;
	void *owner;
	struct worker *worker;
	atomic_bool unwanted;
	bool answered;
	struct minted_purpose purpose;
	uint64_t request;
	uint64_t sent_us;
	int fd;
	int error;
	uint64_t netns_id;
	struct minted *prev, *next;
	STAILQ_ENTRY(minted) waiting;
	struct minted *sent_prev, *sent_next;
};

/** struct netns_gone - one namespace goes. Each worker closes what it has of
 * the namespace; the last one gives this back to the main thread. */
struct netns_gone {
	uint64_t netns_id;
	atomic_uint users;
	struct netns_gone *next;
	struct minted_mail mails[]; /* one for each worker */
};

/**
 * minted_request() - asks for a socket; the answer comes later, by @ops
 *
 * The answer is ESTALE if the rule says something else than @purpose by then.
 *
 * Return: NULL when memory is out.
 */
struct minted *minted_request(struct worker *worker,
			      const struct minted_purpose *purpose,
			      const struct minted_ops *ops, void *owner);

/**
 * minted_free() - the owner is done with @minted, and has closed the socket if
 * it took it
 *
 * If there is no answer yet, the request is forgotten. Returns NULL; NULL is
 * fine.
 */
struct minted *minted_free(struct worker *worker, struct minted *minted);

/** minted_new() - a request that waits for nothing yet. Return: NULL when
 * memory is out. */
struct minted *minted_new(struct worker *worker,
			  const struct minted_purpose *purpose,
			  const struct minted_ops *ops, void *owner);

/** minted_deliver() - by whoever asked: berthd has answered, and the owner, if
 * there still is one, gets to know. @worker: NULL for the main thread */
void minted_deliver(struct worker *worker, struct minted *minted);

/** minted_destroy() - frees one that has no owner and is in no list */
void minted_destroy(struct minted *minted);

/** minted_mails_handle() - by the worker: handles the mail in its inbox */
void minted_mails_handle(struct worker *worker);

/** minted_mails_drop() - by the main thread, for a worker that was joined:
 * drops the mail in its inbox */
void minted_mails_drop(struct worker *worker);

#endif
