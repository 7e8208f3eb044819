/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - which path is answered by what */
#ifndef WEB_ROUTE_H
#define WEB_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "web/document.h"

/* The most parameters that a path takes. */
#define ROUTE_PARAMETERS 3

/** enum route_kind - how the answer is made */
enum route_kind {
	ROUTE_PAGE, /* it is there from the start */
	ROUTE_REPLY, /* a method of io.berth, its reply as it is */
	ROUTE_CONTAINERS, /* those of all namespaces, of ListNamespaces */
	ROUTE_METRICS, /* ListMetrics, as Prometheus reads it */
};

/**
 * struct route_parameter - of a query
 * @name:	in the query; the last one has none
 * @berthd_name: in the call's parameters
 * @required:	without it there is no answer
 */
struct route_parameter {
	const char *name;
	const char *berthd_name;
	bool required;
};

/**
 * struct route - a path
 * @method:	what berthd is asked, with the interface
 * @array:	the reply's member that may be very long, or NULL
 */
struct route {
	const char *path;
	enum route_kind kind;
	enum document_type type;
	const char *method;
	const char *array;
	struct route_parameter parameters[ROUTE_PARAMETERS + 1];
};

/** route_find() - Return: the route of a path, or NULL: there is none. */
const struct route *route_find(const char *path);

/** route_parameter() - Return: which of its parameters has this name, or -1. */
int route_parameter(const struct route *route, const char *name);

/** route_type_of() - what errors about a path are, also of one that has no
 * route */
enum document_type route_type_of(const char *path);

#endif
