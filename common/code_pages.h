/* SPDX-License-Identifier: Apache-2.0 */
/* code_pages.h - what of the programs' own files is mapped */
#ifndef COMMON_CODE_PAGES_H
#define COMMON_CODE_PAGES_H

/**
 * code_pages_release() - lets go of the code that only the start needed
 *
 * Unmaps every page of the program's and its libraries' code and constants from
 * this process. A page that is used again comes back from the kernel's cache
 * with a fault (some microseconds, once); one that is not, like those of the
 * parser of YAML and of the library that compiled the filter of system calls,
 * does not count as this process's memory any more. What was written into is
 * not touched. Call it when a start or a reload is complete, from any thread.
 * It only saves memory: what the kernel refuses to unmap stays.
 */
void code_pages_release(void);

#endif
