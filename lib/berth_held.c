// SPDX-License-Identifier: Apache-2.0
/* berth_held.c - libberth: the listeners that a consumer has
 *
 * Theory of operation: a listener is in the table from its message until
 * berthd was told that it is released or refused. The listening descriptor is
 * the program's: the table has its number and the socket's cookie, which no
 * other socket ever has. What is not under that number any more is handed back
 * as one that only drains.
 *
 * Only while berthd knows what is held is anything sent and forgotten. What is
 * said at another time stays in the table as "unsaid", so that as many
 * listeners are handed back as hello promised.
 */
#define HASH_NONFATAL_OOM 1

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uthash.h>
#include <utlist.h>

#include "lib/berth_internal.h"

#define N_TEXTS 4

/**
 * enum word - what is to be said of a listener
 * @WORD_REPEAT: the consumer could not take its change
 * @WORD_REFUSED, @WORD_RELEASED: the consumer does not have it any more
 */
enum word {
	WORD_NONE,
	WORD_REPEAT,
	WORD_REFUSED,
	WORD_RELEASED,
};

/**
 * struct held - one listener
 * @fd:		the program's number for it
 * @cookie:	SO_COOKIE of the socket; 0: it is none
 * @withdrawn, @aborted: the program was told so
 * @yields:	the program is to be told so by the library
 * @unknown:	it is only here until @word is said
 * @counts:	of WORD_RELEASED, or NULL
 * @texts:	N_TEXTS, each with its zero byte: protocol, address, interface,
 *		rule
 */
struct held {
	uint64_t id;
	uint64_t netns_id;
	uint64_t cookie;
	int fd;
	uint16_t port;
	bool withdrawn;
	bool aborted;
	bool yields;
	bool unknown;
	enum word word;
	struct berth_counts *counts;
	struct held *prev;
	struct held *next;
	UT_hash_handle hh;
	char texts[];
};

static bool has_ended(const struct held *held)
{
	return held->word == WORD_REFUSED || held->word == WORD_RELEASED;
}

/* The table */

static struct held *held_find(const struct berth *berth, uint64_t id)
{
	struct held *held;

	HASH_FIND(hh, berth->held, &id, sizeof(id), held);
	return held;
}

static char *put_text(char *place, const char *text)
{
	size_t size = strlen(text) + 1;

	memcpy(place, text, size);
	return place + size;
}

static struct held *held_new(struct berth *berth, uint64_t id,
			     const struct berth_listener *listener)
{
	struct held *held;
	char *place;

	held = calloc(1, sizeof(*held) + strlen(listener->protocol) +
				 strlen(listener->address) +
				 strlen(listener->interface) +
				 strlen(listener->rule) + N_TEXTS);
	if (!held)
		return NULL;
	held->id = id;
	held->netns_id = listener->netns_id;
	held->port = listener->port;
	held->fd = -1;
	place = put_text(held->texts, listener->protocol);
	place = put_text(place, listener->address);
	place = put_text(place, listener->interface);
	(void)put_text(place, listener->rule); /* the last one */
	HASH_ADD(hh, berth->held, id, sizeof(held->id), held);
	if (held->hh.tbl) {
		berth->n_held++;
		return held;
	}
	free(held);
	return NULL;
}

