// SPDX-License-Identifier: Apache-2.0
/* parse_rate.c - rate_limit: how much one client may have in a time */
#include <string.h>

#include "common/rate_limit.h"
#include "common/util.h"
#include "rules/parse_rule.h"

enum rate_key {
	RATE_CONNECTIONS,
	RATE_REQUESTS,
	RATE_PER,
	RATE_PREFIX,
};

static const char *const rate_keys[] = {
	[RATE_CONNECTIONS] = "connections",
	[RATE_REQUESTS] = "requests",
	[RATE_PER] = "per",
	[RATE_PREFIX] = "ipv6_prefix",
};

static const char *rate_unit_key(enum rate_unit unit)
{
	return rate_keys[unit == RATE_UNIT_REQUESTS ? RATE_REQUESTS
						    : RATE_CONNECTIONS];
}

/* Each place counts one thing. Return: the field that says how many. */
static const struct field *count_field(struct parse *parse,
				       const struct yaml_node *node,
				       const struct field *fields,
				       enum rate_unit unit)
{
	bool requests = unit == RATE_UNIT_REQUESTS;
	const struct field *wrong =
		&fields[requests ? RATE_CONNECTIONS : RATE_REQUESTS];
	const struct field *right =
		&fields[requests ? RATE_REQUESTS : RATE_CONNECTIONS];

	if (wrong->key) {
		(void)parse_error(parse, wrong->key,
				  "a rate_limit of %s counts %s; expected "
				  "\"%s\"",
				  requests ? "http" : "forward",
				  rate_unit_key(unit), rate_unit_key(unit));
		return NULL;
	}
	if (right->key && fields[RATE_PER].key)
		return right;
	(void)parse_error(parse, node, "a rate_limit needs \"%s\" and \"per\"",
			  rate_unit_key(unit));
	return NULL;
}

static bool parse_rate(struct parse *parse, const struct yaml_node *node,
		       enum rate_unit unit, struct rate_limit *ret)
{
	struct field fields[ARRAY_SIZE(rate_keys)];
	uint64_t count, per_ms, prefix = 128;
	const struct field *field;

	if (!parse_mapping(parse, node, "a rate_limit", rate_keys,
			   ARRAY_SIZE(rate_keys), fields))
		return false;
	field = count_field(parse, node, fields, unit);
	if (!field ||
	    !parse_number(parse, field->value, rate_unit_key(unit), 1,
			  RATE_LIMIT_COUNT_MAX, &count) ||
	    !parse_duration(parse, fields[RATE_PER].value, "per",
			    RATE_LIMIT_PER_MIN_MS, RATE_LIMIT_PER_MAX_MS,
			    &per_ms) ||
	    (fields[RATE_PREFIX].key &&
	     !parse_number(parse, fields[RATE_PREFIX].value, "ipv6_prefix", 1,
			   128, &prefix)))
		return false;
	*ret = (struct rate_limit){ .count = (uint32_t)count,
				    .per_ms = (uint32_t)per_ms,
				    .ipv6_prefix = (uint8_t)prefix };
	return true;
}

/* Two limits for one time would be one limit too many: the smaller holds. */
static bool has_time(const struct rate_limit *limits, size_t n, uint32_t per_ms)
{
	for (size_t i = 0; i < n; i++) {
		if (limits[i].per_ms == per_ms)
			return true;
	}
	return false;
}

void parse_rate_limits(struct parse *parse, const struct yaml_node *node,
		       enum rate_unit unit, struct rate_limit **ret_limits,
		       size_t *ret_n)
{
	bool list = node->kind == NODE_LIST;
	const struct yaml_node *items = list ? node->items : node;
	size_t n = list ? node->n : 1;

	if (n == 0 || n > RATE_LIMITS_MAX) {
		(void)parse_error(
			parse, node,
			"rate_limit is a list of %zu, expected from 1 "
			"to %u limits such as \"{%s: 20, per: 1s}\"",
			n, RATE_LIMITS_MAX, rate_unit_key(unit));
		return;
	}
	*ret_limits = calloc(n, sizeof(**ret_limits));
	if (!*ret_limits) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		struct rate_limit *limit = &(*ret_limits)[*ret_n];

		if (!parse_rate(parse, &items[i], unit, limit))
			continue;
		if (has_time(*ret_limits, *ret_n, limit->per_ms))
			(void)parse_error(parse, &items[i],
					  "rate_limit has two limits with the "
					  "same \"per\"; expected the smaller "
					  "one alone");
		else
			(*ret_n)++;
	}
}
