/* SPDX-License-Identifier: Apache-2.0 */
/* udp_batch.h - receiving and sending many datagrams with one system call
 *
 * Datagrams are received into slots, and messages are made of slots. A message
 * goes to one receiver: one datagram, or several of the same size.
 *
 * All of it is for one worker's thread. Nothing here blocks.
 */
#ifndef RELAY_UDP_UDP_BATCH_H
#define RELAY_UDP_UDP_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/core/counters.h"
#include "relay/udp/udp_address.h"

/* Slots of a batch: few enough that a datagram does not wait long behind
 * others, and enough that the system call is a small part of the cost. */
#define UDP_BATCH 32

/* More than the largest datagram, merged or not, which is 65,535 bytes with its
 * headers. The odd size keeps slots from competing for the same cache lines. */
#define UDP_SLOT_BYTES (65536u + 4096 + 320)

/**
 * struct udp_slot - one datagram that was received, or several merged ones
 * @segment:	0: one datagram. Else there are several, which the kernel
 *		merged, of this many bytes each; the last one may be shorter
 * @cut:	the datagram was larger than any may be, and is of no use
 */
struct udp_slot {
	uint32_t segment;
	bool cut;
};

/**
 * struct udp_message - what is sent to one receiver at once
 * @first:	the first of its slots
 * @n:		how many slots it has
 * @datagrams:	how many datagrams the slots hold
 * @bytes:	of those datagrams
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
 * @n_messages:	messages in use
 * @data:	memory of the slots
 * @iov:	the bytes of each slot
 * @received:	headers to receive with, one for each slot
 * @sending:	headers to send with, one for each message
 * @addresses:	after receiving, where each slot comes from; for sending, where
 *		each message goes to, at the index of its first slot
 * @controls:	the control messages, in the same way
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
 * @to:		its name and control message go with each; the rest is not used
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
 * @sent:	datagrams
 * @bytes:	of those
 * @dropped:	datagrams, by why
 * @error:	errno of the last datagram that was refused; 0: none was
 * @unmerged:	the kernel refused a merged message, which was then sent apart:
 *		to merge is not worth another try. See udp_message.apart
 * @stopped:	sending ended early, see struct udp_judge
 */
struct udp_outcome {
	uint64_t sent;
	uint64_t bytes;
	uint64_t dropped[BERTH_DROPS];
	int error;
	bool unmerged;
	bool stopped;
};

/* What follows if the kernel refused a message. */
enum udp_next {
	UDP_NEXT_DROP, /* the message is dropped; go on with the next one */
	UDP_NEXT_AGAIN, /* the error was about an earlier one: send it again */
	UDP_NEXT_STOP, /* send no more by this socket */
};

/**
 * struct udp_judge - decides what follows
 * @decide:	called with a positive errno; says UDP_NEXT_AGAIN a bounded
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

/** udp_batch_clear() - forgets all slots and messages */
void udp_batch_clear(struct udp_batch *batch);

/**
 * udp_batch_receive() - receives into at most @max free slots
 *
 * The first of them is number batch.n before the call.
 * Return: how many slots; or -errno of recvmmsg(2).
 */
int udp_batch_receive(struct udp_batch *batch, int fd, size_t max);

/**
 * udp_batch_receive_one() - receives one datagram of a connected socket
 * @fd:		does not receive merged datagrams
 *
 * There must be a free slot. This is cheaper than udp_batch_receive(), because
 * the kernel does not copy the sender's address.
 * Return: 1; or -errno of recv(2).
 */
int udp_batch_receive_one(struct udp_batch *batch, int fd);

/** udp_batch_datagrams() - Return: how many datagrams slots @first to @end - 1
 * hold, without those that were cut. */
uint64_t udp_batch_datagrams(const struct udp_batch *batch, size_t first,
			     size_t end);

/**
 * udp_batch_compose() - makes messages of slots @first to @end - 1, which have
 * one receiver
 * @key:	of the client that gets them; NULL: the peer of a connected
 *		socket gets them
 * @merge:	datagrams of one size may go as one message. If not, datagrams
 *		that were received merged are sent one by one, too
 *
 * Slots that were cut are left out.
 */
void udp_batch_compose(struct udp_batch *batch, size_t first, size_t end,
		       const struct udp_key *key, bool merge);

/**
 * udp_batch_send() - sends messages @from to @end - 1
 * @judge:	decides what follows if the kernel refuses a message; NULL: it
 *		is dropped
 * @outcome:	added to
 *
 * What the socket has no room for is dropped, as a router does. If the kernel
 * refuses a merged message because it is merged, its datagrams are sent one by
 * one.
 * Return: @end; if outcome.stopped, the message that was refused, which is not
 * counted.
 */
size_t udp_batch_send(struct udp_batch *batch, int fd, size_t from, size_t end,
		      struct udp_judge *judge, struct udp_outcome *outcome);

/**
 * udp_batch_send_each() - sends each datagram of slots @first to @end - 1 by
 * itself
 *
 * The rest is as of udp_batch_send(). Return: @end; if outcome.stopped, the
 * slot of the datagram that was refused, or the next slot if a part of that
 * slot was sent.
 */
size_t udp_batch_send_each(struct udp_batch *batch, int fd, size_t first,
			   size_t end, const struct udp_each *each,
			   struct udp_judge *judge,
			   struct udp_outcome *outcome);

#endif
