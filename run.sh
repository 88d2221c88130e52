#!/bin/sh
# Trains LeNet-5 on Fashion-MNIST with one command: installs what is missing, builds an optimized binary,
# runs it.
# Options go to `train` after the defaults below and override them: ./run.sh --model cnn --epochs 1
set -eu
root=$(dirname "$0")
. "$root/tools/setup.sh"

need build
data=fashion-mnist
case " $* " in
*" --data "* | *" --data="*) ;;
*)
    if ! want images; then
        data=$root/data/sample/fashion-mnist
        say "The whole of Fashion-MNIST (package dataset-fashion-mnist) cannot be had here."
        say "Training on the small sample of it in $data instead: expect a lower accuracy."
    fi
    ;;
esac

say "Building $root/build/train/train"
if [ ! -f "$root/build/build.ninja" ]; then
    # A newer compiler may know new warnings: they are the test suite's business, not a first run's.
    quietly meson setup "$root/build" "$root" -Dwerror=false
fi
quietly ninja -C "$root/build" train/train

set -- --data "$data" --model lenet5 --optimizer adam:lr=1e-3 --batch 64 --epochs 5 "$@"
say "$root/build/train/train $*"
exec "$root/build/train/train" "$@"
