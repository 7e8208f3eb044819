/* SPDX-License-Identifier: Apache-2.0 */
/* binder_internal.h - what the binder's files share */
#ifndef BINDER_BINDER_INTERNAL_H
#define BINDER_BINDER_INTERNAL_H

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "binder/binder.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/log_teller.h"
#include "common/netns_enter.h"

struct sctp_settings;

/**
 * struct binder_row - one row of the table, and its place in every index
 * @listener:	what the outside sees; first, so that both have one address
 * @prev, @next: in @netns->rows
 * @starved_prev, @starved_next: in binder->starved, while @starved
 * @retry:	in binder->retries, by listener.next_attempt_us
 * @pass:	the last binder_apply() that wanted it
 * @reason_text: owned; @listener.reason points here or to static text
 * @addrs:	of a multihomed endpoint; owned
 * @ipv4_only:	`any`, opened as 0.0.0.0 for lack of IPv6
 * @starved:	waits for one of max_listeners, not for a time
 * @held:	waits for a consumer to let go of berth's earlier socket
 * @warned:	it was said that it could not be opened, since it was last open
 */
struct binder_row {
	struct listener listener;
	struct binder_netns *netns;
	struct binder_row *prev, *next;
	struct binder_row *starved_prev, *starved_next;
	UT_hash_handle hh_key;
	UT_hash_handle hh_id;
	struct heap_node retry;
	uint64_t pass;
	char *reason_text;
	struct ip_addr *addrs;
	size_t n_addrs;
	bool freebind;
	bool observed;
	bool ipv4_only;
	bool starved;
	bool held;
	bool warned;
};

/**
 * struct binder_netns - the rows of one namespace; exists while there are any
 * @quiet_until_us: events make waiting rows be tried again only after this
 * @sctp:	the sysctls that its SCTP listeners have; NULL: never looked at
 * @sctp_look_us: when to look at them without an event; 0: never
 * @sctp_pause_us: how long it was to that
 */
struct binder_netns {
	uint64_t id;
	struct binder_row *rows;
	uint64_t quiet_until_us;
	struct sctp_settings *sctp;
	uint64_t sctp_look_us;
	uint64_t sctp_pause_us;
	UT_hash_handle hh;
};

/**
 * struct binder - the table
 * @timer:	for the first of @retries, and for slots that became free
 * @sctp_timer:	for the first @sctp_look_us of a namespace
 * @retries:	rows that wait for a time, with room for all rows
 * @starved:	rows that wait for a slot, the longest first
 * @no_ipv6:	the kernel was seen to have none
 * @pressure_until_us: no retries before this: descriptors are used up
 * @pressure_us: how long that was last time
 */
struct binder {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_timer *sctp_timer;
	struct binder_config config;
	const struct binder_ops *ops;
	void *user_data;
	struct binder_netns *netns;
	struct binder_row *by_key;
	struct binder_row *by_id;
	struct heap retries;
	struct binder_row *starved;
	struct binder_stats stats;
	uint64_t last_id;
	uint64_t pass;
	uint64_t pressure_until_us;
	uint64_t pressure_us;
	bool no_ipv6;
	struct log_teller *teller;
};

enum binder_step {
	BINDER_STEP_NETNS, /* finding or entering the namespace */
	BINDER_STEP_SOCKET,
	BINDER_STEP_OPTION,
	BINDER_STEP_BIND,
	BINDER_STEP_LISTEN,
	BINDER_STEP_LIMIT, /* max_listeners; @error is EMFILE */
};

/**
 * struct binder_failure - why a row could not be opened
 * @error:	positive errno
 * @option:	with BINDER_STEP_OPTION: its name in the rule language
 */
struct binder_failure {
	int error;
	enum binder_step step;
	const char *option;
};

/* row.c: the table */

/** binder_netns_find() - NULL when the namespace has no rows */
struct binder_netns *binder_netns_find(const struct binder *binder,
				       uint64_t netns_id);

/** binder_netns_get() - as above, but made when missing; NULL: no memory */
struct binder_netns *binder_netns_get(struct binder *binder, uint64_t netns_id);

