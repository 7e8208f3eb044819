/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_internal.h - a relayed association, for the files sctp*.c */
#ifndef RELAY_SCTP_SCTP_INTERNAL_H
#define RELAY_SCTP_SCTP_INTERNAL_H

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "relay/core/counters.h"
#include "relay/core/flow.h"
#include "relay/core/pollable.h"
#include "relay/sctp/sctp_message.h"
#include "relay/sctp/sctp_socket.h"

struct sctp_shared;
struct serving_backend;
struct share;
struct worker;

enum sctp_side_kind {
	SCTP_SIDE_OWN, /* a one-to-one socket */
	SCTP_SIDE_SHARED, /* one association of a one-to-many socket */
	SCTP_SIDE_STREAM, /* TCP or UNIX */
};

/**
 * struct sctp_side - one end of a relayed association
 *
 * A socket of its own is registered edge-triggered.
 * @fd:		-1: not there; the listener's own with SCTP_SIDE_SHARED
 * @assoc_id:	with SCTP_SIDE_SHARED, else 0
 * @limits:	what can be sent to it, but for a stream
 * @partial:	read from this side, its end did not come yet
 * @queue:	read from this side, to be sent to the other
 * @readable, @writable: as far as is known
 * @eof:	it sends nothing more; and, but for a stream, takes nothing
 * @shut:	we said that we send nothing more
 * @broken:	a stream that takes nothing more: what is for it is dropped
 * @gone:	with SCTP_SIDE_SHARED: the kernel has the association no more
 * @taken:	what told of its peer's acknowledgements when that was looked at
 *		last; SCTP_TAKEN_UNKNOWN: since then more was given
 */
struct sctp_side {
	struct pollable poll;
	int fd;
	int32_t assoc_id;
	uint8_t kind;
	bool readable;
	bool writable;
	bool eof;
	bool shut;
	bool broken;
	bool gone;
	uint64_t taken;
	struct sctp_limits limits;
	struct sctp_message *partial;
	struct sctp_queue queue;
};

#define SCTP_TAKEN_UNKNOWN UINT64_MAX

/**
 * struct sctp_conn - see sctp.c
 * @stalled_us:	since when it holds what it shares with others, and the side
 *		that is the reason took nothing; 0: it does not
 * @in_kernel:	with a shared client: what it may take of the send buffer, and
 * @recent:	the part of that which was sent in @epoch of the socket
 * @granted:	one message more may be sent, whatever that is
 * @blocked:	it is in the shared socket's list
 * @full:	it is the reason that the shared socket is not read
 * @restarted:	the client's peer forgot all: sctp_conn_restart() is to follow
 * @from:	the client's address; AF_UNSPEC: not known
 */
struct sctp_conn {
	struct flow flow;
	struct sctp_conn *blocked_prev, *blocked_next;
	UT_hash_handle hh;
	uint64_t stalled_us;
	struct sctp_side client;
	struct sctp_side backend;
	size_t in_kernel;
	size_t recent;
	uint32_t epoch;
	struct ip_addr from;
	bool blocked;
	bool full;
	bool granted;
	bool restarted;
};

/* What sockets are registered for, once and for all. */
#define SCTP_EPOLL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* sctp.c */

/**
 * sctp_conn_new() - a flow for an association that was let in; not begun yet
 * @fd:		the client's; with SCTP_SIDE_OWN it is taken on success
 * @assoc_id:	of a shared socket, else 0
 * @ret_conn:	NULL inside: it ended already, and the log says why
 *
 * Return: 0; -ELOOP: it comes round in a circle; -ENOMEM.
 */
int sctp_conn_new(struct worker *worker, struct share *share, int fd,
		  int32_t assoc_id, struct sctp_conn **ret_conn);

/**
 * sctp_conn_restart() - a client's peer forgot all: serves it as a new client
 *
 * The association goes on, and what was said in its earlier life is dropped;
 * the backend's is aborted, and a new one made. @conn may be dead afterwards.
 */
void sctp_conn_restart(struct worker *worker, struct sctp_conn *conn);

/** sctp_conn_stalls() - keeps others waiting since now, or @stalls not */
void sctp_conn_stalls(struct worker *worker, struct sctp_conn *conn,
		      bool stalls);

/** sctp_conn_budget() - what its messages may take */
struct budget *sctp_conn_budget(const struct sctp_conn *conn);

/* sctp_follow.c */

/** sctp_share_follow() - one-to-one: its associations get the addresses that
 * the listening socket has by now, and lose those that it lost */
void sctp_share_follow(struct worker *worker, struct share *share,
		       const struct serving *old);

/* sctp_pump.c */

/**
 * sctp_pump() - passes on what @src sends, until one of them blocks
 * @dst:	may be @src (echo); NULL: what comes is forgotten

 * Return: FLOW_FAILED with conn.restarted set: the client began anew.
 */
enum flow_result sctp_pump(struct worker *worker, struct sctp_conn *conn,
			   struct sctp_side *src, struct sctp_side *dst);

/**
 * sctp_pump_take() - part of a message that was read from @src
 * @data:	@received->len bytes
 *
 * Return: 0; -errno: the association has to be aborted.
 */
int sctp_pump_take(struct worker *worker, struct sctp_conn *conn,
		   struct sctp_side *src, struct sctp_side *dst,
		   const struct sctp_received *received, const uint8_t *data);

/** sctp_pump_explain() - logs why sctp_pump() or _take() failed, if it was for
 * what a peer sent */
void sctp_pump_explain(struct worker *worker, struct sctp_conn *conn,
		       int error);

/** sctp_pump_give() - Return: bytes that @dst took, 0 when it blocks; -errno */
ssize_t sctp_pump_give(struct worker *worker, struct sctp_conn *conn,
		       struct sctp_side *dst, const struct sctp_label *label,
		       const uint8_t *data, size_t len);

/** sctp_side_shut() - says to @side that nothing more will come */
void sctp_side_shut(struct sctp_side *side);

/** sctp_side_done() - has it said its last, and is that passed on? */
bool sctp_side_done(const struct sctp_side *side);

/** sctp_side_drop_partial() - the rest of it will never come */
void sctp_side_drop_partial(struct sctp_conn *conn, struct sctp_side *side);

/* sctp_backend.c */

/** sctp_backend_prepare() - gets the socket of conn.backend ready to be
 * connected to @target. Return: 0 or -errno. */
int sctp_backend_prepare(struct sctp_conn *conn,
			 const struct serving_backend *target);

/* sctp_shared.c */

/** sctp_shared_send() - to a client of a one-to-many socket. Return: 0;
 * -EAGAIN: flow_run() follows when there may be room; -errno. */
int sctp_shared_send(struct worker *worker, struct sctp_conn *conn,
		     const struct sctp_label *label, const uint8_t *data,
		     size_t len);

/** sctp_shared_add() - Return: 0 or -ENOMEM. */
int sctp_shared_add(struct sctp_conn *conn);
void sctp_shared_remove(struct worker *worker, struct sctp_conn *conn);

/** sctp_shared_restarted() - nothing of the conn's is in the send buffer any
 * more */
void sctp_shared_restarted(struct worker *worker, struct sctp_conn *conn);

/** sctp_shared_update() - the conn's queue changed */
void sctp_shared_update(struct worker *worker, struct sctp_conn *conn);

#endif
