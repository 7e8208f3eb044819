/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.h - the first words on a consumer's connection
 *
 * Whoever connects says `hello`, and is answered `welcome` or `denied`. Until
 * then the connection costs berthd a descriptor and little else, and that for a
 * bounded time: see doc/consumer-protocol.md.
 */
#ifndef DAEMON_CONSUMERS_HANDSHAKE_H
#define DAEMON_CONSUMERS_HANDSHAKE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/loop.h"
#include "daemon/consumers/consumer_message.h"

struct handshakes;

/** How long a `hello` is waited for. */
#define HANDSHAKE_TIMEOUT_US (5 * UINT64_C(1000000))

/** Connections of one consumer that did not say hello yet. A program says it
 * when it has connected; more of them are a mistake, and each has a descriptor
 * here. */
#define HANDSHAKES_MAX 16

/** Why a connection is denied, for the program at its other end. */
enum denial {
	DENIAL_BUSY, /* another connection has the listeners */
	DENIAL_VERSION, /* it speaks another version of the protocol */
	DENIAL_PROTOCOL, /* it does not say hello */
	DENIAL_LIMIT, /* too many do not say hello */
	DENIAL_PERMISSION, /* its user may not be this consumer */
	DENIAL_COUNT
};

/**
 * struct consumer_peer - who is at the other end
 * @pid:	of the process that connected; 0: in no PID namespace of ours
 * @name:	as of its hello: free text
 */
struct consumer_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	char name[CONSUMER_NAME_MAX];
};

/**
 * struct handshakes_ops - what they tell
 * @hello:	a consumer said hello in a version that is spoken here. @fd is
 *		the owner's from now on: to be welcomed, or denied
 */
struct handshakes_ops {
	void (*hello)(const char *consumer, int fd,
		      const struct consumer_peer *peer,
		      const struct consumer_hello *hello, void *user_data);
};

/** handshakes_new() - none yet. Return: 0 or -ENOMEM. */
int handshakes_new(struct loop *loop, const struct handshakes_ops *ops,
		   void *user_data, struct handshakes **ret_handshakes);

/** handshakes_free() - closes all of them. NULL is fine. Returns NULL. */
struct handshakes *handshakes_free(struct handshakes *handshakes);

/**
 * handshakes_add() - waits for the hello of one more connection
 * @consumer:	the name of the consumer that it wants to be; copied
 * @fd:		SOCK_SEQPACKET, non-blocking; taken, also on failure
 *
 * If HANDSHAKES_MAX wait for this consumer, the oldest is denied.
 * Return: 0; -ENOMEM; -errno of epoll_ctl(2).
 */
int handshakes_add(struct handshakes *handshakes, const char *consumer, int fd,
		   const struct consumer_peer *peer);

/** handshakes_end() - ends those that wait to be @consumer */
void handshakes_end(struct handshakes *handshakes, const char *consumer);

/**
 * handshake_deny() - says why, and closes the connection
 * @fd:		taken
 * @error:	a sentence for people
 *
 * What the other end has sent is read before, so that the kernel does not turn
 * the end into an error that hides the answer.
 */
void handshake_deny(int fd, enum denial denial, const char *error);

#endif
