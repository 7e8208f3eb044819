/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.h - what a protocol does for the core
 *
 * The core knows no protocol by name. Each protocol fills a struct
 * relay_protocol in its own folder, relay/protocols.c lists them all, and the
 * core calls what is there. So the arrows between the folders go one way: a
 * protocol includes the core, never the other way round.
 */
#ifndef RELAY_CORE_PROTOCOL_H
#define RELAY_CORE_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

struct admission;
struct pollable;
struct serving;
struct share;
struct sockaddr_storage;
struct worker;

/**
 * struct relay_protocol - one for each enum protocol
 *
 * A function that is NULL has nothing to do. Unless something else is said, a
 * function runs in the thread of @worker, which is the share's worker.
 *
 * @one_worker:	a listening socket is served by one worker only: clients speak
 *		through that socket, and what one says has to stay in order
 * @client_fds:	how many descriptors a client's own side takes: 1, or 0 if
 *		all clients share the listening socket
 * @gives_up:	for the log: what happens to a client that no backend takes
 *
 * @prepare:	of the main thread: sets the options of the listening socket @fd
 *		that clients' sockets inherit, or that answers need
 *
 * @open:	the share begins, and is in the worker's epoll set already.
 *		Returns 0 or a negative errno; @close follows in any case.
 * @readable:	the handler of share.poll: clients wait, or what they sent;
 *		accept_readable() if they are to be accepted
 * @accepted:	serves the connection @fd that was accepted, by this worker or
 *		another one, and admitted; @from is its peer, AF_UNSPEC if
 *		unknown. Returns 0, and has taken @fd; or a negative errno, for
 *		share_serve() to refuse it.
 * @changed:	share.serving differs from @old now
 * @drain:	another relay has the listening socket, too, and serves it from
 *		now on. The socket is in no epoll set of the worker any more.
 *		Returns true if the share needs it still, to answer clients;
 *		share_drained() when it does not. NULL: it does not.
 * @close:	the share lets go of the listening socket, which is open until
 *		this returns. Clients with sockets of their own go on. Called
 *		for a share that never began, too; and by the main thread, after
 *		the worker's end.
 * @abort:	resets all clients of the share; flow_share_abort() if they are
 *		flows
 *
 * @flush:	a batch of events is over: sends what was collected meanwhile
 * @shed:	gives up one client that is no flow, the one that is worth
 *		least, to make room. Returns false if there is none.
 * @shed_netns:	gives up a part of what the clients of @netns have of the local
 *		ports; @netns is only compared, as it may be gone
 * @forget:	frees what the worker has of this protocol, after @close of its
 *		last share; of the main thread
 */
struct relay_protocol {
	bool one_worker;
	uint8_t client_fds;
	const char *gives_up;

	void (*prepare)(int fd);

	int (*open)(struct worker *worker, struct share *share);
	void (*readable)(struct worker *worker, struct pollable *pollable,
			 uint32_t events);
	int (*accepted)(struct worker *worker, struct share *share, int fd,
			const struct sockaddr_storage *from);
	void (*changed)(struct worker *worker, struct share *share,
			const struct serving *old);
	bool (*drain)(struct worker *worker, struct share *share);
	void (*close)(struct worker *worker, struct share *share);
	void (*abort)(struct worker *worker, struct share *share);

	void (*flush)(struct worker *worker);
	bool (*shed)(struct worker *worker);
	void (*shed_netns)(struct worker *worker,
			   const struct admission *netns);
	void (*forget)(struct worker *worker);
};

#endif
