// SPDX-License-Identifier: Apache-2.0
/* parse_option.c - the socket options of a listen entry */
#include "rules/parse_option.h"

#include <inttypes.h>
#include <string.h>

#include "common/util.h"

#define BIT(protocol) (1u << (protocol))
#define ON_TCP (BIT(PROTOCOL_TCP) | BIT(PROTOCOL_MPTCP))
#define ON_UDP BIT(PROTOCOL_UDP)
#define ON_SCTP (BIT(PROTOCOL_SCTP) | BIT(PROTOCOL_SCTP_SEQPACKET))

/* The kernel doubles the value and keeps it in an int. */
#define BUFFER_MAX (UINT64_C(1) << 30)
#define KEEPALIVE_MAX_MS (UINT64_C(32767) * 1000) /* MAX_TCP_KEEPIDLE */
#define DEFER_ACCEPT_MAX_MS (UINT64_C(3600) * 1000)
#define DSCP_MAX 63u

/* The protocols that have each option. No TPROXY rule can steer associations
 * of SCTP, so IP_TRANSPARENT is of no use there; SCTP has its own heartbeats
 * in place of SO_KEEPALIVE; only SCTP negotiates streams. */
static const struct {
	const char *name;
	unsigned int protocols;
} options[] = {
	[OPTION_BACKLOG] = { "backlog", ON_TCP | ON_SCTP },
	[OPTION_INTERFACE_BOUND] = { "interface_bound",
				     ON_TCP | ON_UDP | ON_SCTP },
	[OPTION_TRANSPARENT] = { "transparent", ON_TCP | ON_UDP },
	[OPTION_MARK] = { "mark", ON_TCP | ON_UDP | ON_SCTP },
	[OPTION_DSCP] = { "dscp", ON_TCP | ON_UDP | ON_SCTP },
	[OPTION_RECEIVE_BUFFER] = { "receive_buffer",
				    ON_TCP | ON_UDP | ON_SCTP },
	[OPTION_SEND_BUFFER] = { "send_buffer", ON_TCP | ON_UDP | ON_SCTP },
	[OPTION_KEEPALIVE] = { "keepalive", ON_TCP },
	[OPTION_DEFER_ACCEPT] = { "defer_accept", ON_TCP },
	[OPTION_FASTOPEN] = { "fastopen", ON_TCP },
	[OPTION_STREAMS] = { "streams", ON_SCTP },
};
_Static_assert(ARRAY_SIZE(options) == OPTION_COUNT, "one each");

const char *option_name(enum option option)
{
	return options[option].name;
}

/* "cs0" to "cs7", "af11" to "af43", "ef", "le": RFC 2474, 2597, 3246, 8622. */
static bool dscp_name_parse(const char *text, int *ret_dscp)
{
	size_t len = strlen(text);

	if (strcmp(text, "ef") == 0) {
		*ret_dscp = 46;
	} else if (strcmp(text, "le") == 0) {
		*ret_dscp = 1;
	} else if (len == 3 && memcmp(text, "cs", 2) == 0 && text[2] >= '0' &&
		   text[2] <= '7') {
		*ret_dscp = (text[2] - '0') * 8;
	} else if (len == 4 && memcmp(text, "af", 2) == 0 && text[2] >= '1' &&
		   text[2] <= '4' && text[3] >= '1' && text[3] <= '3') {
		*ret_dscp = (text[2] - '0') * 8 + (text[3] - '0') * 2;
	} else {
		return false;
	}
	return true;
}

static void parse_dscp(struct parse *parse, const struct yaml_node *node,
		       struct socket_options *ret)
{
	char *end;
	unsigned long number;

	if (node->kind == NODE_SCALAR &&
	    dscp_name_parse(node->text, &ret->dscp))
		return;
	if (node->kind == NODE_SCALAR && node->text[0] >= '0' &&
	    node->text[0] <= '9') {
		number = strtoul(node->text, &end, 0);
		if (!*end && number <= DSCP_MAX) {
			ret->dscp = (int)number;
			return;
		}
	}
	(void)parse_error(parse, node,
			  "dscp is %s, expected 0-63, cs0-cs7, af11-af43, ef "
			  "or le",
			  FOUND(node));
}

/* true, false or the idle time. */
static void parse_keepalive(struct parse *parse, const struct yaml_node *node,
			    struct socket_options *ret)
{
	uint64_t ms;
	bool on;

	if (node->kind == NODE_SCALAR && node->text[0] >= '0' &&
	    node->text[0] <= '9') {
		if (!parse_duration(parse, node, "keepalive", 1000,
				    KEEPALIVE_MAX_MS, &ms))
			return;
		if (ms % 1000 != 0)
			(void)parse_error(parse, node,
					  "keepalive is %s, expected whole "
					  "seconds",
					  QUOTE(node->text));
		ret->keepalive_s = (int)(ms / 1000);
		return;
	}
	if (!node_bool(node, &on))
		(void)parse_error(parse, node,
				  "keepalive is %s, expected true, false or a "
				  "time such as 60s",
				  FOUND(node));
	else if (on)
		ret->keepalive_s = 0;
}

static void parse_defer_accept(struct parse *parse,
			       const struct yaml_node *node,
			       struct socket_options *ret)
{
	uint64_t ms;

