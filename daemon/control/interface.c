// SPDX-License-Identifier: Apache-2.0
/* interface.c - doc/io.berth.varlink, as it is, inside the program
 *
 * So the text that GetInterfaceDescription gives is the one that is read in
 * doc. The path is relative to where make runs.
 */
#include "daemon/control/interface.h"

__asm__(".pushsection .rodata\n"
	".global interface_text\n"
	".type interface_text, %object\n"
	"interface_text:\n"
	".incbin \"doc/io.berth.varlink\"\n"
	".byte 0\n"
	".size interface_text, . - interface_text\n"
	".popsection\n");
