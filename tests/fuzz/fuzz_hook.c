// SPDX-License-Identifier: Apache-2.0
/* fuzz_hook.c - what a runtime gives berth-hook, of any bytes: a state, a
 * config.json, a CNI configuration, annotations; what berthd is told is within
 * its limits
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/container.h"
#include "hook/cni.h"
#include "hook/facts.h"
#include "hook/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = { "x", "io.kubernetes." };
static const struct prefixes prefixes = { (const char **)words, 2 };

static void check_facts(struct facts *facts)
{
	size_t bytes = sizeof(struct container);
	const char *key;
	json_t *value, *name = json_string(facts->name);

	assert(name); /* it is UTF-8 */
	json_decref(name);
	assert(strlen(facts->id) <= CONTAINER_TEXT_MAX);
	assert(*facts->name && strlen(facts->name) <= CONTAINER_TEXT_MAX);
	assert(strlen(facts->pod_namespace) <= CONTAINER_TEXT_MAX);
	assert(json_object_size(facts->labels) <= CONTAINER_LABELS_MAX);
	json_object_foreach (facts->labels, key, value)
		bytes += sizeof(struct container_label) + strlen(key) +
			 json_string_length(value) + 2;
	assert(bytes <= CONTAINER_BYTES_MAX);
	facts_done(facts);
}

static void check_cni(const json_t *conf, const char *text)
{
	const struct cni_env env = { .command = "ADD", .container_id = "id" };
	char *args = strdup(text);
	json_t *result = cni_result(conf);
	struct facts facts;

	assert(args && result && json_object_get(result, "cniVersion"));
	json_decref(result);
	if (cni_facts(&env, conf, args, &prefixes, &facts) == 0)
		check_facts(&facts);
	(void)cni_is_valid(conf, "id");
	free(args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	json_t *json;
	struct oci_state state;
	struct facts facts;
	const char *path = NULL;

	assert(text);
	memcpy(text, data, size);
	json = json_loadb(text, size, 0, NULL);
	if (json_is_object(json)) {
		if (oci_state_parse(json, &state) == 0 &&
		    facts_init(&facts, state.id, "oci") == 0) {
			facts_add_annotations(&facts, state.annotations,
					      &prefixes);
			check_facts(&facts);
		}
		if (oci_network(json, &path) == OCI_NETWORK_PATH)
			assert(path[0] == '/');
		check_cni(json, text);
	}
	json_decref(json);
	free(text);
	return 0;
}
