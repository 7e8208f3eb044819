// SPDX-License-Identifier: Apache-2.0
/* parse_http.c - of `forward`: what is done with the request of a connection
 */
#include <string.h>

#include "common/http_syntax.h"
#include "common/protocol.h"
#include "common/service_http.h"
#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/template.h"

/* The defaults of what `http` leaves out: the ones of OpenStack's proxies,
 * whose place berth may take. */
#define REQUEST_TIMEOUT_MS 30000u
#define RESPONSE_TIMEOUT_MS 32000u

#define TIMEOUT_MAX_MS (UINT64_C(3600) * 1000)
#define NAME_MAX_BYTES 128u
#define TEXT_MAX_BYTES 255u

enum http_key {
	HTTP_SET_HEADERS,
	HTTP_REMOVE_HEADERS,
	HTTP_REQUEST_TIMEOUT,
	HTTP_RESPONSE_TIMEOUT,
	HTTP_MAX_REQUEST,
	HTTP_PATH,
	HTTP_HOST,
	HTTP_RATE_LIMIT,
};

static const char *const http_keys[] = {
	[HTTP_SET_HEADERS] = "set_headers",
	[HTTP_REMOVE_HEADERS] = "remove_headers",
	[HTTP_REQUEST_TIMEOUT] = "request_timeout",
	[HTTP_RESPONSE_TIMEOUT] = "response_timeout",
	[HTTP_MAX_REQUEST] = "max_request",
	[HTTP_PATH] = "path",
	[HTTP_HOST] = "host",
	[HTTP_RATE_LIMIT] = "rate_limit",
};

static bool name_is(const char *a, const char *b)
{
	return http_name_equal(a, strlen(a), b, strlen(b));
}

/* A name of a field that is set or removed, and was not named there before. */
static bool parse_name(struct parse *parse, const struct yaml_node *node,
		       bool set, const char **ret_name)
{
	const char *what = set ? "a name in set_headers"
			       : "a name in remove_headers";
	const char *name = "";

	if (!parse_text(parse, node, what, "the name of a header", &name))
		return false;
	if (strlen(name) > NAME_MAX_BYTES)
		return parse_error(parse, node,
				   "%s has %zu bytes, expected at most %u",
				   what, strlen(name), NAME_MAX_BYTES);
	if (!http_is_token(name, strlen(name)))
		return parse_error(
			parse, node,
			"%s is %s, expected the name of a header, of "
			"letters, digits and \"-\"",
			what, QUOTE(name));
	if (http_name_reserved(name, strlen(name)))
		return parse_error(parse, node,
				   "%s is %s, which says how long a request or "
				   "its connection lasts; expected a header "
				   "that berth-relay does not decide about",
				   what, QUOTE(name));
	if (!set && name_is(name, "Host"))
		return parse_error(parse, node,
				   "%s is %s, which no request may lack; "
				   "expected it in set_headers",
				   what, QUOTE(name));
	*ret_name = name;
	return true;
}

static bool is_set(const struct service_http *http, const char *name)
{
	for (size_t i = 0; i < http->n_set; i++) {
		if (name_is(http->set[i].name, name))
			return true;
	}
	return false;
}

static void parse_set_header(struct parse *parse, const struct yaml_node *key,
			     struct service_http *http)
{
	struct service_header *header = &http->set[http->n_set];
	char problem[TEMPLATE_PROBLEM_MAX];
	const char *name = "", *value = "";

	if (!parse_name(parse, key, /* set= */ true, &name) ||
	    !parse_text(parse, key + 1, "a value in set_headers", "a text",
			&value))
		return;
	if (is_set(http, name)) {
		(void)parse_error(parse, key,
				  "%s stands twice in set_headers: upper and "
				  "lower case are the same, and so are \"-\" "
				  "and \"_\"",
				  QUOTE(name));
		return;
	}
	if (template_check_header(value, problem) < 0) {
		(void)parse_error(parse, key + 1,
				  "a value in set_headers is %s: %s",
				  QUOTE(value), problem);
		return;
	}
	header->name = strdup(name);
	header->value = strdup(value);
	if (header->name && header->value) {
		http->n_set++;
		return;
	}
	free(header->name);
	free(header->value);
	(void)parse_oom(parse);
}

