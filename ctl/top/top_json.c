// SPDX-License-Identifier: Apache-2.0
/* top_json.c - a sample of `berthctl top` as JSON */
#include "ctl/top/top_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>

#include "common/utf8.h"
#include "common/util.h"
#include "ctl/top/query.h"

/* Three digits are all that a count over a second or two has. */
static json_t *rate_json(double rate)
{
	const double digits = 1000;

	return json_real((double)(int64_t)(rate * digits + 0.5) / digits);
}

static json_t *text_json(const char *text)
{
	_cleanup_free_ char *escaped = utf8_escape(text);

	return escaped ? json_string(escaped) : NULL;
}

static json_t *counts_json(const struct top_row *row)
{
	if (!row->counted)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I}", "active",
			 (json_int_t)row->counts.active, "accepted",
			 (json_int_t)row->counts.accepted, "bytes_in",
			 (json_int_t)row->counts.bytes_in, "bytes_out",
			 (json_int_t)row->counts.bytes_out);
}

static json_t *rates_json(const struct top_row *row)
{
	if (!row->rated)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "accepted",
			 rate_json(row->rates.accepted), "bytes_in",
			 rate_json(row->rates.bytes_in), "bytes_out",
			 rate_json(row->rates.bytes_out));
}

static json_t *row_json(const struct top_row *row)
{
	return json_pack(
		"{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, "
		"s:I, s:o, s:o}",
		"id", (json_int_t)row->id, "name", text_json(row->name),
		"namespace", text_json(row->place), "container",
		text_json(row->container), "rule", text_json(row->rule),
		"state", text_json(row->state), "detail",
		text_json(row->detail), "listening", (json_int_t)row->listening,
		"failures", (json_int_t)row->failures, "clients",
		(json_int_t)row->clients, "age_us", (json_int_t)row->age_us,
		"counters", counts_json(row), "per_second", rates_json(row));
}

static json_t *view_json(const struct top_sample *sample, enum top_view view)
{
	json_t *array = json_array();
	const struct top_query query = { .view = view, .filter = "" };
	_cleanup_free_ const struct top_row **rows = NULL;
	size_t n;
	int r = array ? top_select(sample, &query, &rows, &n) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = json_array_append_new(array, row_json(rows[i]));
	if (r == 0)
		return array;
	json_decref(array);
	return NULL;
}

int top_json_print(const struct top_sample *sample, FILE *out)
{
	json_t *whole = json_pack("{s:o, s:o}", "seconds",
				  rate_json(top_sample_seconds(sample)),
				  "total", row_json(top_sample_total(sample)));
	int r = whole ? 0 : -ENOMEM;

	for (enum top_view view = 0; r == 0 && view < TOP_VIEWS; view++) {
		if (json_object_set_new(whole, top_view_name(view),
					view_json(sample, view)) < 0)
			r = -ENOMEM;
	}
	if (r == 0 && (json_dumpf(whole, out, JSON_INDENT(2)) < 0 ||
		       fputc('\n', out) == EOF))
		r = -EIO;
	json_decref(whole);
	return r;
}
