/* SPDX-License-Identifier: Apache-2.0 */
/* show.h - replies of berthd for people
 *
 * Each takes a reply's parameters, see doc/io.berth.varlink, and prints to
 * stdout. Members that an older berthd does not send show as empty.
 * Return: 0: all is well; 1: it shows problems, or an absence; -ENOMEM.
 */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/json_scan.h"

struct table;

/** show_status() - berthd's version, directories, rule files, consumers and
 * totals */
int show_status(const json_t *reply);

/** show_namespaces() - a row for each namespace, then pending names and
 * namespaces that are not freed */
int show_namespaces(const json_t *reply);

/** show_consumers() - a row for each connection of a consumer, and for each
 * consumer that is absent */
int show_consumers(const json_t *reply);

/** show_backends() - a row for each backend that was reached or failed */
int show_backends(const json_t *reply);

/** show_rules() - a row for each rule, then problems of files */
int show_rules(const json_t *reply);

/** show_stats() - a row of counters for each rule, and the total */
int show_stats(const json_t *reply);

/** show_check() - the problems of the rule files, or that there are none */
int show_check(const json_t *reply);

/** show_config_problems() - those of the type Config. Return: how many. */
size_t show_config_problems(const json_t *config);

/** show_nothing() - of a reply that says only that it is done. Returns 0. */
int show_nothing(const json_t *reply);

/** show_log_level() - the level, and who has it. Returns 0. */
int show_log_level(const json_t *reply);

/** show_reload() - what the reload found: problems, or how many rules are in
 * force */
int show_reload(const json_t *reply);

/** show_drain() - what Drain or Close did, to listeners or a connection.
 * Return: 0. */
int show_drain(const json_t *reply);

/** show_undrain() - what Undrain did. Return: 0. */
int show_undrain(const json_t *reply);

/** show_explain() - a namespace: each rule with whether it matches and why, and
 * each listener with its state */
int show_explain(const json_t *reply);

/** show_waited() - whether the listeners of a namespace are open, and why not.
 * Return: 0; EXIT_NOT_READY; -ENOMEM. */
int show_waited(const json_t *reply);

/** show_registered() - what Register made, and as show_waited() */
int show_registered(const json_t *reply);

/** show_unregistered() - how many registrations ended. Return: 0. */
int show_unregistered(const json_t *reply);

/**
 * show_listeners_begin() - a list of listeners, that comes in several replies
 * Return: the state of the three functions below; NULL: no memory.
 */
void *show_listeners_begin(void);

/**
 * show_listeners_add() - one reply
 * @listeners:	the text of its array, which is changed
 * Return: 0; -ENOMEM; -EPROTO.
 */
int show_listeners_add(void *state, const json_t *reply,
		       struct json_span listeners);

/** show_listeners_end() - prints all of them. Return: 0 or -ENOMEM. */
int show_listeners_end(void *state);

/** show_listeners_free() - before or after the end */
void show_listeners_free(void *state);

/* The same of connections. */

/** show_connections_begin() - as show_listeners_begin() */
void *show_connections_begin(void);

/** show_connections_add() - as show_listeners_add() */
int show_connections_add(void *state, const json_t *reply,
			 struct json_span connections);

/** show_connections_end() - as show_listeners_end() */
int show_connections_end(void *state);

/** show_connections_free() - before or after the end */
void show_connections_free(void *state);

/* The same of metrics, as Prometheus' text. */

/** show_metrics_begin() - as show_listeners_begin() */
void *show_metrics_begin(void);

/** show_metrics_add() - as show_listeners_add(), without such a text */
int show_metrics_add(void *state, const json_t *reply, struct json_span none);

/** show_metrics_end() - Return: 0. */
int show_metrics_end(void *state);

/** show_metrics_free() - before or after the end */
void show_metrics_free(void *state);

/* Parts that several of them show. */

/** show_pending() - names that do not lead to a namespace yet */
int show_pending(const json_t *pending);

/** show_lingering() - namespaces without a name that the kernel has not freed
 */
int show_lingering(const json_t *lingering);

/** show_silent() - a line for each consumer that did not say what it counted
 * @names:	an array */
void show_silent(const json_t *names);

/** show_problems() - each problem in one line
 * @before:	printed before the first
 * Return: how many there are. */
size_t show_problems(const json_t *files, const char *before);

/** show_container_problems() - of files in containers.d, each in one line
 * @before:	printed before the first
 * Return: how many there are. */
size_t show_container_problems(const json_t *files, const char *before);

/** struct show_attempt - a listener's state, as its members are called
 * @holders:	which sockets of others have the port; NULL: not known
 * @health_reason: NULL, like "": nothing to say */
struct show_attempt {
	const char *state;
	const char *reason;
	const char *error;
	int64_t next_attempt_us;
	int64_t blocked_by;
	const char *holders;
	int64_t attempts;
	bool delivered;
	const char *health_reason;
	int64_t draining_us;
	int64_t ends_us;
};

/** show_detail() - a cell: why a listener is not open, or not delivered */
void show_detail(struct table *table, const struct show_attempt *attempt);

/** show_cell_number() - a cell */
void show_cell_number(struct table *table, json_int_t number);

/** show_cell_unless_zero() - a cell: a number, or nothing for 0 */
void show_cell_unless_zero(struct table *table, json_int_t number);

/* Members of an object; empty, 0 or false when they are not there. */

/** show_text() - a member that is a text; "" when @object has none */
const char *show_text(const json_t *object, const char *key);

/** show_number() - a member that is a number; 0 when @object has none */
json_int_t show_number(const json_t *object, const char *key);

/** show_flag() - a member that is true or false; false when @object has none */
bool show_flag(const json_t *object, const char *key);

#endif