static void parse_set_headers(struct parse *parse, const struct yaml_node *node,
			      struct service_http *http)
{
	if (node->kind != NODE_MAPPING || node->n == 0) {
		(void)parse_error(parse, node,
				  "set_headers is %s, expected a mapping of "
				  "names and values such as { X-Forwarded-For: "
				  "\"${client}\" }",
				  node->kind == NODE_MAPPING
					  ? "an empty mapping"
					  : FOUND(node));
		return;
	}
	if (node->n / 2 > SERVICE_HTTP_SET_MAX) {
		(void)parse_error(parse, node,
				  "set_headers has %zu headers, expected at "
				  "most %u",
				  node->n / 2, SERVICE_HTTP_SET_MAX);
		return;
	}
	http->n_set = 0; /* as the analyzer cannot know */
	http->set = calloc(node->n / 2, sizeof(*http->set));
	if (!http->set) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i + 1 < node->n && !parse_full(parse); i += 2)
		parse_set_header(parse, &node->items[i], http);
}

static void parse_remove_header(struct parse *parse,
				const struct yaml_node *node,
				struct service_http *http)
{
	const char *name = "";

	if (!parse_name(parse, node, /* set= */ false, &name))
		return;
	for (size_t i = 0; i < http->n_remove; i++) {
		if (name_is(http->remove[i], name)) {
			(void)parse_error(parse, node,
					  "%s stands twice in remove_headers: "
					  "upper and lower case are the same, "
					  "and so are \"-\" and \"_\"",
					  QUOTE(name));
			return;
		}
	}
	if (is_set(http, name)) {
		(void)parse_error(parse, node,
				  "%s stands in remove_headers and in "
				  "set_headers, which replaces it anyway; "
				  "expected one of the two",
				  QUOTE(name));
		return;
	}
	http->remove[http->n_remove] = strdup(name);
	if (http->remove[http->n_remove])
		http->n_remove++;
	else
		(void)parse_oom(parse);
}

/* Room for the elements of a list, or of a single value. Return: how many; 0
 * after a report. */
static size_t parse_list(struct parse *parse, const struct yaml_node *node,
			 const char *what, const char *expected, size_t max,
			 const struct yaml_node **ret_items, char ***ret_texts)
{
	size_t n = parse_items(parse, node, what, expected, ret_items);

	if (n > max) {
		(void)parse_error(parse, node,
				  "%s is a list of %zu, expected at most %zu",
				  what, n, max);
		return 0;
	}
	*ret_texts = calloc(n ? n : 1, sizeof(**ret_texts));
	if (*ret_texts)
		return n;
	(void)parse_oom(parse);
	return 0;
}

static void parse_remove_headers(struct parse *parse,
				 const struct yaml_node *node,
				 struct service_http *http)
{
	const struct yaml_node *items;
	size_t n = parse_list(parse, node, "remove_headers",
			      "the name of a header", SERVICE_HTTP_REMOVE_MAX,
			      &items, &http->remove);

	http->n_remove = 0; /* as the analyzer cannot know */
	for (size_t i = 0; i < n && !parse_full(parse); i++)
		parse_remove_header(parse, &items[i], http);
}

static void parse_path(struct parse *parse, const struct yaml_node *node,
		       struct service_http *http)
{
	static const char expected[] = "the beginning of a path such as "
				       "/latest/meta-data";
	const char *text;

	if (!parse_text(parse, node, "path", expected, &text))
		return;
	if (!http_path_plain(text, strlen(text)) || strpbrk(text, "?#") ||
	    strlen(text) > TEXT_MAX_BYTES) {
		(void)parse_error(parse, node,
				  "path is %s, expected %s, without a query, "
				  "empty segments, \".\" and \"..\", and at "
				  "most %u bytes",
				  QUOTE(text), expected, TEXT_MAX_BYTES);
		return;
	}
	http->paths[http->n_paths] = strdup(text);
	if (http->paths[http->n_paths])
		http->n_paths++;
	else
		(void)parse_oom(parse);
}

static void parse_paths(struct parse *parse, const struct yaml_node *node,
			struct service_http *http)
{
	const struct yaml_node *items;
	size_t n = parse_list(parse, node, "path", "the beginning of a path",
			      SERVICE_HTTP_PATHS_MAX, &items, &http->paths);

	for (size_t i = 0; i < n && !parse_full(parse); i++)
		parse_path(parse, &items[i], http);
}

static void parse_host(struct parse *parse, const struct yaml_node *node,
		       struct service_http *http)
{
	static const char expected[] = "a name or an address such as "
				       "169.254.169.254 or [fe80::a9fe:a9fe]";
	struct http_host host;
	const char *text;

