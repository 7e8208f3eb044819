// SPDX-License-Identifier: Apache-2.0
/* binder.c - the table of listeners: sockets born in namespaces
 *
 * Theory of operation: each row of the table is one listener that the rules
 * want, with its state:
 *
 *   OPEN	it has a descriptor; the owner was told by @opened
 *   WAITING	it has no descriptor, but a reason, and a place in the retry
 *		heap or in the list of the starved (see opener.c)
 *   REFUSED	it has no descriptor, and is in no queue
 *
 * Rows are found by (namespace, endpoint), by id, and in the list of their
 * namespace, the oldest first. A row that cannot become what its spec says is
 * replaced by a new row with another id, because consumers know a listener by
 * its id.
 *
 * binder_apply() frees ports before it asks for any: first it removes the rows
 * that are not wanted, or that have to be replaced; then it makes the new rows;
 * then it tries all rows that are to be tried, in one visit of the namespace.
 */
#include "binder/binder.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "binder/opener.h"
#include "binder/sctp_follow.h"
#include "binder/socket.h"
#include "binder/table.h"
#include "common/close_safely.h"
#include "common/log_teller.h"
#include "common/util.h"

#define RETRY_MIN_US (100 * USEC_PER_MSEC)
#define RETRY_MAX_US (5 * USEC_PER_SEC)

/* Log lines of one rule: thousands of taken ports shall not flood the journal.
 */
#define LOG_INTERVAL_US (5 * USEC_PER_SEC)
#define LOG_BURST 10

/**
 * struct binder - see binder.h
 * @pass:	the number of the last binder_apply()
 */
struct binder {
	struct loop *loop;
	const struct binder_ops *ops;
	void *user_data;
	struct log_teller *teller;
	struct binder_table table;
	struct binder_sctp sctp;
	struct binder_opener opener;
	uint64_t pass;
};

static int init_parts(struct binder *binder, const struct binder_config *config)
{
	int r = log_teller_new(binder->loop, LOG_INTERVAL_US, LOG_BURST,
			       &binder->teller);

	if (r < 0)
		return r;
	binder->sctp = (struct binder_sctp){
		.loop = binder->loop,
		.table = &binder->table,
		.ops = binder->ops,
		.user_data = binder->user_data,
		.teller = binder->teller,
	};
	binder->opener = (struct binder_opener){
		.loop = binder->loop,
		.table = &binder->table,
		.config = *config,
		.ops = binder->ops,
		.user_data = binder->user_data,
		.sctp = &binder->sctp,
		.teller = binder->teller,
	};
	if (!config->retry_min_us)
		binder->opener.config.retry_min_us = RETRY_MIN_US;
	if (!config->retry_max_us)
		binder->opener.config.retry_max_us = RETRY_MAX_US;
	r = binder_sctp_init(&binder->sctp);
	return r < 0 ? r : binder_opener_init(&binder->opener);
}

int binder_new(struct loop *loop, const struct binder_config *config,
	       const struct binder_ops *ops, void *user_data,
	       struct binder **ret_binder)
{
	struct binder *binder = calloc(1, sizeof(*binder));
	int r;

	if (!binder)
		return -ENOMEM;
	binder->loop = loop;
	binder->ops = ops;
	binder->user_data = user_data;
	binder_table_init(&binder->table);
	r = init_parts(binder, config);
	if (r < 0) {
		(void)binder_free(binder); /* is always NULL */
		return r;
	}
	*ret_binder = binder;
	return 0;
}

static void row_close(struct binder *binder, struct binder_row *row)
{
	bool is_open = row->listener.state == LISTENER_OPEN;

	if (is_open)
		binder->ops->closing(&row->listener, binder->user_data);
	binder_row_free(&binder->table, row);
	if (is_open)
		binder_opener_relieve(&binder->opener);
}

static void netns_close(struct binder *binder, struct binder_netns *netns)
{
	while (netns->rows)
		row_close(binder, netns->rows);
	binder_netns_put(&binder->table, netns);
}

struct binder *binder_free(struct binder *binder)
{
	struct binder_netns *netns, *next;

	if (!binder)
		return NULL;
	HASH_ITER (hh, binder->table.netns, netns, next)
		netns_close(binder, netns);
	binder_opener_done(&binder->opener);
	binder_sctp_done(&binder->sctp);
	binder_table_done(&binder->table);
	(void)log_teller_free(binder->teller); /* is always NULL */
	free(binder);
	return NULL;
}

