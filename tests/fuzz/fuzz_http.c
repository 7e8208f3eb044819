// SPDX-License-Identifier: Apache-2.0
/* fuzz_http.c - requests of any bytes, with http_parser as the oracle
 *
 * What the relay takes http_parser takes, too, with the same method, target,
 * fields and body, and the same end. What the backend gets has one meaning: it
 * is taken again, says the same to the oracle, has what is set once and nothing
 * like it, and stays as it is when it is written anew. A path that a prefix
 * lets through is below it, however a server reads it. The other way round
 * nothing is asked: http_parser is lenient.
 */
#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Both have an enum of this name. */
#define http_status oracle_status
#include <http_parser.h>
#undef http_status

#include "common/util.h"
#include "relay/http/http_allow.h"
#include "relay/http/http_read.h"
#include "relay/http/http_rewrite.h"

#define MAX 4096u
#define ROOM (2 * MAX) /* what is set makes it longer */
#define PREFIX "/public"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_header set[] = {
	{ "X-Forwarded-For", "10.0.0.1", 8 },
	{ "X-Network", "net", 3 },
};
static const char *const removed[] = { "X-Instance" };
static const struct http_changes changes = { set, ARRAY_SIZE(set), removed,
					     ARRAY_SIZE(removed) };

/* What the oracle sees, piece by piece; each text ends with a NUL. */
static struct {
	char target[ROOM];
	size_t target_len;
	char names[HTTP_FIELDS_MAX + 2][ROOM];
	char values[HTTP_FIELDS_MAX + 2][ROOM];
	size_t n_fields;
	bool in_value;
	char body[ROOM];
	size_t body_len;
	bool head_whole;
	bool whole;
} seen;

static int on_url(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	memcpy(seen.target + seen.target_len, at, len);
	seen.target_len += len;
	return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	if (seen.head_whole) /* a trailer */
		return 0;
	if (seen.n_fields == 0 || seen.in_value) {
		assert(seen.n_fields < ARRAY_SIZE(seen.names));
		seen.names[seen.n_fields][0] = '\0';
		seen.values[seen.n_fields][0] = '\0';
		seen.n_fields++;
	}
	seen.in_value = false;
	strncat(seen.names[seen.n_fields - 1], at, len);
	return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	if (seen.head_whole)
		return 0;
	seen.in_value = true;
	strncat(seen.values[seen.n_fields - 1], at, len);
	return 0;
}

static int on_head(http_parser *parser)
{
	(void)parser;
	seen.head_whole = true;
	return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	memcpy(seen.body + seen.body_len, at, len);
	seen.body_len += len;
	return 0;
}

static int on_whole(http_parser *parser)
{
	(void)parser;
	assert(!seen.whole);
	seen.whole = true;
	return 0;
}

static enum http_errno ask_oracle(const char *data, size_t len, bool *ret_all)
{
	http_parser_settings settings;
	http_parser parser;

	http_parser_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_header_field = on_field;
	settings.on_header_value = on_value;
	settings.on_headers_complete = on_head;
	settings.on_body = on_body;
	settings.on_message_complete = on_whole;
	http_parser_init(&parser, HTTP_REQUEST);
	seen.target_len = 0;
	seen.n_fields = 0;
	seen.in_value = false;
	seen.body_len = 0;
	seen.head_whole = false;
	seen.whole = false;
	*ret_all = http_parser_execute(&parser, &settings, data, len) == len;
	seen.target[seen.target_len] = '\0';
	return HTTP_PARSER_ERRNO(&parser);
}

/* The request as the oracle can read it: it takes no tab around a length, and
 * no method that it does not know. */
static size_t for_oracle(const struct http_request *request, const char *data,
			 bool method, char *copy)
{
	size_t skipped = method ? 0 : request->method.len;
	char *at = method ? copy : stpcpy(copy, "PUT");

	memcpy(at, data + skipped, request->line_at - skipped);
	at -= skipped; /* so that offsets are those of the request */
	for (size_t i = 0; i < request->n_fields; i++) {
		const struct http_field *field = &request->fields[i];
		size_t end = field->value.at + field->value.len;

		for (size_t j = field->name.at + field->name.len + 1;
		     j < field->value.at; j++)
			at[j] = at[j] == '\t' ? ' ' : at[j];
		for (; at[end] == '\t' || at[end] == ' '; end++)
			at[end] = ' ';
	}
	return (size_t)(at + request->line_at - copy);
}

static bool span_is(const char *data, struct http_span span, const char *text)
{
	size_t len = strlen(text);

	while (len > span.len && (text[len - 1] == ' '))
		len--; /* the oracle leaves blanks behind a value */
	return len == span.len && memcmp(data + span.at, text, len) == 0;
}

static void check_oracle(const struct http_request *request, const char *data)
{
	static char copy[ROOM];
	bool all;
	size_t len = for_oracle(request, data, true, copy);
	enum http_errno error = ask_oracle(copy, len, &all);

	if (error == HPE_INVALID_METHOD) {
		len = for_oracle(request, data, false, copy);
		error = ask_oracle(copy, len, &all);
	}
	assert(error == HPE_OK && all && seen.whole);
	assert(span_is(data, request->target, seen.target));
	assert(seen.n_fields == request->n_fields);
	for (size_t i = 0; i < seen.n_fields; i++) {
		assert(span_is(data, request->fields[i].name, seen.names[i]));
		assert(span_is(data, request->fields[i].value, seen.values[i]));
	}
	assert(seen.body_len == request->body_size);
}

