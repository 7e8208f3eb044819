// SPDX-License-Identifier: Apache-2.0
/* offers.c - the listeners that berthd offers, from its word to ours
 *
 * Theory of operation: an entry is what berthd knows by an id. The entry lasts
 * from the `listener` message until `released` was sent. So each `withdraw` is
 * answered exactly once, whether the listener was served or not, and however
 * full the connection is. A withdrawn entry keeps its listener until the answer
 * leaves, because the answer says what was counted.
 *
 * If there is no memory for an entry, here or in a worker, it ends with
 * `refused` instead, unless it is withdrawn before that leaves; berthd then
 * offers the listener anew. A listener that comes without its socket and has no
 * entry ends likewise: it was refused when the socket came. If there is no
 * memory for a change, `repeat` asks berthd for it again.
 *
 * An answer to `stats` is a walk over the entries, a bounded part in each turn,
 * that rests while the connection is full. Workers are not asked: see
 * counters.h. Entries whose counts are as they were said last are left out, if
 * berthd remembers what was said.
 */
#include "relay/core/offers.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"
#include "common/protocol.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/access_log.h"
#include "relay/core/admission.h"
#include "relay/core/health_teller.h"
#include "relay/core/listener.h"
#include "relay/core/minted.h"
#include "relay/core/protocol.h"
#include "relay/core/report.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/spread.h"
#include "relay/core/worker.h"

/* Entries looked at in one turn for an answer to `stats`: a millisecond, then
 * others have their turn. */
#define STATS_BATCH 1024

/* One line in so long says that there is no memory. */
#define LOG_INTERVAL_US (10 * USEC_PER_SEC)

/**
 * struct entry - what berthd knows by @id
 * @listener:	NULL if it is not served
 * @withdrawn:	the answer is `released`, when the workers let go of @listener.
 *		If they let go of it without this, the answer is `refused`.
 * @ended:	the answer is to be sent now
 * @waits:	the connection had no room for the answer, or without @ended for
 *		`repeat`; in offers.unsent
 * @told:	report_listener() of the counts that were said last
 * @checked:	what its clients get, if berthd makes the sockets by which its
 *		backends are checked; in offers.checked then; one reference
 */
struct entry {
	uint64_t id;
	struct listener *listener;
	bool withdrawn;
	bool ended;
	bool waits;
	uint64_t told;
	struct serving *checked;
	struct entry *checked_prev, *checked_next;
	struct entry *next_unsent;
	UT_hash_handle hh;
};

/**
 * struct offers - see the file's head
 * @place:	where listeners are served
 * @unsent:	entries with something to say that the connection had no room
 *		for
 * @stats_open:	an answer to @stats_request is on its way; @stats_next is the
 *		next entry for it, NULL at its end; @stats_changed: it leaves
 *		out what was said before
 * @checked:	entries by which sockets for checks can be asked for
 * @draining:	another relay takes over
 * @last_serving: a rule's listeners come in a row and share it
 */
struct offers {
	struct berth *berth;
	struct offers_place place;
	struct entry *entries;
	struct entry *unsent;
	struct entry *checked;
	bool stats_open;
	bool stats_changed;
	uint64_t stats_request;
	struct entry *stats_next;
	bool draining;
	struct serving *last_serving;
	struct log_ratelimit log_limit;
};

/* Entries */

static struct entry *entry_find(const struct offers *offers, uint64_t id)
{
	struct entry *entry;

	HASH_FIND(hh, offers->entries, &id, sizeof(id), entry);
	return entry;
}

/* Return: NULL when memory is out. */
static struct entry *entry_new(struct offers *offers, uint64_t id)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (entry) {
		entry->id = id;
		HASH_ADD(hh, offers->entries, id, sizeof(entry->id), entry);
		if (entry->hh.tbl)
			return entry;
	}
	free(entry);
	return NULL;
}

/* @serving: NULL: its backends are checked no more for this entry. */
static void entry_check(struct offers *offers, struct entry *entry,
			struct serving *serving)
{
	bool wanted = serving && serving_checks_minted(serving);

