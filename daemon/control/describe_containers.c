// SPDX-License-Identifier: Apache-2.0
/* describe_containers.c - containers as JSON */
#include "daemon/control/describe_containers.h"

#include "common/netns.h"
#include "daemon/json_build.h"

static json_t *describe_labels(const struct container *container)
{
	json_t *object = json_object();

	for (size_t i = 0; i < container->n_labels; i++)
		json_put(&object, container->labels[i].key,
			 json_text(container->labels[i].value));
	return object;
}

json_t *describe_container(const struct container *container)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "name",
			 json_text(container->name), "pod_namespace",
			 json_text(container->pod_namespace), "id",
			 json_text(container->id), "runtime",
			 json_text(container->runtime), "pid",
			 container->pid ? json_integer(container->pid)
					: json_null(),
			 "labels", describe_labels(container), "source",
			 json_text(container->source), "uid",
			 (json_int_t)container->uid);
}

json_t *describe_containers(const struct netns *netns)
{
	json_t *array = json_array();

	for (size_t i = 0; i < netns->n_containers; i++)
		json_add(&array, describe_container(netns->containers[i]));
	return array;
}
