// SPDX-License-Identifier: Apache-2.0
/* route.c - which path is answered by what */
#include "web/route.h"

#include <string.h>

#include "client/prometheus.h"
#include "common/util.h"

#define API "/api/v1/"

static const struct route routes[] = {
	{ .path = "/", .kind = ROUTE_PAGE, .type = DOCUMENT_HTML },
	{ .path = "/metrics",
	  .kind = ROUTE_METRICS,
	  .type = DOCUMENT_METRICS,
	  .method = PROMETHEUS_METHOD,
	  .parameters = { { "namespaces", "namespaces", false } } },
	{ .path = API "status",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.GetStatus" },
	{ .path = API "namespaces",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListNamespaces",
	  .array = "namespaces" },
	{ .path = API "containers",
	  .kind = ROUTE_CONTAINERS,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListNamespaces" },
	{ .path = API "listeners",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListListeners",
	  .array = "listeners",
	  .parameters = { { "namespace", "namespace", false } } },
	{ .path = API "connections",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListConnections",
	  .array = "connections",
	  .parameters = { { "target", "target", false },
			  { "namespace", "namespace", false },
			  { "rule", "rule", false } } },
	{ .path = API "rules",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListRules",
	  .array = "rules" },
	{ .path = API "backends",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListBackends",
	  .array = "backends",
	  .parameters = { { "rule", "rule", false } } },
	{ .path = API "consumers",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.ListConsumers" },
	{ .path = API "stats",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.GetStats",
	  .array = "rules" },
	{ .path = API "explain",
	  .kind = ROUTE_REPLY,
	  .type = DOCUMENT_JSON,
	  .method = "io.berth.Explain",
	  .parameters = { { "name", "namespace", true } } },
};

const struct route *route_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(path, routes[i].path) == 0)
			return &routes[i];
	}
	return NULL;
}

int route_parameter(const struct route *route, const char *name)
{
	const struct route_parameter *parameters = route->parameters;

	for (int i = 0; parameters[i].name; i++) {
		if (strcmp(name, parameters[i].name) == 0)
			return i;
	}
	return -1;
}

enum document_type route_type_of(const char *path)
{
	return strncmp(path, "/api/", strlen("/api/")) == 0 ? DOCUMENT_JSON
							    : DOCUMENT_TEXT;
}