	if (entry->checked && !wanted)
		DL_DELETE2(offers->checked, entry, checked_prev, checked_next);
	if (!entry->checked && wanted)
		DL_APPEND2(offers->checked, entry, checked_prev, checked_next);
	(void)serving_unref(entry->checked);
	entry->checked = wanted ? serving_ref(serving) : NULL;
}

bool offers_find_checked(const struct offers *offers,
			 const struct target_health *health,
			 struct minted_purpose *purpose)
{
	const struct entry *entry;

	DL_FOREACH2(offers->checked, entry, checked_next)
	{
		struct serving *serving = entry->checked;

		for (unsigned int i = 0; i < serving->n_backends; i++) {
			if (serving->backends[i].health != health)
				continue;
			purpose->id = entry->id;
			purpose->serving = serving;
			purpose->to = i;
			return true;
		}
	}
	return false;
}

static void entry_free(struct offers *offers, struct entry *entry)
{
	entry_check(offers, entry, NULL);
	if (offers->stats_next == entry)
		offers->stats_next = entry->hh.next;
	HASH_DEL(offers->entries, entry);
	(void)listener_free(entry->listener);
	free(entry);
}

/* Answers */

static int entry_say_end(struct offers *offers, struct entry *entry)
{
	struct berth_counts counts;
	bool any;

	if (!entry->withdrawn)
		return berth_refuse_listener(offers->berth, entry->id);
	any = entry->listener && report_listener(entry->listener, &counts) > 0;
	return berth_released_counts(offers->berth, entry->id,
				     any ? &counts : NULL);
}

/* Says what is to be said of @entry, which may be gone then; if there is no
 * room, as soon as there is. */
static void entry_say(struct offers *offers, struct entry *entry)
{
	int r;

	if (entry->waits)
		return;
	r = entry->ended ? entry_say_end(offers, entry)
			 : berth_repeat(offers->berth, entry->id);
	if (r == -EAGAIN) {
		entry->waits = true;
		LL_PREPEND2(offers->unsent, entry, next_unsent);
		return;
	}
	/* Any other failure is the connection's end, which reading tells. */
	if (entry->ended)
		entry_free(offers, entry);
}

/* Says `released` or `refused`. */
static void entry_end(struct offers *offers, struct entry *entry)
{
	entry->ended = true;
	entry_say(offers, entry);
}

/* The end of a listener that has no entry; an entry is needed only if the
 * connection is full. Return: 0; -ENOMEM: it cannot be said. */
static int say_end(struct offers *offers, uint64_t id, bool withdrawn)
{
	struct entry without = { .id = id, .withdrawn = withdrawn }, *entry;

	if (entry_say_end(offers, &without) != -EAGAIN)
		return 0;
	entry = entry_new(offers, id);
	if (!entry)
		return -ENOMEM;
	entry->withdrawn = withdrawn;
	entry_end(offers, entry);
	return 0;
}

static void send_unsent(struct offers *offers)
{
	struct entry *unsent = TAKE_PTR(offers->unsent), *next;

	for (; unsent; unsent = next) {
		next = unsent->next_unsent;
		unsent->waits = false;
		entry_say(offers, unsent);
	}
}

static int entry_add_stats(struct offers *offers, struct entry *entry)
{
	struct berth_counts counts;
	uint64_t grown;
	int r;

	grown = entry->listener ? report_listener(entry->listener, &counts) : 0;
	if (grown == 0 || (offers->stats_changed && grown == entry->told))
		return 0;
	r = berth_stats_add(offers->berth, offers->stats_request, entry->id,
			    &counts);
	if (r == 0)
		entry->told = grown;
	return r;
}

/* A part of the answer to `stats`. Return: is there more, and room for it? */
static bool send_stats(struct offers *offers)
{
	struct entry *entry;
	int r = 0;

	for (int i = 0; i < STATS_BATCH && offers->stats_next; i++) {
		entry = offers->stats_next;
		r = entry_add_stats(offers, entry);
		if (r < 0)
			break;
		offers->stats_next = entry->hh.next;
	}
	if (r == 0 && !offers->stats_next) {
		r = berth_stats_end(offers->berth, offers->stats_request);
		offers->stats_open = r < 0;
	}
	/* As above: then nobody waits for the rest. */
	if (r < 0 && r != -EAGAIN)
		offers->stats_open = false;
	return r == 0 && offers->stats_open;
}

