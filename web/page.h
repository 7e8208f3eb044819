/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - the status page, inside the program */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

/* page_html, page_policy - the page, and its Content-Security-Policy: it names
 * the page's script and style by their hashes. Both end with a NUL. */
extern const char page_html[];
extern const char page_policy[];

#endif
