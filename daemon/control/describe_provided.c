// SPDX-License-Identifier: Apache-2.0
/* describe_provided.c - what namespaces are provided with, as JSON */
#include "daemon/control/describe_provided.h"

#include "common/util.h"
#include "daemon/control/describe.h"
#include "daemon/json_build.h"

static json_t *describe_what(const struct provision *what)
{
	char addr[IP_TEXT_MAX], text[IP_TEXT_MAX + 8];
	json_t *object = json_object();

	json_put(&object, "interface", json_text(what->ifname));
	if (what->kind == PROVISION_LOOPBACK) {
		json_put(&object, "address", json_null());
	} else {
		(void)snprintf(text, sizeof(text), "%s/%u",
			       ip_addr_fmt(&what->addr, addr),
			       what->prefix_bits); /* fits */
		json_put(&object, "address", json_string(text));
	}
	json_put(&object, "rule",
		 what->rule ? json_text(what->rule) : json_null());
	json_put(&object, "rules", json_count(what->rules));
	return object;
}

static void put_state(json_t **object, const char *state, const char *reason)
{
	json_put(object, "state", json_string(state));
	json_put(object, "reason", reason ? json_string(reason) : json_null());
}

static void put_attempt(json_t **object, int error, uint64_t in_us)
{
	json_put(object, "error", describe_errno(error));
	json_put(object, "next_attempt_us",
		 in_us ? json_count(in_us) : json_null());
}

static void put_provided(json_t **object, const struct provided *provided,
			 uint64_t now_us)
{
	uint64_t at_us = provided->next_attempt_us;

	put_state(object, provided_state_name(provided->state),
		  provided->reason);
	/* One that is overdue is tried in a moment. */
	put_attempt(object, provided->error,
		    at_us > now_us ? at_us - now_us : at_us != 0);
}

static json_t *describe_wanted(const struct provider *provider,
			       uint64_t netns_id,
			       const struct provision *wanted, uint64_t now_us)
{
	const struct provided *provided =
		provider_find_in(provider, netns_id, wanted);
	json_t *object = describe_what(wanted);
	_cleanup_free_ char *reason = NULL;

	if (wanted->refusal) {
		put_state(&object, "refused", wanted->refusal);
	} else if (wanted->winner) {
		if (asprintf(&reason,
			     "rule '%s' comes first and wants the address with "
			     "another prefix length",
			     wanted->winner) < 0)
			reason = NULL;
		json_put(&object, "state", json_string("shadowed"));
		json_put(&object, "reason",
			 reason ? json_text(reason) : json_null());
	} else if (provided) {
		put_provided(&object, provided, now_us);
		return object;
	} else {
		put_state(&object, "absent", NULL);
	}
	put_attempt(&object, 0, 0);
	return object;
}

static json_t *describe_leaving(const struct provided *provided,
				uint64_t now_us)
{
	json_t *object = describe_what(&provided->what);

	put_provided(&object, provided, now_us);
	return object;
}

json_t *describe_provisions(const struct provider *provider, uint64_t netns_id,
			    const struct provision *wanted, size_t n,
			    uint64_t now_us)
{
	const struct provided *provided = NULL;
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_add(&array, describe_wanted(provider, netns_id, &wanted[i],
						 now_us));
	while ((provided = provider_next_in(provider, netns_id, provided))) {
		if (provided->state == PROVIDED_LEAVING)
			json_add(&array, describe_leaving(provided, now_us));
	}
	return array;
}

json_t *describe_provided(const struct provider *provider, uint64_t netns_id)
{
	const struct provided *provided = NULL;
	char text[PROVISION_TEXT_MAX];
	json_t *array = json_array();

	while ((provided = provider_next_in(provider, netns_id, provided))) {
		if (provided->state != PROVIDED_ADDED &&
		    provided->state != PROVIDED_LEAVING)
			continue;
		json_add(&array,
			 json_text(provision_fmt(&provided->what, text)));
	}
	return array;
}
