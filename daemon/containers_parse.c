// SPDX-License-Identifier: Apache-2.0
/* containers_parse.c - from the text of a file in containers.d to containers */
#include "daemon/containers_parse.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"
#include "rules/json_node.h"
#include "rules/parse.h"

enum container_key {
	CONTAINER_NETNS,
	CONTAINER_PID,
	CONTAINER_NAME,
	CONTAINER_POD_NAMESPACE,
	CONTAINER_LABELS,
	CONTAINER_ID,
	CONTAINER_RUNTIME,
};

static const char *const container_keys[] = {
	[CONTAINER_NETNS] = "netns",
	[CONTAINER_PID] = "pid",
	[CONTAINER_NAME] = "name",
	[CONTAINER_POD_NAMESPACE] = "pod_namespace",
	[CONTAINER_LABELS] = "labels",
	[CONTAINER_ID] = "id",
	[CONTAINER_RUNTIME] = "runtime",
};

static bool is_string(const struct yaml_node *node)
{
	return node->kind == NODE_SCALAR && !node->plain;
}

/* A text of at most @max bytes; "" is left as it is, as if it were absent. */
static void parse_name(struct parse *parse, const struct yaml_node *node,
		       const char *what, const char **text)
{
	if (!node || (is_string(node) && !*node->text))
		return;
	if (!is_string(node)) {
		(void)parse_error(parse, node, "%s is %s, expected a text",
				  what, FOUND(node));
		return;
	}
	if (strlen(node->text) > CONTAINER_TEXT_MAX) {
		(void)parse_error(parse, node,
				  "%s is a text of %zu bytes, expected at most "
				  "%u",
				  what, strlen(node->text), CONTAINER_TEXT_MAX);
		return;
	}
	(void)parse_text(parse, node, what, "a text", text);
}

static void parse_netns(struct parse *parse, const struct yaml_node *node,
			const char **ret_path)
{
	size_t len = is_string(node) ? strlen(node->text) : 0;

	if (len == 0 || len >= PATH_MAX || node->text[0] != '/' ||
	    node->text[len - 1] == '/')
		(void)parse_error(parse, node,
				  "netns is %s, expected an absolute path such "
				  "as /run/netns/blue",
				  FOUND(node));
	else
		(void)parse_text(parse, node, "netns", "an absolute path",
				 ret_path);
}

static void parse_pid(struct parse *parse, const struct yaml_node *node,
		      pid_t *ret_pid)
{
	uint64_t pid;

	if (is_string(node))
		(void)parse_error(parse, node,
				  "pid is the text %s, expected a number "
				  "without quotes",
				  FOUND(node));
	else if (parse_number(parse, node, "pid", 1, CONTAINER_PID_MAX, &pid))
		*ret_pid = (pid_t)pid;
}

static bool parse_label(struct parse *parse, const struct yaml_node *key,
			struct container_label *ret_label)
{
	const struct yaml_node *value = key + 1;

	if (!*key->text)
		return parse_error(parse, key,
				   "an empty key in labels, expected the key "
				   "of a label");
	if (!is_string(value))
		return parse_error(parse, value,
				   "label %s is %s, expected a text in double "
				   "quotes",
				   QUOTE(key->text), FOUND(value));
	*ret_label = (struct container_label){ key->text, value->text };
	return true;
}

/* Reports the label of @node that stands there twice, if one does. */
static void check_twice(struct parse *parse, const struct yaml_node *node,
			const struct container *container)
{
	const struct container_label *labels = container->labels;

	for (size_t i = 1; i < container->n_labels; i++) {
		const char *key = labels[i].key;
		const struct yaml_node *second = NULL;

		if (strcmp(labels[i - 1].key, key) != 0)
			continue;
		for (size_t k = 0; k + 1 < node->n; k += 2) {
			if (strcmp(node->items[k].text, key) == 0)
				second = &node->items[k];
		}
		(void)parse_error(parse, second ? second : node,
				  "label %s stands twice", QUOTE(key));
		return;
	}
}

static void parse_labels(struct parse *parse, const struct yaml_node *node,
			 struct container *container)
{
	struct container_label *labels;
	size_t n = node->kind == NODE_MAPPING ? node->n / 2 : 0;

