// SPDX-License-Identifier: Apache-2.0
/* backends.c - which backends work, as consumers tell
 *
 * Theory of operation: the rules in force are an array, sorted by name; each
 * has a table of the backends that were told of. A consumer is not trusted: it
 * can tell of rules only that are served by it, and the tables are bounded.
 */
#include "daemon/consumers/backends.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/service.h"
#include "common/util.h"
#include "rules/rules.h"

/**
 * struct backend_entry - one backend of a rule
 * @status:	the first member, as that is what others are given; its texts
 *		are in @key and of the rule
 * @rule:	index in the array of rules
 * @key:	its namespace, a NUL, its text, a NUL, its protocol
 */
struct backend_entry {
	struct backend_status status;
	size_t rule;
	UT_hash_handle hh;
	char key[];
};

/** struct backend_rule - a rule in force; @name and @consumer are owned */
struct backend_rule {
	char *name;
	char *consumer;
	struct backend_entry *entries;
};

struct backends {
	struct backends_ops ops;
	void *user_data;
	struct backend_rule *rules;
	size_t n_rules;
	size_t n;
};

/* Texts of a key; a backend's has at most 1,023 bytes, a namespace's fewer. */
#define KEY_MAX 2048u

/* Return: the length of the key in @buffer, 0 if that is too short. */
static size_t key_make(const struct backend_status *which,
		       char buffer[static KEY_MAX])
{
	size_t a = strlen(which->netns) + 1, b = strlen(which->backend) + 1;

	if (a + b + 1 > KEY_MAX)
		return 0;
	memcpy(buffer, which->netns, a);
	memcpy(buffer + a, which->backend, b);
	buffer[a + b] = (char)which->protocol;
	return a + b + 1;
}

/* Rules */

static int rule_compare(const void *a, const void *b)
{
	const struct backend_rule *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* bsearch(3) changes nothing, and asks for nobody's const. */
static struct backend_rule *rule_find(const struct backends *backends,
				      const char *name)
{
	const struct backend_rule key = { .name = (char *)(uintptr_t)name };

	return backends->n_rules
		       ? bsearch(&key, backends->rules, backends->n_rules,
				 sizeof(key), rule_compare)
		       : NULL;
}

static void entry_free(struct backends *backends, struct backend_rule *rule,
		       struct backend_entry *entry)
{
	HASH_DEL(rule->entries, entry);
	free(entry);
	backends->n--;
}

static void rule_clear(struct backends *backends, struct backend_rule *rule)
{
	struct backend_entry *entry, *next;

	HASH_ITER (hh, rule->entries, entry, next)
		entry_free(backends, rule, entry);
}

static void rules_free(struct backends *backends)
{
	for (size_t i = 0; i < backends->n_rules; i++) {
		rule_clear(backends, &backends->rules[i]);
		free(backends->rules[i].name);
		free(backends->rules[i].consumer);
	}
	free(TAKE_PTR(backends->rules));
	backends->n_rules = 0;
}

/* What was known of @old stands for @new. */
static void rule_move(struct backends *backends, struct backend_rule *old,
		      struct backend_rule *new, size_t index)
{
	struct backend_entry *entry;

	if (strcmp(old->consumer, new->consumer) != 0 || new->entries) {
		rule_clear(backends, old);
		return;
	}
	new->entries = TAKE_PTR(old->entries);
	for (entry = new->entries; entry; entry = entry->hh.next) {
		entry->status.rule = new->name;
		entry->status.consumer = new->consumer;
		entry->rule = index;
	}
}

/* Return: 0 or -ENOMEM; the names are to be freed in both cases. */
static int rules_make(const struct ruleset *ruleset, struct backend_rule *rules,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rule_info info;

		ruleset_rule_info(ruleset, i, &info);
		rules[i].name = strdup(info.name);
		rules[i].consumer =
			strdup(info.consumer ? info.consumer : SERVICE_RELAY);
		if (!rules[i].name || !rules[i].consumer)
			return -ENOMEM;
	}
	qsort(rules, n, sizeof(*rules), rule_compare);
	return 0;
}

