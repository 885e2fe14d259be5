/* Included before every file (meson.build): functions that have a better form are compile errors here. */
#ifndef WEIR_BASE_BANNED_H
#define WEIR_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <alloca.h>

/* Macros where the C library checks them for clang. */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol gmtime localtime
#undef alloca
#pragma GCC poison alloca

#endif
