// SPDX-License-Identifier: Apache-2.0
/* opener.c - attempts to open waiting listeners, and when the next is made
 *
 * Theory of operation: a waiting row is in exactly one place: in the heap, with
 * the time of its next attempt; or, if max_listeners are open, in the list of
 * the starved, which costs nothing until a slot is free. The one timer is set
 * for the heap's first row, or for now when there are starved rows and slots.
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
#include "binder/binder_internal.h"

#include <inttypes.h>
#include <utlist.h>

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

static const char *opener_label(const struct binder *binder, uint64_t netns_id,
				char *buffer, size_t size)
{
	const char *label = NULL;

	if (binder->ops->label)
		label = binder->ops->label(netns_id, binder->user_data);
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

static uint64_t backoff_us(const struct binder *binder, int error,
			   unsigned int attempts)
{
	uint64_t max_us = binder->config.retry_max_us;
	uint64_t delay_us = binder->config.retry_min_us;

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
static void row_log_failed(struct binder *binder, struct binder_row *row)
{
	const struct listener *listener = &row->listener;
	char endpoint[ENDPOINT_TEXT_MAX], number[24];

	if (row->warned || row->held || listener->error == ESTALE)
		return;
	row->warned = true;
	if (!log_enabled(LOG_LEVEL_WARNING) ||
	    !log_teller_ok(binder->teller, "rule '%s': cannot listen",
			   row_rule(row)))
		return;
	log_warning("rule '%s': cannot listen on %s in netns '%s': %s; "
		    "retrying",
		    row_rule(row), endpoint_fmt(&listener->endpoint, endpoint),
		    opener_label(binder, listener->netns_id, number,
				 sizeof(number)),
		    listener->reason);
}

static void row_log_opened(struct binder *binder, const struct binder_row *row)
{
	const struct listener *listener = &row->listener;
	char endpoint[ENDPOINT_TEXT_MAX], number[24];
	enum log_level level = LOG_LEVEL_DEBUG;

	/* If the failure was logged, the recovery is, too. */
	if (row->warned)
		level = LOG_LEVEL_INFO;
	if (!log_enabled(level) ||
	    (level == LOG_LEVEL_INFO &&
	     !log_teller_ok(binder->teller, "rule '%s': listening again",
			    row_rule(row))))
		return;
	log_print(level, "rule '%s': listening on %s in netns '%s'",
		  row_rule(row), endpoint_fmt(&listener->endpoint, endpoint),
		  opener_label(binder, listener->netns_id, number,
			       sizeof(number)));
}

static void row_failed(struct binder *binder, struct binder_row *row,
		       const struct binder_failure *failure)
{
	struct listener *listener = &row->listener;

	binder->stats.failed++;
	listener->attempts++;
	binder_reason_set(binder, row, failure);
	if (failure->step == BINDER_STEP_LIMIT) {
		binder_row_retry_never(binder, row);
		binder_row_starve(binder, row, /* starved= */ true);
	} else {
		binder_row_starve(binder, row, /* starved= */ false);
		binder_row_retry_at(binder, row,
				    loop_now_us(binder->loop) +
					    backoff_us(binder, failure->error,
						       listener->attempts));
	}
	row_log_failed(binder, row);
}

static void row_opened(struct binder *binder, struct binder_row *row, int fd)
{
	struct listener *listener = &row->listener;

	binder->stats.opened++;
	binder_row_retry_never(binder, row);
	binder_row_starve(binder, row, /* starved= */ false);
	binder_row_set_state(binder, row, LISTENER_OPEN);
	free(TAKE_PTR(row->reason_text));
	listener->fd = fd;
	listener->error = 0;
	listener->reason = NULL;
	listener->blocked_by = 0;
	row_log_opened(binder, row);
	row->warned = false;
	listener->attempts = 0;
	if (protocol_is_sctp(listener->endpoint.protocol))
		binder_sctp_opened(binder, row->netns);
	binder->ops->opened(listener, binder->user_data);
}

/* Did `any` fail for want of IPv6? Then it is to be tried as 0.0.0.0. */
static bool row_falls_back(struct binder *binder, struct binder_row *row,
			   const struct binder_failure *failure)
{
	if (row->ipv4_only || row->listener.endpoint.family != AF_UNSPEC)
		return false;
	if (failure->step == BINDER_STEP_SOCKET &&
	    failure->error == EAFNOSUPPORT)
		binder->no_ipv6 = true;
	else if (failure->step != BINDER_STEP_BIND ||
		 failure->error != EADDRNOTAVAIL ||
		 row->listener.endpoint.multihomed)
		return false;
	row->ipv4_only = true;
	return true;
}

/* Makes a listener of the socket that was made for @row. Return: 0; -errno with
 * *@ret_failure. */
static int row_finish(struct binder *binder, struct binder_row *row,
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
	if (r < 0) {
		(void)close(sock->fd); /* nothing was sent on it */
		return r;
	}
	row_opened(binder, row, sock->fd);
	return 0;
}

static void rows_failed(struct binder *binder, struct binder_row **rows,
			size_t n, int error, enum binder_step step)
{
	struct binder_failure failure = { .error = error, .step = step };

	for (size_t i = 0; i < n; i++)
		row_failed(binder, rows[i], &failure);
}

/*
 * Tries all of @rows in one visit of the namespace. Rows that are to be tried
 * again with IPv4 are moved to the front of @rows; *@ret_again is their number.
 * Return: as binder_open_rows().
 */
