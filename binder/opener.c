// SPDX-License-Identifier: Apache-2.0
/* opener.c - attempts to open waiting listeners, and when the next is made
 *
 * Theory of operation: a waiting row is in exactly one place: in the heap, with
 * the time of its next attempt; or, if max_listeners are open, in the list of
 * the starved, which costs nothing until a slot is free. The one timer is set
 * for the heap's first row, or for now when there are starved rows and slots.
 * A row that is to be opened later is in the heap with that time, and no event
 * makes it be tried before.
 *
 * The delay of a row doubles with each of its failures, up to retry_max_us. If
 * descriptors are used up (EMFILE, ENFILE), the row is not to blame: its delay
 * stays short, and the whole binder pauses, longer each time, so that thousands
 * of rows cost one attempt for each pause. Any listener that closes ends the
 * pause.
 *
 * A protocol that is missing comes with a module that an operator loads. To
 * look for it in each of thousands of namespaces every few seconds would cost
 * more than it is worth, so the delay grows further then.
 */
#include "binder/opener.h"

#include <inttypes.h>
#include <utlist.h>

#include "binder/reason.h"
#include "binder/socket.h"
#include "common/close_safely.h"
#include "common/log.h"
#include "common/netns_enter.h"
#include "common/util.h"

/* Rows tried at each wake-up: about a millisecond of work. */
#define RETRY_SLICE 64

/* After attempts in a namespace have failed, its events cause no others for at
 * least this long, and for this many times as long as the attempts took: a
 * namespace that floods events gets a tenth of the CPU. */
#define QUIET_MIN_US (10 * USEC_PER_MSEC)
#define QUIET_FACTOR 10

/* How many times retry_max_us the delay may be if a protocol is missing. */
#define NO_PROTOCOL_FACTOR 12

static const char *opener_label(const struct binder_opener *opener,
				uint64_t netns_id, char *buffer, size_t size)
{
	const char *label = NULL;

	if (opener->ops->label)
		label = opener->ops->label(netns_id, opener->user_data);
	if (label)
		return label;
	(void)snprintf(buffer, size, "%" PRIu64, netns_id); /* fits: 20 */
	return buffer;
}

static bool is_exhaustion(int error)
{
	return error == EMFILE || error == ENFILE;
}

static bool is_no_protocol(int error)
{
	return error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT;
}

static uint64_t backoff_us(const struct binder_opener *opener, int error,
			   unsigned int attempts)
{
	uint64_t max_us = opener->config.retry_max_us;
	uint64_t delay_us = opener->config.retry_min_us;

	if (is_exhaustion(error))
		return delay_us;
	if (is_no_protocol(error))
		max_us *= NO_PROTOCOL_FACTOR;
	while (--attempts > 0 && delay_us < max_us)
		delay_us *= 2;
	return delay_us < max_us ? delay_us : max_us;
}

static const char *row_rule(const struct binder_row *row)
{
	const char *rule = row->listener.service->rule;

	return rule ? rule : "";
}

/* Logs once for each row, however often it is tried. Nothing is wrong if the
 * namespace is on its way out, or if a consumer is about to close berth's
 * earlier socket. */
static void row_log_failed(struct binder_opener *opener, struct binder_row *row)
{
	const struct listener *listener = &row->listener;
	char endpoint[ENDPOINT_TEXT_MAX], number[24];
	struct log_about about;

	if (row->warned || row->held || listener->error == ESTALE)
		return;
	row->warned = true;
	if (!log_enabled(LOG_LEVEL_WARNING) ||
	    !log_teller_ok(opener->teller, "rule '%s': cannot listen",
			   row_rule(row)))
		return;
	about = (struct log_about){
		.rule = row_rule(row),
		.listener = endpoint_fmt(&listener->endpoint, endpoint),
		.netns = opener_label(opener, listener->netns_id, number,
				      sizeof(number)),
	};
	log_warning_about(&about,
			  "rule '%s': cannot listen on %s in netns '%s': %s; "
			  "retrying",
			  about.rule, about.listener, about.netns,
			  listener->reason);
}

