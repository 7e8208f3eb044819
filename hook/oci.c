// SPDX-License-Identifier: Apache-2.0
/* oci.c - what an OCI runtime tells a hook: a container's state and bundle */
#include "hook/oci.h"

#include <errno.h>
#include <string.h>

/* The kernel's own limit of pids. */
#define PID_LIMIT (1 << 22)

int oci_state_parse(const json_t *state, struct oci_state *ret_state)
{
	const char *id = json_string_value(json_object_get(state, "id"));
	const char *status =
		json_string_value(json_object_get(state, "status"));
	const json_t *annotations = json_object_get(state, "annotations");
	json_int_t pid = json_integer_value(json_object_get(state, "pid"));

	if (!id || !*id || !status)
		return -EINVAL;
	*ret_state = (struct oci_state){
		.id = id,
		.bundle = json_string_value(json_object_get(state, "bundle")),
		.ended = strcmp(status, "stopped") == 0,
		.pid = pid > 0 && pid <= PID_LIMIT ? (pid_t)pid : 0,
		.annotations = json_is_object(annotations) ? annotations : NULL,
	};
	return 0;
}

enum oci_network oci_network(const json_t *config, const char **ret_path)
{
	const json_t *namespaces =
		json_object_get(json_object_get(config, "linux"), "namespaces");
	json_t *namespace;
	size_t i;

	json_array_foreach (namespaces, i, namespace) {
		const char *type =
			json_string_value(json_object_get(namespace, "type"));
		const char *path =
			json_string_value(json_object_get(namespace, "path"));

		if (!type || strcmp(type, "network") != 0)
			continue;
		if (!path || path[0] != '/')
			return OCI_NETWORK_OWN;
		*ret_path = path;
		return OCI_NETWORK_PATH;
	}
	return OCI_NETWORK_SHARED;
}
