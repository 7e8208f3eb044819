/* SPDX-License-Identifier: Apache-2.0 */
/* rule.h - a parsed rule, inside the rules layer */
#ifndef RULES_RULE_H
#define RULES_RULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/address_pattern.h"
#include "common/ip.h"
#include "common/listener_spec.h"
#include "common/provision.h"
#include "rules/pattern.h"
#include "rules/rules.h"
#include "rules/selector.h"

/* bits of struct match: @scopes */
#define RULE_SCOPE_GLOBAL 1u
#define RULE_SCOPE_LINK 2u
#define RULE_SCOPE_HOST 4u
#define RULE_SCOPES_DEFAULT (RULE_SCOPE_GLOBAL | RULE_SCOPE_HOST)

/**
 * struct match - conditions; an empty list or zero: none of that kind
 * @dirs:	without a slash at the end
 * @family:	AF_INET, AF_INET6, or AF_UNSPEC for both
 * @scopes:	RULE_SCOPE_*; never 0
 * @on_addresses: one of the four conditions on addresses was given
 * @on_containers: one of the three conditions on containers was given, which
 *		are the members behind it
 * @after_ms:	listeners are opened when what matches is that old; 0: at once
 * @unless_labels: no container of the namespace may satisfy it; empty: none was
 *		given
 * @ignores_skip: the rule names MATCH_SKIP_LABEL in @labels, so it decides for
 *		itself about containers that have it
 * @unprivileged: names and containers count as well that others than root told
 */
struct match {
	struct pattern *namespaces;
	size_t n_namespaces;
	char **dirs;
	size_t n_dirs;
	bool host;
	struct pattern *interfaces;
	size_t n_interfaces;
	struct address_pattern *addresses;
	size_t n_addresses;
	uint8_t family;
	uint8_t scopes;
	bool on_addresses;
	bool unprivileged;
	bool on_containers;
	struct pattern *containers;
	size_t n_containers;
	struct pattern *pod_namespaces;
	size_t n_pod_namespaces;
	struct selector labels;
	struct selector unless_labels;
	bool ignores_skip;
	uint32_t after_ms;
};

/** struct port_range - both ends belong to it */
struct port_range {
	uint16_t first;
	uint16_t last;
};

enum listen_address {
	LISTEN_ANY, /* all local addresses, one dual-stack endpoint */
	LISTEN_ANY4,
	LISTEN_ANY6,
	LISTEN_EACH, /* one endpoint per matching address */
	LISTEN_ALL, /* one SCTP endpoint on all matching addresses */
	LISTEN_LITERAL, /* @literals */
};

/**
 * struct listen - one entry of `listen`
 * @line:	where it begins
 * @service:	options and action; `to` still holds its templates
 * @uses:	enum template_use, over all of `to`
 */
struct listen {
	unsigned int line;
	enum protocol protocols[PROTOCOL_COUNT];
	size_t n_protocols;
	struct port_range *ports;
	size_t n_ports;
	enum listen_address address;
	struct ip_addr *literals;
	size_t n_literals;
	struct service *service;
	unsigned int uses;
};

/**
 * struct rule - one rule of a file, see berth-rules(5); all is owned but @file
 * @line, @column: of its name
 * @file:	path, borrowed from the rule_file
 * @provisions:	what a namespace in which it holds is to have
 * @provide_text: NULL without any
 */
struct rule {
	char *name;
	const char *file;
	unsigned int line;
	unsigned int column;
	struct match match;
	struct listen *listens;
	size_t n_listens;
	struct provision *provisions;
	size_t n_provisions;
	enum service_action action;
	char *match_text;
	char *listen_text;
	char *serve_text;
	char *provide_text;
};

/** rule_done() - frees what the rule owns, not the struct */
void rule_done(struct rule *rule);

/** rule_uses_addresses() - does what it opens depend on addresses? */
bool rule_uses_addresses(const struct rule *rule);

/** rule_make_texts() - fills the texts. Return: 0 or -ENOMEM. */
int rule_make_texts(struct rule *rule, const struct service *service);

/** duration_print() - "after 2s", "after 250ms": @name and @ms */
void duration_print(FILE *f, const char *name, uint32_t ms);

/** scopes_text() - "global, host" of RULE_SCOPE_* bits; static text */
const char *scopes_text(unsigned int scopes);

/** listen_address_name() - "any", "any4", "any6", "each", "all"; NULL for
 * LISTEN_LITERAL */
const char *listen_address_name(enum listen_address address);

/** struct rule_file - the rules of one file, immutable, counted */
struct rule_file {
	unsigned int refs;
	char *path;
	struct rule *rules;
	size_t n_rules;
};

/** rule_file_new() - one reference, no rules. NULL: out of memory. */
struct rule_file *rule_file_new(const char *path);

/** rule_file_ref() - takes one more reference; returns @file */
struct rule_file *rule_file_ref(struct rule_file *file);

/** rule_file_unref() - gives one reference back; the last one frees the file
 * and its rules. NULL is fine. Returns NULL. */
struct rule_file *rule_file_unref(struct rule_file *file);

struct ruleset {
	unsigned int refs;
	struct rule_file **files;
	size_t n_files;
	const struct rule **rules;
	size_t n_rules;
};

/** ruleset_new() - takes a reference of each file. NULL: out of memory. */
struct ruleset *ruleset_new(struct rule_file *const *files, size_t n);

/** ruleset_same_files() - the very same files in the same order? NULL: none */
bool ruleset_same_files(const struct ruleset *a, const struct ruleset *b);

#endif
