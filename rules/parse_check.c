// SPDX-License-Identifier: Apache-2.0
/* parse_check.c - of `forward`: active checks of the backends */
#include <ctype.h>
#include <string.h>

#include "common/backend_source.h"
#include "common/http_syntax.h"
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
#define SEND_TIMEOUT_MS 4000u /* three questions for its hardware address */
#define RISE 2u
#define FALL 3u
#define STATUS_OK_MIN 200u
#define STATUS_OK_MAX 399u

enum check_key {
	CHECK_EVERY,
	CHECK_TIMEOUT,
	CHECK_RISE,
	CHECK_FALL,
	CHECK_HTTP,
	CHECK_SEND,
};

static const char *const check_keys[] = {
	[CHECK_EVERY] = "every", [CHECK_TIMEOUT] = "timeout",
	[CHECK_RISE] = "rise",	 [CHECK_FALL] = "fall",
	[CHECK_HTTP] = "http",	 [CHECK_SEND] = "send",
};

enum http_key {
	HTTP_PATH,
	HTTP_HOST,
	HTTP_STATUS,
};

static const char *const http_keys[] = {
	[HTTP_PATH] = "path",
	[HTTP_HOST] = "host",
	[HTTP_STATUS] = "status",
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

/* Keeps @text in *ret_copy, which is NULL. */
static void keep_text(struct parse *parse, const char *text, char **ret_copy)
{
	*ret_copy = strdup(text);
	if (!*ret_copy)
		(void)parse_oom(parse);
}

static void parse_http_path(struct parse *parse, const struct yaml_node *node,
			    struct service_check *check)
{
	static const char expected[] = "a path such as /healthz";
	const char *text;

	if (!parse_text(parse, node, "path", expected, &text))
		return;
	if (service_check_path_good(text) && !strstr(text, "${"))
		keep_text(parse, text, &check->http_path);
	else
		(void)parse_error(parse, node,
				  "path is %s, expected %s, of visible ASCII "
				  "characters, without \"#\" and \"${\", and "
				  "at most %u of them",
				  QUOTE(text), expected,
				  SERVICE_CHECK_TEXT_MAX);
}

static void parse_http_host(struct parse *parse, const struct yaml_node *node,
			    struct service_check *check)
{
	static const char expected[] = "a name or an address such as "
				       "www.example.org or 10.0.0.1:8080";
	struct http_host host;
	const char *text;

	if (!parse_text(parse, node, "host", expected, &text))
		return;
	if (http_host_parse(text, strlen(text), &host) &&
	    strlen(text) <= SERVICE_CHECK_TEXT_MAX)
		keep_text(parse, text, &check->http_host);
	else
		(void)parse_error(parse, node, "host is %s, expected %s",
				  QUOTE(text), expected);
}

/* Reads three digits. Return: behind them; NULL:
 * they are no status that a rule may expect. */
static const char *read_status(const char *text, unsigned int *ret_status)
{
	unsigned int status = 0;

	for (int i = 0; i < 3; i++, text++) {
		if (!isdigit((unsigned char)*text))
			return NULL;
		status = status * 10 + (unsigned int)(*text - '0');
	}
	if (status < SERVICE_STATUS_MIN || status > SERVICE_STATUS_MAX)
		return NULL;
	*ret_status = status;
	return text;
}

/* "200", or "200-399". */
static void parse_http_status(struct parse *parse, const struct yaml_node *node,
			      struct service_check *check)
{
	static const char expected[] = "a status from 200 to 599 such as 200, "
				       "or a range such as 200-399";
	unsigned int min = 0, max = 0;
	const char *text, *rest;

	if (!parse_text(parse, node, "status", expected, &text))
		return;
	rest = read_status(text, &min);
	max = min;
	if (rest && *rest == '-')
		rest = read_status(rest + 1, &max);
	if (rest && !*rest && max >= min) {
		check->status_min = (uint16_t)min;
		check->status_max = (uint16_t)max;
		return;
	}
	(void)parse_error(parse, node, "status is %s, expected %s", QUOTE(text),
			  expected);
}

static void parse_send(struct parse *parse, const struct yaml_node *node,
		       struct service_check *check)
{
	/* Other than elsewhere, control characters are welcome. */
	if (node->kind == NODE_SCALAR && !yaml_node_is_null(node) &&
	    *node->text && strlen(node->text) <= SERVICE_CHECK_TEXT_MAX &&
	    !strstr(node->text, "${"))
		keep_text(parse, node->text, &check->send);
	else
		(void)parse_error(parse, node,
				  "send is %s, expected a text of 1 to %u "
				  "bytes without \"${\"",
				  FOUND(node), SERVICE_CHECK_TEXT_MAX);
}

/* A path, or a mapping with one. */
static void parse_check_http(struct parse *parse, const struct field *field,
			     struct service_check *check)
{
	const struct yaml_node *node = field->value;
	struct field fields[ARRAY_SIZE(http_keys)];

	check->status_min = STATUS_OK_MIN;
	check->status_max = STATUS_OK_MAX;
	if (node->kind == NODE_SCALAR && !yaml_node_is_null(node)) {
		parse_http_path(parse, node, check);
		return;
	}
	if (!parse_mapping(parse, node, "http of check", http_keys,
			   ARRAY_SIZE(http_keys), fields))
		return;
	if (fields[HTTP_PATH].key)
		parse_http_path(parse, fields[HTTP_PATH].value, check);
	else
		(void)parse_error(parse, node, "http of check needs \"path\"");
	if (fields[HTTP_HOST].key)
		parse_http_host(parse, fields[HTTP_HOST].value, check);
	if (fields[HTTP_STATUS].key)
		parse_http_status(parse, fields[HTTP_STATUS].value, check);
}

void parse_check(struct parse *parse, const struct yaml_node *node,
		 struct service *service, struct action_nodes *ret_nodes)
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
	if (fields[CHECK_SEND].key)
		check.timeout_ms = SEND_TIMEOUT_MS;
	if (fields[CHECK_EVERY].key &&
	    parse_duration(parse, fields[CHECK_EVERY].value, "every",
			   EVERY_MIN_MS, EVERY_MAX_MS, &ms))
		check.every_ms = (uint32_t)ms;
	parse_timeout(parse, &fields[CHECK_TIMEOUT], &check);
	parse_times(parse, &fields[CHECK_RISE], "rise", &check.rise);
	parse_times(parse, &fields[CHECK_FALL], "fall", &check.fall);
	ret_nodes->check_http = fields[CHECK_HTTP].key;
	ret_nodes->check_send = fields[CHECK_SEND].key;
	if (fields[CHECK_SEND].key)
		parse_send(parse, fields[CHECK_SEND].value, &check);
	if (fields[CHECK_HTTP].key)
		parse_check_http(parse, &fields[CHECK_HTTP], &check);
	service->check = check;
}