static void row_log_opened(struct binder_opener *opener,
			   const struct binder_row *row)
{
	const struct listener *listener = &row->listener;
	char endpoint[ENDPOINT_TEXT_MAX], number[24];
	enum log_level level = LOG_LEVEL_DEBUG;
	struct log_about about;

	/* If the failure was logged, the recovery is, too. */
	if (row->warned)
		level = LOG_LEVEL_INFO;
	if (!log_enabled(level) ||
	    (level == LOG_LEVEL_INFO &&
	     !log_teller_ok(opener->teller, "rule '%s': listening again",
			    row_rule(row))))
		return;
	about = (struct log_about){
		.rule = row_rule(row),
		.listener = endpoint_fmt(&listener->endpoint, endpoint),
		.netns = opener_label(opener, listener->netns_id, number,
				      sizeof(number)),
	};
	log_print_about(level, &about,
			"rule '%s': listening on %s in netns '%s'", about.rule,
			about.listener, about.netns);
}

/* Why could @row not be opened? */
static void row_explain(struct binder_opener *opener, struct binder_row *row,
			const struct binder_failure *failure)
{
	struct listener *listener = &row->listener;
	const struct binder_row *blocker = NULL;
	const char *holder = NULL;

	if (failure->error == EADDRINUSE)
		blocker = binder_row_blocker(row);
	if (failure->error == EADDRINUSE && !blocker && opener->ops->holder)
		holder = opener->ops->holder(listener->netns_id,
					     &listener->endpoint,
					     opener->user_data);
	binder_reason_set(row, failure, blocker, holder,
			  opener->config.max_listeners);
}

/* Nothing is wrong if the namespace is on its way out, or if a consumer is
 * about to close berth's earlier socket. */
static void row_tell_waiting(struct binder_opener *opener,
			     const struct binder_row *row)
{
	if (opener->ops->waiting && !row->held && row->listener.error != ESTALE)
		opener->ops->waiting(&row->listener, opener->user_data);
}

static void row_failed(struct binder_opener *opener, struct binder_row *row,
		       const struct binder_failure *failure)
{
	struct listener *listener = &row->listener;
	bool again = listener->attempts > 0 &&
		     listener->error == failure->error;
	bool was_full = opener->table->starved != NULL;

	opener->failed++;
	listener->attempts++;
	binder_row_await(opener->table, row, /* awaited= */ false);
	row_explain(opener, row, failure);
	if (failure->step == BINDER_STEP_LIMIT) {
		binder_row_retry_never(opener->table, row);
		binder_row_starve(opener->table, row, /* starved= */ true);
	} else {
		binder_row_starve(opener->table, row, /* starved= */ false);
		binder_row_retry_at(opener->table, row,
				    loop_now_us(opener->loop) +
					    backoff_us(opener, failure->error,
						       listener->attempts));
	}
	row_log_failed(opener, row);
	if (!again)
		row_tell_waiting(opener, row);
	if (!was_full && row->starved && opener->ops->full)
		opener->ops->full(opener->user_data);
}

/* A consumer may hand the row back: nothing is tried before that is decided. */
static void row_await(struct binder_opener *opener, struct binder_row *row)
{
	static const struct binder_failure await = {
		.error = EAGAIN,
		.step = BINDER_STEP_AWAIT,
	};

	binder_row_retry_never(opener->table, row);
	binder_row_starve(opener->table, row, /* starved= */ false);
	binder_row_await(opener->table, row, /* awaited= */ true);
	row_explain(opener, row, &await);
}

/* Takes the rows that may be handed back out of @rows. Return: how many are
 * left. */
static size_t rows_await(struct binder_opener *opener, struct binder_row **rows,
			 size_t n)
{
	size_t left = 0;

	if (!opener->ops->awaits)
		return n;
	for (size_t i = 0; i < n; i++) {
		if (opener->ops->awaits(&rows[i]->listener, opener->user_data))
			row_await(opener, rows[i]);
		else
			rows[left++] = rows[i];
	}
	return left;
}

