// SPDX-License-Identifier: Apache-2.0
/* query.c - which lines of a sample are shown, and in which order */
#include "ctl/top/query.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

static const char *const view_names[] = {
	[TOP_NAMESPACES] = "namespaces",
	[TOP_CONTAINERS] = "containers",
	[TOP_LISTENERS] = "listeners",
	[TOP_BACKENDS] = "backends",
};

static const char *const order_names[] = {
	[TOP_BY_NAME] = "name",
	[TOP_BY_STATE] = "state",
	[TOP_BY_CONNECTIONS] = "connections",
	[TOP_BY_RATE] = "rate",
	[TOP_BY_BYTES] = "bytes",
	[TOP_BY_AGE] = "age",
};

static_assert(ARRAY_SIZE(view_names) == TOP_VIEWS, "a view without a name");
static_assert(ARRAY_SIZE(order_names) == TOP_ORDERS, "an order without a name");

const char *top_view_name(enum top_view view)
{
	return view_names[view];
}

const char *top_order_name(enum top_order order)
{
	return order_names[order];
}

static int find_name(const char *const *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], text) == 0)
			return (int)i;
	}
	return -EINVAL;
}

int top_view_parse(const char *text, enum top_view *ret_view)
{
	int view = find_name(view_names, TOP_VIEWS, text);

	if (view < 0)
		return -EINVAL;
	*ret_view = (enum top_view)view;
	return 0;
}

int top_order_parse(const char *text, enum top_order *ret_order)
{
	int order = find_name(order_names, TOP_ORDERS, text);

	if (order < 0)
		return -EINVAL;
	*ret_order = (enum top_order)order;
	return 0;
}

static bool matches(const struct top_row *row, const char *filter)
{
	return !*filter || strcasestr(row->name, filter) ||
	       strcasestr(row->place, filter) ||
	       strcasestr(row->rule, filter) ||
	       strcasestr(row->container, filter) ||
	       strcasestr(row->state, filter);
}

/* Of two numbers: the greater one first. */
static int descending(double x, double y)
{
	return x > y ? -1 : x < y;
}

static int compare_by(enum top_order order, const struct top_row *x,
		      const struct top_row *y)
{
	switch (order) {
	case TOP_BY_STATE:
		return descending(top_state_rank(x->state),
				  top_state_rank(y->state));
	case TOP_BY_CONNECTIONS:
		return descending((double)(x->counts.active + x->clients),
				  (double)(y->counts.active + y->clients));
	case TOP_BY_RATE:
		return descending(x->rates.accepted, y->rates.accepted);
	case TOP_BY_BYTES:
		return descending(x->rates.bytes_in + x->rates.bytes_out,
				  y->rates.bytes_in + y->rates.bytes_out);
	case TOP_BY_AGE:
		return descending((double)y->age_us, (double)x->age_us);
	case TOP_BY_NAME:
	case TOP_ORDERS:
		return 0;
	}
	return 0;
}

static int compare_names(const struct top_row *x, const struct top_row *y)
{
	int order = strverscmp(x->name, y->name);

	if (order == 0)
		order = strverscmp(x->place, y->place);
	if (order == 0)
		order = strcmp(x->rule, y->rule);
	if (order == 0)
		order = x->id < y->id ? -1 : x->id > y->id;
	return order;
}

static int compare(const void *a, const void *b, void *user_data)
{
	const struct top_row *const *x = a, *const *y = b;
	const struct top_query *query = user_data;
	int order = compare_by(query->order, *x, *y);

	if (query->reverse && query->order == TOP_BY_NAME)
		return compare_names(*y, *x);
	if (order == 0)
		return compare_names(*x, *y);
	return query->reverse ? -order : order;
}

int top_select(const struct top_sample *sample, const struct top_query *query,
	       const struct top_row ***ret_rows, size_t *ret_n)
{
	struct top_query how = *query;
	const struct top_row *rows, **list;
	size_t n, kept = 0;

	rows = top_sample_rows(sample, query->view, &n);
	list = calloc(n + 1, sizeof(list[0]));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (matches(&rows[i], query->filter))
			list[kept++] = &rows[i];
	}
	qsort_r(list, kept, sizeof(list[0]), compare, &how);
	*ret_rows = list;
	*ret_n = kept;
	return 0;
}
