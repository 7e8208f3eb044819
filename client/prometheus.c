// SPDX-License-Identifier: Apache-2.0
/* prometheus.c - berthd's metrics in the text format of Prometheus
 *
 * Theory of operation: the first reply lists the families, in the order of
 * their series. So a series belongs to the family of the one before, or to a
 * later one. A family without a series is not written.
 */
#include "client/prometheus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/* As many digits as a double has, but for those that show how it is rounded. */
#define SECONDS_FORMAT "%.15g"

/**
 * struct prometheus - see the file's head
 * @families:	an array, a reference; NULL: there was no reply yet
 * @at:		the family of the last series
 * @begun:	its head is written
 */
struct prometheus {
	json_t *families;
	size_t at;
	bool begun;
};

json_t *prometheus_parameters(const char *namespaces)
{
	return namespaces ? json_pack("{s:s}", "namespaces", namespaces)
			  : json_object();
}

struct prometheus *prometheus_new(void)
{
	return calloc(1, sizeof(struct prometheus));
}

struct prometheus *prometheus_free(struct prometheus *prometheus)
{
	if (!prometheus)
		return NULL;
	json_decref(prometheus->families);
	free(prometheus);
	return NULL;
}

/* Writes @text so that it ends neither a line nor, with @quote, a string. */
static void write_escaped(const char *text, size_t len, bool quote, FILE *out)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			(void)fputs("\\n", out);
		else if (text[i] == '\\' || (quote && text[i] == '"'))
			(void)fprintf(out, "\\%c", text[i]);
		else
			(void)fputc(text[i], out);
	}
}

static void write_text(const json_t *text, bool quote, FILE *out)
{
	write_escaped(json_string_value(text), json_string_length(text), quote,
		      out);
}

static bool is_name(const char *name, bool colon)
{
	if (!*name || (*name >= '0' && *name <= '9'))
		return false;
	for (; *name; name++) {
		if (!(*name >= 'a' && *name <= 'z') &&
		    !(*name >= 'A' && *name <= 'Z') &&
		    !(*name >= '0' && *name <= '9') && *name != '_' &&
		    !(colon && *name == ':'))
			return false;
	}
	return true;
}

/* A family with what each must have. */
static bool is_family(const json_t *family)
{
	const char *name = json_string_value(json_object_get(family, "name"));
	const char *type = json_string_value(json_object_get(family, "type"));

	return name && is_name(name, true) && type &&
	       (strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
		strcmp(type, "histogram") == 0) &&
	       json_is_string(json_object_get(family, "help"));
}

static int take_families(struct prometheus *prometheus, json_t *families)
{
	json_t *family;
	size_t i;

	if (!json_is_array(families))
		return -EPROTO;
	json_array_foreach (families, i, family) {
		if (!is_family(family))
			return -EPROTO;
	}
	prometheus->families = json_incref(families);
	return 0;
}

static const char *member(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool is_of_family(const json_t *family, const char *series)
{
	static const char *const suffixes[] = { "_bucket", "_sum", "_count" };
	const char *name = member(family, "name");
	size_t len = strlen(name);

	if (strcmp(member(family, "type"), "histogram") != 0)
		return strcmp(series, name) == 0;
	if (strncmp(series, name, len) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (strcmp(series + len, suffixes[i]) == 0)
			return true;
	}
	return false;
}

static void write_head(const json_t *family, FILE *out)
{
	const char *name = member(family, "name");

	(void)fprintf(out, "# HELP %s ", name);
	write_text(json_object_get(family, "help"), false, out);
	(void)fprintf(out, "\n# TYPE %s %s\n", name, member(family, "type"));
}

/* Finds the family of @series, and writes its head before its first one. */
static int go_to_family(struct prometheus *prometheus, const char *series,
			FILE *out)
{
	const json_t *family;

	while ((family =
			json_array_get(prometheus->families, prometheus->at)) &&
	       !is_of_family(family, series)) {
		prometheus->at++;
		prometheus->begun = false;
	}
	if (!family)
		return -EPROTO;
	if (!prometheus->begun)
		write_head(family, out);
	prometheus->begun = true;
	return 0;
}

static int write_labels(const json_t *fields, FILE *out)
{
	bool first = true;
	const char *key;
	json_t *value;

	/* The macro wants one that is not const, and changes nothing. */
	json_object_foreach ((json_t *)fields, key, value) {
		if (!is_name(key, false) || !json_is_string(value))
			return -EPROTO;
		(void)fprintf(out, "%s%s=\"", first ? "{" : ",", key);
		write_text(value, true, out);
		(void)fputc('"', out);
		first = false;
	}
	if (!first)
		(void)fputc('}', out);
	return 0;
}

static int write_series(struct prometheus *prometheus, const json_t *metric,
			FILE *out)
{
	const char *name = member(metric, "name");
	const json_t *fields = json_object_get(metric, "fields");
	const json_t *value = json_object_get(metric, "value");

	if (!name || !json_is_number(value) ||
	    (fields && !json_is_null(fields) && !json_is_object(fields)))
		return -EPROTO;
	if (go_to_family(prometheus, name, out) < 0)
		return -EPROTO;
	(void)fputs(name, out);
	if (write_labels(fields, out) < 0)
		return -EPROTO;
	if (json_is_integer(value))
		(void)fprintf(out, " %" JSON_INTEGER_FORMAT "\n",
			      json_integer_value(value));
	else
		(void)fprintf(out, " " SECONDS_FORMAT "\n",
			      json_real_value(value));
	return 0;
}

int prometheus_add(struct prometheus *prometheus, const json_t *parameters,
		   FILE *out)
{
	json_t *metrics = json_object_get(parameters, "metrics"), *metric;
	size_t i;
	int r = 0;

	if (!prometheus->families)
		r = take_families(prometheus,
				  json_object_get(parameters, "families"));
	if (r == 0 && !json_is_array(metrics))
		r = -EPROTO;
	json_array_foreach (metrics, i, metric) {
		if (r == 0)
			r = write_series(prometheus, metric, out);
	}
	return r;
}
