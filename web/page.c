// SPDX-License-Identifier: Apache-2.0
/* page.c - the status page, inside the program
 *
 * web/page/build makes both files of those beside it. The assembler looks for
 * them where the build is.
 */
#include "web/page.h"

__asm__(".pushsection .rodata\n"
	".global page_html\n"
	".type page_html, %object\n"
	"page_html:\n"
	".incbin \"web/page.html\"\n"
	".byte 0\n"
	".size page_html, . - page_html\n"
	".global page_policy\n"
	".type page_policy, %object\n"
	"page_policy:\n"
	".incbin \"web/page.policy\"\n"
	".byte 0\n"
	".size page_policy, . - page_policy\n"
	".popsection\n");