/** binder_netns_put() - frees it if it has no rows (any more) */
void binder_netns_put(struct binder *binder, struct binder_netns *netns);

/** binder_row_find() - the row of one endpoint of a namespace, or NULL */
struct binder_row *binder_row_find(const struct binder *binder,
				   uint64_t netns_id,
				   const struct endpoint *endpoint);

/**
 * binder_row_new() - a row for @spec, waiting or refused, in no queue
 * Return: 0 or -ENOMEM.
 */
int binder_row_new(struct binder *binder, struct binder_netns *netns,
		   const struct listener_spec *spec,
		   struct binder_row **ret_row);

/** binder_row_free() - closes and forgets; @netns stays, maybe empty */
void binder_row_free(struct binder *binder, struct binder_row *row);

/** binder_row_set_state() - keeps the counters */
void binder_row_set_state(struct binder *binder, struct binder_row *row,
			  enum listener_state state);

/** binder_row_starve() - into or out of the list of the starved */
void binder_row_starve(struct binder *binder, struct binder_row *row,
		       bool starved);

/** binder_row_retry_at() - tries to open it again at @at_us */
void binder_row_retry_at(struct binder *binder, struct binder_row *row,
			 uint64_t at_us);

/** binder_row_retry_never() - until somebody says when */
void binder_row_retry_never(struct binder *binder, struct binder_row *row);

/** binder_row_blocker() - the open row of the same namespace whose address and
 * port overlap @row's, or NULL */
struct binder_row *binder_row_blocker(const struct binder_row *row);

/* reason.c: words */

/** binder_reason_set() - fills the row's error, reason and blocked_by */
void binder_reason_set(struct binder *binder, struct binder_row *row,
		       const struct binder_failure *failure);

/* socket.c: one socket */

/** binder_socket_describe() - which socket(2) call @row needs */
void binder_socket_describe(const struct binder_row *row,
			    struct netns_socket *ret_socket);

/**
 * binder_socket_setup() - sets the options, binds, listens
 * @fd:		a new socket as described; stays the caller's
 *
 * Return: 0, or -errno with *@ret_failure filled.
 */
int binder_socket_setup(int fd, const struct binder_row *row,
			struct binder_failure *ret_failure);

/**
 * binder_socket_set_service() - sets the options that depend on what is done
 * with connections, for those to come
 *
 * Return: 0 or -errno.
 */
int binder_socket_set_service(int fd, const struct binder_row *row);

/**
 * binder_socket_readdress() - gives an open multihomed endpoint other addresses
 * @addrs:	at least one
 *
 * Return: 0; -errno: the endpoint may have any mixture of old and new ones.
 */
int binder_socket_readdress(const struct binder_row *row,
			    const struct ip_addr *addrs, size_t n);

/* sctp_follow.c: net.sctp sysctls */

/** binder_sctp_follow() - gives the SCTP listeners of @netns the sysctls that
 * hold there now, if others did when it was last looked */
void binder_sctp_follow(struct binder *binder, struct binder_netns *netns);

/** binder_sctp_opened() - an SCTP listener of @netns was opened: the sysctls
 * are looked at some more times, without an event */
void binder_sctp_opened(struct binder *binder, struct binder_netns *netns);

/** binder_sctp_look_due() - the timer's handler, in slices */
void binder_sctp_look_due(void *user_data);

/* opener.c: attempts */

/**
 * binder_open_rows() - tries to open waiting rows of one namespace
 *
 * Enters it once; a second time only for `any` where there is no IPv6.
 * Return: 0, also when some wait on; -EMFILE, -ENFILE when descriptors are
 * used up.
 */
int binder_open_rows(struct binder *binder, struct binder_netns *netns,
		     struct binder_row **rows, size_t n);

/** binder_open_due() - the timer's handler: what is due, in slices */
void binder_open_due(void *user_data);

/** binder_arm() - sets the timer for what is queued or starved */
void binder_arm(struct binder *binder);

#endif
