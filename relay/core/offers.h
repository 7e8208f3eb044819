/* SPDX-License-Identifier: Apache-2.0 */
/* offers.h - the listeners that berthd offers, from its word to ours
 *
 * All of it is for the main thread. What a function says to berthd, and the
 * connection has no room for, is kept until offers_send().
 */
#ifndef RELAY_CORE_OFFERS_H
#define RELAY_CORE_OFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/berth.h"

struct access_log;
struct admissions;
struct berth;
struct berth_message;
struct health_teller;
struct listener;
struct minted_purpose;
struct offers;
struct relay_protocol;
struct target_health;
struct worker;

/**
 * struct offers_place - where listeners are served
 * @protocols:	by enum protocol
 * @admissions:	what each namespace may have
 * @health:	has the listeners of a rule share what is known of its backends
 * @access:	is started for the first listener whose clients are logged
 * @workers:	the @n_workers to deal the listeners out to; running
 */
struct offers_place {
	const struct relay_protocol *const *protocols;
	struct admissions *admissions;
	struct health_teller *health;
	struct access_log *access;
	struct worker *workers;
	size_t n_workers;
};

/**
 * offers_new() - there are no offers yet
 * @berth:	the connection to berthd; must outlive the offers, as all that
 *		@place names, which is copied
 *
 * Return: NULL when memory is out.
 */
struct offers *offers_new(struct berth *berth,
			  const struct offers_place *place);

/** offers_free() - frees all listeners; no worker may be left that has a share
 * in one. Returns NULL; NULL is fine. */
struct offers *offers_free(struct offers *offers);

/** offers_forget_shares() - the workers were joined: frees what they have in
 * the listeners. The listening sockets are closed by the kernel, see exit(2).
 */
void offers_forget_shares(struct offers *offers);

/**
 * offers_listener() - BERTH_LISTENER came: an offer, or a change of one
 * @message:	its descriptor is taken if the listener is served
 *
 * Return: 0; -ENOMEM: the answer can be neither said nor kept, and berthd would
 * wait for ever.
 */
int offers_listener(struct offers *offers, struct berth_message *message);

/**
 * offers_withdraw() - BERTH_WITHDRAW came
 * @abort:	reset what was accepted, too
 * @ending:	why, if so
 *
 * Return: as offers_listener().
 */
int offers_withdraw(struct offers *offers, uint64_t id, bool abort,
		    enum berth_ending ending);

/**
 * offers_drain() - another relay takes over
 *
 * A withdrawal without `abort` means from now on that the other relay serves
 * the listener: what was accepted may finish, and UDP sessions may go on until
 * they are idle. What is offered from now on is refused.
 */
void offers_drain(struct offers *offers);

/** offers_withdraw_all() - does for each listener, after offers_drain(), what a
 * withdrawal without `abort` does */
void offers_withdraw_all(struct offers *offers);

/**
 * offers_find_checked() - a listener by which berthd can be asked for a socket,
 * to check a backend with
 * @health:	of the backend
 * @purpose:	gets the listener, its serving, which is borrowed, and the index
 *		of the backend
 *
 * Return: false: there is none now.
 */
bool offers_find_checked(const struct offers *offers,
			 const struct target_health *health,
			 struct minted_purpose *purpose);

/** offers_empty() - is there no listener, and nothing more to say of one? */
bool offers_empty(const struct offers *offers);

/** offers_released() - the workers let go of listeners
 * @released:	of outbox_take(); freed as soon as that is said */
void offers_released(struct offers *offers, struct listener *released);

/** offers_begin_stats() - BERTH_STATS came: the answer begins with the next
 * offers_send(). @changed: without what was said in an earlier one */
void offers_begin_stats(struct offers *offers, uint64_t request, bool changed);

/** offers_unsent() - is there something to say to berthd? */
bool offers_unsent(const struct offers *offers);

/**
 * offers_send() - the connection has room: says what is to be said, or a part
 * Return: would a further call say more at once?
 */
bool offers_send(struct offers *offers);

#endif
