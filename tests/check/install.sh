#!/bin/sh
# The installed tree serves a user: `meson install` into an empty place, then the examples are compiled with
# nothing but what pkg-config says, and run. Every installed header must compile by itself, too.
# usage: install.sh SOURCE-ROOT BUILD-ROOT
set -eu
source=$1
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
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    for header in $headers; do
        echo "#include \"${header#*/include/descent/}\"" >header.c
        # shellcheck disable=SC2086 # lists of options
        $cc $strict $cflags -fsyntax-only header.c
    done
    for example in my_network predict_one rosenbrock; do
        # shellcheck disable=SC2086
        $cc $strict $cflags -o $example "$source/examples/$example.c" $libs
    done
done

# The examples and the installed program work together, on the sample that the repository carries.
sample=$source/data/sample/fashion-mnist
./my_network "$sample" | tee said
awk '/accuracy/ { last = $5 } END { exit !(last >= 75) }' said
[ "$(wc -l <"$source/examples/my_network.c")" -le 60 ]
train=$(find "$place/installed" -path '*/bin/train')
"$train" --quiet --data "$sample" --model mlp:64 --epochs 2 --out run
./predict_one run/model.safetensors 0 "$sample" | tee said
grep -q '^predicted: .*; labeled: ankle boot$' said
# C files of one's own are compiled by the program itself, with the headers that were installed with it.
export XDG_CACHE_HOME="$place/cache"
cp "$source/examples/residual_mlp.c" "$source/examples/cautious_lion.c" .
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    CC=$cc "$train" --quiet --data "$sample" --model ./residual_mlp.c:32 \
        --optimizer ./cautious_lion.c:1e-3 --steps 20 --out "own-$cc" 2>said || { cat said; exit 1; }
    [ ! -s said ] || { cat said; exit 1; } # not even a warning
done
./rosenbrock | tee said
grep -q '^x 1\.0000  y 1\.0000 ' said
./rosenbrock adam:lr=0.01 5000 | tee said
grep -q '^x 1\.00' said
