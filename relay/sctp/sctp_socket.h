/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_socket.h - all contact with the kernel's SCTP
 *
 * @assoc_id is 0 for a one-to-one socket.
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
	SCTP_KIND_NOTHING, /* now; an event tells of more */
	SCTP_KIND_DATA,
	SCTP_KIND_EOF, /* the peer will send nothing more */
	SCTP_KIND_UP, /* a new association */
	SCTP_KIND_CLOSED, /* it ended as both wanted */
	SCTP_KIND_LOST, /* it was aborted */
	SCTP_KIND_RESTARTED, /* the peer lost its memory, and began anew */
	SCTP_KIND_ABANDONED, /* the rest of a message will never come */
	SCTP_KIND_DRY, /* all that was sent is acknowledged */
	SCTP_KIND_OTHER, /* of no interest */
};

/**
 * struct sctp_received - what a call of sctp_socket_receive() brought
 * @last:	with DATA: the message ends here
 * @label, @len: with DATA
 * @from:	with UP: where it comes from
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
 * struct sctp_limits - what an association can carry from us
 * @streams:	that we may send on
 * @in_streams:	that the peer may send on
 * @max_bytes:	of one message
 */
struct sctp_limits {
	uint16_t streams;
	uint16_t in_streams;
	uint32_t max_bytes;
};

/**
 * sctp_socket_prepare() - notifications, labels, no waiting for more to send
 * @assoc_id:	of a one-to-many socket: 0 for those to come
 *
 * Return: 0 or -errno; -EINVAL: the association is gone.
 */
int sctp_socket_prepare(int fd, int32_t assoc_id, bool one_to_many);

/** sctp_socket_receive() - one part of a message, or a notification
 * @size:	enough for the kernel's notifications
 *
 * Return: 0 or -errno.
 */
int sctp_socket_receive(int fd, void *buffer, size_t size,
			struct sctp_received *ret_received);

/**
 * struct sctp_target - where a message goes
 * @assoc_id:	of a one-to-many socket, else 0
 * @ack_at_once: the peer shall not delay its acknowledgement
 */
struct sctp_target {
	int fd;
	int32_t assoc_id;
	bool ack_at_once;
};

/** sctp_socket_send() - a whole message. Return: 0; -EAGAIN; -errno. */
int sctp_socket_send(const struct sctp_target *target,
		     const struct sctp_label *label, const void *data,
		     size_t len);

/** sctp_socket_limits() - Return: 0; -errno: there is no association. */
int sctp_socket_limits(int fd, int32_t assoc_id,
		       struct sctp_limits *ret_limits);

/**
 * sctp_socket_peer() - its primary address, which the client chose
 * Return: 0; -errno: there is no association.
 */
int sctp_socket_peer(int fd, int32_t assoc_id, struct ip_addr *ret_peer);

/* As many addresses of either end are looked at; more are announced by no
 * sane host. */
#define SCTP_ENDS_MAX 8

/** sctp_socket_peers() - the peer's addresses and port. Return: how many; 0:
 * there is no association. */
size_t sctp_socket_peers(int fd, int32_t assoc_id,
			 struct ip_addr ret_addrs[SCTP_ENDS_MAX],
			 uint16_t *ret_port);

/** sctp_socket_locals() - our own addresses, likewise */
size_t sctp_socket_locals(int fd, int32_t assoc_id,
			  struct ip_addr ret_addrs[SCTP_ENDS_MAX]);

/**
 * sctp_socket_addrs() - all that a socket is bound to
 * @ret_addrs:	to be freed
 *
 * Return: how many, or -errno.
 */
ssize_t sctp_socket_addrs(int fd, struct ip_addr **ret_addrs);

/**
 * sctp_socket_taken() - a number that is another one each time the peer has
 * acknowledged something, and may be when something was sent
 * Return: it, never UINT64_MAX; 0: there is no association.
 */
uint64_t sctp_socket_taken(int fd, int32_t assoc_id);

/** sctp_socket_holds() - does a one-to-one socket still have something that the
 * peer has not acknowledged? */
bool sctp_socket_holds(int fd);

/** sctp_socket_is_gone() - has a one-to-one socket no association any more? */
bool sctp_socket_is_gone(int fd);

/**
 * sctp_socket_mirror() - has a socket that is to be connected ask for the
 * streams that mirror @client's, and prepares it
 * Return: 0 or -errno.
 */
int sctp_socket_mirror(int fd, const struct sctp_limits *client);

/**
 * sctp_socket_hasten() - has a socket that is to be connected give up sooner
 * than the kernel would
 * @n:		how many addresses the peer has
 * @timeout_us:	to try them all when connecting, where the kernel would wait
 *		for three seconds at each
 *
 * A peer that acknowledges nothing is given up after half a minute, instead of
 * two and more; sooner, if the sysctls of the namespace say so.
 * Return: 0 or -errno.
 */
int sctp_socket_hasten(int fd, size_t n, uint64_t timeout_us);

/** sctp_socket_shut() - one association of a one-to-many socket: SHUTDOWN once
 * all is sent. Failure means that it is gone. */
void sctp_socket_shut(int fd, int32_t assoc_id);

/** sctp_socket_abort() - one association of a one-to-many socket: ABORT */
void sctp_socket_abort(int fd, int32_t assoc_id);

/**
 * sctp_socket_mark() - notes in the kernel that somebody serves @assoc_id
 * Return: was it noted already, before this process?
 */
bool sctp_socket_mark(int fd, int32_t assoc_id);

/**
 * sctp_socket_list() - the associations of a one-to-many socket
 * @ret_ids:	to be freed
 *
 * Return: how many, or -errno.
 */
ssize_t sctp_socket_list(int fd, int32_t **ret_ids);

#endif
