/* SPDX-License-Identifier: Apache-2.0 */
/* cni.h - what a runtime asks of a CNI plugin, and what it is answered */
#ifndef HOOK_CNI_H
#define HOOK_CNI_H

#include <jansson.h>
#include <stddef.h>

#include "hook/facts.h"

/** enum cni_command - CNI_COMMAND */
enum cni_command {
	CNI_ADD,
	CNI_DEL,
	CNI_CHECK,
	CNI_GC,
	CNI_STATUS,
	CNI_VERSION,
	CNI_UNKNOWN,
};

/** struct cni_env - the environment that CNI speaks by; NULL: not set */
struct cni_env {
	const char *command;
	const char *container_id;
	const char *netns;
	const char *args;
};

/** enum cni_error - the error codes of the specification that are used */
enum cni_error {
	CNI_ERROR_ENVIRONMENT = 4,
	CNI_ERROR_DECODE = 6,
};

/** cni_command() - Return: which one is asked for; CNI_UNKNOWN. */
enum cni_command cni_command(const struct cni_env *env);

/**
 * cni_facts() - what a call says of a container
 * @env, @conf:	borrowed by the facts
 * @args:	a copy of CNI_ARGS that is cut into pieces; borrowed, too
 * @prefixes:	which annotations become labels
 * @ret_facts:	to be freed with facts_done()
 *
 * The container's id is CNI_CONTAINERID, as in the list of cni_is_valid();
 * runtimes tell the same again in K8S_POD_INFRA_CONTAINER_ID.
 * Return: 0; -ENOMEM.
 */
int cni_facts(const struct cni_env *env, const json_t *conf, char *args,
	      const struct prefixes *prefixes, struct facts *ret_facts);

/**
 * cni_network_label() - the label by which GC knows the containers of a network
 * Return: its key.
 */
const char *cni_network_label(void);

/** cni_is_valid() - Return: is @container_id among those that a GC keeps? All
 * are if the configuration has no list. */
bool cni_is_valid(const json_t *conf, const char *container_id);

/**
 * cni_result() - what ADD answers: the result of the plugins before, unchanged
 * Return: a new reference; NULL: no memory.
 */
json_t *cni_result(const json_t *conf);

/** cni_versions() - what VERSION answers. Return: as cni_result(). */
json_t *cni_versions(const json_t *conf);

/** cni_failure() - an error as CNI has them. Return: as cni_result(). */
json_t *cni_failure(const json_t *conf, enum cni_error code,
		    const char *message);

#endif
