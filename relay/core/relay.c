// SPDX-License-Identifier: Apache-2.0
/* relay.c - the relay's main thread: its connection to berthd and its workers
 *
 * Theory of operation: the main thread takes berthd's messages and what the
 * workers put into the outbox, a bounded part of both in each turn, and serves
 * no traffic itself. offers.c knows what to do with listeners, requester.c with
 * requests for sockets, lister.c with lists of clients. What they have to say
 * and the connection has no room for, they say when it has.
 *
 * If descriptors or memory are short, no message is read for a moment: traffic
 * gives way, or something else ends.
 *
 * The relay outlives its connection. While berthd is away the listeners are
 * served as before, and libberth connects again and hands back what there is.
 * If berthd does not come back, libberth withdraws everything after a while,
 * because nobody says which namespaces go; a relay that berthd started ends
 * then. A relay whose place another one has, taken over or after berthd was
 * away, takes no client any more, and ends with its last one.
 */
#include "relay/core/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/access_log.h"
#include "relay/core/admission.h"
#include "relay/core/checker.h"
#include "relay/core/health_teller.h"
#include "relay/core/lister.h"
#include "relay/core/minted.h"
#include "relay/core/offers.h"
#include "relay/core/outbox.h"
#include "relay/core/requester.h"
#include "relay/core/worker.h"
#include "relay/core/worker_thread.h"

/* Messages in one turn: a millisecond, then the workers' answers have theirs.
 */
#define MESSAGE_BATCH 64

/* When the table of descriptors is full: how many clients each worker gives up,
 * and how often they are waited for to be gone, before a listener is refused.
 */
#define SHED_CLIENTS 32
#define SHED_ROUNDS 3

/* After so long, descriptors or memory that were short are looked for again. */
#define REST_US (10 * USEC_PER_MSEC)

/* Local ports that sessions gave back are in use again soon; until then nobody
 * is asked for more. */
#define SHED_PORTS_US (10 * USEC_PER_MSEC)

/* Until berthd says how long the listeners are served without it. */
#define ORPHAN_US (60 * USEC_PER_SEC)

#define LOG_INTERVAL_US (10 * USEC_PER_SEC)

/**
 * struct relay - see the file's head
 * @protocols:	by enum protocol
 * @retry:	set while @rests
 * @more:	set while there is more to say, and room for it
 * @rests:	no message is read
 * @quits:	the loop ends after this turn
 * @alone:	another relay has this one's place; it ends with its last client
 * @away:	there is no connection, and a deadline for berthd to come back
 * @orphan_us:	how long the listeners are served without berthd
 * @n_shed:	how often clients were given up since a descriptor last arrived
 * @shed_ports_us: when a namespace was last told to give local ports back
 * @n_workers:	those that were started
 */
struct relay {
	struct loop *loop;
	struct berth *berth;
	struct relay_config config;
	struct loop_source *berth_source;
	struct loop_source *outbox_source;
	struct loop_timer *retry;
	struct loop_timer *more;
	struct loop_timer *away;
	uint64_t orphan_us;
	bool rests;
	bool alone;
	bool quits;
	unsigned int n_shed;
	uint64_t shed_ports_us;
	struct log_ratelimit log_limit;
	struct outbox outbox;
	struct admissions *admissions;
	struct offers *offers;
	struct health_teller *health;
	struct requester requester;
	struct lister lister;
	size_t n_workers;
	struct worker workers[];
};

/* Waits for what berthd says. libberth's descriptor tells, too, when there is
 * room again for what the connection had none for. */
static void relay_watch(struct relay *relay)
{
	int r = loop_source_set_events(relay->berth_source,
				       relay->rests ? 0 : EPOLLIN);

	if (r < 0)
		log_error_errno(r, "cannot poll berthd's connection");
}

/* Asks berthd for sockets, and tells berthd which namespaces are closed. */
static void send_requests(struct relay *relay)
{
	(void)requester_send(&relay->requester); /* as soon as there is room */
}

/* The first reason counts. */
static void relay_quit(struct relay *relay, int r)
{
	if (!relay->quits)
		loop_quit(relay->loop, r);
	relay->quits = true;
}

static void relay_done(struct relay *relay, const char *why)
{
	if (!relay->quits)
		log_info("%s; exiting", why);
	relay_quit(relay, 0);
}