/* It takes each name that only begins with Transfer-Encoding for that, and
 * misses the chunks. */
static bool oracle_errs(const struct http_request *request, const char *data)
{
	static const char name[] = "Transfer-Encoding";

	for (size_t i = 0; i < request->n_fields; i++) {
		struct http_span span = request->fields[i].name;

		if (span.len > strlen(name) &&
		    strncasecmp(data + span.at, name, strlen(name)) == 0)
			return true;
	}
	return false;
}

/* Bytes may come one by one. */
static void check_slow(const struct http_request *request,
		       enum http_verdict verdict, const char *data, size_t len)
{
	struct http_request slow = { 0 };
	enum http_verdict slow_verdict = HTTP_MORE;

	for (size_t n = 0; n <= len && slow_verdict == HTTP_MORE; n++)
		slow_verdict = http_read(&slow, data, n, MAX);
	assert(slow_verdict == verdict);
	assert(slow.status == request->status);
	assert(verdict != HTTP_WHOLE ||
	       memcmp(&slow, request, sizeof(slow)) == 0);
}

/* As CGI makes a variable of it. */
static int as_variable(char c)
{
	return isalnum((unsigned char)c) ? toupper((unsigned char)c) : '_';
}

static size_t count_like(const struct http_request *request, const char *data,
			 const char *name)
{
	size_t n = 0, len = strlen(name), j;

	for (size_t i = 0; i < request->n_fields; i++) {
		struct http_span span = request->fields[i].name;

		for (j = 0; j < span.len && j < len; j++) {
			if (as_variable(data[span.at + j]) !=
			    as_variable(name[j]))
				break;
		}
		n += j == span.len && j == len;
	}
	return n;
}

static void check_rewritten(const struct http_request *request,
			    const char *data)
{
	static char first[ROOM], again[ROOM], body[ROOM];
	struct http_request rewritten = { 0 };
	size_t body_len = seen.body_len;
	ssize_t len = http_rewrite(request, data, &changes, first, ROOM);
	enum http_verdict verdict;

	assert(len > 0);
	memcpy(body, seen.body, body_len);
	verdict = http_read(&rewritten, first, (size_t)len, ROOM);
	if (verdict == HTTP_REFUSED &&
	    request->n_fields + ARRAY_SIZE(set) + 1 > HTTP_FIELDS_MAX)
		return; /* with those that are set it has too many */
	assert(verdict == HTTP_WHOLE);
	assert(rewritten.line_at == (size_t)len);
	assert(!rewritten.chunked && rewritten.minor == request->minor);
	assert(rewritten.has_body == request->has_body);
	assert(rewritten.body_size == body_len);
	assert(memcmp(first + rewritten.body.at, body, body_len) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(set); i++)
		assert(count_like(&rewritten, first, set[i].name) == 1);
	assert(count_like(&rewritten, first, removed[0]) == 0);
	assert(count_like(&rewritten, first, "Connection") == 1);
	assert(count_like(&rewritten, first, "Upgrade") == 0);
	assert(count_like(&rewritten, first, "Host") == request->has_host);
	check_oracle(&rewritten, first);
	assert(memcmp(seen.body, body, body_len) == 0);
	assert(http_rewrite(&rewritten, first, &changes, again, ROOM) == len);
	assert(memcmp(first, again, (size_t)len) == 0);
}

/* Paths, as lenient servers read them */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef",
		   *digit = strchr(digits, c | 32);

	return c && digit ? (int)(digit - digits) : -1;
}

static void decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		*to = *text;
		if (*text == '%' && hex_digit(text[1]) >= 0 &&
		    hex_digit(text[2]) >= 0) {
			*to = (char)(hex_digit(text[1]) * 16 +
				     hex_digit(text[2]));
			text += 2;
		}
		if (*to == '\\')
			*to = '/';
		to++;
	}
	*to = '\0';
}

/* Without empty segments, parameters, "." and "..". */
static void resolve(char *path)
{
	char copy[ROOM], *rest = copy, *segment, *to = path;

	memcpy(copy, path, strlen(path) + 1);
	*to = '\0';
	while ((segment = strsep(&rest, "/"))) {
		segment[strcspn(segment, ";")] = '\0';
		if (!*segment || strcmp(segment, ".") == 0)
			continue;
		if (strcmp(segment, "..") == 0) {
			char *slash = strrchr(path, '/');

			if (slash)
				*(to = slash) = '\0';
			continue;
		}
		*to++ = '/';
		to = stpcpy(to, segment);
	}
}

static void check_path(struct http_request *request, const char *data)
{
	static const char *const prefixes[] = { PREFIX };
	const struct http_allowed allowed = { .paths = prefixes, .n_paths = 1 };
	char path[ROOM];
	size_t len = request->origin.len;

	if (!http_allow(request, data, &allowed))
		return;
	memcpy(path, data + request->origin.at, len);
	path[len] = '\0';
	path[strcspn(path, "?")] = '\0';
	for (int i = 0; i < 3; i++) {
		resolve(path);
		assert(strncmp(path, PREFIX, strlen(PREFIX)) == 0);
		assert(strchr("/", path[strlen(PREFIX)]));
		decode(path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;
	struct http_request request = { 0 };
	enum http_verdict verdict = http_read(&request, data, size, MAX);

	check_slow(&request, verdict, data, size);
	if (verdict != HTTP_WHOLE || oracle_errs(&request, data))
		return 0;
	assert(request.line_at <= size && request.line_at <= MAX);
	check_oracle(&request, data);
	check_rewritten(&request, data);
	check_path(&request, data);
	return 0;
}