	if (!parse_duration(parse, node, "defer_accept", 1000,
			    DEFER_ACCEPT_MAX_MS, &ms))
		return;
	if (ms % 1000 != 0)
		(void)parse_error(parse, node,
				  "defer_accept is %s, expected whole seconds",
				  QUOTE(node->text));
	ret->defer_accept_s = (int)(ms / 1000);
}

static void parse_interface_bound(struct parse *parse,
				  const struct field *field,
				  struct listen *listen)
{
	bool *bound = &listen->service->options.interface_bound;

	if (parse_bool(parse, field->value, "interface_bound", bound) &&
	    *bound && listen->address != LISTEN_EACH)
		(void)parse_error(
			parse, field->key,
			"interface_bound needs \"address: each\": the "
			"interface is the one that holds the address");
}

static void parse_int(struct parse *parse, enum option option,
		      const struct field *field, uint64_t max, int *ret)
{
	uint64_t number;

	if (parse_number(parse, field->value, options[option].name, 1, max,
			 &number))
		*ret = (int)number;
}

/* `streams`: a number for both directions, or a mapping of `in` and `out`. */
static void parse_streams(struct parse *parse, const struct yaml_node *node,
			  struct socket_options *ret)
{
	static const char *const keys[] = { "in", "out" };
	int *const values[] = { &ret->streams_in, &ret->streams_out };
	struct field fields[ARRAY_SIZE(keys)];
	uint64_t number;

	if (node->kind == NODE_LIST) {
		(void)parse_error(parse, node,
				  "streams is a list, expected a number from 1 "
				  "to %d or a mapping with the keys: in, out",
				  UINT16_MAX);
		return;
	}
	if (node->kind == NODE_SCALAR) {
		if (parse_number(parse, node, "streams", 1, UINT16_MAX,
				 &number))
			ret->streams_in = ret->streams_out = (int)number;
		return;
	}
	if (!parse_mapping(parse, node, "streams", keys, ARRAY_SIZE(keys),
			   fields))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (fields[i].key &&
		    parse_number(parse, fields[i].value, keys[i], 1, UINT16_MAX,
				 &number))
			*values[i] = (int)number;
	}
}

static void parse_buffer(struct parse *parse, enum option option,
			 const struct field *field, int64_t *ret)
{
	uint64_t bytes;

	if (parse_size(parse, field->value, options[option].name, BUFFER_MAX,
		       &bytes))
		*ret = (int64_t)bytes;
}

static void parse_mark(struct parse *parse, const struct yaml_node *node,
		       struct socket_options *ret)
{
	uint64_t mark;

	if (parse_number(parse, node, "mark", 0, UINT32_MAX, &mark))
		ret->mark = (int64_t)mark;
}

/* "tcp, mptcp": the protocols that have the option. */
static void protocols_fmt(enum option option, char *buffer, size_t size)
{
	const char *before = "";
	size_t len = 0;

	buffer[0] = '\0';
	for (int i = 0; i < PROTOCOL_COUNT && len < size; i++) {
		if (!(options[option].protocols & BIT(i)))
			continue;
		len += (size_t)snprintf(buffer + len, size - len, "%s%s",
					before,
					protocol_name((enum protocol)i));
		before = ", ";
	}
}

/* Reports the first of the entry's protocols that lacks the option. */
static bool check_protocols(struct parse *parse, enum option option,
			    const struct field *field,
			    const struct listen *listen)
{
	char expected[64]; /* the names of all protocols take 38 bytes */

	for (size_t i = 0; i < listen->n_protocols; i++) {
		enum protocol protocol = listen->protocols[i];

		if (options[option].protocols & BIT(protocol))
			continue;
		protocols_fmt(option, expected, sizeof(expected));
		return parse_error(parse, field->key,
				   "%s does not exist for %s, expected one "
				   "of %s%s",
				   options[option].name,
				   protocol_name(protocol), expected,
				   listen->n_protocols > 1
					   ? ", in a listen entry of its own"
					   : "");
	}
	return true;
}

void parse_option(struct parse *parse, enum option option,
		  const struct field *field, struct listen *listen)
{
	struct socket_options *ret = &listen->service->options;

	if (!check_protocols(parse, option, field, listen))
		return;
	switch (option) {
	case OPTION_BACKLOG:
		parse_int(parse, option, field, INT32_MAX, &ret->backlog);
		break;
	case OPTION_INTERFACE_BOUND:
		parse_interface_bound(parse, field, listen);
		break;
	case OPTION_TRANSPARENT:
		(void)parse_bool(parse, field->value, "transparent",
				 &ret->transparent);
		break;
	case OPTION_MARK:
		parse_mark(parse, field->value, ret);
		break;
	case OPTION_DSCP:
		parse_dscp(parse, field->value, ret);
		break;
	case OPTION_RECEIVE_BUFFER:
		parse_buffer(parse, option, field, &ret->receive_buffer);
		break;
	case OPTION_SEND_BUFFER:
		parse_buffer(parse, option, field, &ret->send_buffer);
		break;
	case OPTION_KEEPALIVE:
		parse_keepalive(parse, field->value, ret);
		break;
	case OPTION_DEFER_ACCEPT:
		parse_defer_accept(parse, field->value, ret);
		break;
	case OPTION_FASTOPEN:
		parse_int(parse, option, field, UINT16_MAX, &ret->fastopen);
		break;
	case OPTION_STREAMS:
		parse_streams(parse, field->value, ret);
		break;
	}
}