	if (node->kind != NODE_MAPPING) {
		(void)parse_error(parse, node,
				  "labels is %s, expected an object such as "
				  "{\"app\": \"web\"}",
				  FOUND(node));
		return;
	}
	if (n > CONTAINER_LABELS_MAX) {
		(void)parse_error(parse, node,
				  "labels has %zu labels, expected at most %u",
				  n, CONTAINER_LABELS_MAX);
		return;
	}
	labels = calloc(n ? n : 1, sizeof(*labels));
	if (!labels) {
		(void)parse_oom(parse);
		return;
	}
	container->labels = labels;
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		if (parse_label(parse, &node->items[2 * i],
				&labels[container->n_labels]))
			container->n_labels++;
	}
	container_labels_sort(labels, container->n_labels);
	check_twice(parse, node, container);
}

static void parse_container(struct parse *parse, const struct yaml_node *node,
			    struct container_told *told)
{
	struct container *container = &told->container;
	struct field fields[ARRAY_SIZE(container_keys)];
	size_t before = parse->n_errors;

	*container = (struct container){
		.name = "",
		.pod_namespace = "",
		.id = "",
		.runtime = "",
		.source = parse->path,
	};
	if (!parse_mapping(parse, node, "a container", container_keys,
			   ARRAY_SIZE(container_keys), fields))
		return;
	if (fields[CONTAINER_NETNS].key)
		parse_netns(parse, fields[CONTAINER_NETNS].value,
			    &told->netns_path);
	if (fields[CONTAINER_PID].key)
		parse_pid(parse, fields[CONTAINER_PID].value, &container->pid);
	if (!fields[CONTAINER_NETNS].key && !fields[CONTAINER_PID].key)
		(void)parse_error(parse, node,
				  "a container needs \"netns\", a path, or "
				  "\"pid\"");
	parse_name(parse, fields[CONTAINER_NAME].value, "name",
		   &container->name);
	parse_name(parse, fields[CONTAINER_POD_NAMESPACE].value,
		   "pod_namespace", &container->pod_namespace);
	parse_name(parse, fields[CONTAINER_ID].value, "id", &container->id);
	parse_name(parse, fields[CONTAINER_RUNTIME].value, "runtime",
		   &container->runtime);
	if (fields[CONTAINER_LABELS].key)
		parse_labels(parse, fields[CONTAINER_LABELS].value, container);
	if (parse->n_errors > before)
		return;
	if (!*container->name)
		(void)parse_error(parse, node, "a container needs \"name\"");
	else if (container_bytes(container) > CONTAINER_BYTES_MAX)
		(void)parse_error(parse, node,
				  "the container %s takes %zu bytes with its "
				  "labels, expected at most %u",
				  QUOTE(container->name),
				  container_bytes(container),
				  CONTAINER_BYTES_MAX);
}

static void parse_all(struct parse *parse, struct told_list *told)
{
	const struct yaml_node *root = told->root;
	bool list = root->kind == NODE_LIST;
	size_t n = list ? root->n : 1;

	if (root->kind == NODE_SCALAR) {
		(void)parse_error(parse, root,
				  "the file is %s, expected an object, or a "
				  "list of objects",
				  FOUND(root));
		return;
	}
	told->list = calloc(n ? n : 1, sizeof(*told->list));
	if (!told->list) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++)
		parse_container(parse, list ? &root->items[i] : root,
				&told->list[told->n++]);
}

int containers_parse(const char *path, const char *text, size_t len,
		     struct rules_errors *errors, struct told_list *ret_told)
{
	struct parse parse = { .path = path, .errors = errors };
	struct told_list told = { 0 };
	struct yaml_problem problem;
	int r = json_read(text, len, &told.root, &problem);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		const struct yaml_node at = { .line = problem.line,
					      .column = problem.column };

		(void)parse_error(&parse, &at, "%s", problem.message);
	} else {
		parse_all(&parse, &told);
	}
	r = parse_finish(&parse);
	if (r < 0)
		told_list_done(&told);
	else
		*ret_told = told;
	return r;
}

void told_list_done(struct told_list *told)
{
	for (size_t i = 0; i < told->n; i++)
		free((void *)(uintptr_t)told->list[i].container.labels);
	free(TAKE_PTR(told->list));
	told->n = 0;
	told->root = yaml_node_free(told->root);
}
