#!/bin/sh
# The installed tree serves a user: `meson install` into an empty place, then a program is compiled with
# nothing but what pkg-config says, and run. Every installed header must compile by itself, too.
# usage: install.sh SOURCE-ROOT BUILD-ROOT
set -eu
build=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

DESTDIR=$place/installed meson install -C "$build" --no-rebuild --quiet
pc=$(find "$place/installed" -name descent.pc)
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$place/installed"
export LD_LIBRARY_PATH="${pc%/pkgconfig/descent.pc}"
cflags=$(pkg-config --cflags descent)
libs=$(pkg-config --libs descent)
headers=$(find "$place/installed" -name '*.h' | grep /include/descent/)
strict='-std=c11 -Wall -Wextra -Wpedantic -Werror'

cd "$place"
cat >program.c <<'END'
#include "base/status.h"
#include <string.h>
int main(void)
{
    return strcmp(descent_status_text(DESCENT_OK), "done") != 0;
}
END
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    for header in $headers; do
        echo "#include \"${header#*/include/descent/}\"" >header.c
        # shellcheck disable=SC2086 # lists of options
        $cc $strict $cflags -fsyntax-only header.c
    done
    # shellcheck disable=SC2086
    $cc $strict $cflags -o program program.c $libs
    ./program
done
