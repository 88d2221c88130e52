#!/bin/sh
# Makes the pages of docs/ that come from the code's tables and from what its tests measure, or checks that
# they are current.
# usage: docs.sh write|check SOURCE-ROOT TRAIN-PROGRAM EVIDENCE-TEST...
#
# Worst errors in docs/evidence.md are powers of ten, at least twice what was measured, so that they hold
# with another compiler or CPU. A check fails where one does not, or is a thousand times too much.
set -eu
mode=$1 source=$2 train=$3
shift 3
made=$(mktemp -d "${TMPDIR:-/tmp}/docs-XXXXXX")
trap 'rm -rf "$made"' EXIT

pages="optimizers wrappers schedules"
for page in $pages; do
    "$train" list "$page" --markdown >"$made/$page.md"
done
for kind in optimizers wrappers; do
    sed -n "s/^### /$kind /p" "$made/$kind.md"
done >"$made/names"

# Lines of subject, form, oracle, results, precision, worst error, separated by tabs.
export DESCENT_EVIDENCE="$made/lines"
for test in "$@"; do
    test=$(realpath "$test")
    (cd "$source/tests" && "$test") >"$made/log" 2>&1 || { cat "$made/log"; exit 1; }
done

# A page with a row for each subject, form and oracle, in the order of names; fails if a name has none.
evidence() # 1: errors as measured
{
    cat <<'END'
# Evidence

Made by the tests (`ninja docs` in a build directory), which also check it. Each optimizer and
wrapper of `train list` is held to something from outside: trajectories of other people's code on
the problem of `tests/vectors/make_optimizers.py`, published results, or an identity that must hold
exactly. What an oracle computes in float or bfloat16 was computed in float64 for this.

Errors are the worst of all steps up to the 50th, relative to the distance moved, rounded up to a
power of ten: of the rule built in double, and in float, there beyond what rounding the values in
each step explains.
END
    awk -F'\t' -v names="$made/names" -v as_measured="$1" '
    function bound(worst, least,  power) {
        for (power = least; power < 2 * worst; power *= 10)
            continue
        return sprintf("%.0e", power)
    }
    function error(row, precision, least) {
        if (!((row, precision) in worst))
            return ""
        return as_measured ? worst[row, precision] : bound(worst[row, precision], least)
    }
    function columns(row) {
        if (results[row] == 0)
            return "identity | exact | exact"
        return results[row] " | " error(row, "double", 1e-12) " | " error(row, "float", 1e-6)
    }
    {
        row = $1 FS $2 FS $3
        if (!(row in results))
            order[++rows] = row
        if (!((row, $5) in worst) || $6 + 0 > worst[row, $5])
            worst[row, $5] = $6 + 0
        tally[row, $5] += $4
        if (tally[row, $5] > results[row])
            results[row] = tally[row, $5]
    }
    END {
        while ((getline line <names) > 0) {
            split(line, name, " ")
            if (name[1] != kind) {
                kind = name[1]
                print "\n## " toupper(substr(kind, 1, 1)) substr(kind, 2) "\n"
                print "| name | form | oracle | results | double | float |\n|---|---|---|---|---|---|"
            }
            found = 0
            for (i = 1; i <= rows; i++) {
                split(order[i], cell, FS)
                if (cell[1] == name[2]) {
                    found = 1
                    print "| " cell[1] " | " cell[2] " | " cell[3] " | " columns(order[i]) " |"
                }
            }
            if (!found) {
                print "no evidence that " name[2] " is what it says" >"/dev/stderr"
                missing = 1
            }
        }
        exit missing
    }' "$made/lines"
}

if [ "$mode" = write ]; then
    for page in $pages; do
        cp "$made/$page.md" "$source/docs/$page.md"
    done
    evidence 0 >"$source/docs/evidence.md"
    exit
fi

failed=0
for page in $pages; do
    diff -u "$source/docs/$page.md" "$made/$page.md" || failed=1
done
evidence 1 >"$made/evidence.md" || failed=1
# What both say but for errors must be equal, and no error worse than docs/ says.
awk -F' [|] ' '
function differ(said, found) {
    return said + 0 < found + 0 || (said > 1e-6 && said > 1000 * found) || (said == "") != (found == "")
}
{
    sub(/ [|]$/, "")
    errors = NF == 6 && $4 ~ /^[0-9]+$/
    text = errors ? $1 " | " $2 " | " $3 " | " $4 : $0
}
FNR == NR {
    said[text] = 1
    double[text] = $5
    float[text] = $6
    next
}
{
    met[text] = 1
}
!(text in said) {
    print "not in docs/evidence.md: " text
    failed = 1
}
errors && text in said && (differ(double[text], $5) || differ(float[text], $6)) {
    print "docs/evidence.md says " double[text] ", " float[text] ", measured are " $5 ", " $6 ": " text
    failed = 1
}
END {
    for (text in said)
        if (!(text in met)) {
            print "only in docs/evidence.md: " text
            failed = 1
        }
    exit failed
}' "$source/docs/evidence.md" "$made/evidence.md" || failed=1
[ "$failed" = 0 ] || echo "docs/ is not current; in a build directory: ninja docs"
exit "$failed"
