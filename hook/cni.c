// SPDX-License-Identifier: Apache-2.0
/* cni.c - what a runtime asks of a CNI plugin, and what it is answered */
#include "hook/cni.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/util.h"

#define VERSION_KEY "cniVersion"
#define ANNOTATIONS "io.kubernetes.cri.pod-annotations"

/* The result of the plugins before is passed on as it is, so no version is
 * refused; these are known to be right. */
static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0",
					"1.1.0" };

static const char *const commands[] = {
	[CNI_ADD] = "ADD", [CNI_DEL] = "DEL",	    [CNI_CHECK] = "CHECK",
	[CNI_GC] = "GC",   [CNI_STATUS] = "STATUS", [CNI_VERSION] = "VERSION",
};

enum cni_command cni_command(const struct cni_env *env)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (env->command && strcmp(env->command, commands[i]) == 0)
			return (enum cni_command)i;
	}
	return CNI_UNKNOWN;
}

/* CNI_ARGS: KEY=VALUE;KEY=VALUE. */
static void add_args(struct facts *facts, char *args)
{
	char *rest = args, *pair;

	while ((pair = strsep(&rest, ";"))) {
		const char *key = strsep(&pair, "=");

		if (!pair)
			continue;
		if (strcmp(key, "K8S_POD_NAME") == 0)
			facts_set_name(facts, pair);
		else if (strcmp(key, "K8S_POD_NAMESPACE") == 0)
			facts_set_pod_namespace(facts, pair);
	}
}

/* The convention for labels that a runtime passes to all plugins. */
static void add_labels(struct facts *facts, const json_t *conf)
{
	const json_t *args =
		json_object_get(json_object_get(conf, "args"), "cni");
	const json_t *labels = json_object_get(args, "labels");
	json_t *label;
	size_t i;

	json_array_foreach (labels, i, label) {
		const char *key =
			json_string_value(json_object_get(label, "key"));

		if (key)
			facts_add_label(facts, key,
					json_object_get(label, "value"));
	}
}

const char *cni_network_label(void)
{
	return "berth.io/cni-network";
}

int cni_facts(const struct cni_env *env, const json_t *conf, char *args,
	      const struct prefixes *prefixes, struct facts *ret_facts)
{
	const json_t *runtime = json_object_get(conf, "runtimeConfig");
	struct facts facts;
	int r = facts_init(&facts, env->container_id, "cni");

	if (r < 0)
		return r;
	add_labels(&facts, conf);
	facts_add_annotations(&facts, json_object_get(runtime, ANNOTATIONS),
			      prefixes);
	facts_add_label(&facts, cni_network_label(),
			json_object_get(conf, "name"));
	add_args(&facts, args);
	*ret_facts = facts;
	return 0;
}

bool cni_is_valid(const json_t *conf, const char *container_id)
{
	const json_t *valid =
		json_object_get(conf, "cni.dev/valid-attachments");
	json_t *one;
	size_t i;

	if (!json_is_array(valid))
		return true;
	json_array_foreach (valid, i, one) {
		const char *id =
			json_string_value(json_object_get(one, "containerID"));

		if (id && strcmp(id, container_id) == 0)
			return true;
	}
	return false;
}

static const char *version_of(const json_t *conf)
{
	const char *version =
		json_string_value(json_object_get(conf, VERSION_KEY));

	return version ? version : versions[ARRAY_SIZE(versions) - 1];
}

json_t *cni_result(const json_t *conf)
{
	json_t *result = json_object_get(conf, "prevResult");

	if (!json_is_object(result))
		return json_pack("{s:s}", VERSION_KEY, version_of(conf));
	if (!json_object_get(result, VERSION_KEY) &&
	    json_object_set_new(result, VERSION_KEY,
				json_string(version_of(conf))) < 0)
		return NULL;
	return json_incref(result);
}

json_t *cni_versions(const json_t *conf)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (json_array_append_new(list, json_string(versions[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:s, s:o}", VERSION_KEY, version_of(conf),
			 "supportedVersions", list);
}

json_t *cni_failure(const json_t *conf, enum cni_error code,
		    const char *message)
{
	return json_pack("{s:s, s:i, s:s}", VERSION_KEY, version_of(conf),
			 "code", (int)code, "msg", message);
}