/* Takes the rows whose time has not come out of @rows: they are tried then.
 * Return: how many are left. */
static size_t rows_postpone(struct binder_opener *opener,
			    struct binder_row **rows, size_t n)
{
	static const struct binder_failure early = {
		.step = BINDER_STEP_EARLY,
	};
	uint64_t now_us = loop_now_us(opener->loop);
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		struct binder_row *row = rows[i];
		bool is_new = !row->listener.reason;

		if (row->not_before_us <= now_us) {
			rows[left++] = row;
			continue;
		}
		binder_row_await(opener->table, row, /* awaited= */ false);
		binder_row_starve(opener->table, row, /* starved= */ false);
		binder_row_retry_at(opener->table, row, row->not_before_us);
		row_explain(opener, row, &early);
		if (is_new)
			row_tell_waiting(opener, row);
	}
	return left;
}

/* From now on the row has the id of its socket, if the kernel gives it one.
 * Return: 0 or -ENOMEM. */
static int row_identify(struct binder_opener *opener, struct binder_row *row,
			int fd)
{
	uint64_t id = adopt_id(fd);

	return id ? binder_row_set_id(opener->table, row, id) : 0;
}

static void row_opened(struct binder_opener *opener, struct binder_row *row,
		       int fd)
{
	struct listener *listener = &row->listener;

	opener->opened++;
	binder_row_await(opener->table, row, /* awaited= */ false);
	binder_row_retry_never(opener->table, row);
	binder_row_starve(opener->table, row, /* starved= */ false);
	binder_row_set_state(opener->table, row, LISTENER_OPEN);
	free(TAKE_PTR(row->reason_text));
	listener->fd = fd;
	listener->error = 0;
	listener->reason = NULL;
	listener->blocked_by = 0;
	row_log_opened(opener, row);
	row->warned = false;
	listener->attempts = 0;
	if (protocol_is_sctp(listener->endpoint.protocol))
		binder_sctp_opened(opener->sctp, row->netns);
	opener->ops->opened(listener, opener->user_data);
}

/* Did `any` fail for want of IPv6? Then it is to be tried as 0.0.0.0. */
static bool row_falls_back(struct binder_opener *opener, struct binder_row *row,
			   const struct binder_failure *failure)
{
	if (row->ipv4_only || row->listener.endpoint.family != AF_UNSPEC)
		return false;
	if (failure->step == BINDER_STEP_SOCKET &&
	    failure->error == EAFNOSUPPORT)
		opener->no_ipv6 = true;
	else if (failure->step != BINDER_STEP_BIND ||
		 failure->error != EADDRNOTAVAIL ||
		 row->listener.endpoint.multihomed)
		return false;
	row->ipv4_only = true;
	return true;
}

/* Makes a listener of the socket that was made for @row. Return: 0; -errno with
 * *@ret_failure. */
static int row_finish(struct binder_opener *opener, struct binder_row *row,
		      const struct netns_socket *sock,
		      struct binder_failure *ret_failure)
{
	int r;

	if (sock->fd < 0) {
		*ret_failure = (struct binder_failure){
			.error = sock->error,
			.step = BINDER_STEP_SOCKET,
		};
		return -sock->error;
	}
	r = binder_socket_setup(sock->fd, row, ret_failure);
	if (r == 0)
		r = row_identify(opener, row, sock->fd);
	if (r == -ENOMEM)
		*ret_failure = (struct binder_failure){
			.error = ENOMEM,
			.step = BINDER_STEP_SOCKET,
		};
	if (r < 0) {
		(void)close(sock->fd); /* nothing was sent on it */
		return r;
	}
	row_opened(opener, row, sock->fd);
	return 0;
}

static void rows_failed(struct binder_opener *opener, struct binder_row **rows,
			size_t n, int error, enum binder_step step)
{
	struct binder_failure failure = { .error = error, .step = step };

	for (size_t i = 0; i < n; i++)
		row_failed(opener, rows[i], &failure);
}

