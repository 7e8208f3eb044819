/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - how connected sockets end, and whether; urgent data
 *
 * Theory of operation: what the kernel closes for a process that died, it
 * closes gracefully. The peer reads a clean end of what was cut short, and a
 * socket with unacknowledged data lives on as an orphan, which keeps its
 * network namespace for minutes. So every connected socket is born to die
 * hard: whoever closes the last copy of it, and the kernel for a process that
 * crashes, resets it (TCP, MPTCP) or aborts it (SCTP). An accepted socket
 * inherits that from its listener. Only stream_close() ends one gracefully.
 * UNIX sockets know neither: the kernel gives their peers what is on its way,
 * and then the end.
 *
 * A receiver gets urgent data (MSG_OOB) at the place where they were sent,
 * among the other bytes: by default the kernel takes them out of the stream,
 * and they would not be passed on. An accepted socket inherits that, too.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stdbool.h>

/**
 * stream_set_hard() - decides how a socket ends when nothing else is said
 * @hard:	it is reset or aborted; else it ends gracefully, as by default
 *
 * For a listener this decides about the connections that it accepts from then
 * on.
 * Return: 0 or -errno.
 */
int stream_set_hard(int fd, bool hard);

/**
 * stream_set_inline() - decides whether urgent data stay in the stream
 *
 * For TCP, its listeners, and UNIX sockets.
 * Return: 0; -EOPNOTSUPP: MPTCP, which has none; -errno.
 */
int stream_set_inline(int fd, bool inlined);

/** stream_reset() - closes a socket at once: the peer sees a reset or an abort,
 * even if somebody else has a copy of @fd (but for SCTP) */
void stream_reset(int fd);

/**
 * stream_close() - closes a socket gracefully
 *
 * The kernel delivers what is in the send queue, and then the end. Meanwhile
 * the socket may live on as an orphan, which holds its namespace: so this is
 * not for a socket in a namespace that may go, unless stream_is_through().
 */
void stream_close(int fd);

/** stream_state() - the state of a TCP or MPTCP socket. Return: TCP_ESTABLISHED
 * and so on; -errno, also for other sockets. */
int stream_state(int fd);

/**
 * stream_unacked() - how many bytes a TCP, MPTCP or UNIX socket has sent that
 * the peer has not acknowledged or taken
 *
 * Return: how many, the end counts for one; -errno.
 */
int stream_unacked(int fd);

/** stream_is_through() - has the kernel nothing left to do for this TCP or
 * MPTCP socket? True for other sockets. */
bool stream_is_through(int fd);

#endif
