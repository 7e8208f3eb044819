/* SPDX-License-Identifier: Apache-2.0 */
/* admission.h - who may use how much of what all traffic shares
 *
 * The one gate: whatever a stranger can make the relay use is taken here first,
 * in the name of the stranger's namespace, and given back here.
 */
#ifndef RELAY_CORE_ADMISSION_H
#define RELAY_CORE_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/berth.h"
#include "relay/core/budget.h"

/* What one namespace may have of a worker's turn: enough to be cheap, little
 * enough that other namespaces do not wait long. */
#define ADMISSION_TURN_ACCEPTS 16u
#define ADMISSION_TURN_BYTES (1024u * 1024)

/** enum admission_kind - what is counted over all workers */
enum admission_kind {
	ADMISSION_DESCRIPTORS, /* of connections and sessions */
	ADMISSION_SESSIONS, /* of UDP; each is a descriptor, too */
	ADMISSION_PIPES, /* directions of connections that have one */
	ADMISSION_BYTES, /* of buffers of stalled connections */
	ADMISSION_KINDS,
};

/* Counters of local ports, of one namespace and of all namespaces together; the
 * smaller number divides the larger one. Two port spaces that share a counter
 * seem fuller than they are, which matters to nobody who has few ports. */
#define ADMISSION_NETNS_SPACES 16
#define ADMISSION_SPACES 1024

/* Pipes of all threads, of PIPE_BYTES each. The kernel lets one unprivileged
 * user have 64 MiB in pipes (pipe-user-pages-soft); beyond that, pipes come
 * crippled. This leaves a quarter. A connection that gets no pipe copies. */
#define ADMISSION_PIPES_MAX 48u

struct admissions;

/** struct admission_turn - what a worker did for the namespace in turn @turn */
struct admission_turn {
	uint32_t turn;
	uint32_t n_accepts;
	uint32_t n_bytes;
};

/**
 * struct admission_waiting - UDP sessions that wait for a socket of berthd's
 * @n:		how many
 * @held_bytes:	of the datagrams that are held for them
 */
struct admission_waiting {
	size_t n;
	size_t held_bytes;
};

/** struct admission_worker - one worker's own part of struct admission */
struct admission_worker {
	struct admission_turn turn;
	struct admission_waiting waiting;
	struct budget messages;
};

/**
 * struct admission - what the traffic of one namespace uses, over all listeners
 * @used:	of each kind, by all workers
 * @ports:	of port spaces, by all workers
 * @workers:	what each worker counts by itself
 */
struct admission {
	atomic_uint used[ADMISSION_KINDS];
	atomic_uint ports[ADMISSION_NETNS_SPACES];
	struct admission_worker *workers;
};

/**
 * admission_init() - raises RLIMIT_NOFILE to the hard limit and divides it
 * @fixed:	descriptors that the process needs for itself
 * @n_workers:	among which UDP sessions are divided
 *
 * Reads how many local ports there are, too, so it has to be called while files
 * can be opened. Return: 0 or -errno of getrlimit(2).
 */
int admission_init(size_t fixed, size_t n_workers);

/** admission_listener() - a listener came (1) or went (-1). Listeners are never
 * refused here; they leave less to traffic. */
void admission_listener(int change);

/** admission_listener_connections() - how many connections a listener may have
 * whose rule names no number */
uint32_t admission_listener_connections(void);

/** admission_limit() - how many of @kind one namespace may have */
uint32_t admission_limit(enum admission_kind kind);

/** admission_worker_sessions() - how many UDP sessions all listeners of one
 * worker may have */
size_t admission_worker_sessions(void);

/**
 * admissions_new() - makes the table of namespaces, which is the main thread's
 * @n_workers:	see struct admission
 *
 * Return: NULL when memory is out.
 */
struct admissions *admissions_new(size_t n_workers);

/** admissions_free() - frees the table, which has no entry left. Returns NULL;
 * NULL is fine. */
struct admissions *admissions_free(struct admissions *admissions);

/**
 * admission_get() - main thread: a reference to the entry of namespace
 * @netns_id, which is made if it is not there
 *
 * Return: NULL when memory is out.
 */
struct admission *admission_get(struct admissions *admissions,
				uint64_t netns_id);