/*
 * Tries all of @rows in one visit of the namespace. Rows that are to be tried
 * again with IPv4 are moved to the front of @rows; *@ret_again is their number.
 * Return: as binder_open_rows().
 */
static int open_visit(struct binder_opener *opener, struct binder_netns *netns,
		      struct binder_row **rows, size_t n, size_t *ret_again)
{
	_cleanup_free_ struct netns_socket *sockets =
		calloc(n, sizeof(*sockets));
	_cleanup_close_ int netns_fd = -1; /* closed when all listen */
	struct binder_failure failure;
	int r = -ENOMEM, result = 0;

	*ret_again = 0;
	for (size_t i = 0; sockets && i < n; i++) {
		if (opener->no_ipv6 &&
		    rows[i]->listener.endpoint.family == AF_UNSPEC)
			rows[i]->ipv4_only = true;
		binder_socket_describe(rows[i], &sockets[i]);
		if (rows[i]->listener.endpoint.multihomed)
			sockets[i].owner = opener->config.owner;
	}
	if (sockets)
		r = opener->ops->open_netns(netns->id, &netns_fd,
					    opener->user_data);
	if (r == 0)
		r = netns_sockets(netns_fd, sockets, n);
	if (r < 0) {
		rows_failed(opener, rows, n, -r, BINDER_STEP_NETNS);
		return is_exhaustion(-r) ? r : 0;
	}
	for (size_t i = 0; i < n; i++) {
		r = row_finish(opener, rows[i], &sockets[i], &failure);
		if (r == 0)
			continue;
		if (row_falls_back(opener, rows[i], &failure)) {
			rows[(*ret_again)++] = rows[i];
			continue;
		}
		row_failed(opener, rows[i], &failure);
		if (is_exhaustion(-r))
			result = r;
	}
	return result;
}

static void opener_pause(struct binder_opener *opener)
{
	uint64_t us = opener->pressure_us * 2;

	/* Events cause attempts during the pause; these do not prolong it. */
	if (loop_now_us(opener->loop) < opener->pressure_until_us)
		return;
	if (us < opener->config.retry_min_us)
		us = opener->config.retry_min_us;
	if (us > opener->config.retry_max_us)
		us = opener->config.retry_max_us;
	opener->pressure_us = us;
	opener->pressure_until_us = loop_now_us(opener->loop) + us;
}

int binder_open_rows(struct binder_opener *opener, struct binder_netns *netns,
		     struct binder_row **rows, size_t n)
{
	unsigned long failed_before = opener->failed;
	uint64_t begin_us = monotonic_us(), quiet_us;
	size_t slots = 0, again = 0;
	int r = 0;

	n = rows_await(opener, rows, n);
	n = rows_postpone(opener, rows, n);
	if (n == 0)
		return 0;
	if (opener->table->open < opener->config.max_listeners)
		slots = opener->config.max_listeners - opener->table->open;
	if (n > slots)
		rows_failed(opener, rows + slots, n - slots, EMFILE,
			    BINDER_STEP_LIMIT);
	else
		slots = n;
	if (slots > 0)
		r = open_visit(opener, netns, rows, slots, &again);
	if (again > 0)
		r = open_visit(opener, netns, rows, again, &again);
	if (is_exhaustion(-r))
		opener_pause(opener);
	if (opener->failed != failed_before) {
		quiet_us = (monotonic_us() - begin_us) * QUIET_FACTOR;
		if (quiet_us < QUIET_MIN_US)
			quiet_us = QUIET_MIN_US;
		netns->quiet_until_us = loop_now_us(opener->loop) + quiet_us;
	}
	return r;
}

