// SPDX-License-Identifier: Apache-2.0
/* registrations_text.c - one registration as JSON, for the next berthd
 *
 * Numbers of 64 bits are written as texts, because JSON's have fewer.
 */
#include "daemon/registrations_text.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "common/util.h"
#include "daemon/json_build.h"

#define NUMBER_MAX sizeof("18446744073709551615")

static json_t *number_text(uint64_t number)
{
	char text[NUMBER_MAX];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number); /* fits */
	return json_string(text);
}

static json_t *handle_json(const struct netns_handle *handle)
{
	char hex[2 * NETNS_HANDLE_MAX + 1] = "";

	for (unsigned int i = 0; i < handle->n; i++)
		(void)snprintf(hex + (size_t)2 * i, 3, "%02x",
			       handle->bytes[i]); /* fits */
	return json_pack("{s:i, s:s}", "type", handle->type, "bytes", hex);
}

static json_t *container_json(const struct container *container)
{
	json_t *labels = json_object();

	for (size_t i = 0; i < container->n_labels; i++)
		json_put(&labels, container->labels[i].key,
			 json_string(container->labels[i].value));
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:o}", "name",
			 container->name, "pod_namespace",
			 container->pod_namespace, "id", container->id,
			 "runtime", container->runtime, "pid", container->pid,
			 "uid", (json_int_t)container->uid, "labels", labels);
}

char *registrations_text_write(const struct registration *registration)
{
	json_t *json = json_object();
	char *text;

	json_put(&json, "id", number_text(registration->id));
	json_put(&json, "uid", json_integer(registration->uid));
	json_put(&json, "namespace", number_text(registration->netns_id));
	json_put(&json, "container", container_json(registration->container));
	if (registration->path)
		json_put(&json, "path", json_string(registration->path));
	json_put(&json, "named", json_boolean(registration->name != NULL));
	json_put(&json, "source",
		 json_string(registration_source_name(registration->source)));
	if (registration->handle.n > 0)
		json_put(&json, "handle", handle_json(&registration->handle));
	if (registration->task.number != 0) {
		json_put(&json, "pid", json_integer(registration->task.number));
		json_put(&json, "process",
			 number_text(registration->task.identity));
	}
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

static bool read_number(const json_t *json, uint64_t *ret)
{
	const char *text = json_string_value(json);
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool read_handle(const json_t *json, struct netns_handle *ret)
{
	const char *hex = json_string_value(json_object_get(json, "bytes"));
	json_int_t type = json_integer_value(json_object_get(json, "type"));
	size_t len = hex ? strlen(hex) : 0;

	if (len == 0 || len % 2 || len / 2 > NETNS_HANDLE_MAX || type < 0 ||
	    type > INT_MAX)
		return false;
	ret->type = (int)type;
	ret->n = (unsigned int)len / 2;
	for (unsigned int i = 0; i < ret->n; i++) {
		int high = hex_digit(hex[(size_t)2 * i]);
		int low = hex_digit(hex[(size_t)2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret->bytes[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool read_uid(const json_t *json, uid_t *ret)
{
	json_int_t uid = json_integer_value(json);

	*ret = (uid_t)uid;
	return json_is_integer(json) && uid >= 0 && uid < UINT32_MAX;
}

static bool read_pid(const json_t *json, pid_t *ret)
{
	json_int_t pid = json_integer_value(json);

	*ret = (pid_t)pid;
	return json_is_integer(json) && pid >= 0 && pid <= INT_MAX;
}

/* Return: 0; -EINVAL; -ENOMEM. */
static int read_labels(json_t *json, struct registration_kept *kept)
{
	size_t n = json_object_size(json);
	const char *key;
	json_t *value;

	kept->labels = calloc(n ? n : 1, sizeof(*kept->labels));
	if (!kept->labels)
		return -ENOMEM;
	kept->container.labels = kept->labels;
	json_object_foreach (json, key, value) {
		if (!*key || !json_is_string(value))
			return -EINVAL;
		kept->labels[kept->container.n_labels++] =
			(struct container_label){ key,
						  json_string_value(value) };
	}
	container_labels_sort(kept->labels, n);
	return 0;
}

static int read_container(const json_t *json, struct registration_kept *kept)
{
	struct container *container = &kept->container;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:s, s:s, s:s}",
			"name", &container->name, "pod_namespace",
			&container->pod_namespace, "id", &container->id,
			"runtime", &container->runtime) < 0 ||
	    !*container->name ||
	    !read_pid(json_object_get(json, "pid"), &container->pid) ||
	    !read_uid(json_object_get(json, "uid"), &container->uid))
		return -EINVAL;
	container->source = "";
	return read_labels(json_object_get(json, "labels"), kept);
}

static bool read_rest(const json_t *json, struct registration *ret)
{
	const json_t *path = json_object_get(json, "path");
	const json_t *handle = json_object_get(json, "handle");
	const json_t *pid = json_object_get(json, "pid");
	const char *source = json_string_value(json_object_get(json, "source"));

	/* An earlier berthd did not write it, and a later one may know more. */
	if (!source || registration_source_parse(source, &ret->source) < 0)
		ret->source = REGISTRATION_OTHER;
	ret->path = json_string_value(path);
	/* Which name it gives is found anew. */
	ret->name = json_is_true(json_object_get(json, "named")) ? "" : NULL;
	if (path && (!ret->path || *ret->path != '/'))
		return false;
	if (handle && !read_handle(handle, &ret->handle))
		return false;
	return !pid ||
	       (read_pid(pid, &ret->task.number) && ret->task.number > 0 &&
		read_number(json_object_get(json, "process"),
			    &ret->task.identity));
}

int registrations_text_read(const json_t *json,
			    struct registration_kept *ret_kept)
{
	struct registration *registration = &ret_kept->registration;
	int r;

	*ret_kept = (struct registration_kept){ 0 };
	registration->container = &ret_kept->container;
	if (!read_number(json_object_get(json, "id"), &registration->id) ||
	    !read_number(json_object_get(json, "namespace"),
			 &registration->netns_id) ||
	    registration->id == 0 || registration->netns_id == 0 ||
	    !read_uid(json_object_get(json, "uid"), &registration->uid) ||
	    !read_rest(json, registration))
		return -EINVAL;
	r = read_container(json_object_get(json, "container"), ret_kept);
	if (r < 0)
		registration_kept_done(ret_kept);
	return r;
}

void registration_kept_done(struct registration_kept *kept)
{
	free(TAKE_PTR(kept->labels));
}
