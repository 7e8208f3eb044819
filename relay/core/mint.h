/* SPDX-License-Identifier: Apache-2.0 */
/* mint.h - sockets for backends that berthd makes, as a worker sees them
 *
 * Such a socket is born in another namespace, or bound to an address that only
 * berthd may bind to: the client's, or one of the rule's.
 */
#ifndef RELAY_CORE_MINT_H
#define RELAY_CORE_MINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/ip.h"

struct mint;
struct mint_netns;
struct serving;
struct worker;

/**
 * struct mint_ops - what the owner of a mint does
 * @answered:	berthd answered: mint->fd or mint->error says what
 * @gone:	the socket's namespace goes: resets what uses the socket and
 *		calls mint_free(), before it returns
 */
struct mint_ops {
	void (*answered)(struct worker *worker, struct mint *mint);
	void (*gone)(struct worker *worker, struct mint *mint);
};

/**
 * struct mint_mail - from the main thread to a worker, in order
 * @gone:	a namespace goes; NULL: the mail is part of a struct mint, which
 *		is answered
 */
struct mint_mail {
	STAILQ_ENTRY(mint_mail) next;
	struct netns_gone *gone;
};

/**
 * struct mint_target - which backend a socket is for
 * @id:		of the listener
 * @netns_id:	the listener's namespace, see struct listener; namespaces take
 *		turns
 * @serving:	what the client gets; berthd's rule may be newer
 * @to:		index of the backend
 * @client:	with `transparent`, the client's address, which stand_in_check()
 *		allows
 * @client_port: the client's port, for UDP
 */
struct mint_target {
	uint64_t id;
	uint64_t netns_id;
	struct serving *serving;
	unsigned int to;
	struct ip_addr client;
	uint16_t client_port;
};

/**
 * struct mint - one socket, from the question until it is closed
 *
 * From mint_ask() until it comes back by mail it belongs to the main thread,
 * but for @owner and @ops.
 * @owner:	what @ops are called for, by the worker only; NULL: nobody waits
 *		for the socket any more
 * @unwanted:	tells the main thread that there is no @owner
 * @target:	has a reference to its serving until it is answered
 * @sent_us:	when berthd was asked
 * @fd:		-1: there is no socket, or the owner took it
 * @error:	positive errno, if there is no socket
 * @netns_id:	the socket's namespace; 0: one that does not go
 * @prev, @next: in struct mint_netns
 * @waiting:	among other questions, until berthd is asked
 * @sent_prev, @sent_next: while its answer is awaited, oldest first
 */
struct mint {
	struct mint_mail mail;
	const struct mint_ops *ops;
	void *owner;
	struct worker *worker;
	atomic_bool unwanted;
	bool answered;
	struct mint_target target;
	uint64_t request;
	uint64_t sent_us;
	int fd;
	int error;
	uint64_t netns_id;
	struct mint *prev, *next;
	STAILQ_ENTRY(mint) waiting;
	struct mint *sent_prev, *sent_next;
};

/** struct netns_gone - one namespace goes. Each worker closes what it has of
 * the namespace; the last one gives this back to the main thread. */
struct netns_gone {
	uint64_t netns_id;
	atomic_uint users;
	struct netns_gone *next;
	struct mint_mail mails[]; /* one for each worker */
};

/**
 * mint_ask() - asks for a socket; the answer comes later, by @ops
 *
 * The answer is ESTALE if the rule says something else than @target by then.
 *
 * Return: NULL when memory is out.
 */
struct mint *mint_ask(struct worker *worker, const struct mint_target *target,
		      const struct mint_ops *ops, void *owner);

/**
 * mint_free() - the owner is done with @mint, and has closed the socket if it
 * took it
 *
 * If there is no answer yet, the question is forgotten. Returns NULL; NULL is
 * fine.
 */
struct mint *mint_free(struct worker *worker, struct mint *mint);

/** mint_destroy() - frees a mint that has no owner and is in no list */
void mint_destroy(struct mint *mint);

/** mint_mails_handle() - by the worker: handles the mail in its inbox */
void mint_mails_handle(struct worker *worker);

/** mint_mails_drop() - by the main thread, for a worker that was joined: drops
 * the mail in its inbox */
void mint_mails_drop(struct worker *worker);

#endif
