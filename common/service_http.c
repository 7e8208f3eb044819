// SPDX-License-Identifier: Apache-2.0
/* service_http.c - what `forward: http` does with the request of a connection
 */
#include "common/service_http.h"

#include <stdlib.h>
#include <string.h>

#include "common/rate_limit.h"
#include "common/text.h"
#include "common/util.h"

struct service_http *service_http_new(void)
{
	return calloc(1, sizeof(struct service_http));
}

static void texts_free(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

struct service_http *service_http_free(struct service_http *http)
{
	if (!http)
		return NULL;
	for (size_t i = 0; i < http->n_set; i++) {
		free(http->set[i].name);
		free(http->set[i].value);
	}
	free(http->set);
	texts_free(http->remove, http->n_remove);
	texts_free(http->paths, http->n_paths);
	texts_free(http->hosts, http->n_hosts);
	free(http->rates);
	free(http);
	return NULL;
}

/* Return: 0 or -ENOMEM. *ret_n counts what is in *ret_texts even then. */
static int texts_copy(char *const *texts, size_t n, char ***ret_texts,
		      size_t *ret_n)
{
	if (n == 0)
		return 0;
	*ret_texts = calloc(n, sizeof(**ret_texts));
	if (!*ret_texts)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		(*ret_texts)[i] = strdup(texts[i]);
		if (!(*ret_texts)[i])
			return -ENOMEM;
		(*ret_n)++;
	}
	return 0;
}

static int set_copy(const struct service_http *http, struct service_http *copy)
{
	if (http->n_set == 0)
		return 0;
	copy->set = calloc(http->n_set, sizeof(*copy->set));
	if (!copy->set)
		return -ENOMEM;
	for (size_t i = 0; i < http->n_set; i++) {
		struct service_header *header = &copy->set[copy->n_set++];

		header->name = strdup(http->set[i].name);
		header->value = strdup(http->set[i].value);
		if (!header->name || !header->value)
			return -ENOMEM;
	}
	return 0;
}

struct service_http *service_http_copy(const struct service_http *http)
{
	struct service_http *copy = service_http_new();
	bool failed = false;

	if (!copy)
		return NULL;
	copy->request_timeout_ms = http->request_timeout_ms;
	copy->response_timeout_ms = http->response_timeout_ms;
	copy->max_request = http->max_request;
	copy->rates = rate_limits_copy(http->rates, http->n_rates, &failed);
	copy->n_rates = http->n_rates;
	if (failed || set_copy(http, copy) < 0 ||
	    texts_copy(http->remove, http->n_remove, &copy->remove,
		       &copy->n_remove) < 0 ||
	    texts_copy(http->paths, http->n_paths, &copy->paths,
		       &copy->n_paths) < 0 ||
	    texts_copy(http->hosts, http->n_hosts, &copy->hosts,
		       &copy->n_hosts) < 0)
		return service_http_free(copy);
	return copy;
}

bool service_http_equal(const struct service_http *a,
			const struct service_http *b)
{
	if (!a || !b)
		return a == b;
	if (a->n_set != b->n_set ||
	    a->request_timeout_ms != b->request_timeout_ms ||
	    a->response_timeout_ms != b->response_timeout_ms ||
	    a->max_request != b->max_request ||
	    !rate_limits_equal(a->rates, a->n_rates, b->rates, b->n_rates))
		return false;
	for (size_t i = 0; i < a->n_set; i++) {
		if (strcmp(a->set[i].name, b->set[i].name) != 0 ||
		    strcmp(a->set[i].value, b->set[i].value) != 0)
			return false;
	}
	return texts_equal(a->remove, a->n_remove, b->remove, b->n_remove) &&
	       texts_equal(a->paths, a->n_paths, b->paths, b->n_paths) &&
	       texts_equal(a->hosts, a->n_hosts, b->hosts, b->n_hosts);
}

static size_t texts_bytes(char *const *texts, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(texts[i]);
	return bytes;
}

size_t service_http_bytes(const struct service_http *http)
{
	size_t bytes = texts_bytes(http->remove, http->n_remove) +
		       texts_bytes(http->paths, http->n_paths) +
		       texts_bytes(http->hosts, http->n_hosts);

	for (size_t i = 0; i < http->n_set; i++)
		bytes += strlen(http->set[i].name) + strlen(http->set[i].value);
	return bytes;
}

enum service_value_part
service_value_next(const char **value, const char **ret_text, size_t *ret_len)
{
	static const struct {
		const char *text;
		enum service_value_part part;
	} parts[] = {
		{ "${client}", SERVICE_VALUE_CLIENT },
		{ "${client_port}", SERVICE_VALUE_CLIENT_PORT },
		{ "${local}", SERVICE_VALUE_LOCAL },
	};
	const char *text = *value;
	size_t len = strcspn(text, "$");

	if (len == 0 && *text == '\0')
		return SERVICE_VALUE_END;
	if (len == 0 && text[1] == '$') {
		*ret_text = text;
		*ret_len = 1;
		*value = text + 2;
		return SERVICE_VALUE_TEXT;
	}
	if (len > 0) {
		*ret_text = text;
		*ret_len = len;
		*value = text + len;
		return SERVICE_VALUE_TEXT;
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		len = strlen(parts[i].text);
		if (strncmp(text, parts[i].text, len) == 0) {
			*value = text + len;
			return parts[i].part;
		}
	}
	return SERVICE_VALUE_BAD;
}
