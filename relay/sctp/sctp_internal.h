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
 * A socket of the side's own is registered edge-triggered.
 * @fd:		the side's socket; with SCTP_SIDE_SHARED, the listening one; -1:
 *		none
 * @assoc_id:	the kernel's number of the association with SCTP_SIDE_SHARED,
 *		else 0
 * @kind:	enum sctp_side_kind
 * @readable, @writable: as far as is known; a call that would block clears
 *		them, an event sets them
 * @eof:	the peer sends nothing more; and takes nothing more, unless the
 *		side is a stream
 * @shut:	we told the peer that we send nothing more
 * @broken:	a stream that takes nothing more: data for it are dropped
 * @gone:	with SCTP_SIDE_SHARED: the kernel has no such association any
 *		more
 * @taken:	what sctp_socket_taken() or stream_unacked() said last;
 *		SCTP_TAKEN_UNKNOWN: since then more data were sent
 * @limits:	what can be sent to the peer, unless the side is a stream
 * @partial:	a message from this side whose end has not come yet
 * @queue:	messages from this side that the other side has not taken yet
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
 * struct sctp_conn - a flow of SCTP, see sctp.c
 * @blocked_prev, @blocked_next: in the shared socket's list of clients that
 *		wait for room in the send buffer, if @blocked
 * @hh:		in the shared socket's table
 * @stalled_us:	since when the client has held up the others of the shared
 *		socket, without any progress; 0: it holds up nobody
 * @in_kernel:	bytes of the shared socket's send buffer that this client's
 *		messages may take
 * @recent:	the part of @in_kernel that was sent in @epoch
 * @epoch:	of struct sctp_shared, when something was sent last
 * @from:	the client's address; AF_UNSPEC: not known
 * @full:	the client's queue is full, so that the shared socket is not
 *read
 * @granted:	one more message may be sent, however large @in_kernel is
 * @expired:	its lifetime is over: no side is told anything more once it has
 *		what was read for it before, or half read
 * @restarted:	the client's host lost its state and began anew:
 *		sctp_conn_restart() has to follow
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
	bool expired;
	bool restarted;
};

/* What sockets are registered for, once and for all. */
#define SCTP_EPOLL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* sctp.c */

/**
 * sctp_conn_new() - makes a flow for an association that was let in
 * @fd:		the client's socket, taken on success; or, if @assoc_id is not
 *		0, the listening socket, which remains the share's
 * @assoc_id:	the association of a one-to-many socket, else 0
 * @ret_conn:	the flow, for failover_begin(); or NULL: it ended already, and
 *		the log says why
 *
 * Return: 0; -ELOOP: the client comes round in a circle of rules; -ENOMEM.
 */
int sctp_conn_new(struct worker *worker, struct share *share, int fd,
		  int32_t assoc_id, struct sctp_conn **ret_conn);

/**
 * sctp_conn_restart() - serves a client that began anew as a new client
 *
 * The association goes on. What the client said in its earlier life is
 * dropped; the backend's association is aborted, and a new one made. @conn may
 * be dead afterwards.
 */
void sctp_conn_restart(struct worker *worker, struct sctp_conn *conn);

/**
 * sctp_conn_stalls() - notes whether a client holds up others
 * @stalls:	it does, from now on if it did not before; else it does not
 */
void sctp_conn_stalls(struct worker *worker, struct sctp_conn *conn,
		      bool stalls);

/** sctp_conn_budget() - Return: the memory that messages of @conn are part of
 */
struct budget *sctp_conn_budget(const struct sctp_conn *conn);

/* sctp_follow.c */

/**
 * sctp_share_follow() - relay_protocol.changed of one-to-one listeners
 *
 * Gives the share's associations the addresses that the listening socket has by
 * now, and takes from them those that it has no more.
 */
void sctp_share_follow(struct worker *worker, struct share *share,
		       const struct serving *old);

/* sctp_pump.c */

/**
 * sctp_pump() - passes messages on from @src to @dst until one of them blocks
 * @dst:	may be @src, for echo; NULL: messages are read and forgotten
 *
 * Return: what the flow does next. FLOW_FAILED, with conn.restarted set: the
 * client began anew.
 */
enum flow_result sctp_pump(struct worker *worker, struct sctp_conn *conn,
			   struct sctp_side *src, struct sctp_side *dst);

/**
 * sctp_pump_take() - passes on or keeps a part of a message
 * @src:	the part was read from this side
 * @dst:	as for sctp_pump()
 * @received:	describes the part
 * @data:	received.len bytes
 *
 * Return: 0; -errno: the association has to be aborted.
 */
int sctp_pump_take(struct worker *worker, struct sctp_conn *conn,
		   struct sctp_side *src, struct sctp_side *dst,
		   const struct sctp_received *received, const uint8_t *data);

/**
 * sctp_pump_explain() - logs why an association is aborted
 * @error:	of sctp_pump_take(); nothing is logged unless it is about what a
 *		peer sent
 */
void sctp_pump_explain(struct worker *worker, struct sctp_conn *conn,
		       int error);

/**
 * sctp_pump_give() - sends a message, or the rest of one to a stream, to @dst
 * @dst:	NULL, or a side that takes nothing more: the message is dropped
 *
 * Return: how many bytes were taken or dropped; 0: @dst blocks; -errno.
 */
ssize_t sctp_pump_give(struct worker *worker, struct sctp_conn *conn,
		       struct sctp_side *dst, const struct sctp_label *label,
		       const uint8_t *data, size_t len);

/** sctp_side_shut() - tells the peer of @side, once, that nothing more comes */
void sctp_side_shut(struct sctp_side *side);

/** sctp_side_done() - Return: has the peer of @side said its last, and has the
 * other side taken all of it? */
bool sctp_side_done(const struct sctp_side *side);

/** sctp_side_drop_partial() - drops a message of @side whose end never comes */
void sctp_side_drop_partial(struct sctp_conn *conn, struct sctp_side *side);

/* sctp_backend.c */

/**
 * sctp_backend_prepare() - gets the socket of conn.backend ready for connect(2)
 * @target:	where it is to be connected to
 *
 * Return: 0 or -errno.
 */
int sctp_backend_prepare(struct sctp_conn *conn,
			 const struct serving_backend *target);

/* sctp_shared.c */

/**
 * sctp_shared_send() - sends a message to a client of a one-to-many socket
 *
 * Return: 0; -EAGAIN: the client has its part of the send buffer, or that is
 * full, and flow_run() follows when there may be room; -errno.
 */
int sctp_shared_send(struct worker *worker, struct sctp_conn *conn,
		     const struct sctp_label *label, const uint8_t *data,
		     size_t len);

/** sctp_shared_add() - puts @conn into the table of its one-to-many socket.
 * Return: 0 or -ENOMEM. */
int sctp_shared_add(struct sctp_conn *conn);

/** sctp_shared_remove() - takes @conn out of the table and all lists of its
 * one-to-many socket, if it is in there */
void sctp_shared_remove(struct worker *worker, struct sctp_conn *conn);

/** sctp_shared_restarted() - notes that the send buffer holds nothing of @conn,
 * which began anew. One-to-many sockets only. */
void sctp_shared_restarted(struct worker *worker, struct sctp_conn *conn);

/** sctp_shared_update() - notes that the client's queue changed: a full one
 * stops reading. Does nothing for other sockets. */
void sctp_shared_update(struct worker *worker, struct sctp_conn *conn);

#endif