int backends_set_rules(struct backends *backends, const struct ruleset *ruleset)
{
	size_t n = ruleset_size(ruleset);
	struct backends next = { .rules = calloc(n + 1, sizeof(*next.rules)),
				 .n_rules = n };

	if (!next.rules)
		return -ENOMEM;
	if (rules_make(ruleset, next.rules, n) < 0) {
		rules_free(&next);
		return -ENOMEM;
	}
	for (size_t i = 0; i < backends->n_rules; i++) {
		struct backend_rule *old = &backends->rules[i];
		struct backend_rule *new = rule_find(&next, old->name);

		if (new)
			rule_move(backends, old, new,
				  (size_t)(new - next.rules));
	}
	rules_free(backends);
	backends->rules = next.rules;
	backends->n_rules = n;
	return 0;
}

/* Backends */

static struct backend_entry *entry_find(const struct backend_rule *rule,
					const struct backend_status *which)
{
	struct backend_entry *entry = NULL;
	char key[KEY_MAX];
	size_t len = key_make(which, key);

	if (len)
		HASH_FIND(hh, rule->entries, key, len, entry);
	return entry;
}

/* Return: NULL: no memory. */
static struct backend_entry *entry_new(struct backends *backends,
				       struct backend_rule *rule,
				       const struct backend_status *which)
{
	struct backend_entry *entry;
	char key[KEY_MAX];
	size_t len = key_make(which, key);

	entry = calloc(1, sizeof(*entry) + len);
	if (!entry)
		return NULL;
	memcpy(entry->key, key, len);
	HASH_ADD(hh, rule->entries, key, len, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	entry->rule = (size_t)(rule - backends->rules);
	backends->n++;
	return entry;
}

/* Takes what is told, but for the texts. */
static void entry_set(struct backend_rule *rule, struct backend_entry *entry,
		      const struct backend_status *told)
{
	entry->status = *told;
	entry->status.rule = rule->name;
	entry->status.consumer = rule->consumer;
	entry->status.netns = entry->key;
	entry->status.backend = entry->key + strlen(entry->key) + 1;
}

/* The rule, if @consumer serves it. */
static struct backend_rule *rule_of(const struct backends *backends,
				    const char *rule, const char *consumer)
{
	struct backend_rule *found = rule_find(backends, rule);

	return found && strcmp(found->consumer, consumer) == 0 ? found : NULL;
}

int backends_tell(struct backends *backends,
		  const struct backend_status *status)
{
	struct backend_rule *rule =
		rule_of(backends, status->rule, status->consumer);
	enum backend_state before = BACKEND_UP;
	struct backend_entry *entry;
	char key[KEY_MAX];

	if (!rule)
		return 0;
	entry = entry_find(rule, status);
	if (entry) {
		before = entry->status.state;
	} else {
		if (HASH_COUNT(rule->entries) >= BACKENDS_MAX_PER_RULE ||
		    backends->n >= BACKENDS_MAX || key_make(status, key) == 0)
			return -E2BIG;
		entry = entry_new(backends, rule, status);
		if (!entry)
			return -ENOMEM;
	}
	entry_set(rule, entry, status);
	if (status->state != before && backends->ops.changed)
		backends->ops.changed(&entry->status, backends->user_data);
	return 0;
}

void backends_forget(struct backends *backends,
		     const struct backend_status *status)
{
	struct backend_rule *rule =
		rule_of(backends, status->rule, status->consumer);
	struct backend_entry *entry = rule ? entry_find(rule, status) : NULL;

	if (entry)
		entry_free(backends, rule, entry);
}

void backends_forget_consumer(struct backends *backends, const char *consumer)
{
	for (size_t i = 0; i < backends->n_rules; i++) {
		if (strcmp(backends->rules[i].consumer, consumer) == 0)
			rule_clear(backends, &backends->rules[i]);
	}
}

const struct backend_status *backends_find(const struct backends *backends,
					   const struct backend_status *which)
{
	const struct backend_rule *rule = rule_find(backends, which->rule);
	const struct backend_entry *entry = rule ? entry_find(rule, which)
						 : NULL;

	return entry ? &entry->status : NULL;
}

/* The entry that @status is of. */
static const struct backend_entry *entry_of(const struct backend_status *status)
{
	_Static_assert(offsetof(struct backend_entry, status) == 0,
		       "a status is its entry");
	return (const struct backend_entry *)(const void *)status;
}

const struct backend_status *backends_next(const struct backends *backends,
					   const struct backend_status *after)
{
	const struct backend_entry *entry = after ? entry_of(after) : NULL;
	size_t i = entry ? entry->rule + 1 : 0;

	if (entry && entry->hh.next)
		entry = entry->hh.next;
	else
		entry = NULL;
	for (; !entry && i < backends->n_rules; i++)
		entry = backends->rules[i].entries;
	return entry ? &entry->status : NULL;
}

const struct backend_status *
backends_next_of(const struct backends *backends, const char *rule,
		 const struct backend_status *after)
{
	const struct backend_rule *found;
	const struct backend_entry *entry;

	if (after) {
		entry = entry_of(after)->hh.next;
	} else {
		found = rule_find(backends, rule);
		entry = found ? found->entries : NULL;
	}
	return entry ? &entry->status : NULL;
}

size_t backends_count(const struct backends *backends)
{
	return backends->n;
}

const struct backend_status *backends_all_down(const struct backends *backends,
					       const struct service *service,
					       enum protocol protocol)
{
	const struct backend_status *status, *last = NULL;
	struct backend_status which = {
		.rule = service->rule,
		.netns = service->netns ? service->netns : "",
	};

	if (service->action != SERVICE_FORWARD || backends->n == 0)
		return NULL;
	for (size_t i = 0; i < service->n_to; i++) {
		if (service_weight(service, i) == 0)
			continue; /* no client gets it */
		which.backend = service->to[i];
		which.protocol = scheme_protocol(
			scheme_parse(which.backend, NULL), protocol);
		status = backends_find(backends, &which);
		if (!status || status->state != BACKEND_DOWN)
			return NULL;
		if (!last || status->failed_us > last->failed_us)
			last = status;
	}
	return last;
}

/* Sentences */

/* So much of long texts is shown. */
#define BACKEND_SHOWN 256
#define NETNS_SHOWN 64

/* "refused", "failed (No route to host)" */
static void fault_fmt(const struct backend_status *status, char *buffer,
		      size_t size)
{
	if (status->http_status) {
		(void)snprintf(buffer, size, "answered with status %u",
			       status->http_status);
		return;
	}
	if (status->error == ENOENT && status->netns[0] &&
	    scheme_parse(status->backend, NULL) != SCHEME_UNIX) {
		(void)snprintf(buffer, size,
			       "failed (there is no namespace of that name)");
		return;
	}
	switch (status->error) {
	case ECONNREFUSED:
		(void)snprintf(buffer, size, "refused");
		break;
	case ETIMEDOUT:
		(void)snprintf(buffer, size, "did not answer");
		break;
	case 0:
		(void)snprintf(buffer, size, "failed");
		break;
	default:
		(void)snprintf(buffer, size, "failed (%s)",
			       strerror(status->error));
	}
}

/* ", last 3 s ago"; nothing if that is not known. */
static void last_fmt(const struct backend_status *status, uint64_t now_us,
		     char *buffer, size_t size)
{
	uint64_t ago_us =
		now_us > status->failed_us ? now_us - status->failed_us : 0;
	uint64_t s = ago_us / USEC_PER_SEC;

	buffer[0] = '\0';
	if (!status->failed_us)
		return;
	if (s < 120)
		(void)snprintf(buffer, size, ", last %" PRIu64 " s ago", s);
	else if (s < UINT64_C(2) * 3600)
		(void)snprintf(buffer, size, ", last %" PRIu64 " min ago",
			       s / 60);
	else
		(void)snprintf(buffer, size, ", last %" PRIu64 " h ago",
			       s / 3600);
}

const char *backends_sentence_fmt(const struct backend_status *status,
				  uint64_t now_us,
				  char buffer[static BACKENDS_SENTENCE_MAX])
{
	bool elsewhere = status->netns[0] != '\0';
	char fault[128], last[64];

	fault_fmt(status, fault, sizeof(fault));
	last_fmt(status, now_us, last, sizeof(last));
	/* It fits: the header's number is made of these parts. */
	(void)snprintf(buffer, BACKENDS_SENTENCE_MAX,
		       "the backend %.*s%s%.*s%s %s %" PRIu64 " time%s%s",
		       BACKEND_SHOWN, status->backend, elsewhere ? " in '" : "",
		       NETNS_SHOWN, status->netns, elsewhere ? "'" : "", fault,
		       status->failures, status->failures == 1 ? "" : "s",
		       last);
	return buffer;
}

/* Beginning and end */

struct backends *backends_new(const struct backends_ops *ops, void *user_data)
{
	struct backends *backends = calloc(1, sizeof(*backends));

	if (backends && ops)
		backends->ops = *ops;
	if (backends)
		backends->user_data = user_data;
	return backends;
}

struct backends *backends_free(struct backends *backends)
{
	if (!backends)
		return NULL;
	rules_free(backends);
	free(backends);
	return NULL;
}