static void quit_when_done(struct relay *relay)
{
	if (relay->alone && offers_empty(relay->offers))
		relay_done(relay, "nothing is left to serve");
}

/* What the workers say */

/* Not more often than sessions can end and ports be taken again. */
static void shed_ports(struct relay *relay)
{
	uint32_t space = atomic_exchange(&relay->outbox.ports_short, 0);
	uint64_t now_us = monotonic_us();
	const struct admission *greedy;

	if (space == 0 || now_us < relay->shed_ports_us + SHED_PORTS_US)
		return;
	relay->shed_ports_us = now_us;
	greedy = admissions_greediest(relay->admissions, space);
	for (size_t i = 0; greedy && i < relay->n_workers; i++)
		inbox_shed_netns(&relay->workers[i].inbox, greedy);
}

static void outbox_handler(uint32_t events, void *user_data)
{
	struct relay *relay = user_data;

	(void)events;
	offers_released(relay->offers, outbox_take(&relay->outbox));
	shed_ports(relay);
	health_teller_collect(relay->health);
	lister_collect(&relay->lister);
	send_requests(relay);
	quit_when_done(relay);
}

/* What berthd says */

static void retry_handler(void *user_data)
{
	struct relay *relay = user_data;

	relay->rests = false;
	relay_watch(relay);
}

static void relay_rest(struct relay *relay)
{
	relay->rests = true;
	relay_watch(relay);
	loop_timer_set(relay->retry, loop_now_us(relay->loop) + REST_US);
}

/* The table of descriptors is full and the next message brings one. Traffic
 * gives way to listeners. If that does not help, the listener is refused,
 * because withdrawals wait behind it. Return: true to go on receiving. */
static bool make_room(struct relay *relay)
{
	if (relay->n_shed >= SHED_ROUNDS && berth_refuse(relay->berth) == 0)
		return true;
	if (log_ratelimit_ok(&relay->log_limit))
		log_error("no descriptor left for a listener; resetting "
			  "connections (the limit of open files is too low)");
	relay->n_shed++;
	for (size_t i = 0; i < relay->n_workers; i++)
		inbox_shed(&relay->workers[i].inbox, SHED_CLIENTS);
	relay_rest(relay);
	return false;
}

/* berthd comes back, or this ends the relay, see away_handler(). */
static void expect_berthd(struct relay *relay)
{
	loop_timer_set(relay->away,
		       loop_now_us(relay->loop) + relay->orphan_us);
}

static void connection_over(struct relay *relay)
{
	int r = berth_reconnect(relay->berth);

	if (r < 0) {
		relay_done(relay, "berthd closed the connection");
		return;
	}
	log_warning("berthd is away (%s); serving on, and connecting again",
		    berth_problem(relay->berth));
	expect_berthd(relay);
}

/* Nobody is to be told of anything any more. A relay with clients lets them
 * finish, but not the listeners of another relay wait. */
static void denied(struct relay *relay, const struct berth_message *message)
{
	log_error("berthd does not take this relay: %s (%s)", message->text,
		  message->reason);
	if (offers_empty(relay->offers)) {
		relay_quit(relay, -ECONNABORTED);
		return;
	}
	relay->alone = true;
	health_teller_stop_checks(relay->health);
	offers_drain(relay->offers);
	offers_withdraw_all(relay->offers);
	expect_berthd(relay);
	quit_when_done(relay);
}

static void welcomed(struct relay *relay, const struct berth_message *message)
{
	relay->orphan_us = message->orphan_timeout_ms * USEC_PER_MSEC;
	loop_timer_unset(relay->away);
	health_teller_welcomed(relay->health);
	if (relay->config.welcomed)
		relay->config.welcomed(relay->config.user_data);
}

static void taken_over(struct relay *relay)
{
	log_info("another relay takes over; this one ends with its last "
		 "client");
	health_teller_stop_checks(relay->health);
	offers_drain(relay->offers);
}

static void away_handler(void *user_data)
{
	struct relay *relay = user_data;

	if (relay->alone)
		relay_done(relay, "the clients that are left had their time");
	else if (relay->config.ends_without_berthd)
		relay_done(relay, "berthd did not come back");
}

