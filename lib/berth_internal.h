/* SPDX-License-Identifier: Apache-2.0 */
/* berth_internal.h - what the files of libberth share
 *
 * Nothing of it is visible outside the library. Its names begin with berth_
 * all the same, because the static library has no other way to keep them from
 * the program's.
 */
#ifndef BERTH_INTERNAL_H
#define BERTH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "lib/berth.h"

struct held;
struct minted_netns;

#define BERTH_NEVER_MS UINT64_MAX

/* The size of one datagram of an answer: it holds some hundred listeners,
 * which berthd reads in a fraction of a millisecond before it does something
 * else. */
#define ANSWER_BYTES 16384

/* What one connection takes in an answer without its texts: their names, and
 * six numbers. */
#define CONNECTION_BYTES 256

#define PROBLEM_BYTES 256

/**
 * enum link - how the library stands with berthd
 * @LINK_OVER:	the connection ended; the program has to say berth_reconnect()
 * @LINK_AWAY:	there is none; the next attempt is made at @attempt_ms
 * @LINK_GREETING: hello is said, welcome not
 * @LINK_HANDING: what is held is handed back
 * @LINK_UP:	berthd knows all that is held
 */
enum link {
	LINK_OVER,
	LINK_AWAY,
	LINK_GREETING,
	LINK_HANDING,
	LINK_UP,
};

/** struct berth_request - for a socket, without an answer; @text is repeated */
struct berth_request {
	uint64_t request;
	struct berth_request *prev;
	struct berth_request *next;
	size_t len;
	char text[];
};

/**
 * struct berth - see berth.h
 *
 * @fd:		epoll, of the two that follow
 * @conn_fd:	-1 with LINK_AWAY
 * @timer_fd:	readable from @timer_ms on
 * @address:	of berthd's socket; @reconnects: it can be connected to again
 * @takeover:	hello says so until somebody welcomes it
 * @events:	what @conn_fd is polled for; EPOLLOUT once a message had no room
 * @paused:	the hand back waits until @attempt_ms
 * @lost_ms:	since when nobody welcomes it; 0: it is welcome
 * @attempt_ms:	when to try next
 * @last_attempt_ms: when it was tried last
 * @orphan_ms, @drain_ms: when everything is withdrawn, or BERTH_NEVER_MS
 * @taken_over:	another connection has its place
 * @held:	a hash table, by id
 * @n_held:	in it, but those that ended
 * @unsaid:	those of which something is to be said to berthd
 * @netns:	a hash table, by id: where sockets were got
 * @hands_back:	there was something to be handed back when hello was said
 * @n_promised:	the first ones of @held: hello said that they will be handed
 *		back, and they were not yet
 * @hand_held, @hand_netns, @hand_request: what is to be handed back next
 * @yield_held, @yield_netns: where those begin that the program is to be told
 *		to withdraw
 * @stats_void:	the answer to @answer_request is for nobody
 * @answer:	the answer to @answer_request so far: @answer_len bytes, not
 *		closed yet
 * @part_open:	BERTH_CONNECTIONS with @part_request came by this connection,
 *		and is not answered
 * @part:	the answer so far: @part_len bytes
 */
struct berth {
	int fd;
	int conn_fd;
	int timer_fd;
	struct sockaddr_un address;
	bool reconnects;
	bool takeover;
	bool taken_over;
	bool paused;
	enum link link;
	uint32_t events;
	uint32_t orphan_timeout_ms;
	uint32_t drain_timeout_ms;
	uint64_t timer_ms;
	uint64_t lost_ms;
	uint64_t attempt_ms;
	uint64_t last_attempt_ms;
	uint64_t orphan_ms;
	uint64_t drain_ms;
	struct held *held;
	size_t n_held;
	struct held *unsaid;
	struct minted_netns *netns;
	struct berth_request *requests;
	size_t n_requests;
	bool hands_back;
	size_t n_promised;
	struct held *hand_held;
	struct minted_netns *hand_netns;
	struct berth_request *hand_request;
	struct held *yield_held;
	struct minted_netns *yield_netns;
	bool stats_void;
	uint64_t answer_request;
	size_t answer_len;
	bool part_open;
	uint64_t part_request;
	size_t part_len;
	char *name;
	char problem[PROBLEM_BYTES];
	char answer[ANSWER_BYTES];
	char part[ANSWER_BYTES];
	char buffer[BERTH_MESSAGE_MAX];
};

/* berth_message.c */

/** berth_message_new() - one of the library's own; NULL: no memory */
struct berth_message *berth_message_new(enum berth_message_type type);

/* berth_look.c */

/**
 * berth_look() - looks at the next message until its descriptor arrives
 * @ret_lost:	0 when it has arrived or the message has none; -EMFILE when the
 *		table is full; -EPROTO when it does not arrive although there is
 *		room
 *
 * Return: the message's bytes in berth->buffer; -errno of recvmsg(2).
 */
