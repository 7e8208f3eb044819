/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_socket.h - all contact with the kernel's SCTP
 *
 * In all of it, @fd is a socket and @assoc_id one of its associations: the
 * kernel's number with a one-to-many socket, 0 with a one-to-one socket. No
 * function blocks.
 */
#ifndef RELAY_SCTP_SCTP_SOCKET_H
#define RELAY_SCTP_SCTP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/ip.h"
#include "relay/sctp/sctp_message.h"

/* The largest message that is passed on. Signalling stays below 64 KiB,
 * data channels of browsers go as far as this. A socket's send buffer bounds
 * it as well: the kernel takes no message that is larger than that. */
#define SCTP_MESSAGE_MAX (256u * 1024)

enum sctp_kind {
	SCTP_KIND_NOTHING, /* there is nothing now; an event tells of more */
	SCTP_KIND_DATA, /* a message or a part of one */
	SCTP_KIND_EOF, /* the peer will send nothing more */
	SCTP_KIND_UP, /* there is a new association */
	SCTP_KIND_CLOSED, /* the association ended as both peers wanted */
	SCTP_KIND_LOST, /* the association was aborted */
	SCTP_KIND_RESTARTED, /* the peer lost its state, and began anew */
	SCTP_KIND_ABANDONED, /* the rest of a message will never come */
	SCTP_KIND_DRY, /* all that was sent is acknowledged */
	SCTP_KIND_OTHER, /* of no interest */
};

/**
 * struct sctp_received - what a call of sctp_socket_receive() brought
 * @assoc_id:	of a one-to-many socket: whom it is about
 * @label, @len: with SCTP_KIND_DATA
 * @last:	with SCTP_KIND_DATA: the message ends with this part
 * @from:	with SCTP_KIND_UP: the peer's address
 */
struct sctp_received {
	enum sctp_kind kind;
	int32_t assoc_id;
	struct sctp_label label;
	size_t len;
	bool last;
	struct ip_addr from;
};

/**
 * struct sctp_limits - what an association can carry
 * @streams:	on how many streams we may send
 * @in_streams:	on how many streams the peer may send
 * @max_bytes:	how large a message that we send may be
 */
struct sctp_limits {
	uint16_t streams;
	uint16_t in_streams;
	uint32_t max_bytes;
};

/**
 * sctp_socket_prepare() - asks for what a relayed association needs:
 * notifications, a label for each message, and no delay when sending
 * @assoc_id:	of a one-to-many socket: 0 for those that are still to come
 * @one_to_many: which kind of socket it is
 *
 * Return: 0; -EINVAL: the association is gone; -errno.
 */
int sctp_socket_prepare(int fd, int32_t assoc_id, bool one_to_many);

/**
 * sctp_socket_receive() - reads one part of a message, or a notification
 * @buffer:	for the data
 * @size:	of it; enough for the kernel's notifications, too
 *
 * Return: 0; -errno.
 */
int sctp_socket_receive(int fd, void *buffer, size_t size,
			struct sctp_received *ret_received);

/**
 * struct sctp_target - where a message goes
 * @fd, @assoc_id: as everywhere here
 * @ack_at_once: the peer shall not delay its acknowledgement
 */
struct sctp_target {
	int fd;
	int32_t assoc_id;
	bool ack_at_once;
};

/**
 * sctp_socket_send() - sends a whole message
 * @data:	@len bytes
 *
 * Return: 0; -EAGAIN: there is no room in the send buffer; -errno.
 */
int sctp_socket_send(const struct sctp_target *target,
		     const struct sctp_label *label, const void *data,
		     size_t len);

/** sctp_socket_limits() - finds out what an association can carry. Return: 0;
 * -errno: there is no association. */
int sctp_socket_limits(int fd, int32_t assoc_id,
		       struct sctp_limits *ret_limits);

/** sctp_socket_peer() - finds out the peer's primary address. Return: 0;
 * -errno: there is no association. */
int sctp_socket_peer(int fd, int32_t assoc_id, struct ip_addr *ret_peer);

/* So many addresses of either end are looked at. No sane host announces more.
 */
#define SCTP_ENDS_MAX 8

/** sctp_socket_peers() - finds out the peer's addresses and port. Return: how
 * many addresses; 0: there is no association. */
size_t sctp_socket_peers(int fd, int32_t assoc_id,
			 struct ip_addr ret_addrs[SCTP_ENDS_MAX],
			 uint16_t *ret_port);

/** sctp_socket_locals() - finds out our own addresses of an association.
 * Return: how many; 0: there is no association. */
size_t sctp_socket_locals(int fd, int32_t assoc_id,
			  struct ip_addr ret_addrs[SCTP_ENDS_MAX]);

/**
 * sctp_socket_addrs() - lists all addresses that a socket is bound to
 * @ret_addrs:	the caller frees it
 *
 * Return: how many; -errno.
 */
ssize_t sctp_socket_addrs(int fd, struct ip_addr **ret_addrs);

/**
 * sctp_socket_taken() - tells whether the peer acknowledges anything
 *
 * Return: a number that changes with every acknowledgement, and may change when
 * something is sent, but is never UINT64_MAX; 0: there is no association.
 */
uint64_t sctp_socket_taken(int fd, int32_t assoc_id);

/** sctp_socket_holds() - Return: does the one-to-one socket @fd have something
 * that the peer has not acknowledged? */
bool sctp_socket_holds(int fd);

/** sctp_socket_is_gone() - Return: has the one-to-one socket @fd no association
 * any more? */
bool sctp_socket_is_gone(int fd);

/**
 * sctp_socket_mirror() - prepares a socket that is to be connected for the
 * client of @client: asks for as many streams as that one has, each way
 *
 * Return: 0; -errno.
 */
int sctp_socket_mirror(int fd, const struct sctp_limits *client);

/**
 * sctp_socket_hasten() - makes a socket that is to be connected give up sooner
 * than the kernel would
 * @n:		how many addresses the peer has
 * @timeout_us:	by then all addresses have been tried. The kernel would wait for
 *		three seconds at each.
 *
 * Once connected, the socket gives up a peer that acknowledges nothing after
 * half a minute, instead of two minutes and more; sooner, if the sysctls of the
 * namespace say so.
 * Return: 0; -errno.
 */
int sctp_socket_hasten(int fd, size_t n, uint64_t timeout_us);

/** sctp_socket_shut() - has one association of a one-to-many socket send
 * SHUTDOWN as soon as all data are sent. Does nothing if it is gone. */
void sctp_socket_shut(int fd, int32_t assoc_id);

/** sctp_socket_abort() - aborts one association of a one-to-many socket. Does
 * nothing if it is gone. */
void sctp_socket_abort(int fd, int32_t assoc_id);

/**
 * sctp_socket_mark() - notes in the kernel that somebody serves @assoc_id
 *
 * Return: was that noted already, by a process before this one?
 */
bool sctp_socket_mark(int fd, int32_t assoc_id);

/**
 * sctp_socket_list() - lists the associations of the one-to-many socket @fd
 * @ret_ids:	the caller frees it
 *
 * Return: how many; -errno.
 */
ssize_t sctp_socket_list(int fd, int32_t **ret_ids);

#endif