/* Return: false when there is nothing more to receive now. */
static bool receive_failed(struct relay *relay, int error)
{
	switch (error) {
	case -EPIPE:
		connection_over(relay);
		return false;
	case -ESHUTDOWN:
		relay_done(relay, "another relay took over");
		return false;
	case -EMFILE:
		return make_room(relay);
	case -ENOMEM:
		relay_rest(relay);
		return false;
	case -EBADMSG:
	case -EPROTO:
		log_error_errno(error, "ignoring a message from berthd");
		return true;
	default:
		log_error_errno(error, "cannot receive from berthd; exiting");
		relay_quit(relay, error);
		return false;
	}
}

/* Said while either of the two levels lets it be said. */
static void set_log_level(const char *name)
{
	static const char changed[] = "the log level is '%s' now, says berthd";
	enum log_level level;

	if (log_level_parse(name, &level) < 0)
		return; /* of a newer berthd */
	log_info(changed, name);
	if (log_enabled(LOG_LEVEL_INFO)) {
		log_set_level(level);
		return;
	}
	log_set_level(level);
	log_info(changed, name);
}

/* Return: 0; -ENOMEM: the relay cannot go on. */
static int handle_message(struct relay *relay, struct berth_message *message)
{
	if (message->fd >= 0)
		relay->n_shed = 0;
	switch (message->type) {
	case BERTH_LISTENER:
		return offers_listener(relay->offers, message);
	case BERTH_WITHDRAW:
		return offers_withdraw(relay->offers, message->id,
				       message->abort, message->ending);
	case BERTH_STATS:
		health_teller_count(relay->health);
		offers_begin_stats(relay->offers, message->request,
				   message->changed);
		break;
	case BERTH_SOCKET:
		requester_answered(&relay->requester, message);
		break;
	case BERTH_NETNS_GONE:
		health_teller_netns_gone(relay->health, message->netns_id);
		requester_netns_gone(&relay->requester, message->netns_id);
		break;
	case BERTH_WELCOME:
		welcomed(relay, message);
		break;
	case BERTH_DENIED:
		denied(relay, message);
		break;
	case BERTH_TAKEN_OVER:
		taken_over(relay);
		break;
	case BERTH_CONNECTIONS:
	case BERTH_CLOSE:
		lister_asked(&relay->lister, message);
		break;
	case BERTH_LOG_LEVEL:
		set_log_level(message->text);
		break;
	case BERTH_UNKNOWN:
		break;
	}
	return 0;
}

static void receive_batch(struct relay *relay)
{
	struct berth_message *message;
	int r;

	for (int i = 0; i < MESSAGE_BATCH && !relay->quits; i++) {
		r = berth_receive(relay->berth, &message);
		if (r == 0 || (r < 0 && !receive_failed(relay, r)))
			return;
		if (r < 0)
			continue;
		r = handle_message(relay, message);
		message = berth_message_free(message);
		if (r < 0) {
			log_error("out of memory; exiting");
			relay_quit(relay, r);
		}
	}
}

/* Says a part of what is to be said. The connection tells when it has room
 * again, but not that it still has some: for the next part a timer does. */
static void send_offers(void *user_data)
{
	struct relay *relay = user_data;

	if (offers_unsent(relay->offers) && offers_send(relay->offers))
		loop_timer_set(relay->more, loop_now_us(relay->loop));
}

static void berth_handler(uint32_t events, void *user_data)
{
	struct relay *relay = user_data;

	(void)events;
	receive_batch(relay);
	send_offers(relay);
	lister_send(&relay->lister);
	send_requests(relay); /* answers made room for requests */
	for (size_t i = 0; i < relay->n_workers; i++)
		inbox_kick(&relay->workers[i].inbox);
}

/* Begin and end */