int binder_opener_adopt(struct binder_opener *opener, struct binder_row *row,
			int fd, const struct adopt_claim *claim,
			const char **ret_reason)
{
	_cleanup_foreign_ int owned_fd = fd;
	struct binder_failure failure;

	*ret_reason = "berth's limit of open listeners is reached";
	if (opener->table->open >= opener->config.max_listeners)
		return -EMFILE;
	*ret_reason = "it cannot get the options or addresses of its rule";
	if (binder_socket_adopt(fd, claim->family, row, opener->config.owner,
				&failure) < 0)
		return -ECANCELED;
	*ret_reason = "out of memory";
	if (binder_row_set_id(opener->table, row, claim->id) < 0)
		return -ENOMEM;
	row->adopted = true;
	row_opened(opener, row, TAKE_FD(owned_fd));
	return 0;
}

void binder_opener_await_end(struct binder_opener *opener)
{
	struct binder_netns *netns, *next;
	struct binder_row *row;

	if (opener->table->awaited == 0)
		return;
	HASH_ITER (hh, opener->table->netns, netns, next) {
		DL_FOREACH (netns->rows, row) {
			if (row->awaited)
				binder_row_retry_at(opener->table, row,
						    loop_now_us(opener->loop));
		}
	}
	binder_opener_arm(opener);
}

/* Starved rows get the free slots, the longest waiting first: they are due now.
 */
static void feed_starved(struct binder_opener *opener, uint64_t now_us)
{
	size_t slots;

	if (opener->table->open >= opener->config.max_listeners)
		return;
	slots = opener->config.max_listeners - opener->table->open;
	if (slots > RETRY_SLICE)
		slots = RETRY_SLICE;
	while (slots-- > 0 && opener->table->starved) {
		struct binder_row *row = opener->table->starved;

		binder_row_starve(opener->table, row, /* starved= */ false);
		binder_row_retry_at(opener->table, row, now_us);
	}
}

static struct binder_row *first_due(const struct binder_opener *opener,
				    uint64_t now_us)
{
	struct heap_node *first = heap_first(&opener->table->retries);

	return first && first->key <= now_us
		       ? container_of(first, struct binder_row, retry)
		       : NULL;
}

void binder_opener_arm(struct binder_opener *opener)
{
	const struct heap_node *first = heap_first(&opener->table->retries);
	uint64_t at_us = first ? first->key : UINT64_MAX;

	if (opener->table->starved &&
	    opener->table->open < opener->config.max_listeners)
		at_us = loop_now_us(opener->loop);
	if (at_us == UINT64_MAX) {
		loop_timer_unset(opener->timer);
		return;
	}
	if (at_us < opener->pressure_until_us)
		at_us = opener->pressure_until_us;
	loop_timer_set(opener->timer, at_us);
}

static void open_due(void *user_data)
{
	struct binder_opener *opener = user_data;
	struct binder_row *rows[RETRY_SLICE], *row;
	uint64_t now_us = loop_now_us(opener->loop);
	size_t budget = RETRY_SLICE, n;
	int r = 0;

	if (now_us >= opener->pressure_until_us)
		feed_starved(opener, now_us);
	while (r == 0 && budget > 0 && now_us >= opener->pressure_until_us &&
	       first_due(opener, now_us)) {
		struct binder_netns *netns = first_due(opener, now_us)->netns;

		n = 0;
		DL_FOREACH (netns->rows, row) {
			if (heap_has(&row->retry) && row->retry.key <= now_us)
				rows[n++] = row;
			if (n == budget)
				break;
		}
		budget -= n;
		r = binder_open_rows(opener, netns, rows, n);
	}
	if (r == 0 && now_us >= opener->pressure_until_us)
		opener->pressure_us = 0;
	binder_opener_arm(opener);
}

void binder_opener_relieve(struct binder_opener *opener)
{
	opener->pressure_until_us = 0;
	opener->pressure_us = 0;
}

int binder_opener_init(struct binder_opener *opener)
{
	return loop_timer_new(opener->loop, open_due, opener, &opener->timer);
}

void binder_opener_done(struct binder_opener *opener)
{
	opener->timer = loop_timer_free(opener->timer);
}
