#!/bin/sh
# No line of a source is longer than 108 columns, and every C file is as clang-format 14 would write it
# (other versions differ: without that one this part is skipped).
# usage: format.sh SOURCE-ROOT
set -eu
cd "$1"
sources=$(find . -path './build*' -prune -o -path './runs' -prune -o -path './.git' -prune -o \
    -name '*.[ch]' -print -o -name '*.sh' -print)

# shellcheck disable=SC2086 # a list of files
if LC_ALL=C.UTF-8 grep -nE '^.{109}' $sources; then
    echo "lines longer than 108 columns"
    exit 1
fi

for name in clang-format-14 clang-format; do
    if $name --version 2>/dev/null | grep -q 'version 14\.'; then
        echo "$sources" | grep '[.][ch]$' | xargs $name --dry-run -Werror
        exit 0
    fi
done
echo "no clang-format 14 here"
exit 77
