/* SPDX-License-Identifier: Apache-2.0 */
/* backends.h - which backends work, as consumers tell
 *
 * A consumer tells when the state of a backend changes, and is never asked; how
 * many clients it has is told before what else was counted (stats.h).
 * What it told stands until it tells something else, its connection ends, or no
 * rule in force has the name.
 */
#ifndef DAEMON_CONSUMERS_BACKENDS_H
#define DAEMON_CONSUMERS_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/protocol.h"

struct backends;
struct ruleset;
struct service;

/** How many backends one rule may have here. A rule has at most 64, but for one
 * whose templates make others of them for each namespace. */
#define BACKENDS_MAX_PER_RULE 1024u

/** And all rules together: with texts of some hundred bytes a few MiB. */
#define BACKENDS_MAX 16384u

/** How long backends_sentence_fmt() can make a sentence. */
#define BACKENDS_SENTENCE_MAX 576u

enum backend_state {
	BACKEND_UP, /* it was reached last */
	BACKEND_DOWN, /* it failed last, or its check failed too often */
};

/**
 * struct backend_status - what is known of a backend of a rule
 *
 * All times are monotonic.
 * @rule, @backend, @netns: whose, which (as in the rule's `to`, templates
 *		expanded), and the name of its namespace, "" for the consumer's
 *		own
 * @protocol:	that the consumer speaks with it, see scheme_protocol(): a rule
 *		may listen with several, and one backend be two then
 * @consumer:	who told
 * @checked:	an active check judges it, too
 * @failures:	in a row; 0 if it is up
 * @error:	the positive errno of the last failure; 0: unknown, or none
 * @http_status: the last failure was this status of an answer to its check; 0:
 *		it was another one
 * @failed_us:	when it last failed; 0: never
 * @since_us:	since when it has this state
 * @connections: how many clients have it, as far as the consumer told
 */
struct backend_status {
	const char *rule;
	const char *backend;
	const char *netns;
	enum protocol protocol;
	const char *consumer;
	enum backend_state state;
	bool checked;
	uint64_t failures;
	int error;
	unsigned int http_status;
	uint64_t failed_us;
	uint64_t since_us;
	uint64_t connections;
};

/**
 * struct backends_ops - what the owner is told
 * @changed:	a backend that was up, or not known, is down now; or one that
 *		was down is up again. @status is borrowed for the call.
 */
struct backends_ops {
	void (*changed)(const struct backend_status *status, void *user_data);
};

/** backends_new() - nothing is known, and there are no rules. @ops is copied;
 * NULL: nobody is told. Return: NULL: no memory. */
struct backends *backends_new(const struct backends_ops *ops, void *user_data);

/** backends_free() - Returns NULL; NULL is fine. */
struct backends *backends_free(struct backends *backends);

/**
 * backends_set_rules() - another ruleset is in force: forgets the backends of
 * rules that it does not have, or that another consumer serves by it
 *
 * Return: 0; -ENOMEM: all is as before.
 */
int backends_set_rules(struct backends *backends,
		       const struct ruleset *ruleset);

/**
 * backends_tell() - a consumer tells the state of a backend
 * @status:	copied
 *
 * What a consumer tells of a rule that is not its own is ignored.
 * Return: 0; -ENOMEM; -E2BIG: there are too many already.
 */
int backends_tell(struct backends *backends,
		  const struct backend_status *status);

/** backends_forget() - a consumer does not use this backend any more; of
 * @status, only what tells which one matters */
void backends_forget(struct backends *backends,
		     const struct backend_status *status);

/** backends_forget_consumer() - all that @consumer told, as it is gone */
void backends_forget_consumer(struct backends *backends, const char *consumer);

/** backends_find() - Return: what is known of the backend that @which names;
 * NULL: nothing. Borrowed, until a consumer tells something. */
const struct backend_status *backends_find(const struct backends *backends,
					   const struct backend_status *which);

/**
 * backends_next() - goes through all of them, by rule
 * @after:	the one before, as it was returned; NULL: begins
 *
 * Not across anything that changes @backends. Return: NULL: there are no more.
 */
const struct backend_status *backends_next(const struct backends *backends,
					   const struct backend_status *after);

/** backends_next_of() - the same, of the rule @rule only */
const struct backend_status *
backends_next_of(const struct backends *backends, const char *rule,
		 const struct backend_status *after);

/** backends_count() - of how many backends something is known */
size_t backends_count(const struct backends *backends);

/**
 * backends_all_down() - does nobody answer who comes to a listener?
 * @protocol:	of the listener
 *
 * Return: NULL: it has no backend, or one that is not known to be down; else
 * the one that failed last.
 */
const struct backend_status *backends_all_down(const struct backends *backends,
					       const struct service *service,
					       enum protocol protocol);

/**
 * backends_sentence_fmt() - says of a backend that is down since when, and why
 *
 * "the backend 10.0.0.1:80 refused 6 times, last 3 s ago"
 * Return: @buffer.
 */
const char *backends_sentence_fmt(const struct backend_status *status,
				  uint64_t now_us,
				  char buffer[static BACKENDS_SENTENCE_MAX]);

#endif
