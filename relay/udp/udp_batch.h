/* SPDX-License-Identifier: Apache-2.0 */
/* udp_batch.h - many datagrams with one system call, each way
 *
 * Datagrams are received into slots, and messages are made of slots: a message
 * is what goes to one receiver, one datagram or several of the same size. All
 * of it belongs to one worker.
 */
#ifndef RELAY_UDP_UDP_BATCH_H
#define RELAY_UDP_UDP_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/udp/udp_address.h"

/* Few enough that a datagram does not wait long behind others for its turn,
 * enough that the system call is a small part of the cost. */
#define UDP_BATCH 32

/* Above the largest, 65,535 with its headers, merged ones included. A little
 * more than that, so that slots do not all compete for the same cache lines. */
#define UDP_SLOT_BYTES (65536u + 4096 + 320)

/**
 * struct udp_slot - what was received at once
 * @segment:	0: one datagram. Else several that the kernel merged, of this
 *		many bytes each; the last one may be shorter.
 * @cut:	it was larger than any datagram may be, and is of no use
 */
struct udp_slot {
	uint32_t segment;
	bool cut;
};

/**
 * struct udp_message - what is sent to one receiver at once
 * @first, @n:	its slots
 * @datagrams:	in those
 * @apart:	its datagrams are sent one by one: the kernel refused them
 *		merged, or they are not to be merged
 */
struct udp_message {
	uint16_t first;
	uint16_t n;
	uint32_t datagrams;
	uint32_t bytes;
	bool apart;
};

/**
 * struct udp_batch - slots and the messages made of them
 * @n:		slots in use
 * @n_messages:	of those
 * @iov:	the slots' bytes
 * @received:	headers to receive with, one for each slot
 * @sending:	headers to send with, one for each message
 * @addresses:	of the slots when received, of the messages' receivers when
 *		sent, which then are those of the message's first slot
 * @controls:	likewise
 */
struct udp_batch {
	size_t n;
	size_t n_messages;
	uint8_t *data;
	struct iovec iov[UDP_BATCH];
	struct udp_slot slots[UDP_BATCH];
	struct udp_message messages[UDP_BATCH];
	struct mmsghdr received[UDP_BATCH];
	struct mmsghdr sending[UDP_BATCH];
	union udp_address addresses[UDP_BATCH];
	union udp_control controls[UDP_BATCH];
};

/**
 * struct udp_each - how datagrams are sent one by one
 * @to:		name and control message; the rest is not used
 * @before:	bytes to begin each with, or NULL
 * @instead:	bytes to send instead of each, or NULL
 */
struct udp_each {
	struct msghdr to;
	const struct iovec *before;
	const struct iovec *instead;
};

/**
 * struct udp_outcome - what became of datagrams, added up; zero-initialize
 * @error:	errno of the last that was refused, 0: none was
 * @unmerged:	the kernel refused a merged message, which was then sent apart:
 *		to merge is not worth another try. See udp_message.apart
 * @stopped:	sending ended early, see struct udp_judge
 */
struct udp_outcome {
	uint64_t sent;
	uint64_t bytes;
	uint64_t dropped;
	int error;
	bool unmerged;
	bool stopped;
};

/* What follows when the kernel refused a message. */
enum udp_next {
	UDP_NEXT_DROP, /* it is lost; the next one */
	UDP_NEXT_AGAIN, /* the error was of an earlier one: the same again */
	UDP_NEXT_STOP, /* no more by this socket */
};

/**
 * struct udp_judge - who decides that
 * @decide:	called with the positive errno; says UDP_NEXT_AGAIN a bounded
 *		number of times
 */
struct udp_judge {
	enum udp_next (*decide)(struct udp_judge *judge, int error);
};

/** udp_batch_init() - makes room for UDP_BATCH slots in @batch, which is zero.
 * Return: 0 or -ENOMEM. */
int udp_batch_init(struct udp_batch *batch);

/** udp_batch_done() - frees what udp_batch_init() took, or began to take */
void udp_batch_done(struct udp_batch *batch);

/** udp_batch_clear() - forgets what is in it */
void udp_batch_clear(struct udp_batch *batch);

/**
 * udp_batch_receive() - receives into at most @max free slots, without waiting
 *
 * Return: how many, at batch.n before the call; or -errno of recvmmsg(2).
 */
int udp_batch_receive(struct udp_batch *batch, int fd, size_t max);

/**
 * udp_batch_receive_one() - the same for one datagram of a connected socket
 * There must be a free slot. Its address is not told, and the socket must not
 * merge: the kernel has less to copy.
 *
 * Return: 1 or -errno of recv(2).
 */
int udp_batch_receive_one(struct udp_batch *batch, int fd);

/** udp_batch_datagrams() - how many slots @first to @end - 1 hold, without
 * those that were cut */
uint64_t udp_batch_datagrams(const struct udp_batch *batch, size_t first,
			     size_t end);

/**
 * udp_batch_compose() - makes messages of slots @first to @end - 1, which have
 * one receiver
 * @key:	of the client who is to get them; NULL: the peer of a connected
 *		socket
 * @merge:	datagrams of one size may go as one message. If not, datagrams
 *		that were received merged are sent one by one, too
 *
 * Slots that were cut are left out.
 */
void udp_batch_compose(struct udp_batch *batch, size_t first, size_t end,
		       const struct udp_key *key, bool merge);

/**
 * udp_batch_send() - sends messages from @from on, up to @end - 1
 * @judge:	NULL: what the kernel refuses is dropped
 *
 * What the socket has no room for is dropped, as by any router. Merged messages
 * that cannot be sent so are sent apart.
 * Return: @end; with outcome.stopped: the message that was refused, which is
 * not counted.
 */
size_t udp_batch_send(struct udp_batch *batch, int fd, size_t from, size_t end,
		      struct udp_judge *judge, struct udp_outcome *outcome);

/**
 * udp_batch_send_each() - sends each datagram of slots @first to @end - 1 by
 * itself
 *
 * As udp_batch_send(). Return: @end; with outcome.stopped: the slot of what was
 * refused, or the next one when some of its datagrams were sent.
 */
size_t udp_batch_send_each(struct udp_batch *batch, int fd, size_t first,
			   size_t end, const struct udp_each *each,
			   struct udp_judge *judge,
			   struct udp_outcome *outcome);

#endif
