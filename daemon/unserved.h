/* SPDX-License-Identifier: Apache-2.0 */
/* unserved.h - what the rule language has and nothing serves yet */
#ifndef DAEMON_UNSERVED_H
#define DAEMON_UNSERVED_H

#include "common/listener_spec.h"

/**
 * unserved_init() - finds out what the kernel has
 *
 * Tries one SCTP socket, which may load the kernel's module.
 */
void unserved_init(void);

/** unserved_found_sctp() - the kernel has SCTP after all (module loaded) */
void unserved_found_sctp(void);

/**
 * unserved_reason() - may a listener for @spec be opened?
 *
 * Without SCTP in the kernel an SCTP listener may: it then waits with the
 * kernel's own reason.
 * Return: NULL, or a static "not yet: …".
 */
const char *unserved_reason(const struct listener_spec *spec);

#endif
