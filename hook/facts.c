// SPDX-License-Identifier: Apache-2.0
/* facts.c - what a runtime says of a container, in berthd's words */
#include "hook/facts.h"

#include <string.h>

#include "common/container.h"
#include "common/utf8.h"
#include "common/util.h"

#define LABEL_PREFIX "io.berth.labels."
#define CRIO_LABELS "io.kubernetes.cri-o.Labels"

/* Where each name stands, the best place first: what the runtime itself writes,
 * then what people wrote, for runtimes that tell no name. In a pod's own
 * container, which holds its namespaces, the pod's name is the name. */
static const char *const container_names[] = {
	"io.kubernetes.container.name",
	"io.kubernetes.cri.container-name",
	"io.berth.name",
};
static const char *const pod_names[] = {
	"io.kubernetes.pod.name",
	"io.kubernetes.cri-o.KubeName",
	"io.kubernetes.cri.sandbox-name",
};
static const char *const pod_namespaces[] = {
	"io.kubernetes.pod.namespace",
	"io.kubernetes.cri-o.Namespace",
	"io.kubernetes.cri.sandbox-namespace",
	"io.berth.pod_namespace",
};

/* Which runtime's annotation it is, and what it says of a pod's own container.
 * podman sets others of CRI-O's annotations, too. */
static const struct {
	const char *key;
	const char *runtime;
} runtimes[] = {
	{ "io.kubernetes.cri-o.ContainerType", "cri-o" },
	{ "io.kubernetes.cri.container-type", "containerd" },
};
#define MANAGER_KEY "io.container.manager"
#define MANAGER_PODMAN "libpod"

/* As many whole characters of UTF-8 as there is room for; JSON takes no others.
 */
static void cut(char *place, const char *text, size_t max)
{
	size_t len = 0, n;

	while ((n = utf8_char_len(text + len)) > 0 && len + n <= max)
		len += n;
	memcpy(place, text, len);
	place[len] = '\0';
}

int facts_init(struct facts *facts, const char *id, const char *runtime)
{
	*facts = (struct facts){
		.id = strlen(id) <= CONTAINER_TEXT_MAX ? id : "",
		.pod_namespace = "",
		.runtime = runtime,
		.labels = json_object(),
	};
	cut(facts->short_name, id, FACTS_SHORT_ID);
	facts->name = facts->short_name;
	return facts->labels ? 0 : -ENOMEM;
}

void facts_add_label(struct facts *facts, const char *key, const json_t *value)
{
	json_t *old = json_object_get(facts->labels, key);
	size_t bytes = facts->bytes;

	if (!*key || !json_is_string(value))
		return;
	if (old)
		bytes -= json_string_length(old);
	else
		bytes += sizeof(struct container_label) + strlen(key) + 2;
	bytes += json_string_length(value);
	if ((!old && json_object_size(facts->labels) >= CONTAINER_LABELS_MAX) ||
	    /* the other texts and berthd's own word on each have their part */
	    bytes > CONTAINER_BYTES_MAX - sizeof(struct container) -
			    5 * (CONTAINER_TEXT_MAX + 1) ||
	    json_object_set_new(facts->labels, key,
				json_string(json_string_value(value))) < 0) {
		facts->dropped = true;
		return;
	}
	facts->bytes = bytes;
}

static void add_labels(struct facts *facts, json_t *labels)
{
	const char *key;
	json_t *value;

	json_object_foreach (labels, key, value) {
		facts_add_label(facts, key, value);
	}
}

/* CRI-O has a document in an annotation: all labels as one text. */
static void add_crio_labels(struct facts *facts, const json_t *annotations)
{
	const char *text =
		json_string_value(json_object_get(annotations, CRIO_LABELS));
	json_t *labels = text ? json_loads(text, 0, NULL) : NULL;

	add_labels(facts, labels);
	json_decref(labels);
}

static bool is_chosen(const char *key, const struct prefixes *prefixes)
{
	for (size_t i = 0; i < prefixes->n; i++) {
		if (strncmp(key, prefixes->list[i],
			    strlen(prefixes->list[i])) == 0)
			return true;
	}
	return false;
}

static const char *first_of(const json_t *annotations, const char *const *keys,
			    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(
			json_object_get(annotations, keys[i]));

		if (text && *text)
			return text;
	}
	return NULL;
}

static void add_names(struct facts *facts, const json_t *annotations)
{
	const char *manager =
		json_string_value(json_object_get(annotations, MANAGER_KEY));
	const char *name = NULL;
	bool sandbox = false;

	if (manager && strcmp(manager, MANAGER_PODMAN) == 0)
		facts->runtime = "podman";
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		const char *type = json_string_value(
			json_object_get(annotations, runtimes[i].key));

		if (!type)
			continue;
		facts->runtime = runtimes[i].runtime;
		sandbox = strcmp(type, "sandbox") == 0;
	}
	if (!sandbox)
		name = first_of(annotations, container_names,
				ARRAY_SIZE(container_names));
	if (!name)
		name = first_of(annotations, pod_names, ARRAY_SIZE(pod_names));
	facts_set_name(facts, name);
	facts_set_pod_namespace(facts, first_of(annotations, pod_namespaces,
						ARRAY_SIZE(pod_namespaces)));
}

void facts_add_annotations(struct facts *facts, const json_t *annotations,
			   const struct prefixes *prefixes)
{
	json_t *all = (json_t *)(uintptr_t)annotations; /* not changed */
	const char *key;
	json_t *value;

	add_names(facts, annotations);
	add_crio_labels(facts, annotations);
	json_object_foreach (all, key, value) {
		if (is_chosen(key, prefixes))
			facts_add_label(facts, key, value);
	}
	json_object_foreach (all, key, value) {
		if (strncmp(key, LABEL_PREFIX, strlen(LABEL_PREFIX)) == 0)
			facts_add_label(facts, key + strlen(LABEL_PREFIX),
					value);
	}
}

/* A text of the environment may be any bytes. */
static bool is_utf8(const char *text)
{
	size_t n;

	while ((n = utf8_char_len(text)) > 0)
		text += n;
	return !*text;
}

static void set_text(const char **place, const char *text)
{
	if (text && *text && strlen(text) <= CONTAINER_TEXT_MAX &&
	    is_utf8(text))
		*place = text;
}

void facts_set_name(struct facts *facts, const char *text)
{
	set_text(&facts->name, text);
}

void facts_set_pod_namespace(struct facts *facts, const char *text)
{
	set_text(&facts->pod_namespace, text);
}

void facts_done(struct facts *facts)
{
	json_decref(facts->labels);
	facts->labels = NULL;
}
