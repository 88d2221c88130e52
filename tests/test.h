/* What every test file includes: cmocka and its prerequisites. */
#ifndef DESCENT_TESTS_TEST_H
#define DESCENT_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
