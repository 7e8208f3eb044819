// SPDX-License-Identifier: Apache-2.0
/* control.c - between berthd's messages and the workers
 *
 * Theory of operation: an entry is what berthd knows by an id. It lasts from
 * the `listener` message until `released` was sent, so that each `withdraw` is
 * answered exactly once, whether the listener was served or not, and however
 * full the connection is. A withdrawn entry keeps its listener until the answer
 * leaves, because the answer says what was counted. An entry for which there is
 * no memory, here or in a worker, ends with `refused` instead, unless it is
 * withdrawn before that leaves; berthd then offers the listener anew. So does
 * a listener that comes without its socket and has no entry: it was refused
 * when the socket came. A change for which there is no memory is asked for
 * again by `repeat`.
 *
 * An answer to `stats` is a walk over the entries, a bounded part per turn,
 * that rests while the connection is full. Workers are not asked: see
 * counters.h.
 */
#include "relay/core/control.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/ip.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/minter.h"
#include "relay/core/outbox.h"
#include "relay/core/protocol.h"
#include "relay/core/report.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/spread.h"
#include "relay/core/worker.h"
#include "relay/core/worker_thread.h"

/* Messages per turn: a millisecond, then the workers' answers have theirs. */
#define MESSAGE_BATCH 64

/* Entries looked at per turn for an answer to `stats`: as long. */
#define STATS_BATCH 1024

/* When the table is full: connections that each worker gives up, and how often
 * they are waited for to be gone, before a listener is refused. */
#define SHED_CONNECTIONS 32
#define SHED_ROUNDS 3

/* What is short, descriptors or memory, is looked for again after this. */
#define REST_US (10 * USEC_PER_MSEC)

/* Local ports that sessions gave back are in use again soon; until then nobody
 * is asked for more. */
#define SHED_PORTS_US (10 * USEC_PER_MSEC)

#define LABEL_MAX 512

/**
 * struct entry - what berthd knows by @id
 * @listener:	NULL when it is not served
 * @withdrawn:	`released` is to be sent when the workers let go of @listener;
 *		if they do before, `refused`
 * @ended:	that is to be sent now; else, with @waits, `repeat`
 * @waits:	in unsent
 */
struct entry {
	uint64_t id;
	struct listener *listener;
	bool withdrawn;
	bool ended;
	bool waits;
	struct entry *next_unsent;
	UT_hash_handle hh;
};

/**
 * struct relay_control - see the file's head
 * @protocols:	by enum protocol
 * @unsent:	entries of which the connection had no room for what is to be
 *		said
 * @stats_open:	an answer to @stats_request is on its way; @stats_next is the
 *		next entry for it, NULL at its end
 * @minter_waits: it has something to say that the connection had no room for
 * @n_shed:	rounds since a descriptor last arrived
 * @shed_ports_us: when a namespace was last told to give local ports back
 * @last_serving: a rule's listeners come in a row and share it
 */
struct relay_control {
	struct loop *loop;
	struct berth *berth;
	const struct relay_protocol *const *protocols;
	struct loop_source *berth_source;
	struct loop_source *outbox_source;
	struct loop_timer *retry;
	struct entry *entries;
	struct entry *unsent;
	bool stats_open;
	uint64_t stats_request;
	struct entry *stats_next;
	unsigned int n_shed;
	uint64_t shed_ports_us;
	struct serving *last_serving;
	struct log_ratelimit log_limit;
	struct outbox outbox;
	struct admissions *admissions;
	struct minter minter;
	bool minter_waits;
	size_t n_workers;
	struct worker workers[];
};

static void share_tell(struct share *share, unsigned int wanted,
		       struct serving *serving)
{
	inbox_tell(&share->worker->inbox, share, wanted, serving);
}

/* Answers */

static void entry_free(struct relay_control *control, struct entry *entry)
{
	if (control->stats_next == entry)
		control->stats_next = entry->hh.next;
	HASH_DEL(control->entries, entry);
	(void)listener_free(entry->listener);
	free(entry);
}

static void control_watch(struct relay_control *control, uint32_t events)
{
	int r = loop_source_set_events(control->berth_source, events);

	if (r < 0)
		log_error_errno(r, "cannot poll berthd's connection");
}

