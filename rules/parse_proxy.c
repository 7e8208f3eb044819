// SPDX-License-Identifier: Apache-2.0
/* parse_proxy.c - forward: proxy_protocol, what backends are told of clients */
#include <string.h>

#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/template.h"

#define VERSION_EXPECTED "v1, v2 or v2+crc32c"

enum proxy_key {
	PROXY_VERSION,
	PROXY_TLVS,
};

static const char *const proxy_keys[] = {
	[PROXY_VERSION] = "version",
	[PROXY_TLVS] = "tlvs",
};

static void parse_version(struct parse *parse, const struct yaml_node *node,
			  const char *what, struct service *service)
{
	const char *text;

	/* parse_text() takes no empty text, which would be the name of
	 * SERVICE_PROXY_NONE. */
	if (parse_text(parse, node, what, VERSION_EXPECTED, &text) &&
	    service_proxy_parse(text, &service->proxy) < 0)
		(void)parse_error(parse, node, "%s is %s, expected %s", what,
				  QUOTE(text), VERSION_EXPECTED);
}

/* The type of a TLV, which must not be there before. */
static bool parse_type(struct parse *parse, const struct yaml_node *key,
		       const struct service *service, uint8_t *ret_type)
{
	uint64_t type;

	if (!parse_number(parse, key, "a type in tlvs", SERVICE_TLV_FIRST,
			  SERVICE_TLV_LAST, &type))
		return false;
	for (size_t i = 0; i < service->n_tlvs; i++) {
		if (service->tlvs[i].type == type)
			return parse_error(parse, key,
					   "type %s stands twice in tlvs",
					   QUOTE(key->text));
	}
	*ret_type = (uint8_t)type;
	return true;
}

static void parse_tlv(struct parse *parse, const struct yaml_node *key,
		      struct service *service)
{
	struct service_tlv *tlv = &service->tlvs[service->n_tlvs];
	char problem[TEMPLATE_PROBLEM_MAX];
	const char *text;

	if (!parse_type(parse, key, service, &tlv->type) ||
	    !parse_text(parse, key + 1, "a value in tlvs", "a text", &text))
		return;
	if (template_check(text, problem) < 0) {
		(void)parse_error(parse, key + 1, "a value in tlvs is %s: %s",
				  QUOTE(text), problem);
		return;
	}
	tlv->value = strdup(text);
	if (tlv->value)
		service->n_tlvs++;
	else
		(void)parse_oom(parse);
}

/* How long the texts without templates are: what is filled in comes on top. */
static size_t plain_bytes(const struct service *service)
{
	size_t bytes = 0;

	for (size_t i = 0; i < service->n_tlvs; i++) {
		bytes += SERVICE_TLV_HEAD_BYTES;
		if (!strstr(service->tlvs[i].value, "${"))
			bytes += strlen(service->tlvs[i].value);
	}
	return bytes;
}

static void parse_tlvs(struct parse *parse, const struct yaml_node *node,
		       struct service *service)
{
	if (node->kind != NODE_MAPPING || node->n == 0) {
		(void)parse_error(parse, node,
				  "tlvs is %s, expected a mapping of types and "
				  "texts such as { 0xE0: \"${container}\" }",
				  node->kind == NODE_MAPPING
					  ? "an empty mapping"
					  : FOUND(node));
		return;
	}
	service->tlvs = calloc(SERVICE_TLVS_MAX, sizeof(*service->tlvs));
	service->n_tlvs = 0;
	if (!service->tlvs) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i + 1 < node->n && !parse_full(parse) &&
			   service->n_tlvs < SERVICE_TLVS_MAX;
	     i += 2)
		parse_tlv(parse, &node->items[i], service);
	if (plain_bytes(service) > SERVICE_TLVS_BYTES_MAX)
		(void)parse_error(parse, node,
				  "tlvs are longer than %u bytes, with %u for "
				  "each type and length",
				  SERVICE_TLVS_BYTES_MAX,
				  SERVICE_TLV_HEAD_BYTES);
}

void parse_proxy(struct parse *parse, const struct yaml_node *node,
		 struct service *service, struct action_nodes *ret_nodes)
{
	struct field fields[ARRAY_SIZE(proxy_keys)];
	const struct yaml_node *version, *tlvs;

	ret_nodes->proxy = node;
	if (node->kind != NODE_MAPPING) {
		parse_version(parse, node, "proxy_protocol", service);
		return;
	}
	if (!parse_mapping(parse, node, "proxy_protocol", proxy_keys,
			   ARRAY_SIZE(proxy_keys), fields))
		return;
	version = fields[PROXY_VERSION].value;
	tlvs = fields[PROXY_TLVS].value;
	if (!fields[PROXY_VERSION].key)
		(void)parse_error(parse, node,
				  "proxy_protocol needs \"version\"");
	else
		parse_version(parse, version, "version", service);
	if (!fields[PROXY_TLVS].key)
		return;
	ret_nodes->tlvs = tlvs;
	parse_tlvs(parse, tlvs, service);
	if (service->proxy == SERVICE_PROXY_V1)
		(void)parse_error(parse, tlvs,
				  "tlvs beside version v1, which has no place "
				  "for them; expected v2 or v2+crc32c");
}