static int start_workers(struct relay *relay, size_t n_workers)
{
	int r;

	for (; relay->n_workers < n_workers; relay->n_workers++) {
		r = worker_thread_start(&relay->workers[relay->n_workers],
					relay->n_workers, &relay->outbox,
					relay->config.protocols);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Of a checker: berthd's answer comes in a later turn. */
static struct minted *ask_for_check(const struct target_health *health,
				    const struct minted_ops *ops, void *owner,
				    void *user_data)
{
	struct relay *relay = user_data;
	struct minted_purpose purpose = {
		.netns_id = MINTED_FOR_CHECKS,
		.check = true,
	};
	struct minted *minted;

	if (!offers_find_checked(relay->offers, health, &purpose))
		return NULL;
	minted = requester_ask(&relay->requester, &purpose, ops, owner);
	if (minted)
		outbox_kick(&relay->outbox);
	return minted;
}

/* What is done with berthd's messages. Return: 0 or -ENOMEM. */
static int start_parts(struct relay *relay)
{
	static const struct checker_ops checker_ops = { .ask = ask_for_check };
	struct offers_place place = {
		.protocols = relay->config.protocols,
		.admissions = relay->admissions,
		.access = relay->outbox.access,
		.workers = relay->workers,
		.n_workers = relay->n_workers,
	};

	relay->requester = (struct requester){
		.berth = relay->berth,
		.outbox = &relay->outbox,
		.workers = relay->workers,
		.n_workers = relay->n_workers,
	};
	relay->lister = (struct lister){
		.berth = relay->berth,
		.outbox = &relay->outbox,
		.workers = relay->workers,
		.n_workers = relay->n_workers,
	};
	if (health_teller_new(relay->loop, relay->berth, relay->outbox.fd,
			      &checker_ops, relay, &relay->health) < 0)
		return -ENOMEM;
	place.health = relay->health;
	relay->offers = offers_new(relay->berth, &place);
	return relay->offers ? 0 : -ENOMEM;
}

static int relay_start(struct relay *relay)
{
	const size_t n_workers = relay->config.n_workers;
	int r = outbox_init(&relay->outbox);

	if (r < 0)
		return r;
	relay->admissions = admissions_new(n_workers);
	relay->outbox.access = access_log_new(n_workers);
	if (!relay->admissions || !relay->outbox.access)
		return -ENOMEM;
	r = start_workers(relay, n_workers);
	if (r == 0)
		r = start_parts(relay);
	if (r == 0)
		r = loop_timer_new(relay->loop, retry_handler, relay,
				   &relay->retry);
	if (r == 0)
		r = loop_timer_new(relay->loop, send_offers, relay,
				   &relay->more);
	if (r == 0)
		r = loop_timer_new(relay->loop, away_handler, relay,
				   &relay->away);
	if (r == 0)
		r = loop_add(relay->loop, relay->outbox.fd, EPOLLIN,
			     outbox_handler, relay, &relay->outbox_source);
	if (r < 0)
		return r;
	return loop_add(relay->loop, berth_fd(relay->berth), EPOLLIN,
			berth_handler, relay, &relay->berth_source);
}

int relay_new(struct loop *loop, struct berth *berth,
	      const struct relay_config *config, struct relay **ret_relay)
{
	struct relay *relay =
		calloc(1, sizeof(*relay) + config->n_workers *
						   sizeof(relay->workers[0]));
	int r;

	if (!relay)
		return -ENOMEM;
	relay->loop = loop;
	relay->berth = berth;
	relay->config = *config;
	relay->outbox.fd = -1;
	relay->orphan_us = ORPHAN_US;
	relay->log_limit = (struct log_ratelimit){
		.interval_us = LOG_INTERVAL_US,
		.burst = 1,
	};
	r = relay_start(relay);
	if (r < 0) {
		(void)relay_free(relay);
		return r;
	}
	*ret_relay = relay;
	return 0;
}

static void stop_workers(struct relay *relay)
{
	for (size_t i = 0; i < relay->n_workers; i++)
		inbox_stop(&relay->workers[i].inbox);
	for (size_t i = 0; i < relay->n_workers; i++)
		worker_thread_join(&relay->workers[i]);
	if (relay->offers)
		offers_forget_shares(relay->offers);
	for (size_t i = 0; i < relay->n_workers; i++)
		worker_thread_done(&relay->workers[i]);
}

struct relay *relay_free(struct relay *relay)
{
	if (!relay)
		return NULL;
	stop_workers(relay);
	relay->outbox.access = access_log_free(relay->outbox.access);
	relay->offers = offers_free(relay->offers);
	if (relay->health)
		health_teller_stop_checks(relay->health);
	requester_done(&relay->requester);
	relay->health = health_teller_free(relay->health);
	relay->admissions = admissions_free(relay->admissions);
	relay->berth_source = loop_source_free(relay->berth_source);
	relay->outbox_source = loop_source_free(relay->outbox_source);
	relay->retry = loop_timer_free(relay->retry);
	relay->more = loop_timer_free(relay->more);
	relay->away = loop_timer_free(relay->away);
	lister_done(&relay->lister);
	if (relay->outbox.fd >= 0)
		outbox_done(&relay->outbox);
	free(relay);
	return NULL;
}
