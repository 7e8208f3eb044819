/* SPDX-License-Identifier: Apache-2.0 */
/* parse_option.h - the socket options of a listen entry */
#ifndef RULES_PARSE_OPTION_H
#define RULES_PARSE_OPTION_H

#include "rules/parse_rule.h"

enum option {
	OPTION_BACKLOG,
	OPTION_INTERFACE_BOUND,
	OPTION_TRANSPARENT,
	OPTION_MARK,
	OPTION_DSCP,
	OPTION_RECEIVE_BUFFER,
	OPTION_SEND_BUFFER,
	OPTION_KEEPALIVE,
	OPTION_DEFER_ACCEPT,
	OPTION_FASTOPEN,
	OPTION_STREAMS,
};
#define OPTION_COUNT (OPTION_STREAMS + 1)

/** option_name() - the key of an option in a rule file: "backlog"; static */
const char *option_name(enum option option);

/**
 * parse_option() - one option into @listen->service->options
 *
 * @listen has its protocols and address already: an option that one of them
 * does not know is refused.
 */
void parse_option(struct parse *parse, enum option option,
		  const struct field *field, struct listen *listen);

#endif