void parse_check_origin(struct parse *parse, const struct yaml_node *key,
			const struct service *service)
{
	char text[BACKEND_SOURCE_TEXT_MAX];

	for (size_t i = 0; i < service->n_from; i++) {
		if (!service->from[i].port)
			continue;
		(void)parse_error(
			parse, key,
			"check beside \"from\" with a port, %s: one port of "
			"an address can have one association with a backend, "
			"and while a check has it clients are turned away; "
			"expected it without a port, or no check",
			QUOTE(backend_source_fmt(&service->from[i], text)));
		return;
	}
}

static bool report_datagrams(struct parse *parse, const struct yaml_node *key,
			     const struct yaml_node *to,
			     const struct listen *listen)
{
	if (scheme_parse(to->text, NULL) == SCHEME_UNIX)
		return true;
	return parse_error(parse, key,
			   "check cannot connect to %s, to which the udp "
			   "listener of line %u sends: UDP has no connections; "
			   "expected \"send\" with a text that it may get, a "
			   "\"unix:\" path, or udp in a rule without "
			   "\"check\"",
			   QUOTE(to->text), listen->line);
}

/* An answer of HTTP comes by a stream. */
static bool check_http_fits(struct parse *parse, const struct yaml_node *key,
			    const struct yaml_node *to, enum protocol protocol,
			    unsigned int line)
{
	enum scheme scheme = scheme_parse(to->text, NULL);

	if (scheme_protocol(scheme, protocol) == PROTOCOL_TCP)
		return true;
	return parse_error(parse, key,
			   "http of check cannot ask %s, to which the %s "
			   "listener of line %u sends: HTTP comes by TCP or a "
			   "UNIX stream; expected tcp or mptcp, or a backend "
			   "with \"tcp://\" or \"unix:\"",
			   QUOTE(to->text), protocol_name(protocol), line);
}

/* Return: false after a report. */
static bool join_backend(struct parse *parse, const struct action_nodes *nodes,
			 const struct yaml_node *to,
			 const struct listen *listen)
{
	for (size_t i = 0; i < listen->n_protocols; i++) {
		enum protocol protocol = listen->protocols[i];

		if (protocol == PROTOCOL_UDP && !nodes->check_send &&
		    !report_datagrams(parse, nodes->check, to, listen))
			return false;
		if (nodes->check_http &&
		    !check_http_fits(parse, nodes->check_http, to, protocol,
				     listen->line))
			return false;
	}
	return true;
}

/* Does any listener send datagrams to an address? */
static bool sends_datagrams(const struct yaml_node *to, const struct rule *rule)
{
	bool any = false, udp = false;

	for (size_t i = 0; i < parse_to_count(to); i++) {
		const struct yaml_node *item = parse_to_backend(to, i);

		any |= !item || scheme_parse(item->text, NULL) != SCHEME_UNIX;
	}
	for (size_t i = 0; i < rule->n_listens; i++) {
		const struct listen *listen = &rule->listens[i];

		for (size_t j = 0; j < listen->n_protocols; j++)
			udp |= listen->protocols[j] == PROTOCOL_UDP;
	}
	return any && udp;
}

void parse_check_send(struct parse *parse, const struct action_nodes *nodes,
		      const struct rule *rule)
{
	if (!sends_datagrams(nodes->to, rule))
		(void)parse_error(parse, nodes->check_send,
				  "send is what a backend at an address gets "
				  "by UDP, and no listener of this rule sends "
				  "datagrams to one; expected a udp listener "
				  "and an address, or no \"send\"");
}

void parse_check_join(struct parse *parse, const struct action_nodes *nodes,
		      const struct listen *listen)
{
	const struct yaml_node *to = nodes->to;

	for (size_t i = 0; i < parse_to_count(to); i++) {
		const struct yaml_node *item = parse_to_backend(to, i);

		if (item && !join_backend(parse, nodes, item, listen))
			return;
	}
}
