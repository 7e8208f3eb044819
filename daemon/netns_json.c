// SPDX-License-Identifier: Apache-2.0
/* netns_json.c - a namespace from what ListNamespaces says of it
 *
 * Interfaces have no numbers there, so they get some.
 */
#include "daemon/netns_json.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"

static const char *text_of(const json_t *json, const char *member)
{
	const char *text = json_string_value(json_object_get(json, member));

	return text ? text : "";
}

static uint64_t number_of(const json_t *json, const char *member)
{
	return (uint64_t)json_integer_value(json_object_get(json, member));
}

static int read_name(const json_t *json, struct netns_name *ret)
{
	ret->dir = utf8_unescape(text_of(json, "directory"));
	ret->name = utf8_unescape(text_of(json, "name"));
	ret->uid = (uid_t)number_of(json, "uid");
	return ret->dir && ret->name ? 0 : -ENOMEM;
}

static int read_names(const json_t *list, struct netns *netns)
{
	json_t *json;
	size_t i;

	netns->names = calloc(json_array_size(list) + 1, sizeof(*netns->names));
	if (!netns->names)
		return -ENOMEM;
	json_array_foreach (list, i, json) {
		if (read_name(json, &netns->names[netns->n_names++]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static uint8_t scope_of(const char *name)
{
	if (strcmp(name, "global") == 0)
		return RT_SCOPE_UNIVERSE;
	if (strcmp(name, "site") == 0)
		return RT_SCOPE_SITE;
	if (strcmp(name, "link") == 0)
		return RT_SCOPE_LINK;
	return strcmp(name, "host") == 0 ? RT_SCOPE_HOST : RT_SCOPE_NOWHERE;
}

/* Return: the number of the interface, which has one from now on. */
static uint32_t interface_of(struct netns *netns, const char *ifname)
{
	const struct netns_interface *known =
		netns_named_interface(netns, ifname);
	struct netns_interface *interface;

	if (known)
		return known->ifindex;
	interface = &netns->interfaces[netns->n_interfaces++];
	interface->ifindex = (uint32_t)netns->n_interfaces;
	(void)snprintf(interface->ifname, sizeof(interface->ifname), "%s",
		       ifname);
	interface->up = true;
	return interface->ifindex;
}

static void read_address(const json_t *json, struct netns *netns)
{
	struct netns_address *address = &netns->addresses[netns->n_addresses];

	if (ip_addr_parse(text_of(json, "address"), &address->addr) < 0)
		return;
	address->prefix_bits = (uint8_t)number_of(json, "prefix");
	address->scope = scope_of(text_of(json, "scope"));
	address->ifindex = interface_of(netns, text_of(json, "interface"));
	if (!json_is_true(json_object_get(json, "usable")))
		address->flags = IFA_F_TENTATIVE;
	netns->n_addresses++;
}

static int read_addresses(const json_t *list, struct netns *netns)
{
	size_t n = json_array_size(list) + 1;
	json_t *json;
	size_t i;

	netns->addresses = calloc(n, sizeof(*netns->addresses));
	netns->interfaces = calloc(n, sizeof(*netns->interfaces));
	if (!netns->addresses || !netns->interfaces)
		return -ENOMEM;
	json_array_foreach (list, i, json) {
		read_address(json, netns);
	}
	return 0;
}

static struct container_label *read_labels(const json_t *object)
{
	struct container_label *labels =
		calloc(json_object_size(object) + 1, sizeof(*labels));
	const char *key;
	json_t *value;
	size_t n = 0;

	if (!labels)
		return NULL;
	json_object_foreach ((json_t *)object, key, value) {
		labels[n].key = key;
		labels[n++].value = json_string_value(value) ?: "";
	}
	container_labels_sort(labels, n);
	return labels;
}

/* Return: allocated; NULL: no memory. */
static struct container *read_container(const json_t *json)
{
	const json_t *object = json_object_get(json, "labels");
	_cleanup_free_ struct container_label *labels = read_labels(object);
	const struct container container = {
		.name = text_of(json, "name"),
		.pod_namespace = text_of(json, "pod_namespace"),
		.id = text_of(json, "id"),
		.runtime = text_of(json, "runtime"),
		.source = text_of(json, "source"),
		.pid = (pid_t)number_of(json, "pid"),
		.uid = (uid_t)number_of(json, "uid"),
		.labels = labels,
		.n_labels = json_object_size(object),
	};

	return labels ? container_copy(&container) : NULL;
}

static int read_containers(const json_t *list, struct netns *netns)
{
	json_t *json;
	size_t i;

	netns->containers =
		calloc(json_array_size(list) + 1, sizeof(*netns->containers));
	if (!netns->containers)
		return -ENOMEM;
	json_array_foreach (list, i, json) {
		struct container *container = read_container(json);

		if (!container)
			return -ENOMEM;
		netns->containers[netns->n_containers++] = container;
	}
	return 0;
}

int netns_from_json(const json_t *json, struct netns *ret_netns)
{
	struct netns netns = {
		.id = number_of(json, "id"),
		.host = json_is_true(json_object_get(json, "host")),
		.addresses_known =
			json_is_true(json_object_get(json, "addresses_known")),
		.observed =
			json_is_true(json_object_get(json, "addresses_known")),
		.addresses_omitted =
			(size_t)number_of(json, "addresses_omitted"),
	};

	if (read_names(json_object_get(json, "names"), &netns) < 0 ||
	    read_addresses(json_object_get(json, "addresses"), &netns) < 0 ||
	    read_containers(json_object_get(json, "containers"), &netns) < 0) {
		netns_json_done(&netns);
		return -ENOMEM;
	}
	*ret_netns = netns;
	return 0;
}

void netns_json_done(struct netns *netns)
{
	for (size_t i = 0; i < netns->n_names; i++) {
		free(netns->names[i].dir);
		free(netns->names[i].name);
	}
	for (size_t i = 0; i < netns->n_containers; i++)
		free((void *)netns->containers[i]);
	free(netns->names);
	free(netns->interfaces);
	free(netns->addresses);
	free(netns->containers);
	*netns = (struct netns){ 0 };
}
