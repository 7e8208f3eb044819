// SPDX-License-Identifier: Apache-2.0
/* rule_text.c - a rule in three short lines, for status output */
#include <inttypes.h>
#include <string.h>

#include "common/backend_source.h"
#include "common/service_http.h"
#include "common/util.h"
#include "rules/parse.h"
#include "rules/parse_option.h"

const char *listen_address_name(enum listen_address address)
{
	static const char *const names[] = {
		[LISTEN_ANY] = "any",	[LISTEN_ANY4] = "any4",
		[LISTEN_ANY6] = "any6", [LISTEN_EACH] = "each",
		[LISTEN_ALL] = "all",	[LISTEN_LITERAL] = NULL,
	};

	_Static_assert(ARRAY_SIZE(names) == LISTEN_LITERAL + 1, "a name each");
	return names[address];
}

const char *scopes_text(unsigned int scopes)
{
	static const char *const texts[] = {
		"none", "global",	"link",	      "global, link",
		"host", "global, host", "link, host", "global, link, host",
	};

	return texts[scopes & (ARRAY_SIZE(texts) - 1)];
}

static void patterns_print(FILE *f, const char *key,
			   const struct pattern *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s %s", i ? "," : key, patterns[i].text);
}

static void addresses_print(FILE *f, const char *key,
			    const struct address_pattern *patterns, size_t n)
{
	char text[ADDRESS_PATTERN_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s %s", i ? "," : key,
			      address_pattern_fmt(&patterns[i], text));
}

/* A separator before each part but the first. */
static void separate(FILE *f, bool *begun)
{
	if (*begun)
		(void)fputs("; ", f);
	*begun = true;
}

static void containers_print(FILE *f, const struct match *match, bool *begun)
{
	if (match->n_containers) {
		separate(f, begun);
		patterns_print(f, "container", match->containers,
			       match->n_containers);
	}
	if (match->n_pod_namespaces) {
		separate(f, begun);
		patterns_print(f, "pod_namespace", match->pod_namespaces,
			       match->n_pod_namespaces);
	}
	if (match->labels.n) {
		separate(f, begun);
		(void)fputs("labels ", f);
		selector_print(f, &match->labels);
	}
	if (match->unless_labels.n) {
		separate(f, begun);
		(void)fputs("unless_labels ", f);
		selector_print(f, &match->unless_labels);
	}
}

void duration_print(FILE *f, const char *name, uint32_t ms)
{
	if (ms % 1000)
		(void)fprintf(f, "%s %" PRIu32 "ms", name, ms);
	else
		(void)fprintf(f, "%s %" PRIu32 "s", name, ms / 1000);
}

static void match_print(FILE *f, const struct match *match)
{
	bool begun = false;

	if (match->host) {
		separate(f, &begun);
		(void)fputs("host", f);
	}
	if (match->n_namespaces) {
		separate(f, &begun);
		patterns_print(f, "namespace", match->namespaces,
			       match->n_namespaces);
	}
	if (match->n_dirs)
		separate(f, &begun);
	for (size_t i = 0; i < match->n_dirs; i++)
		(void)fprintf(f, "%s %s", i ? "," : "directory",
			      match->dirs[i]);
	if (!begun && !match->on_containers) {
		separate(f, &begun);
		(void)fputs("every namespace", f);
	}
	containers_print(f, match, &begun);
	if (match->n_interfaces) {
		separate(f, &begun);
		patterns_print(f, "interface", match->interfaces,
			       match->n_interfaces);
	}
	if (match->n_addresses) {
		separate(f, &begun);
		addresses_print(f, "address", match->addresses,
				match->n_addresses);
	}
	if (match->family) {
		separate(f, &begun);
		(void)fprintf(f, "family %s",
			      match->family == AF_INET ? "ipv4" : "ipv6");
	}
	if (match->on_addresses && match->scopes != RULE_SCOPES_DEFAULT) {
		separate(f, &begun);
		(void)fprintf(f, "scope %s", scopes_text(match->scopes));
	}
	if (match->after_ms) {
		separate(f, &begun);
		duration_print(f, "after", match->after_ms);
	}
	if (match->unprivileged) {
		separate(f, &begun);
		(void)fputs("unprivileged", f);
	}
}

static void ports_print(FILE *f, const struct listen *listen)
{
	for (size_t i = 0; i < listen->n_ports; i++) {
		const struct port_range *range = &listen->ports[i];

		(void)fprintf(f, "%s%u", i ? "," : "", range->first);
		if (range->last != range->first)
			(void)fprintf(f, "-%u", range->last);
	}
}

