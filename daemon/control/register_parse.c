// SPDX-License-Identifier: Apache-2.0
/* register_parse.c - the parameters of Register, Unregister and Wait */
#include "daemon/control/register_parse.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"

/* Of a namespace or container, as people call it: a path at most. */
#define NAME_MAX_BYTES (PATH_MAX - 1)

/**
 * struct reader - reads members of an object, until one is wrong
 * @parameters:	an object, or NULL
 * @keys:	all that the method takes
 * @result:	0, -EINVAL with @problem filled in, or -ENOMEM
 */
struct reader {
	const json_t *parameters;
	const char *const *keys;
	size_t n_keys;
	struct parameter_problem *problem;
	int result;
};

static void __attribute__((format(printf, 3, 4)))
refuse(struct reader *reader, const char *parameter, const char *format, ...)
{
	va_list args;

	if (reader->result < 0)
		return;
	reader->result = -EINVAL;
	reader->problem->parameter = parameter;
	va_start(args, format);
	(void)vsnprintf(reader->problem->expected,
			sizeof(reader->problem->expected), format, args);
	va_end(args);
}

static void refuse_unknown(struct reader *reader)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)reader->parameters, key,
			     value) {
		bool known = false;

		for (size_t i = 0; i < reader->n_keys; i++)
			known = known || strcmp(key, reader->keys[i]) == 0;
		if (!known)
			refuse(reader, key, "there is no such parameter");
	}
}

/* Return: the member, or NULL if it is absent, null, or nobody cares. */
static const json_t *member(const struct reader *reader, const char *key)
{
	const json_t *value = json_object_get(reader->parameters, key);

	return reader->result < 0 || json_is_null(value) ? NULL : value;
}

/* Return: a text of at most @max bytes; "" if it is absent or wrong. */
static const char *read_text(struct reader *reader, const char *key, size_t max)
{
	const json_t *value = member(reader, key);

	if (!value)
		return "";
	if (!json_is_string(value))
		refuse(reader, key, "expected a text");
	else if (strlen(json_string_value(value)) != json_string_length(value))
		refuse(reader, key, "expected a text without NUL");
	else if (json_string_length(value) > max)
		refuse(reader, key, "expected at most %zu bytes, found %zu",
		       max, json_string_length(value));
	else
		return json_string_value(value);
	return "";
}

/* Return: a number from @min to @max; -1 if it is absent or wrong. */
static json_int_t read_number(struct reader *reader, const char *key,
			      json_int_t min, json_int_t max)
{
	const json_t *value = member(reader, key);

	if (!value)
		return -1;
	if (json_is_integer(value) && json_integer_value(value) >= min &&
	    json_integer_value(value) <= max)
		return json_integer_value(value);
	refuse(reader, key,
	       "expected a number from %" JSON_INTEGER_FORMAT
	       " to %" JSON_INTEGER_FORMAT,
	       min, max);
	return -1;
}

static bool read_flag(struct reader *reader, const char *key)
{
	const json_t *value = member(reader, key);

	if (value && !json_is_boolean(value))
		refuse(reader, key, "expected true or false");
	return json_is_true(value);
}

static char *read_path(struct reader *reader)
{
	const char *text = read_text(reader, "path", PATH_MAX - 1);
	size_t len = strlen(text);
	char *path;

	if (reader->result < 0 || !member(reader, "path"))
		return NULL;
	if (text[0] != '/' || text[len - 1] == '/') {
		refuse(reader, "path",
		       "expected an absolute path such as /run/netns/blue");
		return NULL;
	}
	path = utf8_unescape(text); /* as in replies */
	if (!path)
		reader->result = -ENOMEM;
	return path;
}

static void read_label(struct reader *reader, const char *key,
		       const json_t *value, struct container_label *ret_label)
{
	if (!*key)
		refuse(reader, "labels",
		       "expected keys of labels, found an empty one");
	else if (!json_is_string(value))
		refuse(reader, "labels",
		       "expected an object of texts such as {\"app\": "
		       "\"web\"}");
	else if (strlen(json_string_value(value)) != json_string_length(value))
		refuse(reader, "labels", "expected texts without NUL");
	else
		*ret_label = (struct container_label){ key, json_string_value(
								    value) };
}

static void read_labels(struct reader *reader, struct container *container)
{
	const json_t *object = member(reader, "labels");
	struct container_label *labels;
	const char *key;
	json_t *value;
	size_t n = json_object_size(object);

	if (!object)
		return;
	if (!json_is_object(object)) {
		refuse(reader, "labels",
		       "expected an object such as {\"app\": \"web\"}");
		return;
	}
	if (n > CONTAINER_LABELS_MAX) {
		refuse(reader, "labels",
		       "expected at most %u labels, found %zu",
		       CONTAINER_LABELS_MAX, n);
		return;
	}
	labels = calloc(n ? n : 1, sizeof(*labels));
	if (!labels) {
		reader->result = -ENOMEM;
		return;
	}
	container->labels = labels;
	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		read_label(reader, key, value, &labels[container->n_labels++]);
	}
	if (reader->result == 0)
		container_labels_sort(labels, n);
}

static void check_where(struct reader *reader, const struct register_told *told,
			bool has_fd)
{
	if (told->fd && !has_fd)
		refuse(reader, "fd",
		       "expected a descriptor attached to the call");
	if (told->fd && told->path)
		refuse(reader, "path", "expected either path or fd");
	if (!told->fd && !told->path && told->container.pid == 0)
		refuse(reader, "path", "expected path, fd or pid");
}

