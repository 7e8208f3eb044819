// SPDX-License-Identifier: Apache-2.0
/* varlink_service.c - org.varlink.service, which every Varlink server has */
#include "daemon/control/varlink_service.h"

#include <string.h>

#include "common/util.h"
#include "daemon/json_build.h"

static const char service_description[] =
	"# Every Varlink service has this interface: it says what the service\n"
	"# is and which interfaces it implements.\n"
	"interface org.varlink.service\n"
	"\n"
	"# What the service is, and the names of its interfaces.\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n"
	"  product: string,\n"
	"  version: string,\n"
	"  url: string,\n"
	"  interfaces: []string\n"
	")\n"
	"\n"
	"# The description of one of them.\n"
	"method GetInterfaceDescription(interface: string) -> (description: "
	"string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static void service_get_info(struct varlink_call *call, void *user_data)
{
	const struct varlink_interface *own = varlink_call_interface(call);
	json_t *names = json_array();

	(void)user_data;
	json_add(&names, json_string(VARLINK_SERVICE));
	for (; own; own = own->next)
		json_add(&names, json_string(own->name));
	varlink_reply(call,
		      json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "berth",
				"product", "berthd", "version", BERTH_VERSION,
				"url", "", "interfaces", names));
}

static void service_get_description(struct varlink_call *call, void *user_data)
{
	const char *name = varlink_call_string(call, "interface");
	const struct varlink_interface *own = varlink_call_interface(call);
	const char *text = NULL;

	(void)user_data;
	if (strcmp(name, VARLINK_SERVICE) == 0)
		text = service_description;
	for (; own && !text; own = own->next) {
		if (strcmp(name, own->name) == 0)
			text = own->description;
	}
	if (text)
		varlink_reply(call, json_pack("{s:s}", "description", text));
	else
		varlink_service_error(call, "InterfaceNotFound", "interface",
				      name);
}

static const struct varlink_parameter description_parameters[] = {
	{ .name = "interface", .required = true },
};

static const struct varlink_method service_methods[] = {
	{ .name = "GetInfo", .handler = service_get_info },
	{ .name = "GetInterfaceDescription",
	  .parameters = description_parameters,
	  .n_parameters = ARRAY_SIZE(description_parameters),
	  .handler = service_get_description },
};

const struct varlink_interface varlink_service_interface = {
	.name = VARLINK_SERVICE,
	.description = service_description,
	.methods = service_methods,
	.n_methods = ARRAY_SIZE(service_methods),
};