static int open_visit(struct binder *binder, struct binder_netns *netns,
		      struct binder_row **rows, size_t n, size_t *ret_again)
{
	_cleanup_free_ struct netns_socket *sockets =
		calloc(n, sizeof(*sockets));
	_cleanup_close_ int netns_fd = -1; /* closed when all listen */
	struct binder_failure failure;
	int r = -ENOMEM, result = 0;

	*ret_again = 0;
	for (size_t i = 0; sockets && i < n; i++) {
		if (binder->no_ipv6 &&
		    rows[i]->listener.endpoint.family == AF_UNSPEC)
			rows[i]->ipv4_only = true;
		binder_socket_describe(rows[i], &sockets[i]);
		if (rows[i]->listener.endpoint.multihomed)
			sockets[i].owner = binder->config.owner;
	}
	if (sockets)
		r = binder->ops->open_netns(netns->id, &netns_fd,
					    binder->user_data);
	if (r == 0)
		r = netns_sockets(netns_fd, sockets, n);
	if (r < 0) {
		rows_failed(binder, rows, n, -r, BINDER_STEP_NETNS);
		return is_exhaustion(-r) ? r : 0;
	}
	for (size_t i = 0; i < n; i++) {
		r = row_finish(binder, rows[i], &sockets[i], &failure);
		if (r == 0)
			continue;
		if (row_falls_back(binder, rows[i], &failure)) {
			rows[(*ret_again)++] = rows[i];
			continue;
		}
		row_failed(binder, rows[i], &failure);
		if (is_exhaustion(-r))
			result = r;
	}
	return result;
}

static void binder_pause(struct binder *binder)
{
	uint64_t us = binder->pressure_us * 2;

	/* Events cause attempts during the pause; these do not prolong it. */
	if (loop_now_us(binder->loop) < binder->pressure_until_us)
		return;
	if (us < binder->config.retry_min_us)
		us = binder->config.retry_min_us;
	if (us > binder->config.retry_max_us)
		us = binder->config.retry_max_us;
	binder->pressure_us = us;
	binder->pressure_until_us = loop_now_us(binder->loop) + us;
}

int binder_open_rows(struct binder *binder, struct binder_netns *netns,
		     struct binder_row **rows, size_t n)
{
	unsigned long failed_before = binder->stats.failed;
	uint64_t begin_us = monotonic_us(), quiet_us;
	size_t slots = 0, again = 0;
	int r = 0;

	if (n == 0)
		return 0;
	if (binder->stats.open < binder->config.max_listeners)
		slots = binder->config.max_listeners - binder->stats.open;
	if (n > slots)
		rows_failed(binder, rows + slots, n - slots, EMFILE,
			    BINDER_STEP_LIMIT);
	else
		slots = n;
	if (slots > 0)
		r = open_visit(binder, netns, rows, slots, &again);
	if (again > 0)
		r = open_visit(binder, netns, rows, again, &again);
	if (is_exhaustion(-r))
		binder_pause(binder);
	if (binder->stats.failed != failed_before) {
		quiet_us = (monotonic_us() - begin_us) * QUIET_FACTOR;
		if (quiet_us < QUIET_MIN_US)
			quiet_us = QUIET_MIN_US;
		netns->quiet_until_us = loop_now_us(binder->loop) + quiet_us;
	}
	return r;
}

/* Starved rows get the free slots, the longest waiting first: they are due now.
 */
static void feed_starved(struct binder *binder, uint64_t now_us)
{
	size_t slots;

	if (binder->stats.open >= binder->config.max_listeners)
		return;
	slots = binder->config.max_listeners - binder->stats.open;
	if (slots > RETRY_SLICE)
		slots = RETRY_SLICE;
	while (slots-- > 0 && binder->starved) {
		struct binder_row *row = binder->starved;

		binder_row_starve(binder, row, /* starved= */ false);
		binder_row_retry_at(binder, row, now_us);
	}
}

static struct binder_row *first_due(const struct binder *binder,
				    uint64_t now_us)
{
	struct heap_node *first = heap_first(&binder->retries);

	return first && first->key <= now_us
		       ? container_of(first, struct binder_row, retry)
		       : NULL;
}

void binder_open_due(void *user_data)
{
	struct binder *binder = user_data;
	struct binder_row *rows[RETRY_SLICE], *row;
	uint64_t now_us = loop_now_us(binder->loop);
	size_t budget = RETRY_SLICE, n;
	int r = 0;

	if (now_us >= binder->pressure_until_us)
		feed_starved(binder, now_us);
	while (r == 0 && budget > 0 && now_us >= binder->pressure_until_us &&
	       first_due(binder, now_us)) {
		struct binder_netns *netns = first_due(binder, now_us)->netns;

		n = 0;
		DL_FOREACH (netns->rows, row) {
			if (heap_has(&row->retry) && row->retry.key <= now_us)
				rows[n++] = row;
			if (n == budget)
				break;
		}
		budget -= n;
		r = binder_open_rows(binder, netns, rows, n);
	}
	if (r == 0 && now_us >= binder->pressure_until_us)
		binder->pressure_us = 0;
	binder_arm(binder);
}

void binder_arm(struct binder *binder)
{
	const struct heap_node *first = heap_first(&binder->retries);
	uint64_t at_us = first ? first->key : UINT64_MAX;

	if (binder->starved &&
	    binder->stats.open < binder->config.max_listeners)
		at_us = loop_now_us(binder->loop);
	if (at_us == UINT64_MAX) {
		loop_timer_unset(binder->timer);
		return;
	}
	if (at_us < binder->pressure_until_us)
		at_us = binder->pressure_until_us;
	loop_timer_set(binder->timer, at_us);
}
