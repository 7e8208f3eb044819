// SPDX-License-Identifier: Apache-2.0
/* registration.c - the words for what told of a container */
#include "watcher/registration.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

static const char *const names[REGISTRATION_SOURCES] = {
	[REGISTRATION_OTHER] = "registered",
	[REGISTRATION_DESCRIPTOR] = "descriptor",
	[REGISTRATION_HOOK] = "hook",
	[REGISTRATION_RUNTIME] = "runtime",
};

const char *registration_source_name(enum registration_source source)
{
	return names[source];
}

int registration_source_parse(const char *name,
			      enum registration_source *ret_source)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_source = (enum registration_source)i;
			return 0;
		}
	}
	return -EINVAL;
}
