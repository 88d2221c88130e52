/* The last-error text: one fixed buffer per thread, so that keeping a message never fails itself. */
#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

static _Thread_local char message[MESSAGE_BYTES];

const char *descent_status_text(enum descent_status status)
{
    static const char *const text[] = {
#define X(name, words) words,
        DESCENT_STATUS_LIST(X)
#undef X
    };
    size_t index = (size_t)status;
    return index < sizeof text / sizeof *text ? text[index] : "unknown status";
}

const char *descent_error(void)
{
    return message;
}

enum descent_status descent_fail(enum descent_status status, const char *format, ...)
{
    char fresh[MESSAGE_BYTES]; /* the arguments may point into the kept message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fresh, sizeof fresh, format, arguments);
    va_end(arguments);
    for (char *at = fresh; *at; at++) /* names out of a stranger's file may command a terminal */
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    memcpy(message, fresh, sizeof message);
    return status;
}

enum descent_status descent_fail_in(enum descent_status status, const char *format, ...)
{
    char prefix[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    return descent_fail(status, "%s: %s", prefix, message);
}
