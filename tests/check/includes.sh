#!/bin/sh
# The include rules of the modules: who may include whom, who alone knows a library, and that public headers
# need nothing but public headers. First the source tree, then planted violations, each of which must be
# found. Computed includes are not followed.
# usage: includes.sh SOURCE-ROOT PUBLIC-HEADER...
set -eu
root=$1
shift
public=$*

# Prints the violations in the tree $1; fails if there is one.
check()
(
    cd "$1"
    sources=
    for module in base nn optim data models train examples tests bench; do
        [ -d $module ] || continue
        sources="$sources $(find $module -name '*.[ch]' -o -name '*.inc')"
    done
    # shellcheck disable=SC2086 # a list of files
    awk -v public="$public" '
    BEGIN {
        may["base"] = "base"
        may["nn"] = "nn base"
        may["optim"] = "optim base"
        may["data"] = "data base"
        may["models"] = "models base"
        may["train"] = "base nn optim data models train"
        may["examples"] = "public headers only"
        n = split("base nn optim data models train examples tests bench", list)
        for (i = 1; i <= n; ++i) is_module[list[i]] = 1
        n = split(public, list)
        for (i = 1; i <= n; ++i) is_public[list[i]] = 1
        # libraries, each known to one file
        only["^(cblas|f77blas|lapack|lapacke|openblas_config)[.]h$"] = "base/linalg.c"
        only["^jansson[.]h$"] = "base/json.c"
        only["^zlib[.]h$"] = "data/gz.c data/png.c"
        only["^nettle/"] = "data/digest.c"
        only["^linux/(audit|filter|seccomp)[.]h$"] = "data/decoder.c"
        only["stb_image[.]h$"] = "data/image.c"
        # the C library, POSIX, and the intrinsics that come with a compiler
        n = split("assert complex cpuid ctype dirent dlfcn errno fcntl fenv float fnmatch getopt glob " \
            "immintrin inttypes libgen limits locale math poll pthread sched setjmp signal spawn " \
            "stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings " \
            "termios tgmath time unistd wchar xmmintrin", list)
        for (i = 1; i <= n; ++i) is_libc[list[i] ".h"] = 1
    }
    function bad(why) { print FILENAME ":" FNR ": " $0 ": " why; failed = 1 }
    FNR == 1 { from = FILENAME; sub("/.*", "", from); here = FILENAME; sub("[^/]*$", "", here) }
    !/^[ \t]*#[ \t]*include[ \t]*[<"]/ || from == "tests" || from == "bench" { next }
    {
        name = $0; sub(/^[^<"]*[<"]/, "", name); sub(/[>"].*/, "", name)
        quoted = /include[ \t]*"/
        to = name; sub("/.*", "", to)
        if (name ~ /[.][.]/)
            bad("write the path from the root")
        else if (is_module[to] || quoted) {
            # of our own; a name without its module is a neighbour
            if (!is_module[to]) { name = here name; to = from }
            if (from == "examples" ? !is_public[name] : index(" " may[from] " ", " " to " ") == 0 && \
                !(from == "models" && name == "nn/nn.h"))
                bad(from "/ may include: " may[from] (from == "models" ? " nn/nn.h" : ""))
            if (is_public[FILENAME] && !is_public[name])
                bad("a public header includes one that is not installed")
        } else if (!is_libc[name] && name !~ /^sys\//) {
            owner = "no file"
            for (library in only) if (name ~ library) owner = only[library]
            if (index(" " owner " ", " " FILENAME " ") == 0) bad("may be included by " owner)
        }
    }
    END { exit failed }' $sources || exit 1

    # Headers that include each other, however far around.
    # shellcheck disable=SC2086
    cycle=$(awk '
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, part, "\"")
        here = FILENAME; sub("[^/]*$", "", here)
        print FILENAME, part[2] ~ "/" ? part[2] : here part[2]
    }' $sources | tsort 2>&1 >/dev/null)
    [ -z "$cycle" ] || { printf 'headers that include each other:\n%s\n' "$cycle"; exit 1; }
)

check "$root" || exit 1

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
missed=0
plant() # file include
{
    rm -rf "${planted:?}"/*
    mkdir -p "$planted/$(dirname "$1")"
    printf '%s\n' '#include <stdio.h>' "#include $2" >"$planted/$1"
}
must_be_found()
{
    plant "$@"
    if found=$(check "$planted"); then
        echo "not found: $1 including $2"
        missed=1
    elif [ "${found#"$1:2: "}" = "$found" ]; then
        echo "not named: $1 including $2: $found"
        missed=1
    fi
}
must_pass()
{
    plant "$@"
    check "$planted" && return
    echo "wrongly found: $1 including $2"
    missed=1
}
first_public=${public%% *}
must_be_found base/planted.c '"nn/nn.h"'
must_be_found base/planted.c '<zlib.h>'
must_be_found nn/planted.c '"optim/optim.h"'
must_be_found nn/deeper/planted.c '"data/data.h"'
must_be_found nn/planted.c '"models/models.h"'
must_be_found nn/planted.c '"../data/data.h"'
must_be_found nn/planted.c '<train/run.h>'
must_be_found nn/planted.c '<cblas.h>'
must_be_found nn/planted.h '<omp.h>'
must_be_found optim/planted.c '"nn/nn.h"'
must_be_found optim/planted.c '"data/data.h"'
must_be_found data/planted.c '"nn/nn.h"'
must_be_found data/planted.c ' "optim/optim.h" /* why not */'
must_be_found data/planted.c '<zlib.h>'
must_be_found data/planted.c '<nettle/md5.h>'
must_be_found data/planted.c '<stb/stb_image.h>'
must_be_found models/planted.c '"optim/optim.h"'
must_be_found models/planted.c '"data/data.h"'
must_be_found models/planted.c '"nn/graph.h"'
must_be_found train/planted.c '<jansson.h>'
must_be_found train/planted.c '"tests/test.h"'
must_be_found examples/planted.c '"nn/planted.h"'
must_be_found "$first_public" '"base/not_public.h"'
must_pass base/linalg.c '<cblas.h>'
must_pass base/json.c '<jansson.h>'
must_pass data/gz.c '<zlib.h>'
must_pass data/png.c '<zlib.h>'
must_pass data/digest.c '<nettle/md5.h>'
must_pass data/image.c '"stb/stb_image.h"'
must_pass models/planted.c '"nn/nn.h"'
must_pass nn/planted.c '"base/linalg.h"'
must_pass nn/planted.c '"neighbour.h"'
must_pass train/planted.c '"optim/optim.h"'
must_pass examples/planted.c "\"$first_public\""
plant nn/a.h '"nn/b.h"'
echo '#include "nn/a.h"' >"$planted/nn/b.h"
if check "$planted" >/dev/null; then
    echo "not found: two headers that include each other"
    missed=1
fi
exit $missed