static void listen_address_print(FILE *f, const struct listen *listen)
{
	char text[IP_TEXT_MAX];

	if (listen->address != LISTEN_LITERAL) {
		(void)fputs(listen_address_name(listen->address), f);
		return;
	}
	for (size_t i = 0; i < listen->n_literals; i++) {
		bool ipv6 = listen->literals[i].family == AF_INET6;

		(void)fprintf(f, "%s%s%s%s", i ? "," : "", ipv6 ? "[" : "",
			      ip_addr_fmt(&listen->literals[i], text),
			      ipv6 ? "]" : "");
	}
}

static void number_print(FILE *f, enum option option, int64_t value)
{
	if (value != SERVICE_UNSET)
		(void)fprintf(f, " %s %" PRId64, option_name(option), value);
}

static void streams_print(FILE *f, const struct socket_options *o)
{
	if (o->streams_in == o->streams_out) {
		number_print(f, OPTION_STREAMS, o->streams_in);
		return;
	}
	(void)fputs(" streams", f);
	if (o->streams_in != SERVICE_UNSET)
		(void)fprintf(f, " %d in", o->streams_in);
	if (o->streams_out != SERVICE_UNSET)
		(void)fprintf(f, " %d out", o->streams_out);
}

static void options_print(FILE *f, const struct socket_options *o)
{
	number_print(f, OPTION_BACKLOG, o->backlog);
	if (o->interface_bound)
		(void)fputs(" interface_bound", f);
	if (o->transparent)
		(void)fputs(" transparent", f);
	number_print(f, OPTION_MARK, o->mark);
	number_print(f, OPTION_DSCP, o->dscp);
	number_print(f, OPTION_RECEIVE_BUFFER, o->receive_buffer);
	number_print(f, OPTION_SEND_BUFFER, o->send_buffer);
	if (o->keepalive_s == 0)
		(void)fputs(" keepalive", f);
	else if (o->keepalive_s > 0)
		(void)fprintf(f, " keepalive %ds", o->keepalive_s);
	if (o->defer_accept_s > 0)
		(void)fprintf(f, " defer_accept %ds", o->defer_accept_s);
	number_print(f, OPTION_FASTOPEN, o->fastopen);
	streams_print(f, o);
}

static void listens_print(FILE *f, const struct rule *rule)
{
	for (size_t i = 0; i < rule->n_listens; i++) {
		const struct listen *listen = &rule->listens[i];

		for (size_t k = 0; k < listen->n_protocols; k++)
			(void)fprintf(f, "%s%s",
				      k	  ? "+"
				      : i ? "; "
					  : "",
				      protocol_name(listen->protocols[k]));
		(void)fputc(' ', f);
		listen_address_print(f, listen);
		(void)fputc(':', f);
		ports_print(f, listen);
		addresses_print(f, " clients", listen->service->clients,
				listen->service->n_clients);
		options_print(f, &listen->service->options);
	}
}

/* Of an option that is not set, nothing. */
static void timeout_print(FILE *f, const char *name, uint32_t ms)
{
	if (ms == 0)
		return;
	(void)fputs("; ", f);
	if (ms == SERVICE_TIMEOUT_OFF)
		(void)fprintf(f, "%s off", name);
	else
		duration_print(f, name, ms);
}

static void check_print(FILE *f, const struct service_check *check)
{
	char quoted[QUOTE_MAX];

	if (!check->every_ms)
		return;
	(void)fputs("; ", f);
	duration_print(f, "check every", check->every_ms);
	timeout_print(f, "timeout", check->timeout_ms);
	(void)fprintf(f, "; rise %" PRIu32 "; fall %" PRIu32, check->rise,
		      check->fall);
	if (check->send)
		(void)fprintf(f, "; sending %s",
			      quote_text(check->send, quoted));
	if (!check->http_path)
		return;
	(void)fprintf(f, "; by http %s", check->http_path);
	if (check->http_host)
		(void)fprintf(f, " of %s", check->http_host);
	(void)fprintf(f, " status %u", check->status_min);
	if (check->status_max > check->status_min)
		(void)fprintf(f, "-%u", check->status_max);
}

static void texts_print(FILE *f, const char *what, char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s %s", i ? "," : what, texts[i]);
}

static void rates_print(FILE *f, const struct rate_limit *rates, size_t n,
			const char *unit)
{
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(f, "%s %" PRIu32 " %s", i ? "," : "; rate_limit",
			      rates[i].count, unit);
		duration_print(f, " per", rates[i].per_ms);
		if (rates[i].ipv6_prefix < 128)
			(void)fprintf(f, " of an IPv6 /%u",
				      rates[i].ipv6_prefix);
	}
}

