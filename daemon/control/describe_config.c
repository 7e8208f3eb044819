// SPDX-License-Identifier: Apache-2.0
/* describe_config.c - the configuration as JSON */
#include "daemon/control/describe_config.h"

#include "daemon/config_store.h"
#include "daemon/control/describe_rules.h"
#include "daemon/json_build.h"

json_t *describe_settings(uint32_t set)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (set & UINT32_C(1) << i)
			json_add(&array, json_string(config_key(
						 (enum config_setting)i)));
	}
	return array;
}

json_t *describe_config(const struct config_store *store)
{
	return json_pack("{s:o, s:b, s:o, s:o}", "path",
			 json_text(config_store_path(store)), "exists",
			 config_store_has_file(store), "problems",
			 describe_problems(config_store_problems(store)),
			 "restart",
			 describe_settings(config_store_pending(store)));
}
