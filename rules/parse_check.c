// SPDX-License-Identifier: Apache-2.0
/* parse_check.c - of `forward`: active checks of the backends */
#include <string.h>

#include "common/protocol.h"
#include "common/util.h"
#include "rules/parse_rule.h"

/* More often than this would be traffic of its own; more seldom, and what
 * clients meet tells it before. */
#define EVERY_MIN_MS UINT64_C(100)
#define EVERY_MAX_MS (UINT64_C(3600) * 1000)
#define TIMEOUT_MIN_MS UINT64_C(10)
#define TIMES_MAX 255u

/* The defaults of what `check` leaves out. */
#define EVERY_MS 5000u
#define TIMEOUT_MS 1000u
#define RISE 2u
#define FALL 3u

enum check_key {
	CHECK_EVERY,
	CHECK_TIMEOUT,
	CHECK_RISE,
	CHECK_FALL,
};

static const char *const check_keys[] = {
	[CHECK_EVERY] = "every",
	[CHECK_TIMEOUT] = "timeout",
	[CHECK_RISE] = "rise",
	[CHECK_FALL] = "fall",
};

static void parse_times(struct parse *parse, const struct field *field,
			const char *what, uint32_t *ret)
{
	uint64_t number;

	if (field->key &&
	    parse_number(parse, field->value, what, 1, TIMES_MAX, &number))
		*ret = (uint32_t)number;
}

/* A check that is not answered is over before the next one begins. */
static void parse_timeout(struct parse *parse, const struct field *field,
			  struct service_check *check)
{
	uint64_t ms;

	if (!field->key) {
		if (check->timeout_ms > check->every_ms)
			check->timeout_ms = check->every_ms;
		return;
	}
	if (parse_duration(parse, field->value, "timeout", TIMEOUT_MIN_MS,
			   check->every_ms, &ms))
		check->timeout_ms = (uint32_t)ms;
}

void parse_check(struct parse *parse, const struct yaml_node *node,
		 struct service *service)
{
	struct service_check check = {
		.every_ms = EVERY_MS,
		.timeout_ms = TIMEOUT_MS,
		.rise = RISE,
		.fall = FALL,
	};
	struct field fields[ARRAY_SIZE(check_keys)];
	uint64_t ms;

	if (!parse_mapping(parse, node, "check", check_keys,
			   ARRAY_SIZE(check_keys), fields))
		return;
	if (fields[CHECK_EVERY].key &&
	    parse_duration(parse, fields[CHECK_EVERY].value, "every",
			   EVERY_MIN_MS, EVERY_MAX_MS, &ms))
		check.every_ms = (uint32_t)ms;
	parse_timeout(parse, &fields[CHECK_TIMEOUT], &check);
	parse_times(parse, &fields[CHECK_RISE], "rise", &check.rise);
	parse_times(parse, &fields[CHECK_FALL], "fall", &check.fall);
	service->check = check;
}

void parse_check_origin(struct parse *parse, const struct yaml_node *key,
			const struct service *service)
{
	const char *beside = service->netns	    ? "namespace"
			     : service->transparent ? "transparent"
			     : service->n_from	    ? "from"
						    : NULL;

	if (beside)
		(void)parse_error(parse, key,
				  "check beside \"%s\": berth-relay checks "
				  "with sockets of its own, in the host's "
				  "namespace and from its addresses; expected "
				  "one of the two",
				  beside);
}

static bool listens_to_udp(const struct listen *listen)
{
	for (size_t i = 0; i < listen->n_protocols; i++) {
		if (listen->protocols[i] == PROTOCOL_UDP)
			return true;
	}
	return false;
}

void parse_check_join(struct parse *parse, const struct action_nodes *nodes,
		      const struct listen *listen)
{
	const struct yaml_node *to = nodes->to;

	if (!listens_to_udp(listen))
		return;
	for (size_t i = 0; i < parse_to_count(to); i++) {
		const struct yaml_node *item = parse_to_backend(to, i);

		if (!item || scheme_parse(item->text, NULL) == SCHEME_UNIX)
			continue;
		(void)parse_error(
			parse, nodes->check,
			"check cannot tell whether %s is there, to "
			"which the udp listener of line %u sends: "
			"UDP has no connections; expected a \"unix:\" "
			"path, or udp in a rule without \"check\"",
			QUOTE(item->text), listen->line);
		return;
	}
}