static void held_free(struct berth *berth, struct held *held)
{
	if (berth->yield_held == held)
		berth->yield_held = held->hh.next;
	if (berth->hand_held == held)
		berth->hand_held = held->hh.next;
	if (held->word != WORD_NONE)
		DL_DELETE(berth->unsaid, held);
	if (!has_ended(held))
		berth->n_held--;
	/* It is in the table.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(berth->held, held);
	free(held->counts);
	free(held);
}

/* Descriptors */

static uint64_t socket_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

/* The number under which the program still has the socket, or -1. */
static int held_fd(const struct held *held)
{
	return held->cookie && socket_cookie(held->fd) == held->cookie
		       ? held->fd
		       : -1;
}

int berth_keep(struct berth *berth, uint64_t id, int fd)
{
	struct held *held = held_find(berth, id);

	if (!held || has_ended(held))
		return -ENOENT;
	if (!held->cookie || socket_cookie(fd) != held->cookie)
		return -EBADF;
	held->fd = fd;
	return 0;
}

/* What is said to berthd */

static int say_word(struct berth *berth, const struct held *held)
{
	switch (held->word) {
	case WORD_NONE:
		break;
	case WORD_REPEAT:
		return berth_say(berth, "repeat", held->id);
	case WORD_REFUSED:
		return berth_say(berth, "refused", held->id);
	case WORD_RELEASED:
		return berth_say_released(berth, held->id, held->counts);
	}
	return 0;
}

/* It was said: what it was said of is gone, unless it was a mere `repeat`. */
static void word_said(struct berth *berth, struct held *held)
{
	if (has_ended(held)) {
		held_free(berth, held);
		return;
	}
	DL_DELETE(berth->unsaid, held);
	held->word = WORD_NONE;
}

static void set_word(struct berth *berth, struct held *held, enum word word)
{
	if (held->word == WORD_NONE)
		DL_APPEND(berth->unsaid, held);
	held->word = word;
	if (has_ended(held)) {
		berth->n_held--;
		held->yields = false;
	}
}

int berth_held_flush(struct berth *berth)
{
	struct held *held;
	int r;

	while ((held = berth->unsaid)) {
		r = say_word(berth, held);
		if (r < 0)
			return r;
		word_said(berth, held);
	}
	return 0;
}

static void keep_counts(struct held *held, const struct berth_counts *counts)
{
	if (!counts)
		return;
	held->counts = malloc(sizeof(*counts));
	if (held->counts) /* else they are lost; that it ended is not */
		*held->counts = *counts;
}

/* Says @word of a listener: now, or when there is room, or after the next
 * welcome. */
static int held_say(struct berth *berth, struct held *held, enum word word,
		    const struct berth_counts *counts)
{
	int r = -EAGAIN;

	if (has_ended(held))
		return 0;
	set_word(berth, held, word);
	if (berth->link == LINK_UP)
		r = counts ? berth_say_released(berth, held->id, counts)
			   : say_word(berth, held);
	if (r == 0)
		word_said(berth, held);
	else
		keep_counts(held, counts);
	berth_link_set_timer(berth);
	return r == -EPIPE || r == -EAGAIN ? 0 : r;
}

/* Says @word of a listener that the table does not have. */
static int say_unknown(struct berth *berth, const char *word, uint64_t id,
		       const struct berth_counts *counts)
{
	if (!berth_may_send(berth))
		return 0; /* berthd does not know it, either */
	return counts ? berth_say_released(berth, id, counts)
		      : berth_say(berth, word, id);
}

int berth_released_counts(struct berth *berth, uint64_t id,
			  const struct berth_counts *counts)
{
	struct held *held = held_find(berth, id);

	if (!held)
		return say_unknown(berth, "released", id, counts);
	return held_say(berth, held, WORD_RELEASED, counts);
}

int berth_released(struct berth *berth, uint64_t id)
{
	return berth_released_counts(berth, id, NULL);
}

int berth_refuse_listener(struct berth *berth, uint64_t id)
{
	struct held *held = held_find(berth, id);

	if (!held)
		return say_unknown(berth, "refused", id, NULL);
	return held_say(berth, held, WORD_REFUSED, NULL);
}

int berth_repeat(struct berth *berth, uint64_t id)
{
	struct held *held = held_find(berth, id);

	if (!held)
		return say_unknown(berth, "repeat", id, NULL);
	return held_say(berth, held, WORD_REPEAT, NULL);
}

int berth_held_refuse(struct berth *berth, uint64_t id)
{
	return held_find(berth, id) ? berth_repeat(berth, id)
				    : berth_say(berth, "refused", id);
}

/* What berthd says */

/* A listener with its socket. Return: as berth_held_receive(). */
static int receive_socket(struct berth *berth, struct berth_message *message,
			  int fd)
{
	struct held *held = held_find(berth, message->id);

	if (!held)
		held = held_new(berth, message->id, &message->listener);
	if (!held)
		return -ENOMEM;
	/* The number may be the one of a descriptor that the program closed. */
	message->held_fd = held->fd == fd ? -1 : held_fd(held);
	if (message->held_fd >= 0) {
		(void)close(fd); /* one more copy of what it has */
		return 1;
	}
	held->fd = fd;
	held->cookie = socket_cookie(fd);
	message->fd = fd;
	return 1;
}

/* Says @word of a listener that the table does not have: now, or when there is
 * room. Return: 0 or -ENOMEM. */
static int answer_unknown(struct berth *berth, uint64_t id, enum word word)
{
	static const struct berth_listener unknown = {
		.protocol = "",
		.address = "",
		.interface = "",
		.rule = "",
	};
	struct held *held = held_new(berth, id, &unknown);

	if (!held)
		return -ENOMEM;
	held->unknown = true;
	set_word(berth, held, word);
	if (berth->link == LINK_UP)
		(void)berth_held_flush(berth); /* it is tried again */
	return 0;
}

/* A change of a listener. */
static int receive_change(struct berth *berth, struct berth_message *message)
{
	const struct held *held = held_find(berth, message->id);

	if (!held)
		return answer_unknown(berth, message->id, WORD_REFUSED);
	if (has_ended(held))
		return 0;
	message->held_fd = held_fd(held);
	return 1;
}

static int receive_withdraw(struct berth *berth, struct berth_message *message)
{
	struct held *held = held_find(berth, message->id);

	if (!held)
		return answer_unknown(berth, message->id, WORD_RELEASED);
	if (held->word == WORD_REFUSED)
		held->word = WORD_RELEASED; /* that answers the withdrawal */
	if (has_ended(held) ||
	    (held->withdrawn && (held->aborted || !message->abort)))
		return 0;
	held->withdrawn = true;
	held->aborted = message->abort;
	held->yields = false;
	message->held_fd = held_fd(held);
	return 1;
}

int berth_held_receive(struct berth *berth, struct berth_message *message,
		       int fd)
{
	int r;

	if (message->type == BERTH_LISTENER && fd >= 0)
		return receive_socket(berth, message, fd);
	r = message->type == BERTH_LISTENER ? receive_change(berth, message)
					    : receive_withdraw(berth, message);
	if (r >= 0 && fd >= 0)
		(void)close(fd); /* a copy: berthd has its own */
	return r;
}

/* Withdrawals that the library makes */

void berth_held_withdraw_all(struct berth *berth, bool abort)
{
	struct held *held, *next;

	HASH_ITER (hh, berth->held, held, next) {
		if (has_ended(held) ||
		    (held->withdrawn && (held->aborted || !abort)))
			continue;
		held->withdrawn = true;
		held->aborted = abort;
		held->yields = true;
	}
	berth->yield_held = berth->held;
}

int berth_held_yield(struct berth *berth, struct berth_message **ret_message)
{
	struct berth_message *message;
	struct held *held;

	while ((held = berth->yield_held) && !held->yields)
		berth->yield_held = held->hh.next;
	if (!held)
		return 0;
	message = berth_message_new(BERTH_WITHDRAW);
	if (!message)
		return -ENOMEM;
	message->id = held->id;
	message->abort = held->aborted;
	message->ending = BERTH_ENDING_RELAY_END;
	message->drain_timeout_ms = held->aborted ? 0 : berth->drain_timeout_ms;
	message->held_fd = held_fd(held);
	held->yields = false;
	berth->yield_held = held->hh.next;
	*ret_message = message;
	return 1;
}

/* Hand back */

size_t berth_held_count(const struct berth *berth)
{
	return HASH_COUNT(berth->held);
}

void berth_held_lost(struct berth *berth)
{
	struct held *held, *next;

	/* The next berthd says of each listener what it is; and what was not
	 * refused in time is one that ended. */
	DL_FOREACH_SAFE (berth->unsaid, held, next) {
		if (held->word == WORD_REPEAT || held->unknown)
			word_said(berth, held);
		else
			held->word = WORD_RELEASED;
	}
}

/* The message; NULL: no memory. */
static char *held_text(const struct held *held, bool drains)
{
	const char *protocol = held->texts;
	const char *address = protocol + strlen(protocol) + 1;
	const char *interface = address + strlen(address) + 1;
	const char *rule = interface + strlen(interface) + 1;
	json_t *message;
	char *text;

	message = drains ? json_pack("{s:s, s:I, s:I, s:b, s:s}", "type",
				     "held", "id", (json_int_t)held->id,
				     "netns", (json_int_t)held->netns_id,
				     "draining", 1, "rule", rule)
			 : json_pack("{s:s, s:I, s:I, s:s, s:s, s:i, s:s, s:s}",
				     "type", "held", "id", (json_int_t)held->id,
				     "netns", (json_int_t)held->netns_id,
				     "protocol", protocol, "address", address,
				     "port", (int)held->port, "interface",
				     interface, "rule", rule);
	text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	return text;
}

/* The number of a duplicate of the listening socket: another thread of the
 * program may close its descriptor at any moment, and the number means another
 * thing then. -1: it is not there any more. */
static int held_duplicate(const struct held *held)
{
	int fd;

	if (held->withdrawn || has_ended(held) || held_fd(held) < 0)
		return -1;
	fd = fcntl(held->fd, F_DUPFD_CLOEXEC, 0);
	/* berthd looks at it, too. */
	if (fd < 0 && errno == EMFILE)
		return held->fd;
	if (fd < 0 || socket_cookie(fd) == held->cookie)
		return fd;
	(void)close(fd); /* a duplicate of something else */
	return -1;
}

int berth_held_hand(struct berth *berth)
{
	const struct held *held = berth->hand_held;
	int fd = held_duplicate(held);
	char *text;
	int r;

	text = held_text(held, /* drains= */ fd < 0);
	r = text ? berth_send_text(berth, text, strlen(text), fd) : -ENOMEM;
	free(text);
	if (fd >= 0 && fd != held->fd)
		(void)close(fd); /* a duplicate */
	if (r == 0)
		berth->hand_held = held->hh.next;
	return r;
}

void berth_held_done(struct berth *berth)
{
	struct held *held, *next;

	HASH_ITER (hh, berth->held, held, next)
		held_free(berth, held);
}