void offers_begin_stats(struct offers *offers, uint64_t request, bool changed)
{
	offers->stats_open = true;
	offers->stats_changed = changed;
	offers->stats_request = request;
	offers->stats_next = offers->entries;
}

bool offers_unsent(const struct offers *offers)
{
	return offers->unsent || offers->stats_open;
}

bool offers_send(struct offers *offers)
{
	send_unsent(offers);
	return offers->stats_open && send_stats(offers);
}

void offers_released(struct offers *offers, struct listener *released)
{
	struct listener *next;
	struct entry *entry;

	for (; released; released = next) {
		next = released->next_released;
		entry = entry_find(offers, released->id);
		assert(entry); /* it stays until this very moment */
		entry_end(offers, entry);
	}
}

/* What is logged */

/* What the log says of a listener that is offered. @endpoint has
 * LISTENER_ENDPOINT_MAX bytes and stays with the result. */
static struct log_about about_offer(const struct berth_message *message,
				    char *endpoint)
{
	const struct berth_listener *listener = &message->listener;
	bool brackets = strchr(listener->address, ':') != NULL;
	const char *netns = "netns";

	if (listener->n_names > 0)
		netns = listener->names[0];
	else if (listener->netns_host)
		netns = "host";
	(void)snprintf(endpoint, LISTENER_ENDPOINT_MAX, "%s %s%s%s:%u",
		       listener->protocol, brackets ? "[" : "",
		       listener->address, brackets ? "]" : "",
		       listener->port); /* fits */
	return (struct log_about){ .rule = listener->rule,
				   .listener = endpoint,
				   .netns = netns };
}

/* There is no memory for what @message asks; @listener is what is served, if
 * anything is. */
static void log_no_memory(struct offers *offers,
			  const struct berth_message *message,
			  const struct listener *listener)
{
	char endpoint[LISTENER_ENDPOINT_MAX];
	struct log_about about = about_offer(message, endpoint);

	if (!log_ratelimit_ok(&offers->log_limit))
		return;
	(void)log_print_about_errno(
		LOG_LEVEL_ERROR, &about, ENOMEM, "rule '%s': %s in '%s': %s",
		about.rule, about.listener, about.netns,
		listener ? "it is served as before until berthd repeats the "
			   "change"
			 : "it is not served until berthd offers it again");
}

/* Listeners */

/* Without a thread that writes, clients are served all the same. */
static void start_access_log(struct offers *offers)
{
	int r = access_log_start(offers->place.access);

	if (r < 0 && log_ratelimit_ok(&offers->log_limit))
		log_error_errno(r, "cannot log connections; counting them as "
				   "unlogged");
}

/* Return: 0; -EINVAL: the relay does not know how to serve this; -ENOMEM. */
static int serving_for(struct offers *offers,
		       const struct berth_listener *listener,
		       enum protocol *ret_protocol,
		       struct serving **ret_serving, const char **ret_problem)
{
	struct serving *serving;
	int r;

	*ret_problem = "a protocol of tcp, udp, mptcp, sctp, sctp-seqpacket";
	if (protocol_parse(listener->protocol, ret_protocol) < 0)
		return -EINVAL;
	r = serving_new(listener, *ret_protocol, &serving, ret_problem);
	if (r < 0)
		return r;
	if (serving->log != SERVICE_LOG_NONE)
		start_access_log(offers);
	if (offers->last_serving &&
	    serving_equal(offers->last_serving, serving)) {
		(void)serving_unref(serving);
	} else {
		(void)serving_unref(offers->last_serving);
		offers->last_serving = serving;
		health_teller_share(offers->place.health, serving);
	}
	*ret_serving = serving_ref(offers->last_serving);
	return 0;
}

static bool socket_is(int fd, int option, int wanted)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 &&
	       value == wanted;
}

