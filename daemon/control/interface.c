// SPDX-License-Identifier: Apache-2.0
/* interface.c - the files doc/io.*.varlink, as they are, inside the program
 *
 * So the text that GetInterfaceDescription gives is the one that is read in
 * doc. The paths are relative to where make runs.
 */
#include "daemon/control/interface.h"

#define INCLUDE_TEXT(name, path)                       \
	__asm__(".pushsection .rodata\n"               \
		".global " name "\n"                   \
		".type " name ", %object\n" name ":\n" \
		".incbin \"" path "\"\n"               \
		".byte 0\n"                            \
		".size " name ", . - " name "\n"       \
		".popsection\n")

INCLUDE_TEXT("interface_text", "doc/io.berth.varlink");
INCLUDE_TEXT("interface_metrics_text", "doc/io.systemd.Metrics.varlink");
