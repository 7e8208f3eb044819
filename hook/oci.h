/* SPDX-License-Identifier: Apache-2.0 */
/* oci.h - what an OCI runtime tells a hook: a container's state and bundle */
#ifndef HOOK_OCI_H
#define HOOK_OCI_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/**
 * struct oci_state - the state that a runtime writes to a hook; all borrowed
 * @bundle:	the folder with config.json; NULL: it is not told
 * @ended:	the container is no more: the stage is poststop
 * @pid:	of its first process; 0: not told
 * @annotations: an object, or NULL
 */
struct oci_state {
	const char *id;
	const char *bundle;
	bool ended;
	pid_t pid;
	const json_t *annotations;
};

/**
 * oci_state_parse() - the state
 * @state:	as it was read
 *
 * The stage is told by the state's status, so one line of hooks.d serves all.
 * Return: 0; -EINVAL: it has no id or status.
 */
int oci_state_parse(const json_t *state, struct oci_state *ret_state);

/** enum oci_network - where a container's network is */
enum oci_network {
	OCI_NETWORK_SHARED, /* it has the namespace of its runtime, the host's
			     */
	OCI_NETWORK_OWN, /* it has one, without a path: that of its process */
	OCI_NETWORK_PATH, /* it has the one of a path */
};

/**
 * oci_network() - what config.json says of the network
 * @config:	as it was read
 * @ret_path:	set for OCI_NETWORK_PATH only; borrowed, absolute
 */
enum oci_network oci_network(const json_t *config, const char **ret_path);

#endif