/* Would one consumer get what another has? That one could go on accepting, shut
 * the socket down, or have put a filter on it: consumers do not trust each
 * other. */
static bool row_would_pass_on(const struct binder *binder,
			      const struct binder_row *row,
			      const struct listener_spec *spec)
{
	const struct listener *listener = &row->listener;

	return listener->state == LISTENER_OPEN &&
	       strcmp(listener->service->consumer, spec->service->consumer) !=
		       0 &&
	       (row->adopted || !binder->ops->given ||
		binder->ops->given(listener, binder->user_data));
}

/* Can the row become what @spec says without another socket? */
static bool row_fits(const struct binder *binder, const struct binder_row *row,
		     const struct listener_spec *spec)
{
	const struct listener *listener = &row->listener;
	const struct socket_options *options = &listener->service->options;

	if (spec->endpoint.multihomed && spec->n_addrs == 0)
		return false;
	if ((listener->state == LISTENER_REFUSED) != (spec->refusal != NULL))
		return false;
	return socket_options_equal(options, &spec->service->options) &&
	       !row_would_pass_on(binder, row, spec);
}

/* Are they the same addresses in the same order? The order means nothing, but
 * it does not change by itself. */
static bool addrs_equal(const struct binder_row *row,
			const struct listener_spec *spec)
{
	return row->n_addrs == spec->n_addrs &&
	       (spec->n_addrs == 0 ||
		memcmp(row->addrs, spec->addrs,
		       spec->n_addrs * sizeof(*spec->addrs)) == 0);
}

/* Gives a multihomed row the addresses of @spec. Return: 0; -errno: it needs
 * another socket. */
static int row_readdress(struct binder *binder, struct binder_row *row,
			 const struct listener_spec *spec)
{
	struct ip_addr *addrs;
	int r;

	addrs = malloc(spec->n_addrs * sizeof(*addrs));
	if (!addrs)
		return -ENOMEM;
	memcpy(addrs, spec->addrs, spec->n_addrs * sizeof(*addrs));
	if (row->listener.state == LISTENER_OPEN) {
		r = binder_socket_readdress(row, addrs, spec->n_addrs);
		if (r < 0) {
			free(addrs);
			return r;
		}
	}
	free(row->addrs);
	row->addrs = addrs;
	row->n_addrs = spec->n_addrs;
	/* Consumers are told: accepted associations have sockets of their own,
	 * which follow the addresses, too. */
	if (row->listener.state == LISTENER_OPEN)
		binder->ops->changed(&row->listener, binder->user_data);
	return 0;
}

/* Marks the rows that stay, frees the others. Return: was one of these open, so
 * that a port is free now? */
static bool apply_sweep(struct binder *binder, struct binder_netns *netns,
			const struct listener_spec *specs, size_t n)
{
	struct binder_row *row, *next;
	bool closed = false;

	if (!netns->rows)
		return false;
	binder->pass++;
	for (size_t i = 0; i < n; i++) {
		row = binder_row_find(&binder->table, netns->id,
				      &specs[i].endpoint);
		if (row && row_fits(binder, row, &specs[i]) &&
		    (addrs_equal(row, &specs[i]) ||
		     row_readdress(binder, row, &specs[i]) == 0))
			row->pass = binder->pass;
	}
	DL_FOREACH_SAFE (netns->rows, row, next) {
		if (row->pass == binder->pass)
			continue;
		closed |= row->listener.state == LISTENER_OPEN;
		row_close(binder, row);
	}
	return closed;
}

/* A row that fits takes over the rest of its spec. */
static void row_update(struct binder *binder, struct binder_row *row,
		       const struct listener_spec *spec)
{
	struct listener *listener = &row->listener;
	struct service *old = listener->service;
	bool differs = !service_equal(old, spec->service) ||
		       strcmp(listener->ifname, spec->ifname) != 0;

	/* Also when both are equal: then the old rules can be freed. */
	listener->service = service_ref(spec->service);
	(void)service_unref(old); /* is always NULL */
	memcpy(listener->ifname, spec->ifname, sizeof(listener->ifname));
	binder_row_set_container(row, spec->container);
	row->freebind = spec->freebind;
	row->observed = spec->observed;
	row->not_before_us = spec->not_before_us;
	if (listener->state == LISTENER_REFUSED)
		listener->reason = spec->refusal;
	if (!differs || listener->state != LISTENER_OPEN)
		return;
	/* This socket took these options before, so it takes them now. */
	(void)binder_socket_set_service(listener->fd, row);
	binder->ops->changed(listener, binder->user_data);
}