/* Listens to berthd, and when there is something to say, for room. */
static void control_go_on(struct relay_control *control)
{
	bool say = control->unsent || control->stats_open ||
		   control->minter_waits;

	control_watch(control, say ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int entry_say_end(struct relay_control *control, struct entry *entry)
{
	struct berth_counts counts;
	bool any;

	if (!entry->withdrawn)
		return berth_refuse_listener(control->berth, entry->id);
	any = entry->listener && report_listener(entry->listener, &counts);
	return berth_released_counts(control->berth, entry->id,
				     any ? &counts : NULL);
}

/* Says what is to be said of @entry; when there is no room, as soon as there
 * is. */
static void entry_say(struct relay_control *control, struct entry *entry)
{
	int r;

	if (entry->waits)
		return;
	r = entry->ended ? entry_say_end(control, entry)
			 : berth_repeat(control->berth, entry->id);
	if (r == -EAGAIN) {
		entry->waits = true;
		LL_PREPEND2(control->unsent, entry, next_unsent);
		control_go_on(control);
		return;
	}
	/* Any other failure is the connection's end, which reading tells. */
	if (entry->ended)
		entry_free(control, entry);
}

/* Says `released` or `refused`. */
static void entry_end(struct relay_control *control, struct entry *entry)
{
	entry->ended = true;
	entry_say(control, entry);
}

static void send_unsent(struct relay_control *control)
{
	struct entry *unsent = TAKE_PTR(control->unsent), *next;

	for (; unsent; unsent = next) {
		next = unsent->next_unsent;
		unsent->waits = false;
		entry_say(control, unsent);
	}
}

static int entry_add_stats(struct relay_control *control, struct entry *entry)
{
	struct berth_counts counts;

	if (!entry->listener || !report_listener(entry->listener, &counts))
		return 0;
	return berth_stats_add(control->berth, control->stats_request,
			       entry->id, &counts);
}

/* A part of the answer to `stats`. */
static void send_stats(struct relay_control *control)
{
	struct entry *entry;
	int r = 0;

	for (int i = 0; i < STATS_BATCH && control->stats_next; i++) {
		entry = control->stats_next;
		r = entry_add_stats(control, entry);
		if (r < 0)
			break;
		control->stats_next = entry->hh.next;
	}
	if (r == 0 && !control->stats_next) {
		r = berth_stats_end(control->berth, control->stats_request);
		control->stats_open = r < 0;
	}
	/* As above: then nobody waits for the rest. */
	if (r < 0 && r != -EAGAIN)
		control->stats_open = false;
}

static void begin_stats(struct relay_control *control, uint64_t request)
{
	control->stats_open = true;
	control->stats_request = request;
	control->stats_next = control->entries;
	control_go_on(control);
}

/* Asks berthd for sockets, and tells it which namespaces are closed. */
static void mint(struct relay_control *control)
{
	bool waited = control->minter_waits;

	control->minter_waits = !minter_send(&control->minter);
	if (control->minter_waits != waited)
		control_go_on(control);
}

/* Not more often than sessions can end and ports be taken again. */
static void shed_ports(struct relay_control *control)
{
	uint32_t space = atomic_exchange(&control->outbox.ports_short, 0);
	uint64_t now_us = monotonic_us();
	const struct admission *greedy;

	if (space == 0 || now_us < control->shed_ports_us + SHED_PORTS_US)
		return;
	control->shed_ports_us = now_us;
	greedy = admissions_greediest(control->admissions, space);
	for (size_t i = 0; greedy && i < control->n_workers; i++)
		inbox_shed_netns(&control->workers[i].inbox, greedy);
}

static void outbox_handler(uint32_t events, void *user_data)
{
	struct relay_control *control = user_data;
	struct listener *listener, *next;
	struct entry *entry;

	(void)events;
	listener = outbox_take(&control->outbox);
	for (; listener; listener = next) {
		next = listener->next_released;
		HASH_FIND(hh, control->entries, &listener->id,
			  sizeof(listener->id), entry);
		assert(entry); /* it stays until this very moment */
		entry_end(control, entry);
	}
	shed_ports(control);
	mint(control);
}

/* Listeners */

static struct entry *entry_find(struct relay_control *control, uint64_t id)
{
	struct entry *entry;

	HASH_FIND(hh, control->entries, &id, sizeof(id), entry);
	return entry;
}

static struct entry *entry_new(struct relay_control *control, uint64_t id)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (entry) {
		entry->id = id;
		HASH_ADD(hh, control->entries, id, sizeof(entry->id), entry);
		if (entry->hh.tbl)
			return entry;
	}
	free(entry);
	return NULL;
}

/* The end of a listener that has no entry; there need be memory for one only
 * when the connection is full. Without, berthd would wait for ever. */
static void say_end(struct relay_control *control, uint64_t id, bool withdrawn)
{
	struct entry without = { .id = id, .withdrawn = withdrawn }, *entry;

	if (entry_say_end(control, &without) != -EAGAIN)
		return;
	entry = entry_new(control, id);
	if (entry) {
		entry->withdrawn = withdrawn;
		entry_end(control, entry);
		return;
	}
	log_error("out of memory; exiting");
	loop_quit(control->loop, -ENOMEM);
}

/* "rule 'web': tcp 10.0.0.1:80 in 'blue'" */
static void label_fmt(const struct berth_message *message, char *label)
{
	const struct berth_listener *listener = &message->listener;
	bool brackets = strchr(listener->address, ':') != NULL;
	const char *netns = "netns";

	if (listener->n_names > 0)
		netns = listener->names[0];
	else if (listener->netns_host)
		netns = "host";
	(void)snprintf(label, LABEL_MAX, "rule '%s': %s %s%s%s:%u in '%s'",
		       listener->rule, listener->protocol, brackets ? "[" : "",
		       listener->address, brackets ? "]" : "", listener->port,
		       netns); /* cut when names are absurdly long */
}

static void log_refused(struct relay_control *control,
			const struct berth_message *message)
{
	char label[LABEL_MAX];

	if (!log_ratelimit_ok(&control->log_limit))
		return;
	label_fmt(message, label);
	log_error_errno(ENOMEM,
			"%s: it is not served until berthd offers it again",
			label);
}

/* The same for a change of what is served. */
static void log_unchanged(struct relay_control *control,
			  const struct berth_message *message)
{
	char label[LABEL_MAX];

	if (!log_ratelimit_ok(&control->log_limit))
		return;
	label_fmt(message, label);
	log_error_errno(ENOMEM,
			"%s: it is served as before until berthd repeats the "
			"change",
			label);
}

/* Does the relay know how to serve this? */
static int serving_for(struct relay_control *control,
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
	if (control->last_serving &&
	    serving_equal(control->last_serving, serving)) {
		(void)serving_unref(serving);
	} else {
		(void)serving_unref(control->last_serving);
		control->last_serving = serving;
	}
	*ret_serving = serving_ref(control->last_serving);
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

static void begin_serving(struct relay_control *control, struct entry *entry,
			  struct berth_message *message, enum protocol protocol,
			  struct serving *serving)
{
	const struct relay_protocol *ops = control->protocols[protocol];
	size_t n = spread_n_shares(ops, control->n_workers);
	struct admission *netns =
		admission_get(control->admissions, message->listener.netns_id);
	struct listener *listener;
	char label[LABEL_MAX];
	int r = -ENOMEM;

	label_fmt(message, label);
	if (netns)
		r = listener_new(entry->id, message->fd, protocol, label, n,
				 &listener);
	if (r < 0) {
		(void)admission_put(netns);
		log_refused(control, message);
		entry_end(control, entry);
		return;
	}
	message->fd = -1;
	if (ops->prepare)
		ops->prepare(listener->fd);
	listener->ops = ops;
	listener->netns = TAKE_PTR(netns);
	listener->netns_id =
		message->listener.netns_host ? 0 : message->listener.netns_id;
	listener_set_port(listener, message->listener.port);
	listener->multihomed = strcmp(message->listener.address, "all") == 0;
	entry->listener = listener;
	for (size_t i = 0; i < n; i++) {
		size_t w = spread_worker(entry->id, i, n, control->n_workers);

		listener->shares[i].worker = &control->workers[w];
	}
	for (size_t i = 0; i < n; i++)
		share_tell(&listener->shares[i], SHARE_SERVE, serving);
	log_debug("%s: serving", label);
}

/* @serving: NULL: the relay does not know how to serve it; a change may make
 * that different. */
static void entry_offered(struct relay_control *control, struct entry *entry,
			  struct berth_message *message, enum protocol protocol,
			  struct serving *serving)
{
	if (!serving)
		return;
	if (!socket_fits(message->fd, protocol))
		log_error("rule '%s': berthd sent no %s socket; ignoring",
			  message->listener.rule, protocol_name(protocol));
	else
		begin_serving(control, entry, message, protocol, serving);
}

static void handle_new(struct relay_control *control,
		       struct berth_message *message, enum protocol protocol,
		       struct serving *serving)
{
	struct entry *entry = NULL;

	/* A change of what was refused: that offer's socket is gone. */
	if (message->fd >= 0) {
		entry = entry_new(control, message->id);
		if (!entry)
			log_refused(control, message);
	}
	if (entry)
		entry_offered(control, entry, message, protocol, serving);
	else
		say_end(control, message->id, /* withdrawn= */ false);
}

/* A listener that is served, or that the relay did not know how to serve. */
static void handle_changed(struct relay_control *control, struct entry *entry,
			   struct berth_message *message,
			   enum protocol protocol, struct serving *serving)
{
	struct listener *listener = entry->listener;

	if (entry->withdrawn || entry->ended)
		return;
	for (size_t i = 0; listener && serving && i < listener->n_shares; i++)
		share_tell(&listener->shares[i], SHARE_SERVE, serving);
	if (listener)
		return;
	if (message->fd >= 0)
		entry_offered(control, entry, message, protocol, serving);
	else if (serving)
		entry_end(control, entry); /* to be offered its socket */
}

static void handle_without_memory(struct relay_control *control,
				  struct entry *entry,
				  const struct berth_message *message)
{
	if (!entry) {
		log_refused(control, message);
		say_end(control, message->id, /* withdrawn= */ false);
	} else if (!entry->withdrawn && !entry->ended) {
		log_unchanged(control, message);
		if (entry->listener)
			entry_say(control, entry);
		else
			entry_end(control, entry);
	}
}

static void handle_listener(struct relay_control *control,
			    struct berth_message *message)
{
	struct entry *entry = entry_find(control, message->id);
	const char *problem = "";
	struct serving *serving = NULL;
	enum protocol protocol;
	int r;

	r = serving_for(control, &message->listener, &protocol, &serving,
			&problem);
	if (r == -ENOMEM) {
		handle_without_memory(control, entry, message);
		return;
	}
	if (r < 0)
		log_error("rule '%s': cannot serve it: expected %s",
			  message->listener.rule, problem);
	if (entry)
		handle_changed(control, entry, message, protocol, serving);
	else
		handle_new(control, message, protocol, serving);
	(void)serving_unref(serving);
}

static void entry_withdraw(struct entry *entry, bool abort)
{
	unsigned int wanted = SHARE_WITHDRAW | (abort ? SHARE_ABORT : 0);

	entry->withdrawn = true;
	for (size_t i = 0; i < entry->listener->n_shares; i++)
		share_tell(&entry->listener->shares[i], wanted, NULL);
}

static void handle_withdraw(struct relay_control *control, uint64_t id,
			    bool abort)
{
	struct entry *entry = entry_find(control, id);

	if (!entry) {
		say_end(control, id, /* withdrawn= */ true);
	} else if (entry->listener) {
		entry_withdraw(entry, abort);
	} else if (!entry->withdrawn) {
		entry->withdrawn = true;
		entry_end(control, entry);
	}
}

/* The connection */

static void control_retry(void *user_data)
{
	struct relay_control *control = user_data;

	control_go_on(control);
}

static void control_quit(struct relay_control *control)
{
	log_info("berthd closed the connection; exiting");
	loop_quit(control->loop, 0);
}

/* Reads nothing for a moment. */
static void control_rest(struct relay_control *control)
{
	/* Its end must be noticed all the same. */
	control_watch(control, EPOLLRDHUP);
	loop_timer_set(control->retry, loop_now_us(control->loop) + REST_US);
}

/* The table is full and the next message brings a descriptor. Traffic gives
 * way to listeners; when that does not help, the listener is refused, because
 * withdraws wait behind it. Return: true to go on receiving. */
static bool make_room(struct relay_control *control)
{
	if (control->n_shed >= SHED_ROUNDS && berth_refuse(control->berth) == 0)
		return true;
	if (log_ratelimit_ok(&control->log_limit))
		log_error("no descriptor left for a listener; resetting "
			  "connections (the limit of open files is too low)");
	control->n_shed++;
	for (size_t i = 0; i < control->n_workers; i++)
		inbox_shed(&control->workers[i].inbox, SHED_CONNECTIONS);
	control_rest(control);
	return false;
}

/* Return: false when there is nothing more to receive now. */
static bool receive_failed(struct relay_control *control, int error)
{
	switch (error) {
	case -EPIPE:
		control_quit(control);
		return false;
	case -EMFILE:
		return make_room(control);
	case -ENOMEM:
		control_rest(control);
		return false;
	case -EBADMSG:
	case -EPROTO:
		log_error_errno(error, "ignoring a message from berthd");
		return true;
	default:
		log_error_errno(error, "cannot receive from berthd; exiting");
		loop_quit(control->loop, error);
		return false;
	}
}

static void receive_batch(struct relay_control *control)
{
	struct berth_message *message;
	int r;

	for (int i = 0; i < MESSAGE_BATCH; i++) {
		r = berth_receive(control->berth, &message);
		if (r == 0 || (r < 0 && !receive_failed(control, r)))
			return;
		if (r < 0)
			continue;
		if (message->fd >= 0)
			control->n_shed = 0;
		if (message->type == BERTH_LISTENER)
			handle_listener(control, message);
		else if (message->type == BERTH_WITHDRAW)
			handle_withdraw(control, message->id, message->abort);
		else if (message->type == BERTH_STATS)
			begin_stats(control, message->request);
		else if (message->type == BERTH_SOCKET)
			minter_answered(&control->minter, message);
		else if (message->type == BERTH_NETNS_GONE)
			minter_netns_gone(&control->minter, message->netns_id);
		message = berth_message_free(message);
	}
}

static void berth_handler(uint32_t events, void *user_data)
{
	struct relay_control *control = user_data;

	if (events & (EPOLLHUP | EPOLLRDHUP)) {
		/* Whatever it said before its end does not matter any more. */
		control_quit(control);
		return;
	}
	if (events & EPOLLOUT) {
		send_unsent(control);
		if (control->stats_open)
			send_stats(control);
		control->minter_waits = !minter_send(&control->minter);
		control_go_on(control);
	}
	receive_batch(control);
	if (control->minter.lanes && !control->minter_waits)
		mint(control); /* answers made room for questions */
	for (size_t i = 0; i < control->n_workers; i++)
		inbox_kick(&control->workers[i].inbox);
}

/* Begin and end */

/* With no thread left: the kernel closes the listening socket, see exit(2). */
static void entry_forget(struct entry *entry)
{
	struct listener *listener = entry->listener;

	for (size_t i = 0; listener && i < listener->n_shares; i++)
		share_forget(&listener->shares[i]);
}

static int control_start(struct relay_control *control, size_t n_workers)
{
	int r;

	r = outbox_init(&control->outbox);
	if (r < 0)
		return r;
	r = loop_add(control->loop, control->outbox.fd, EPOLLIN, outbox_handler,
		     control, &control->outbox_source);
	if (r < 0)
		return r;
	r = loop_timer_new(control->loop, control_retry, control,
			   &control->retry);
	if (r < 0)
		return r;
	control->admissions = admissions_new(n_workers);
	if (!control->admissions)
		return -ENOMEM;
	for (; control->n_workers < n_workers; control->n_workers++) {
		r = worker_thread_start(&control->workers[control->n_workers],
					control->n_workers, &control->outbox,
					control->protocols);
		if (r < 0)
			return r;
	}
	control->minter = (struct minter){
		.berth = control->berth,
		.outbox = &control->outbox,
		.workers = control->workers,
		.n_workers = n_workers,
	};
	return loop_add(control->loop, berth_fd(control->berth), EPOLLIN,
			berth_handler, control, &control->berth_source);
}

int relay_control_new(struct loop *loop, struct berth *berth,
		      const struct relay_protocol *const *protocols,
		      size_t n_workers, struct relay_control **ret_control)
{
	struct relay_control *control = calloc(
		1, sizeof(*control) + n_workers * sizeof(control->workers[0]));
	int r;

	if (!control)
		return -ENOMEM;
	control->loop = loop;
	control->berth = berth;
	control->protocols = protocols;
	control->outbox.fd = -1;
	control->log_limit = (struct log_ratelimit){
		.interval_us = 10 * USEC_PER_SEC,
		.burst = 1,
	};
	r = control_start(control, n_workers);
	if (r < 0) {
		(void)relay_control_free(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

struct relay_control *relay_control_free(struct relay_control *control)
{
	struct entry *entry, *next;

	if (!control)
		return NULL;
	for (size_t i = 0; i < control->n_workers; i++)
		inbox_stop(&control->workers[i].inbox);
	for (size_t i = 0; i < control->n_workers; i++)
		worker_thread_join(&control->workers[i]);
	HASH_ITER (hh, control->entries, entry, next)
		entry_forget(entry);
	for (size_t i = 0; i < control->n_workers; i++)
		worker_thread_done(&control->workers[i]);
	HASH_ITER (hh, control->entries, entry, next)
		entry_free(control, entry);
	control->admissions = admissions_free(control->admissions);
	(void)serving_unref(control->last_serving);
	control->berth_source = loop_source_free(control->berth_source);
	control->outbox_source = loop_source_free(control->outbox_source);
	control->retry = loop_timer_free(control->retry);
	minter_done(&control->minter);
	if (control->outbox.fd >= 0)
		outbox_done(&control->outbox);
	free(control);
	return NULL;
}
