// SPDX-License-Identifier: Apache-2.0
/* consumer_sockets.c - sockets for backends that one consumer asked for
 *
 * Theory of operation: questions wait in a queue of bounded length. A socket is
 * made when its answer is sent, and berthd keeps no copy. What is remembered is
 * that the consumer may have sockets of that namespace: a grant, one for each
 * namespace however many sockets, because a connection's end is not told.
 *
 * When the namespace goes, the consumer is told once, behind all that it got
 * from in there, and the grant lasts until it answers that nothing is left. A
 * namespace may go, come back by another name, be connected in, and go again
 * before the first answer is here. So what is told and not answered is counted,
 * and an answer ends the grant only when nothing was got since the last
 * telling.
 */
#include "daemon/consumers/consumer_sockets.h"

#include <stdlib.h>
#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/mint.h"
#include "lib/berth.h"

/* Of each text that is kept: no address and no name of a file is longer, even
 * if all its bytes are escaped. What is cut names nothing that there is. */
#define TEXT_MAX 1024

/** struct consumer_question - @target's texts are its own */
struct consumer_question {
	struct consumer_question *prev, *next;
	uint64_t request;
	struct mint_target target;
	char *backend, *netns;
};

/**
 * struct consumer_grant - a namespace that the consumer has sockets of
 * @fresh:	it may have some that it was not told to close
 * @queued:	in the list of those to be told of
 * @n_told:	how often it was told, and did not answer
 * @gone_since_us: since when its answer is due; 0: none is
 * @last_gone_us: when there was last something to be told
 */
struct consumer_grant {
	uint64_t netns_id;
	uint64_t gone_since_us;
	uint64_t last_gone_us;
	unsigned int n_told;
	bool fresh;
	bool queued;
	struct consumer_grant *prev, *next;
	UT_hash_handle hh;
};

static struct consumer_grant *grant_find(const struct consumer_sockets *sockets,
					 uint64_t netns_id)
{
	struct consumer_grant *grant;

	HASH_FIND(hh, sockets->grants, &netns_id, sizeof(netns_id), grant);
	return grant;
}

static struct consumer_grant *grant_get(struct consumer_sockets *sockets,
					uint64_t netns_id)
{
	struct consumer_grant *grant = grant_find(sockets, netns_id);

	if (grant)
		return grant;
	grant = calloc(1, sizeof(*grant));
	if (!grant)
		return NULL;
	grant->netns_id = netns_id;
	HASH_ADD(hh, sockets->grants, netns_id, sizeof(grant->netns_id), grant);
	if (grant->hh.tbl)
		return grant;
	free(grant);
	return NULL;
}

static int grant_add(struct consumer_sockets *sockets, uint64_t netns_id)
{
	struct consumer_grant *grant = grant_get(sockets, netns_id);

	if (!grant)
		return -ENOMEM;
	grant->fresh = true;
	return 0;
}

static void grant_free(struct consumer_sockets *sockets,
		       struct consumer_grant *grant)
{
	if (grant->queued)
		DL_DELETE(sockets->gone, grant);
	HASH_DEL(sockets->grants, grant);
	free(grant);
}

static void question_free(struct consumer_question *question)
{
	free(question->backend);
	free(question->netns);
	free(question);
}

static struct consumer_question *question_new(uint64_t request,
					      const struct mint_target *target)
{
	struct consumer_question *question = calloc(1, sizeof(*question));

	if (!question)
		return NULL;
	question->request = request;
	question->target = *target;
	if (target->backend)
		question->backend = strndup(target->backend, TEXT_MAX);
	if (target->netns)
		question->netns = strndup(target->netns, TEXT_MAX);
	if ((target->backend && !question->backend) ||
	    (target->netns && !question->netns)) {
		question_free(question);
		return NULL;
	}
	question->target.backend = question->backend;
	question->target.netns = question->netns;
	return question;
}