/* Is it the kind of socket that berthd's message says? */
static bool socket_fits(int fd, enum protocol protocol)
{
	const struct protocol_socket kind = protocol_socket(protocol);

	return socket_is(fd, SO_TYPE, kind.type) &&
	       (!protocol_is_sctp(protocol) ||
		socket_is(fd, SO_PROTOCOL, kind.protocol));
}

static void tell_shares(struct listener *listener, unsigned int wanted,
			struct serving *serving)
{
	for (size_t i = 0; i < listener->n_shares; i++) {
		struct share *share = &listener->shares[i];

		inbox_tell(&share->worker->inbox, share, wanted, serving);
	}
}

/* Makes the listener of an offer, with shares of the workers that are to serve
 * it. Return: 0: the message's descriptor is taken; -ENOMEM. */
static int make_listener(struct offers *offers, struct berth_message *message,
			 enum protocol protocol, struct listener **ret_listener)
{
	const struct offers_place *place = &offers->place;
	const struct relay_protocol *ops = place->protocols[protocol];
	const struct berth_listener *offer = &message->listener;
	size_t n = spread_n_shares(ops, place->n_workers);
	struct admission *netns =
		admission_get(place->admissions, offer->netns_id);
	struct listener *listener;
	char endpoint[LISTENER_ENDPOINT_MAX];
	struct log_about about = about_offer(message, endpoint);
	int r = -ENOMEM;

	if (netns)
		r = listener_new(message->id, message->fd, protocol, &about, n,
				 &listener);
	if (r < 0) {
		(void)admission_put(netns);
		return r;
	}
	message->fd = -1;
	listener->ops = ops;
	listener->netns = netns;
	listener->netns_id = offer->netns_host ? 0 : offer->netns_id;
	listener->multihomed = strcmp(offer->address, "all") == 0;
	listener_set_port(listener, offer->port);
	for (size_t i = 0; i < n; i++)
		listener->shares[i].worker = &place->workers[spread_worker(
			message->id, i, n, place->n_workers)];
	*ret_listener = listener;
	return 0;
}

static void begin_serving(struct offers *offers, struct entry *entry,
			  struct berth_message *message, enum protocol protocol,
			  struct serving *serving)
{
	struct listener *listener;

	if (make_listener(offers, message, protocol, &listener) < 0) {
		log_no_memory(offers, message, NULL);
		entry_end(offers, entry);
		return;
	}
	entry->listener = listener;
	if (listener->ops->prepare)
		listener->ops->prepare(listener->fd);
	tell_shares(listener, SHARE_SERVE, serving);
	entry_check(offers, entry, serving);
	log_debug("%s: serving", listener->label);
}

/* @serving: NULL: the relay does not know how to serve it; a change may make
 * that different. */
static void entry_offered(struct offers *offers, struct entry *entry,
			  struct berth_message *message, enum protocol protocol,
			  struct serving *serving)
{
	if (!serving)
		return;
	if (!socket_fits(message->fd, protocol))
		log_error("rule '%s': berthd sent no %s socket; ignoring",
			  message->listener.rule, protocol_name(protocol));
	else
		begin_serving(offers, entry, message, protocol, serving);
}

/* Return: 0 or -ENOMEM. */
static int handle_new(struct offers *offers, struct berth_message *message,
		      enum protocol protocol, struct serving *serving)
{
	struct entry *entry = NULL;

	/* A change of what was refused: that offer's socket is gone. */
	if (message->fd >= 0 && !offers->draining) {
		entry = entry_new(offers, message->id);
		if (!entry)
			log_no_memory(offers, message, NULL);
	}
	if (!entry)
		return say_end(offers, message->id, /* withdrawn= */ false);
	entry_offered(offers, entry, message, protocol, serving);
	return 0;
}

/* A listener that is served, or that the relay did not know how to serve. */
static void handle_changed(struct offers *offers, struct entry *entry,
			   struct berth_message *message,
			   enum protocol protocol, struct serving *serving)
{
	struct listener *listener = entry->listener;