static void http_print(FILE *f, const struct service_http *http)
{
	(void)fputs("; http", f);
	for (size_t i = 0; i < http->n_set; i++)
		(void)fprintf(f, "%s %s: %s", i ? "," : " set",
			      http->set[i].name, http->set[i].value);
	if (http->n_set && http->n_remove)
		(void)fputc(',', f);
	texts_print(f, " remove", http->remove, http->n_remove);
	texts_print(f, "; path", http->paths, http->n_paths);
	texts_print(f, "; host", http->hosts, http->n_hosts);
	timeout_print(f, "request_timeout", http->request_timeout_ms);
	timeout_print(f, "response_timeout", http->response_timeout_ms);
	(void)fprintf(f, "; max_request %" PRIu32, http->max_request);
	rates_print(f, http->rates, http->n_rates, "requests");
}

static void backends_print(FILE *f, const struct service *service)
{
	for (size_t i = 0; i < service->n_to; i++) {
		(void)fprintf(f, "%s %s", i ? "," : "to", service->to[i]);
		if (service_weight(service, i) != SERVICE_WEIGHT_DEFAULT)
			(void)fprintf(f, " weight %u",
				      service_weight(service, i));
	}
	if (service->balance)
		(void)fprintf(f, "; balance %s",
			      service_balance_name(service->balance));
}

static void action_print(FILE *f, const struct service *service)
{
	char quoted[QUOTE_MAX], source[BACKEND_SOURCE_TEXT_MAX];

	switch (service->action) {
	case SERVICE_FORWARD:
		break;
	case SERVICE_RESPOND:
		(void)fputs(quote_text(service->text, quoted), f);
		return;
	case SERVICE_ECHO:
	case SERVICE_DISCARD:
		(void)fputs(service_action_name(service->action), f);
		return;
	case SERVICE_HANDOFF:
		(void)fprintf(f, "to consumer %s", service->consumer);
		return;
	}
	backends_print(f, service);
	if (service->netns)
		(void)fprintf(f, "; namespace %s", service->netns);
	if (service->proxy)
		(void)fprintf(f, "; proxy_protocol %s",
			      service_proxy_name(service->proxy));
	for (size_t i = 0; i < service->n_tlvs; i++)
		(void)fprintf(f, "%s 0x%X=%s", i ? "," : " with",
			      service->tlvs[i].type, service->tlvs[i].value);
	if (service->transparent)
		(void)fputs("; transparent", f);
	for (size_t i = 0; i < service->n_from; i++)
		(void)fprintf(f, "%s %s", i ? "," : "; from",
			      backend_source_fmt(&service->from[i], source));
	check_print(f, &service->check);
	if (service->http)
		http_print(f, service->http);
	timeout_print(f, "connect_timeout", service->connect_timeout_ms);
	timeout_print(f, "idle_timeout", service->idle_timeout_ms);
	timeout_print(f, "max_lifetime", service->max_lifetime_ms);
	timeout_print(f, "drain_timeout", service->drain_timeout_ms);
	if (service->max_connections)
		(void)fprintf(f, "; max_connections %" PRIu32,
			      service->max_connections);
	rates_print(f, service->rates, service->n_rates, "connections");
}

static void serve_print(FILE *f, const struct service *service)
{
	action_print(f, service);
	if (service->log)
		(void)fprintf(f, "; log %s", service_log_name(service->log));
}

static void provide_print(FILE *f, const struct rule *rule)
{
	char text[PROVISION_TEXT_MAX];

	for (size_t i = 0; i < rule->n_provisions; i++)
		(void)fprintf(f, "%s%s", i ? ", " : "",
			      provision_fmt(&rule->provisions[i], text));
}

int rule_make_texts(struct rule *rule, const struct service *service)
{
	char **const texts[] = { &rule->match_text, &rule->listen_text,
				 &rule->serve_text, &rule->provide_text };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t size;
		FILE *f;

		if (texts[i] == &rule->provide_text && !rule->n_provisions)
			continue;
		f = open_memstream(texts[i], &size);
		if (!f)
			return -ENOMEM;
		if (texts[i] == &rule->match_text)
			match_print(f, &rule->match);
		else if (texts[i] == &rule->listen_text)
			listens_print(f, rule);
		else if (texts[i] == &rule->provide_text)
			provide_print(f, rule);
		else
			serve_print(f, service);
		if (fclose(f) != 0)
			return -ENOMEM;
	}
	return 0;
}