/* An event may have helped the row: it is tried as soon as its namespace is
 * allowed to be. */
static void row_hasten(struct binder *binder, struct binder_row *row)
{
	uint64_t until_us = row->netns->quiet_until_us;

	if (until_us < row->not_before_us)
		until_us = row->not_before_us;
	if (!row->starved && row->listener.next_attempt_us > until_us)
		binder_row_retry_at(&binder->table, row, until_us);
}

/* Makes or updates the row of @spec. Return: 1 when *@ret_row is to be tried
 * now, 0 when there is nothing to try, -ENOMEM. */
static int apply_spec(struct binder *binder, struct binder_netns *netns,
		      const struct listener_spec *spec, bool at_once,
		      struct binder_row **ret_row)
{
	struct binder_row *row;
	bool freebind;

	row = binder_row_find(&binder->table, netns->id, &spec->endpoint);
	if (!row) {
		if (spec->endpoint.multihomed && spec->n_addrs == 0)
			return 0;
		if (binder_row_new(&binder->table, netns, spec, &row) < 0)
			return -ENOMEM;
		*ret_row = row;
		return row->listener.state == LISTENER_WAITING;
	}
	*ret_row = row;
	freebind = row->freebind;
	row_update(binder, row, spec);
	if (row->listener.state != LISTENER_WAITING)
		return 0;
	if (at_once || freebind != row->freebind)
		return 1;
	row_hasten(binder, row);
	return 0;
}

/* Makes or updates all rows, then tries those that are to be tried now. */
static int apply_specs(struct binder *binder, struct binder_netns *netns,
		       const struct listener_spec *specs, size_t n,
		       bool at_once)
{
	_cleanup_free_ struct binder_row **rows =
		calloc(n, sizeof(struct binder_row *));
	size_t n_rows = 0;
	int result = 0, r;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		r = apply_spec(binder, netns, &specs[i], at_once,
			       &rows[n_rows]);
		if (r < 0)
			result = r;
		else
			n_rows += (size_t)r;
	}
	(void)binder_open_rows(&binder->opener, netns, rows,
			       n_rows); /* they wait */
	return result;
}

static bool any_sctp(const struct listener_spec *specs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (protocol_is_sctp(specs[i].endpoint.protocol))
			return true;
	}
	return false;
}

int binder_apply(struct binder *binder, uint64_t netns_id,
		 const struct listener_spec *specs, size_t n)
{
	struct binder_netns *netns;
	bool at_once;
	int r = 0;

	if (n == 0) {
		binder_forget(binder, netns_id);
		return 0;
	}
	netns = binder_netns_get(&binder->table, netns_id);
	if (!netns)
		return -ENOMEM;
	at_once = apply_sweep(binder, netns, specs, n) ||
		  loop_now_us(binder->loop) >= netns->quiet_until_us;
	if (any_sctp(specs, n))
		binder_sctp_follow(&binder->sctp, netns);
	r = apply_specs(binder, netns, specs, n, at_once);
	binder_netns_put(&binder->table, netns);
	binder_opener_arm(&binder->opener);
	return r;
}

void binder_forget(struct binder *binder, uint64_t netns_id)
{
	struct binder_netns *netns =
		binder_netns_find(&binder->table, netns_id);

	if (!netns)
		return;
	netns_close(binder, netns);
	binder_opener_arm(&binder->opener);
}

/* The row that a claim is on. A socket on a link-local address is bound to the
 * interface of its scope, whether its rule says so or not. */
static struct binder_row *claimed_row(struct binder *binder,
				      const struct adopt_claim *claim)
{
	struct endpoint endpoint = claim->endpoint;
	struct binder_row *row =
		binder_row_find(&binder->table, claim->netns_id, &endpoint);

	if (row || endpoint.bound_ifindex != endpoint.scope_id)
		return row;
	endpoint.bound_ifindex = 0;
	return binder_row_find(&binder->table, claim->netns_id, &endpoint);
}