	if (entry->withdrawn || entry->ended)
		return;
	if (listener && serving) {
		tell_shares(listener, SHARE_SERVE, serving);
		entry_check(offers, entry, serving);
	}
	if (listener)
		return;
	if (message->fd >= 0)
		entry_offered(offers, entry, message, protocol, serving);
	else if (serving)
		entry_end(offers, entry); /* to be offered its socket */
}

/* Return: 0; -ENOMEM: not even this can be said. */
static int handle_without_memory(struct offers *offers, struct entry *entry,
				 const struct berth_message *message)
{
	if (!entry) {
		log_no_memory(offers, message, NULL);
		return say_end(offers, message->id, /* withdrawn= */ false);
	}
	if (entry->withdrawn || entry->ended)
		return 0;
	log_no_memory(offers, message, entry->listener);
	if (entry->listener)
		entry_say(offers, entry);
	else
		entry_end(offers, entry);
	return 0;
}

int offers_listener(struct offers *offers, struct berth_message *message)
{
	struct entry *entry = entry_find(offers, message->id);
	const char *problem = "";
	struct serving *serving = NULL;
	enum protocol protocol;
	int r;

	r = serving_for(offers, &message->listener, &protocol, &serving,
			&problem);
	if (r == -ENOMEM)
		return handle_without_memory(offers, entry, message);
	if (r < 0)
		log_error("rule '%s': cannot serve it: expected %s",
			  message->listener.rule, problem);
	r = 0;
	if (entry)
		handle_changed(offers, entry, message, protocol, serving);
	else
		r = handle_new(offers, message, protocol, serving);
	(void)serving_unref(serving);
	return r;
}

/* @wanted: SHARE_* bits, should the listener be served */
static void entry_withdraw(struct offers *offers, struct entry *entry,
			   unsigned int wanted)
{
	bool first = !entry->withdrawn;

	entry->withdrawn = true;
	entry_check(offers, entry, NULL);
	if (entry->listener)
		tell_shares(entry->listener, wanted, NULL);
	else if (first)
		entry_end(offers, entry);
}

int offers_withdraw(struct offers *offers, uint64_t id, bool abort,
		    enum berth_ending ending)
{
	struct entry *entry = entry_find(offers, id);

	if (!entry)
		return say_end(offers, id, /* withdrawn= */ true);
	if (abort && entry->listener)
		entry->listener->abort_ending = (uint8_t)ending;
	if (abort)
		entry_withdraw(offers, entry, SHARE_WITHDRAW | SHARE_ABORT);
	else
		entry_withdraw(offers, entry,
			       offers->draining ? SHARE_DRAIN : SHARE_WITHDRAW);
	return 0;
}

void offers_drain(struct offers *offers)
{
	offers->draining = true;
}

void offers_withdraw_all(struct offers *offers)
{
	struct entry *entry, *next;

	HASH_ITER (hh, offers->entries, entry, next)
		entry_withdraw(offers, entry, SHARE_DRAIN);
}

bool offers_empty(const struct offers *offers)
{
	return !offers->entries;
}

/* Beginning and end */

struct offers *offers_new(struct berth *berth, const struct offers_place *place)
{
	struct offers *offers = calloc(1, sizeof(*offers));

	if (!offers)
		return NULL;
	offers->berth = berth;
	offers->place = *place;
	offers->log_limit = (struct log_ratelimit){
		.interval_us = LOG_INTERVAL_US,
		.burst = 1,
	};
	return offers;
}

void offers_forget_shares(struct offers *offers)
{
	struct entry *entry, *next;

	HASH_ITER (hh, offers->entries, entry, next) {
		struct listener *listener = entry->listener;

		for (size_t i = 0; listener && i < listener->n_shares; i++)
			share_forget(&listener->shares[i]);
	}
}

struct offers *offers_free(struct offers *offers)
{
	struct entry *entry, *next;

	if (!offers)
		return NULL;
	HASH_ITER (hh, offers->entries, entry, next)
		entry_free(offers, entry);
	(void)serving_unref(offers->last_serving);
	free(offers);
	return NULL;
}
