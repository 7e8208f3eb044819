/* SPDX-License-Identifier: Apache-2.0 */
/* parse_rule.h - from the YAML tree to rules */
#ifndef RULES_PARSE_RULE_H
#define RULES_PARSE_RULE_H

#include <stddef.h>

#include "common/rate_limit.h"
#include "rules/parse.h"
#include "rules/rule.h"

/** parse_match() - the `match` section of a rule, into @match; reports what is
 * wrong */
void parse_match(struct parse *parse, const struct yaml_node *node,
		 struct match *match);

/** parse_address_pattern() - an element of a list of addresses and networks.
 * Return: false after a report, which names @what. */
bool parse_address_pattern(struct parse *parse, const struct yaml_node *node,
			   const char *what, struct address_pattern *ret);

/** parse_clients() - of a listen entry: whom it serves at all */
void parse_clients(struct parse *parse, const struct yaml_node *node,
		   struct service *service);

/** parse_clients_handoff() - the rule has `handoff`: reports each `clients` in
 * its `listen` section */
void parse_clients_handoff(struct parse *parse, const struct yaml_node *listen);

/** parse_listen() - the `listen` section of a rule, into @rule->listens;
 * reports what is wrong */
void parse_listen(struct parse *parse, const struct yaml_node *node,
		  struct rule *rule);

/**
 * parse_provide() - the `provide` section of a rule, into @rule->provisions
 * @key:	where the section begins
 *
 * After parse_match(). Reports what is wrong.
 */
void parse_provide(struct parse *parse, const struct yaml_node *key,
		   const struct yaml_node *node, struct rule *rule);

/** struct action_nodes - where the parts of the action stand, for messages
 * about combinations with `listen` */
struct action_nodes {
	const struct yaml_node *to;
	const struct yaml_node *proxy;
	const struct yaml_node *tlvs;
	const struct yaml_node *from;
	const struct yaml_node *check;
	const struct yaml_node *check_http;
	const struct yaml_node *check_send;
	const struct yaml_node *http;
	const struct yaml_node *headers;
};

/**
 * parse_forward() - the `forward` section of a rule, into @service
 * @ret_nodes:	where its parts stand; NULLs where they are absent
 *
 * Reports what is wrong.
 */
void parse_forward(struct parse *parse, const struct yaml_node *node,
		   struct service *service, struct action_nodes *ret_nodes);

/** parse_to() - of `forward`: the backends and their weights; reports what is
 * wrong */
void parse_to(struct parse *parse, const struct yaml_node *node,
	      struct service *service);

/** parse_to_count() - how many elements has @to, the value of `to`, which may
 * be none that is right? */
size_t parse_to_count(const struct yaml_node *to);

/** parse_to_backend() - the text of the backend of element @i. Return: NULL: it
 * has none, which parse_to() reports. */
const struct yaml_node *parse_to_backend(const struct yaml_node *to, size_t i);

/** parse_balance() - of `forward`: how a backend is chosen; reports what is
 * wrong */
void parse_balance(struct parse *parse, const struct yaml_node *node,
		   struct service *service);

/** parse_proxy() - of `forward`: what backends are told of clients; notes where
 * its parts stand in @ret_nodes */
void parse_proxy(struct parse *parse, const struct yaml_node *node,
		 struct service *service, struct action_nodes *ret_nodes);

/** parse_from() - of `forward`: the addresses to connect from */
void parse_from(struct parse *parse, const struct yaml_node *node,
		struct service *service);

/**
 * parse_from_join() - do they fit the backends, for the protocols of @listen?
 *
 * Reports each problem at its backend or its address, as parse_join() does.
 */
void parse_from_join(struct parse *parse, const struct action_nodes *nodes,
		     const struct service *service,
		     const struct listen *listen);

/** enum rate_unit - what a rate_limit counts */
enum rate_unit {
	RATE_UNIT_CONNECTIONS, /* of `forward` */
	RATE_UNIT_REQUESTS, /* of `http` */
};

/**
 * parse_rate_limits() - a `rate_limit` section
 * @ret_limits:	an array with those that are right; the caller frees it. NULL
 *		after the report of a section that is no list at all
 *
 * Reports what is wrong.
 */
void parse_rate_limits(struct parse *parse, const struct yaml_node *node,
		       enum rate_unit unit, struct rate_limit **ret_limits,
		       size_t *ret_n);

/** parse_check() - of `forward`: active checks of the backends; notes where
 * `http` and `send` stand in @ret_nodes */
void parse_check(struct parse *parse, const struct yaml_node *node,
		 struct service *service, struct action_nodes *ret_nodes);

/** parse_check_origin() - can the backends be checked from where clients are
 * connected? @key: where `check` stands. Reports if not. */
void parse_check_origin(struct parse *parse, const struct yaml_node *key,
			const struct service *service);

/** parse_check_send() - is `send` of use to any listener? Reports if not.
 * @nodes: with `to` and @check_send */
void parse_check_send(struct parse *parse, const struct action_nodes *nodes,
		      const struct rule *rule);

/** parse_check_join() - can the backends be checked, for the protocols of
 * @listen? Reports the first that cannot. @nodes: with `to` and `check` */
void parse_check_join(struct parse *parse, const struct action_nodes *nodes,
		      const struct listen *listen);

/** parse_http() - of `forward`: what is done with requests; notes where
 * `set_headers` stands in @ret_nodes */
void parse_http(struct parse *parse, const struct yaml_node *node,
		struct service *service, struct action_nodes *ret_nodes);

/** parse_http_join() - do the protocols of @listen carry HTTP? Reports the
 * first that does not. @nodes: with `http` */
void parse_http_join(struct parse *parse, const struct action_nodes *nodes,
		     const struct listen *listen);

/** parse_respond() - the `respond` section of a rule, into @service; reports
 * what is wrong */
void parse_respond(struct parse *parse, const struct yaml_node *node,
		   struct service *service);

/** parse_handoff() - the `handoff` section of a rule, into @service; reports
 * what is wrong */
void parse_handoff(struct parse *parse, const struct yaml_node *node,
		   struct service *service);

/** parse_join() - gives each listen entry its service, checks that the two fit
 */
void parse_join(struct parse *parse, const struct action_nodes *nodes,
		const struct service *service, struct rule *rule);

/**
 * parse_rules() - the rules of one file's text
 * @path:	copied, for messages
 * @errors:	problems are appended
 *
 * Return: 0 with the file; -EINVAL when problems were appended; -ENOMEM.
 */
int parse_rules(const char *path, const char *text, size_t len,
		struct rules_errors *errors, struct rule_file **ret_file);

#endif