static int refuse_handed_back(int error, const char *reason,
			      const char **ret_reason)
{
	*ret_reason = reason;
	return error;
}

int binder_hand_back(struct binder *binder, struct handed_back *handed_back,
		     int fd, const char **ret_reason)
{
	_cleanup_foreign_ int owned_fd = fd;
	const char *reason = adopt_check(fd, &handed_back->claim);
	struct binder_row *row;

	if (reason)
		return refuse_handed_back(-EPERM, reason, ret_reason);
	row = claimed_row(binder, &handed_back->claim);
	if (!row)
		return refuse_handed_back(-ENOENT, "no rule wants it",
					  ret_reason);
	if (strcmp(row->listener.service->consumer, handed_back->consumer) != 0)
		return refuse_handed_back(
			-EPERM, "its rule gives it to another consumer",
			ret_reason);
	switch (row->listener.state) {
	case LISTENER_OPEN:
		if (row->listener.id == handed_back->claim.id)
			return 1;
		return refuse_handed_back(-ECANCELED, "it was opened anew",
					  ret_reason);
	case LISTENER_REFUSED:
		return refuse_handed_back(-ENOENT, row->listener.reason,
					  ret_reason);
	case LISTENER_WAITING:
		break;
	}
	return binder_opener_adopt(&binder->opener, row, TAKE_FD(owned_fd),
				   &handed_back->claim, ret_reason);
}

void binder_port_freed(struct binder *binder, uint64_t netns_id)
{
	struct binder_netns *netns =
		binder_netns_find(&binder->table, netns_id);

	/* What waits in the namespace may have waited for just that. */
	if (netns)
		netns->quiet_until_us = 0;
}

void binder_await_end(struct binder *binder)
{
	binder_opener_await_end(&binder->opener);
}

struct listener *binder_next(struct binder *binder, struct listener *previous)
{
	struct binder_row *row = (struct binder_row *)previous;
	struct binder_netns *netns = binder->table.netns;

	if (row && row->next)
		return &row->next->listener;
	if (row)
		netns = row->netns->hh.next;
	return netns ? &netns->rows->listener : NULL;
}

struct listener *binder_next_netns(struct binder *binder,
				   struct listener *previous)
{
	struct binder_row *row = (struct binder_row *)previous;
	struct binder_netns *netns = row ? row->netns->hh.next
					 : binder->table.netns;

	return netns ? &netns->rows->listener : NULL;
}

struct listener *binder_next_in(struct binder *binder, uint64_t netns_id,
				struct listener *previous)
{
	struct binder_row *row = (struct binder_row *)previous;
	struct binder_netns *netns;

	if (row)
		return row->next ? &row->next->listener : NULL;
	netns = binder_netns_find(&binder->table, netns_id);
	return netns ? &netns->rows->listener : NULL;
}

void binder_renamed(struct binder *binder, uint64_t netns_id)
{
	struct listener *listener = NULL;

	while ((listener = binder_next_in(binder, netns_id, listener))) {
		if (listener->state == LISTENER_OPEN)
			binder->ops->changed(listener, binder->user_data);
	}
}

void binder_told_of(struct binder *binder, uint64_t netns_id)
{
	struct listener *listener = NULL;

	while ((listener = binder_next_in(binder, netns_id, listener))) {
		if (listener->state == LISTENER_OPEN && listener->service->log)
			binder->ops->changed(listener, binder->user_data);
	}
}

struct listener *binder_find(struct binder *binder, uint64_t id)
{
	struct binder_row *row = binder_row_find_id(&binder->table, id);

	return row ? &row->listener : NULL;
}

void binder_set_max_listeners(struct binder *binder, size_t max_listeners)
{
	binder->opener.config.max_listeners = max_listeners;
	binder_opener_arm(&binder->opener);
}

void binder_get_stats(const struct binder *binder,
		      struct binder_stats *ret_stats)
{
	*ret_stats = (struct binder_stats){
		.open = binder->table.open,
		.waiting = binder->table.waiting,
		.refused = binder->table.refused,
		.awaited = binder->table.awaited,
		.opened = binder->opener.opened,
		.failed = binder->opener.failed,
	};
}
