// SPDX-License-Identifier: Apache-2.0
/* caller.c - who calls a method of io.berth, and what there is for them */
#include "daemon/control/caller.h"

#include "common/netns.h"
#include "common/util.h"
#include "daemon/config.h"
#include "daemon/control/varlink.h"

const struct caller caller_root = { .rank = CALLER_ROOT, .reads = true };

struct caller caller_of(const struct varlink_call *call,
			const struct config_control *config)
{
	struct caller caller = { .uid = varlink_call_uid(call) };

	if (caller.uid == 0 || caller.uid == geteuid()) {
		caller.rank = CALLER_ROOT;
		caller.reads = true;
		return caller;
	}
	caller.reads = config->readers != CONFIG_NO_READERS &&
		       varlink_call_in_group(call, config->readers);
	for (size_t i = 0; i < config->n_registrars; i++) {
		if (config->registrars[i] == caller.uid)
			caller.rank = CALLER_REGISTRAR;
	}
	return caller;
}

const char *caller_refuse(const struct caller *caller,
			  enum control_access access)
{
	switch (access) {
	case CONTROL_FOR_ALL:
		return NULL;
	case CONTROL_FOR_READERS:
		return caller->reads ? NULL
				     : "only root and the group of readers may "
				       "call this";
	case CONTROL_FOR_ROOT:
		break;
	}
	return caller->rank == CALLER_ROOT ? NULL : "only root may call this";
}

bool caller_sees(const struct caller *caller, const struct netns *netns)
{
	if (caller->reads)
		return true;
	for (size_t i = 0; i < netns->n_names; i++) {
		if (netns->names[i].uid == caller->uid)
			return true;
	}
	for (size_t i = 0; i < netns->n_containers; i++) {
		if (netns->containers[i]->uid == caller->uid)
			return true;
	}
	return false;
}