ssize_t berth_look(struct berth *berth, int *ret_flags, int *ret_fd,
		   int *ret_lost);

/**
 * berth_consume() - takes the message that was looked at from the queue
 *
 * The kernel closes its descriptors, because there is no room for them here.
 */
void berth_consume(struct berth *berth);

/* berth_send.c */

/**
 * berth_send_text() - sends one datagram, with @fd attached unless it is -1
 *
 * Return: 0; -EAGAIN: no room, and berth->fd will be readable when there is;
 * -EPIPE: no connection; another -errno of sendmsg(2).
 */
int berth_send_text(struct berth *berth, const char *text, size_t len, int fd);

/** berth_may_send() - is this the time for messages about listeners? */
bool berth_may_send(const struct berth *berth);

/** berth_say() - sends a message of this type about one listener */
int berth_say(struct berth *berth, const char *type, uint64_t id);

/**
 * berth_say_released() - sends what berth_released_counts() is to say
 * @counts:	NULL: none
 */
int berth_say_released(struct berth *berth, uint64_t id,
		       const struct berth_counts *counts);

/**
 * berth_say_hello() - the first message of a connection
 * @fd:		of the connection
 *
 * Return: 0; -EINVAL: the name is not UTF-8; -ENOMEM; -errno of send(2).
 */
int berth_say_hello(const struct berth *berth, int fd);

/** berth_say_netns() - sends a message of this type about one namespace */
int berth_say_netns(struct berth *berth, const char *type, uint64_t netns_id);

/** berth_requests_answered() - forgets a request for a socket */
void berth_requests_answered(struct berth *berth, uint64_t request);

/* berth_held.c */

/**
 * berth_held_receive() - what a message about a listener means for the table
 * @fd:		that came with it, or -1
 *
 * Return: 1: the program is to see it, and it has its descriptor then; 0: it is
 * not, and @fd is closed; -ENOMEM: the message must be looked at
 * again, and @fd is still the caller's.
 */
int berth_held_receive(struct berth *berth, struct berth_message *message,
		       int fd);

/**
 * berth_held_refuse() - says that a listener's socket was not taken
 * Return: as berth_send_text().
 */
int berth_held_refuse(struct berth *berth, uint64_t id);

/** berth_held_withdraw_all() - the program is told to withdraw all of them */
void berth_held_withdraw_all(struct berth *berth, bool abort);

/** berth_held_yield() - the next of these messages. Return: 1, 0, -ENOMEM. */
int berth_held_yield(struct berth *berth, struct berth_message **ret_message);

/** berth_held_count() - how many are handed back */
size_t berth_held_count(const struct berth *berth);

/** berth_held_lost() - the connection is over */
void berth_held_lost(struct berth *berth);

/**
 * berth_held_hand() - sends the next listener's `held`
 * Return: as berth_send_text().
 */
int berth_held_hand(struct berth *berth);

/** berth_held_flush() - says what was not said yet. Return: as above. */
int berth_held_flush(struct berth *berth);

/** berth_held_done() - forgets them */
void berth_held_done(struct berth *berth);

/* berth_netns.c */

/** berth_netns_minted() - a socket came from there. Return: 0 or -ENOMEM. */
int berth_netns_minted(struct berth *berth, uint64_t netns_id);

/** berth_netns_gone() - berthd says that it goes. Return: 0 or -ENOMEM. */
int berth_netns_gone(struct berth *berth, uint64_t netns_id);

/** berth_netns_withdraw_all() - the program is told to close all sockets */
void berth_netns_withdraw_all(struct berth *berth);

/** berth_netns_yield() - the next of these messages. Return: 1, 0, -ENOMEM. */
int berth_netns_yield(struct berth *berth, struct berth_message **ret_message);

/** berth_netns_lost() - the connection is over */
void berth_netns_lost(struct berth *berth);

/**
 * berth_netns_hand() - sends the next `held_netns`
 * Return: as berth_send_text().
 */
int berth_netns_hand(struct berth *berth);

/** berth_netns_done() - forgets them */
void berth_netns_done(struct berth *berth);

/* berth_link.c */

/** berth_link_now_ms() - CLOCK_MONOTONIC */
uint64_t berth_link_now_ms(void);

/** berth_link_watch() - polls the connection for these events of epoll(7) */
void berth_link_watch(struct berth *berth, uint32_t events);

/** berth_link_set_timer() - sets the timer to what is to be done next */
void berth_link_set_timer(struct berth *berth);

/** berth_link_attempt() - connects now. Return: 0; -errno: see berth_connect()
 */
int berth_link_attempt(struct berth *berth);

/** berth_link_greet() - says hello over a connection. Return: as above. */
int berth_link_greet(struct berth *berth, int fd);

/** berth_link_schedule() - sets @attempt_ms after a failure */
void berth_link_schedule(struct berth *berth);

/** berth_link_lost() - the connection is over, because of @problem */
void berth_link_lost(struct berth *berth, const char *problem);

#endif