static void question_done(struct consumer_sockets *sockets)
{
	struct consumer_question *question = sockets->requests;

	DL_DELETE(sockets->requests, question);
	sockets->n_requests--;
	question_free(question);
}

void consumer_sockets_clear(struct consumer_sockets *sockets)
{
	struct consumer_grant *grant, *next;

	while (sockets->requests)
		question_done(sockets);
	HASH_ITER (hh, sockets->grants, grant, next)
		grant_free(sockets, grant);
}

int consumer_sockets_ask(struct consumer_sockets *sockets, uint64_t request,
			 const struct mint_target *target)
{
	struct consumer_question *question;

	if (sockets->n_requests >= BERTH_SOCKETS_MAX)
		return -EPROTO;
	question = question_new(request, target);
	if (!question)
		return -ENOMEM;
	DL_APPEND(sockets->requests, question);
	sockets->n_requests++;
	return 0;
}

uint64_t consumer_sockets_listener(const struct consumer_sockets *sockets)
{
	return sockets->requests ? sockets->requests->target.id : 0;
}

bool consumer_sockets_netns_gone(struct consumer_sockets *sockets,
				 uint64_t netns_id, uint64_t now_us)
{
	struct consumer_grant *grant = grant_find(sockets, netns_id);

	if (!grant || !grant->fresh || grant->queued)
		return false;
	grant->fresh = false;
	grant->queued = true;
	DL_APPEND(sockets->gone, grant);
	grant->last_gone_us = now_us;
	if (!grant->gone_since_us)
		grant->gone_since_us = now_us;
	return true;
}

void consumer_sockets_netns_closed(struct consumer_sockets *sockets,
				   uint64_t netns_id)
{
	struct consumer_grant *grant = grant_find(sockets, netns_id);

	if (!grant || grant->n_told == 0)
		return;
	grant->n_told--;
	if (grant->n_told > 0 || grant->queued)
		grant->gone_since_us = grant->last_gone_us;
	else if (grant->fresh)
		grant->gone_since_us = 0;
	else
		grant_free(sockets, grant);
}

int consumer_sockets_send_gone(struct consumer_sockets *sockets, int socket_fd)
{
	struct consumer_grant *grant = sockets->gone;
	char text[CONSUMER_NETNS_GONE_MAX];
	int r;

	consumer_netns_gone_fmt(grant->netns_id, text);
	r = consumer_message_send(socket_fd, text, -1);
	if (r < 0)
		return r;
	grant->queued = false;
	DL_DELETE(sockets->gone, grant);
	grant->n_told++;
	return 0;
}

int consumer_sockets_send_answer(struct consumer_sockets *sockets,
				 int socket_fd, consumer_mint_t *mint,
				 void *user_data)
{
	const struct consumer_question *question = sockets->requests;
	_cleanup_close_ int fd = -1;
	char text[CONSUMER_SOCKET_MAX];
	uint64_t netns_id = 0;
	int r;

	r = mint(&question->target, &fd, &netns_id, user_data);
	/* Noted before it is sent: a socket that berthd does not know of would
	 * outlive its namespace. */
	if (r == 0 && netns_id)
		r = grant_add(sockets, netns_id);
	consumer_socket_fmt(question->request, netns_id, -r, text);
	r = consumer_message_send(socket_fd, text, r == 0 ? fd : -1);
	if (r == 0)
		question_done(sockets);
	return r;
}

uint64_t consumer_sockets_oldest_us(const struct consumer_sockets *sockets)
{
	const struct consumer_grant *grant;
	uint64_t oldest_us = 0;

	for (grant = sockets->grants; grant; grant = grant->hh.next) {
		if (grant->gone_since_us &&
		    (!oldest_us || grant->gone_since_us < oldest_us))
			oldest_us = grant->gone_since_us;
	}
	return oldest_us;
}

bool consumer_sockets_hold(const struct consumer_sockets *sockets,
			   uint64_t netns_id)
{
	return grant_find(sockets, netns_id) != NULL;
}