/** admission_put() - main thread: gives a reference back. Returns NULL; NULL is
 * fine. */
struct admission *admission_put(struct admission *admission);

/**
 * admission_all_returned() - with no entry and no traffic left: was everything
 * given back that was taken?
 *
 * Something that is not given back counts for ever: limits would then be
 * reached too early.
 */
bool admission_all_returned(void);

/* The rest is for any thread whose listener has a reference. */

/** admission_take_pipe() - may one more pipe be opened, whoever gets it?
 * Return: false when there is no room; nothing is taken then. */
bool admission_take_pipe(void);

/** admission_give_pipe() - a pipe was closed, or not opened */
void admission_give_pipe(void);

/**
 * admission_take() - may the namespace have @n more of @kind?
 * @met:	which limit left no room, where there is none; NULL is fine
 *
 * A descriptor counts among those of all traffic, too, and a session among the
 * descriptors. Return: false when there is no room; nothing is taken then.
 */
bool admission_take(struct admission *admission, enum admission_kind kind,
		    unsigned int n, enum berth_limit *met);

/** admission_add_bytes() - @n bytes are kept; admission_has_room() said yes.
 * admission_give() gives them back. */
void admission_add_bytes(struct admission *admission, unsigned int n);

/** admission_has_room() - would admission_take() succeed? Takes nothing, and
 * does not look at the descriptors of all traffic. */
bool admission_has_room(const struct admission *admission,
			enum admission_kind kind, unsigned int n);

/** admission_give() - gives back @n of what admission_take() took */
void admission_give(struct admission *admission, enum admission_kind kind,
		    unsigned int n);

/**
 * admission_take_port() - may the namespace have one more local port?
 * @space:	a number for what shares ports, see serving_backend.ports; 0: a
 *		port is not needed
 *
 * A namespace may have as many ports as are free beside its own. So there is
 * always one for the next namespace, however many greedy ones there are, and a
 * reserve for programs that are not berth.
 * Return: false when it may not; nothing is taken then.
 */
bool admission_take_port(struct admission *admission, uint32_t space,
			 uint64_t now_us);

/** admission_give_port() - gives back what admission_take_port() took */
void admission_give_port(struct admission *admission, uint32_t space);

/** admission_ports_short() - the kernel has no port left in @space: for some
 * seconds namespaces may have fewer */
void admission_ports_short(uint32_t space, uint64_t now_us);

/** admission_is_greedy() - has the namespace a quarter of the ports in @space
 * that berth has? */
bool admission_is_greedy(const struct admission *admission, uint32_t space);

/**
 * admissions_greediest() - main thread: which namespace has most ports in
 * @space?
 *
 * Return: its entry, without a reference; NULL when none has any.
 */
const struct admission *admissions_greediest(struct admissions *admissions,
					     uint32_t space);

/**
 * admission_take_client() - is there room for one more client of a listener?
 * @n_clients:	counts the listener's clients, up to @max_clients
 * @n_fds:	descriptors that the client needs
 * @met:	as of admission_take()
 *
 * Return: false when there is no room; nothing is taken then.
 */
bool admission_take_client(struct admission *admission, atomic_uint *n_clients,
			   uint32_t max_clients, unsigned int n_fds,
			   enum berth_limit *met);

/** admission_give_client() - the client ended; @n_fds of its descriptors were
 * not given back before */
void admission_give_client(struct admission *admission, atomic_uint *n_clients,
			   unsigned int n_fds);

/**
 * admission_messages() - the memory that the namespace's SCTP messages may take
 * in worker number @worker
 * @of_worker:	the budget of all messages of the worker, of which the result is
 *		a part
 *
 * Return: never NULL.
 */
struct budget *admission_messages(struct admission *admission, size_t worker,
				  struct budget *of_worker);

/** admission_waiting() - what waits in worker number @worker, which counts it
 * itself */
struct admission_waiting *admission_waiting(struct admission *admission,
					    size_t worker);

/** admission_turn() - what worker number @worker did for the namespace in its
 * turn @turn; that worker only */
struct admission_turn *admission_turn(struct admission *admission,
				      size_t worker, uint32_t turn);

#endif
