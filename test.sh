#!/bin/sh
# The whole test suite: installs what is missing, then builds and tests with gcc, with clang, under
# AddressSanitizer with UndefinedBehaviorSanitizer, and the threaded tests under ThreadSanitizer; then tries
# run.sh. The builds stay in build-test/ for the next time.
set -eu
cd "$(dirname "$0")"
. tools/setup.sh

need build test
want format || say "No clang-format 14 here: the format check is skipped."
want pictures || say "No gnuplot here: that pictures can be drawn is not checked."
want images || say "No dataset-fashion-mnist here: tests on the whole of it are skipped."

passed=0
failed=0
started=$(date +%s)

# Prints passed, failed and skipped cases from Meson's log, which holds one JSON object a line with what
# cmocka printed. A test that is no cmocka program is one case; one that broke beside its cases (a leak, a
# crash, a time-out) has one failed at least.
count()
{
    awk '
    function cases(label,  rest, sum) {
        sum = 0
        for (rest = $0; match(rest, "[[]  " label " *] [0-9]+ test"); rest = substr(rest, RSTART + RLENGTH))
            sum += substr(rest, RSTART + 13)
        return sum
    }
    { good = cases("PASSED"); bad = cases("FAILED"); skip = cases("SKIPPED") }
    /"result": "SKIP"/ { ++skipped; next }
    /"result": "OK"/ { passed += good + skip > 0 ? good : 1; skipped += skip; next }
    { passed += good; skipped += skip; failed += bad > 0 ? bad : 1 }
    END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# Builds one way and runs some of the tests. A build that fails counts as one failure, and so does a run of
# no test at all.
suite() # name compiler setup-options test-options
{
    directory=build-test/$1
    log=$directory/meson-logs/testlog.json
    begun=$(date +%s)
    reconfigure=
    [ ! -f "$directory/build.ninja" ] || reconfigure=--reconfigure
    say "== $1: building"
    # shellcheck disable=SC2086 # lists of options
    if quietly env CC="$2" meson setup $reconfigure "$directory" -Dtests=enabled $3 &&
        quietly ninja -C "$directory"; then
        rm -f "$log"
        status=0
        $unrandomized meson test -C "$directory" --no-rebuild --print-errorlogs $4 </dev/null || status=$?
        [ -f "$log" ] || : >"$log"
        read -r good bad skipped <<END
$(count "$log")
END
        if [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$good" = 0 ]; }; then bad=1; fi
    else
        say "== $1: the build failed"
        good=0 bad=1 skipped=0
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    say "== $1: $good passed, $bad failed, $skipped skipped ($(($(date +%s) - begun)) s)"
}

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# Leaks are looked for where the system lets a process trace itself (some containers do not).
probe=$(mktemp)
export ASAN_OPTIONS=detect_leaks=1
echo 'int main(void) { return 0; }' | gcc -fsanitize=address -x c -o "$probe" -
if ! "$probe" 2>/dev/null; then
    say "LeakSanitizer does not work here: leaks are not looked for."
    ASAN_OPTIONS=detect_leaks=0
fi
rm -f "$probe"
# ThreadSanitizer of gcc 12 and clang 14 cannot map its shadow memory where newer kernels put things.
unrandomized=
if setarch -R true 2>/dev/null; then unrandomized='setarch -R'; fi

suite gcc gcc '' ''
suite clang clang '' '--no-suite check --no-suite accuracy'
# -O1: gcc takes half as long again for -O2 with these sanitizers, more than the tests then gain.
suite sanitize gcc '-Ddebug=true -Doptimization=1 -Db_sanitize=address,undefined' \
    '--no-suite check --no-suite accuracy --timeout-multiplier 5'
suite thread gcc '-Dbuildtype=debugoptimized -Db_sanitize=thread' '--suite threads --timeout-multiplier 10'

# The first command a user types; it makes build/, too.
say "== run.sh: an epoch on the sample"
run=$(mktemp -d)
if ./run.sh --data data/sample/fashion-mnist --epochs 1 --out "$run/out" </dev/null >"$run/log" 2>&1 &&
    tail -n 2 "$run/log" | grep '^test accuracy'; then
    passed=$((passed + 1))
else
    cat "$run/log"
    failed=$((failed + 1))
fi
rm -rf "$run"

say "All of it in $(($(date +%s) - started)) s"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
