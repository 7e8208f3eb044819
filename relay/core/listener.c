// SPDX-License-Identifier: Apache-2.0
/* listener.c - a listener of berthd's, and each worker's share in it */
#include "relay/core/listener.h"

#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"

/* Return: 0 or -ENOMEM; what there is then goes with the listener. */
static int keep_about(struct listener *listener, const struct log_about *about)
{
	char *rule = strdup(about->rule);
	char *endpoint = strdup(about->listener);
	char *netns = strdup(about->netns);

	listener->about = (struct log_about){ .rule = rule,
					      .listener = endpoint,
					      .netns = netns };
	if (!rule || !endpoint || !netns)
		return -ENOMEM;
	if (asprintf(&listener->label, "rule '%s': %s in '%s'", rule, endpoint,
		     netns) >= 0)
		return 0;
	listener->label = NULL;
	return -ENOMEM;
}

static void drop_about(struct listener *listener)
{
	free((char *)listener->about.rule);
	free((char *)listener->about.listener);
	free((char *)listener->about.netns);
	free(listener->label);
}

int listener_new(uint64_t id, int fd, enum protocol protocol,
		 const struct log_about *about, size_t n_shares,
		 struct listener **ret_listener)
{
	struct listener *listener = calloc(
		1, sizeof(*listener) + n_shares * sizeof(listener->shares[0]));

	if (!listener)
		return -ENOMEM;
	if (keep_about(listener, about) < 0) {
		drop_about(listener);
		free(listener);
		return -ENOMEM;
	}
	listener->id = id;
	listener->fd = fd;
	listener->protocol = protocol;
	listener->n_shares = n_shares;
	atomic_init(&listener->users, (unsigned int)n_shares);
	atomic_init(&listener->fd_users, (unsigned int)n_shares);
	for (size_t i = 0; i < n_shares; i++)
		listener->shares[i].listener = listener;
	admission_listener(1);
	*ret_listener = listener;
	return 0;
}

void listener_set_port(struct listener *listener, uint16_t port)
{
	listener->port = port;
	own_port_add(listener->protocol, port, 1);
}

struct listener *listener_free(struct listener *listener)
{
	if (!listener)
		return NULL;
	if (listener->port)
		own_port_add(listener->protocol, listener->port, -1);
	for (size_t i = 0; i < listener->n_shares; i++) {
		(void)serving_unref(listener->shares[i].wanted_serving);
		counters_free(atomic_load(&listener->shares[i].counters));
	}
	(void)admission_put(listener->netns);
	drop_about(listener);
	free(listener);
	return NULL;
}

bool listener_get(struct listener *listener)
{
	unsigned int users = atomic_load(&listener->users);

	while (users > 0) {
		if (atomic_compare_exchange_weak(&listener->users, &users,
						 users + 1))
			return true;
	}
	return false;
}

bool listener_put(struct listener *listener)
{
	return atomic_fetch_sub(&listener->users, 1) == 1;
}

void listener_put_fd(struct listener *listener)
{
	if (atomic_fetch_sub(&listener->fd_users, 1) != 1)
		return;
	(void)close(listener->fd); /* a copy: berthd has its own */
	listener->fd = -1;
	admission_listener(-1);
}

struct counters *share_counters_new(struct share *share)
{
	static _Thread_local struct counters uncounted;
	/* From the arena of the worker's thread, so that no other worker
	 * writes to its cache lines. */
	struct counters *counters = calloc(1, sizeof(*counters));

	if (!counters)
		return &uncounted;
	/* A reader that sees the pointer sees the zeroes, too. */
	atomic_store_explicit(&share->counters, counters, memory_order_release);
	return counters;
}
