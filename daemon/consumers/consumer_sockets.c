// SPDX-License-Identifier: Apache-2.0
/* consumer_sockets.c - sockets for backends that one consumer asked for
 *
 * Theory of operation: requests wait in a queue of bounded length. berthd mints
 * a socket when it sends the answer, and keeps no copy. It keeps a grant: a
 * note that the consumer may have sockets of a namespace. There is one grant
 * for each namespace however many sockets there are, because nobody tells
 * berthd when a connection ends.
 *
 * When the namespace goes, the consumer is told once, after everything that it
 * got from in there, and the grant lasts until it answers that nothing is left.
 * A namespace may go, come back by another name, be connected in, and go again
 * before the first answer is here. So the grant counts how often the consumer
 * was told and did not answer, and ends with the last answer if nothing was got
 * since the consumer was told last.
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
#include "daemon/consumers/socket_request.h"
#include "lib/berth.h"

/* How long a text of a request is kept: no address and no name of a file is
 * longer, even if all its bytes are escaped. A longer text is cut, and names
 * nothing that exists. */
#define TEXT_MAX 1024

/* Of how many namespaces a consumer may say that it has sockets: more than a
 * host has, and a few megabytes here. */
#define HAVE_MAX 65536

/**
 * struct waiting_request - a request that is not answered yet
 * @request:	its texts are @backend and @netns
 */
struct waiting_request {
	struct waiting_request *prev, *next;
	struct socket_request request;
	char *backend, *netns;
};

/**
 * struct consumer_grant - the consumer may have sockets of a namespace
 * @fresh:	among them some that it was not told to close
 * @queued:	it is to be told to close them: in consumer_sockets.gone
 * @n_told:	how often it was told, and did not answer
 * @gone_since_us: since when its answer is due; 0: none is
 * @last_gone_us: when the namespace last went
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

static void request_free(struct waiting_request *waiting)
{
	free(waiting->backend);
	free(waiting->netns);
	free(waiting);
}

static struct waiting_request *
request_copy(const struct socket_request *request)
{
	struct waiting_request *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	if (request->backend)
		waiting->backend = strndup(request->backend, TEXT_MAX);
	if (request->netns)
		waiting->netns = strndup(request->netns, TEXT_MAX);
	if ((request->backend && !waiting->backend) ||
	    (request->netns && !waiting->netns)) {
		request_free(waiting);
		return NULL;
	}
	waiting->request = *request;
	waiting->request.backend = waiting->backend;
	waiting->request.netns = waiting->netns;
	return waiting;
}

static void request_done(struct consumer_sockets *sockets)
{
	struct waiting_request *first = sockets->requests;

	DL_DELETE(sockets->requests, first);
	sockets->n_requests--;
	request_free(first);
}

void consumer_sockets_clear(struct consumer_sockets *sockets)
{
	struct consumer_grant *grant, *next;

	while (sockets->requests)
		request_done(sockets);
	HASH_ITER (hh, sockets->grants, grant, next)
		grant_free(sockets, grant);
}

int consumer_sockets_add(struct consumer_sockets *sockets,
			 const struct socket_request *request)
{
	struct waiting_request *waiting;

	if (sockets->n_requests >= BERTH_SOCKETS_MAX)
		return -EPROTO;
	waiting = request_copy(request);
	if (!waiting)
		return -ENOMEM;
	DL_APPEND(sockets->requests, waiting);
	sockets->n_requests++;
	return 0;
}

uint64_t consumer_sockets_listener(const struct consumer_sockets *sockets)
{
	return sockets->requests ? sockets->requests->request.id : 0;
}

static bool grant_gone(struct consumer_sockets *sockets,
		       struct consumer_grant *grant, uint64_t now_us)
{
	if (!grant->fresh || grant->queued)
		return false;
	grant->fresh = false;
	grant->queued = true;
	DL_APPEND(sockets->gone, grant);
	grant->last_gone_us = now_us;
	if (!grant->gone_since_us)
		grant->gone_since_us = now_us;
	return true;
}

bool consumer_sockets_netns_gone(struct consumer_sockets *sockets,
				 uint64_t netns_id, uint64_t now_us)
{
	struct consumer_grant *grant = grant_find(sockets, netns_id);

	return grant && grant_gone(sockets, grant, now_us);
}

void consumer_sockets_all_gone(struct consumer_sockets *sockets,
			       uint64_t now_us)
{
	struct consumer_grant *grant = sockets->grants;

	for (; grant; grant = grant->hh.next)
		(void)grant_gone(sockets, grant, now_us); /* or told already */
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
	const struct socket_request *request = &sockets->requests->request;
	_cleanup_close_ int fd = -1;
	char text[CONSUMER_SOCKET_MAX];
	uint64_t netns_id = 0;
	int r;

	r = mint(request, &fd, &netns_id, user_data);
	/* Noted before it is sent: a socket that berthd does not know of would
	 * outlive its namespace. */
	if (r == 0 && netns_id)
		r = grant_add(sockets, netns_id);
	consumer_socket_fmt(request->number, netns_id, -r, text);
	r = consumer_message_send(socket_fd, text, r == 0 ? fd : -1);
	if (r == 0)
		request_done(sockets);
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

int consumer_sockets_have(struct consumer_sockets *sockets, uint64_t netns_id)
{
	if (HASH_COUNT(sockets->grants) >= HAVE_MAX)
		return -EPROTO;
	return grant_add(sockets, netns_id);
}

bool consumer_sockets_hold(const struct consumer_sockets *sockets,
			   uint64_t netns_id, uint64_t *ret_due_us)
{
	const struct consumer_grant *grant = grant_find(sockets, netns_id);

	if (!grant)
		return false;
	*ret_due_us = grant->gone_since_us;
	return true;
}

size_t consumer_sockets_due(const struct consumer_sockets *sockets)
{
	const struct consumer_grant *grant;
	size_t n = 0;

	for (grant = sockets->grants; grant; grant = grant->hh.next)
		n += grant->gone_since_us != 0;
	return n;
}

void consumer_sockets_each(const struct consumer_sockets *sockets,
			   void (*handler)(uint64_t netns_id, uint64_t due_us,
					   void *user_data),
			   void *user_data)
{
	const struct consumer_grant *grant;

	for (grant = sockets->grants; grant; grant = grant->hh.next)
		handler(grant->netns_id, grant->gone_since_us, user_data);
}