static void check_container(struct reader *reader,
			    const struct container *container)
{
	if (!*container->name)
		refuse(reader, "name", "expected the container's name");
	else if (reader->result == 0 &&
		 container_bytes(container) > CONTAINER_BYTES_MAX)
		refuse(reader, "labels",
		       "expected a container of at most %u bytes, found %zu",
		       CONTAINER_BYTES_MAX, container_bytes(container));
}

static uint64_t read_ms(struct reader *reader, const char *key, json_int_t max,
			json_int_t otherwise)
{
	json_int_t ms = read_number(reader, key, 0, max);

	return (uint64_t)(ms < 0 ? otherwise : ms) * USEC_PER_MSEC;
}

static enum registration_source read_source(struct reader *reader, bool by_fd)
{
	const char *text = read_text(reader, "source", CONTAINER_TEXT_MAX);
	enum registration_source source = by_fd ? REGISTRATION_DESCRIPTOR
						: REGISTRATION_OTHER;

	if (*text && (registration_source_parse(text, &source) < 0 ||
		      source < REGISTRATION_HOOK))
		refuse(reader, "source", "expected hook or runtime");
	return source;
}

int register_parse(const json_t *parameters, bool has_fd,
		   struct register_told *ret_told,
		   struct parameter_problem *ret_problem)
{
	static const char *const keys[] = {
		"path",	   "pid",	    "fd",
		"name",	   "pod_namespace", "labels",
		"id",	   "runtime",	    "end_with_connection",
		"wait_ms", "source",
	};
	struct reader reader = {
		.parameters = parameters,
		.keys = keys,
		.n_keys = ARRAY_SIZE(keys),
		.problem = ret_problem,
	};
	struct register_told told = { .fd = false };
	struct container *container = &told.container;
	json_int_t pid;

	refuse_unknown(&reader);
	told.path = read_path(&reader);
	pid = read_number(&reader, "pid", 1, CONTAINER_PID_MAX);
	container->pid = pid > 0 ? (pid_t)pid : 0;
	told.fd = read_number(&reader, "fd", 0, 0) == 0;
	container->source = "";
	container->name = read_text(&reader, "name", CONTAINER_TEXT_MAX);
	container->pod_namespace =
		read_text(&reader, "pod_namespace", CONTAINER_TEXT_MAX);
	container->id = read_text(&reader, "id", CONTAINER_TEXT_MAX);
	container->runtime = read_text(&reader, "runtime", CONTAINER_TEXT_MAX);
	read_labels(&reader, container);
	told.end_with_connection = read_flag(&reader, "end_with_connection");
	told.wait_us = read_ms(&reader, "wait_ms", REGISTER_MS_MAX, 0);
	told.source = read_source(&reader, told.fd);
	check_where(&reader, &told, has_fd);
	check_container(&reader, container);
	if (reader.result < 0)
		register_told_done(&told);
	else
		*ret_told = told;
	return reader.result;
}

void register_told_done(struct register_told *told)
{
	free((void *)(uintptr_t)told->container.labels);
	told->container.labels = NULL;
	free(TAKE_PTR(told->path));
}

bool registration_parse(const char *text, uint64_t *ret_id)
{
	uint64_t id;
	char *end;

	if (text[0] < '1' || text[0] > '9')
		return false;
	errno = 0;
	id = strtoull(text, &end, 10);
	if (errno != 0 || *end)
		return false;
	*ret_id = id;
	return true;
}

int unregister_parse(const json_t *parameters, struct unregister_told *ret_told,
		     struct parameter_problem *ret_problem)
{
	static const char *const keys[] = { "registration", "id", "name",
					    "pod_namespace" };
	struct reader reader = {
		.parameters = parameters,
		.keys = keys,
		.n_keys = ARRAY_SIZE(keys),
		.problem = ret_problem,
	};
	struct unregister_told told = { .registration = 0 };
	const char *registration;

	refuse_unknown(&reader);
	registration = read_text(&reader, "registration", CONTAINER_TEXT_MAX);
	told.id = read_text(&reader, "id", CONTAINER_TEXT_MAX);
	told.name = read_text(&reader, "name", CONTAINER_TEXT_MAX);
	told.pod_namespace =
		read_text(&reader, "pod_namespace", CONTAINER_TEXT_MAX);
	if (*registration &&
	    !registration_parse(registration, &told.registration))
		refuse(&reader, "registration",
		       "expected what Register replied");
	if ((*registration ? 1 : 0) + (*told.id ? 1 : 0) +
		    (*told.name ? 1 : 0) !=
	    1)
		refuse(&reader, *registration ? "registration" : "name",
		       "expected one of registration, id and name");
	if (*told.pod_namespace && !*told.name)
		refuse(&reader, "pod_namespace", "expected name beside it");
	if (reader.result == 0)
		*ret_told = told;
	return reader.result;
}

int wait_parse(const json_t *parameters, struct wait_told *ret_told,
	       struct parameter_problem *ret_problem)
{
	static const char *const keys[] = { "name", "timeout_ms" };
	struct reader reader = {
		.parameters = parameters,
		.keys = keys,
		.n_keys = ARRAY_SIZE(keys),
		.problem = ret_problem,
	};
	struct wait_told told = { .name = NULL };

	refuse_unknown(&reader);
	told.name = read_text(&reader, "name", NAME_MAX_BYTES);
	told.timeout_us =
		read_ms(&reader, "timeout_ms", WAIT_MS_MAX, WAIT_MS_DEFAULT);
	if (!*told.name)
		refuse(&reader, "name",
		       "expected the name of a namespace or container");
	if (reader.result == 0)
		*ret_told = told;
	return reader.result;
}
