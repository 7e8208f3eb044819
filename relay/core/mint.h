/* SPDX-License-Identifier: Apache-2.0 */
/* mint.h - sockets for backends that berthd makes, as a worker sees them
 *
 * Born in another namespace, or bound to the client's address.
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
 * struct mint_ops - what its owner does
 * @answered:	berthd did: mint->fd or mint->error says what
 * @gone:	its namespace goes: resets what uses it and calls mint_free(),
 *		before it returns
 */
struct mint_ops {
	void (*answered)(struct worker *worker, struct mint *mint);
	void (*gone)(struct worker *worker, struct mint *mint);
};

/**
 * struct mint_mail - from the main thread to a worker, in order
 * @gone:	NULL: it is part of a struct mint, whose answer is there
 */
struct mint_mail {
	STAILQ_ENTRY(mint_mail) next;
	struct netns_gone *gone;
};

/**
 * struct mint_target - which backend a socket is for
 * @id:		of the listener
 * @netns_id:	see struct listener: whose questions take turns with others'
 * @serving:	as the asker has it; what berthd has may be newer
 * @to:		index of the backend
 * @client:	with `transparent`, who is stood in for; stand_in_check()ed
 * @client_port: for UDP
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
 * Asked for, it is the main thread's, but for @owner and @ops, until it comes
 * back by mail.
 * @owner:	of @ops; the worker's only. NULL: nobody waits for it any more
 * @unwanted:	the same, for the main thread
 * @target:	with a reference of its own until it is answered
 * @sent_us:	when berthd was asked
 * @fd:		-1: there is none, or its owner took it
 * @error:	positive errno, when there is none
 * @netns_id:	0: its namespace does not go
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

/** struct netns_gone - one namespace goes; the last worker to have closed what
 * it has of it gives this back to the main thread */
struct netns_gone {
	uint64_t netns_id;
	atomic_uint users;
	struct netns_gone *next;
	struct mint_mail mails[]; /* one for each worker */
};

/**
 * mint_ask() - asks for a socket; the answer comes later, by @ops
 *
 * It is ESTALE when the rule says something else than @target by now.
 *
 * Return: NULL when memory is out.
 */
struct mint *mint_ask(struct worker *worker, const struct mint_target *target,
		      const struct mint_ops *ops, void *owner);

/**
 * mint_free() - its owner is through with it
 *
 * When it was not answered: forgets the question. The owner has closed the
 * socket that it took. Returns NULL; NULL is fine.
 */
struct mint *mint_free(struct worker *worker, struct mint *mint);

/** mint_destroy() - frees one that no owner and no list has */
void mint_destroy(struct mint *mint);

/** mint_mails_handle() - a worker's own: what the main thread sent */
void mint_mails_handle(struct worker *worker);

/** mint_mails_drop() - of a joined worker */
void mint_mails_drop(struct worker *worker);

#endif