	if (!parse_text(parse, node, "host", expected, &text))
		return;
	if (!http_host_parse(text, strlen(text), &host) ||
	    strlen(text) > TEXT_MAX_BYTES) {
		(void)parse_error(parse, node, "host is %s, expected %s",
				  QUOTE(text), expected);
		return;
	}
	http->hosts[http->n_hosts] = strdup(text);
	if (http->hosts[http->n_hosts])
		http->n_hosts++;
	else
		(void)parse_oom(parse);
}

static void parse_hosts(struct parse *parse, const struct yaml_node *node,
			struct service_http *http)
{
	const struct yaml_node *items;
	size_t n = parse_list(parse, node, "host", "a name or an address",
			      SERVICE_HTTP_HOSTS_MAX, &items, &http->hosts);

	for (size_t i = 0; i < n && !parse_full(parse); i++)
		parse_host(parse, &items[i], http);
}

static void parse_timeout(struct parse *parse, const struct field *field,
			  const char *what, uint32_t *ret_ms)
{
	uint64_t ms;

	if (field->key &&
	    parse_duration(parse, field->value, what, 1, TIMEOUT_MAX_MS, &ms))
		*ret_ms = (uint32_t)ms;
}

static void parse_max_request(struct parse *parse, const struct yaml_node *node,
			      struct service_http *http)
{
	uint64_t bytes;

	if (!parse_size(parse, node, "max_request", SERVICE_HTTP_REQUEST_MAX,
			&bytes))
		return;
	if (bytes < SERVICE_HTTP_REQUEST_MIN)
		(void)parse_error(parse, node,
				  "max_request is %s, expected at least %u "
				  "bytes: there is no room for a request",
				  QUOTE(node->text), SERVICE_HTTP_REQUEST_MIN);
	else
		http->max_request = (uint32_t)bytes;
}

static void parse_fields(struct parse *parse, const struct yaml_node *node,
			 const struct field *fields, struct service_http *http)
{
	if (fields[HTTP_SET_HEADERS].key)
		parse_set_headers(parse, fields[HTTP_SET_HEADERS].value, http);
	if (fields[HTTP_REMOVE_HEADERS].key)
		parse_remove_headers(parse, fields[HTTP_REMOVE_HEADERS].value,
				     http);
	parse_timeout(parse, &fields[HTTP_REQUEST_TIMEOUT], "request_timeout",
		      &http->request_timeout_ms);
	parse_timeout(parse, &fields[HTTP_RESPONSE_TIMEOUT], "response_timeout",
		      &http->response_timeout_ms);
	if (fields[HTTP_MAX_REQUEST].key)
		parse_max_request(parse, fields[HTTP_MAX_REQUEST].value, http);
	if (fields[HTTP_PATH].key)
		parse_paths(parse, fields[HTTP_PATH].value, http);
	if (fields[HTTP_HOST].key)
		parse_hosts(parse, fields[HTTP_HOST].value, http);
	if (fields[HTTP_RATE_LIMIT].key)
		parse_rate_limits(parse, fields[HTTP_RATE_LIMIT].value,
				  RATE_UNIT_REQUESTS, &http->rates,
				  &http->n_rates);
	if (service_http_bytes(http) > SERVICE_HTTP_BYTES_MAX)
		(void)parse_error(parse, node,
				  "all texts of http together have %zu bytes, "
				  "expected at most %u",
				  service_http_bytes(http),
				  SERVICE_HTTP_BYTES_MAX);
}

void parse_http(struct parse *parse, const struct yaml_node *node,
		struct service *service, struct action_nodes *ret_nodes)
{
	struct field fields[ARRAY_SIZE(http_keys)];

	if (!parse_mapping(parse, node, "http", http_keys,
			   ARRAY_SIZE(http_keys), fields))
		return;
	service->http = service_http_new();
	if (!service->http) {
		(void)parse_oom(parse);
		return;
	}
	service->http->request_timeout_ms = REQUEST_TIMEOUT_MS;
	service->http->response_timeout_ms = RESPONSE_TIMEOUT_MS;
	service->http->max_request = SERVICE_HTTP_REQUEST_MAX;
	ret_nodes->headers = fields[HTTP_SET_HEADERS].value;
	parse_fields(parse, node, fields, service->http);
}

void parse_http_join(struct parse *parse, const struct action_nodes *nodes,
		     const struct listen *listen)
{
	for (size_t i = 0; i < listen->n_protocols; i++) {
		enum protocol protocol = listen->protocols[i];

		if (protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP)
			continue;
		(void)parse_error(
			parse, nodes->http,
			"http comes by TCP only, and the listen entry "
			"of line %u has %s; expected tcp or mptcp",
			listen->line, protocol_name(protocol));
		return;
	}
}
