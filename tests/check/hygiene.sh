#!/bin/sh
# What no file of the repository may hold: notes to self, paths of one developer's machine, an unfinished
# last line.
# usage: hygiene.sh SOURCE-ROOT
set -eu
cd "$1"
files=$(find . -path './build*' -prune -o -path ./runs -prune -o -path ./.git -prune -o \
    -name __pycache__ -prune -o -type f -size +0 -exec grep -lI . {} +)
failed=0

# The brackets keep these patterns from finding themselves.
# shellcheck disable=SC2086 # a list of files
if grep -nE '\b(TO[D]O|FIX[M]E|X[X]X)\b' $files; then
    echo "^ markers of unfinished work: do it, or write an issue"
    failed=1
fi
outside='[w]ork|[h]ome|[r]oot|[o]pt|[m]nt|[t]mp|[U]sers'
# shellcheck disable=SC2086
if grep -nE "(^|[^[:alnum:]_.$}*-])/($outside)/" $files | grep -v 'XXXXXX'; then
    echo "^ absolute paths: nothing outside the repository but /usr/share/datasets"
    failed=1
fi
for file in $files; do
    if [ "$(tail -c 1 "$file" | wc -l)" = 0 ]; then
        echo "$file: no newline at the end"
        failed=1
    fi
done
exit $failed
