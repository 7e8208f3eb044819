/* SPDX-License-Identifier: Apache-2.0 */
/* query.h - which lines of a sample are shown, and in which order */
#ifndef CTL_TOP_QUERY_H
#define CTL_TOP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/top/model.h"

enum top_order {
	TOP_BY_NAME,
	TOP_BY_STATE, /* the worst first */
	TOP_BY_CONNECTIONS, /* the most first */
	TOP_BY_RATE, /* of connections, the highest first */
	TOP_BY_BYTES, /* both ways per second, the most first */
	TOP_BY_AGE, /* the youngest first */
	TOP_ORDERS, /* how many there are */
};

/**
 * struct top_query - what is asked of a sample
 * @reverse:	the other way round
 * @filter:	a text that the name, place, rule, container or state has, in
 *		either case of ASCII; "": all lines
 */
struct top_query {
	enum top_view view;
	enum top_order order;
	bool reverse;
	const char *filter;
};

/** top_view_name() - Return: such as "namespaces". Static. */
const char *top_view_name(enum top_view view);

/** top_view_parse() - Return: 0; -EINVAL: it is the name of none. */
int top_view_parse(const char *text, enum top_view *ret_view);

/** top_order_name() - Return: such as "rate". Static. */
const char *top_order_name(enum top_order order);

/** top_order_parse() - Return: 0; -EINVAL: it is the name of none. */
int top_order_parse(const char *text, enum top_order *ret_order);

/**
 * top_select() - the lines that are shown
 * @ret_rows:	in order, the caller's to free; what it points to is the
 *		sample's
 *
 * Lines that are alike are in the order of their names, so that they keep their
 * places from sample to sample.
 * Return: 0 or -ENOMEM.
 */
int top_select(const struct top_sample *sample, const struct top_query *query,
	       const struct top_row ***ret_rows, size_t *ret_n);

#endif
