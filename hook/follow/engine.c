// SPDX-License-Identifier: Apache-2.0
/* engine.c - what Docker's API says, and podman's, which is like it */
#include "hook/follow/engine.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/* What the kubelet labels the containers of a pod with. */
#define LABEL_POD_NAMESPACE "io.kubernetes.pod.namespace"

/* Characters of an id that stand for a name where there is none, as people are
 * used to see it. */
#define SHORT_ID 12

/* Events after which a container has the namespace, the name and the labels
 * that it had before: "exec_start: sh", "health_status: healthy" and others
 * that begin so. What is not listed costs a question. */
static const char *const unchanging[] = {
	"archive-path",	 "attach", "checkpoint", "commit",  "copy",
	"create",	 "detach", "exec",	 "export",  "extract-to-dir",
	"health_status", "init",   "kill",	 "logs",    "mount",
	"oom",		 "pause",  "prune",	 "pull",    "resize",
	"sync",		 "top",	   "unmount",	 "unpause",
};

/* Ids become part of a URL. */
static bool id_ok(const char *id)
{
	size_t len = id ? strlen(id) : 0;

	if (len == 0 || len > ENGINE_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)id[i]))
			return false;
	}
	return true;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int engine_list_parse(const char *text, size_t len, struct engine_ids *ret_ids)
{
	json_t *root = json_loadb(text, len, 0, NULL), *element;
	struct engine_ids ids = { .list = NULL };
	size_t i;

	if (!json_is_array(root) ||
	    json_array_size(root) > ENGINE_CONTAINERS_MAX) {
		bool array = json_is_array(root);

		json_decref(root);
		return array ? -E2BIG : -EBADMSG;
	}
	ids.list = calloc(json_array_size(root) + 1, sizeof(*ids.list));
	if (!ids.list) {
		json_decref(root);
		return -ENOMEM;
	}
	json_array_foreach (root, i, element) {
		const char *id = text_of(element, "Id");

		if (id_ok(id))
			(void)stpcpy(ids.list[ids.n++], id);
	}
	json_decref(root);
	*ret_ids = ids;
	return 0;
}

void engine_ids_done(struct engine_ids *ids)
{
	free(ids->list);
	*ids = (struct engine_ids){ .list = NULL };
}

/* Return: its labels, to be released, in the form of io.berth.Register; NULL:
 * out of memory, or they are no labels. */
static json_t *labels_of(json_t *root, int *ret_r)
{
	json_t *from =
		json_object_get(json_object_get(root, "Config"), "Labels");
	json_t *labels = json_object(), *value;
	const char *key;

	*ret_r = labels ? 0 : -ENOMEM;
	if (from && !json_is_null(from) && !json_is_object(from))
		*ret_r = -EBADMSG;
	json_object_foreach (from, key, value) {
		if (!json_is_string(value))
			*ret_r = -EBADMSG;
		/* Docker lets a label have no key; no rule could name it. */
		else if (*key && json_object_set(labels, key, value) < 0)
			*ret_r = -ENOMEM;
	}
	if (*ret_r == 0)
		return labels;
	json_decref(labels);
	return NULL;
}

static int parameters_make(struct engine_container *container,
			   const char *runtime, const char *id)
{
	const char *name = text_of(container->root, "Name");
	json_t *parameters, *labels;
	const char *pod_namespace;
	int r;

	if (!name)
		return -EBADMSG;
	if (*name == '/')
		name++;
	labels = labels_of(container->root, &r);
	if (r < 0)
		return r;
	pod_namespace = text_of(labels, LABEL_POD_NAMESPACE);
	/* Takes the labels, also when it fails. */
	parameters = json_pack("{s:s%, s:o, s:s, s:s, s:s*, s:i}", "name",
			       *name ? name : id,
			       *name ? strlen(name) : strnlen(id, SHORT_ID),
			       "labels", labels, "id", id, "runtime", runtime,
			       "pod_namespace", pod_namespace, "pid",
			       container->pid);
	if (!parameters)
		return -ENOMEM;
	container->parameters = parameters;
	return 0;
}

/* Return: 0 if the container is the one that was asked for. */
static int state_read(struct engine_container *container, const char *id)
{
	const json_t *state = json_object_get(container->root, "State");
	const json_t *network =
		json_object_get(container->root, "NetworkSettings");
	const json_t *host = json_object_get(container->root, "HostConfig");
	const char *told = text_of(container->root, "Id");
	const char *mode = text_of(host, "NetworkMode");
	const char *path = text_of(network, "SandboxKey");
	json_int_t pid = json_integer_value(json_object_get(state, "Pid"));

	if (!told || strcmp(told, id) != 0 || !json_is_object(state) ||
	    pid < 0 || pid > INT_MAX)
		return -EBADMSG;
	/* Without a process nothing would end what berthd was told. */
	container->running = json_is_true(json_object_get(state, "Running")) &&
			     pid > 0;
	container->pid = container->running ? (int)pid : 0;
	container->network = mode && strcmp(mode, "host") == 0
				     ? ENGINE_NETWORK_HOST
				     : ENGINE_NETWORK_OWN;
	container->path = path && *path == '/' ? path : "";
	return 0;
}

int engine_container_parse(const char *text, size_t len, const char *runtime,
			   const char *id,
			   struct engine_container *ret_container)
{
	struct engine_container container = { .root = NULL };
	int r;

	container.root = json_loadb(text, len, 0, NULL);
	r = json_is_object(container.root) ? state_read(&container, id)
					   : -EBADMSG;
	if (r == 0 && container.running)
		r = parameters_make(&container, runtime, id);
	if (r < 0) {
		engine_container_done(&container);
		return r;
	}
	*ret_container = container;
	return 0;
}

void engine_container_done(struct engine_container *container)
{
	json_decref(container->parameters);
	json_decref(container->root);
	*container = (struct engine_container){ .root = NULL };
}

static bool changes(const char *action)
{
	for (size_t i = 0; i < ARRAY_SIZE(unchanging); i++) {
		size_t len = strlen(unchanging[i]);

		if (strncmp(action, unchanging[i], len) == 0 &&
		    !isalpha((unsigned char)action[len]))
			return false;
	}
	return true;
}

int engine_event_parse(const char *text, size_t len,
		       char ret_id[ENGINE_ID_MAX + 1])
{
	json_t *root = json_loadb(text, len, 0, NULL);
	const char *type = text_of(root, "Type");
	const char *action = text_of(root, "Action");
	const char *id = text_of(json_object_get(root, "Actor"), "ID");
	int r = 1;

	if (!json_is_object(root) || !action)
		r = -EBADMSG;
	else if ((type && strcmp(type, "container") != 0) || !changes(action))
		r = 0;
	else if (!id_ok(id))
		r = -EBADMSG;
	else
		(void)stpcpy(ret_id, id);
	json_decref(root);
	return r;
}
