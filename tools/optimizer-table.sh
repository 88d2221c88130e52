#!/bin/sh
# Trains lenet5 on Fashion-MNIST for one epoch with each optimizer and wrapper and prints what came out as a
# table in Markdown. An optimizer runs with its defaults, or with what its card (train list optimizers NAME)
# advises in a line "For lenet5 with batches of 64: lr=0.1." Two runs at a time, one thread each; runs that
# are in the directory are not repeated.
# usage: optimizer-table.sh TRAIN-PROGRAM DIRECTORY-FOR-RUNS [SPEC...]
set -eu
train=$1 runs=$2
shift 2
mkdir -p "$runs"

if [ $# = 0 ]; then
    for name in $("$train" list optimizers --markdown | sed -n 's/^### //p'); do
        advice=$("$train" list optimizers "$name" |
            sed -n 's/^For lenet5 with batches of 64: \(.*\)[.]$/:\1/p')
        set -- "$@" "$name$advice"
    done
    for name in $("$train" list wrappers --markdown | sed -n 's/^### //p'); do
        set -- "$@" "momentum:lr=0.02+$name"
    done
fi

# shellcheck disable=SC2016 # for the inner shell
printf '%s\n' "$@" | xargs -P 2 -I {} sh -c '
    name=$(echo "$3" | tr ":/" "_-")
    [ ! -e "$2/$name.exit" ] || exit 0
    status=0
    "$1" --data fashion-mnist --model lenet5 --epochs 1 --threads 1 --workers 0 --optimizer "$3" \
        --out "$2/$name" --force >"$2/$name.log" 2>&1 || status=$?
    echo "$status" >"$2/$name.exit"' - "$train" "$runs" {}

echo '| optimizer | test accuracy | test loss | CPU seconds |'
echo '|---|---|---|---|'
for spec in "$@"; do
    name=$(echo "$spec" | tr ':/' '_-')
    printf '| `%s` ' "$spec"
    if [ "$(cat "$runs/$name.exit")" = 0 ]; then
        grep '"event": "end"' "$runs/$name/metrics.jsonl" | tr ',}' '\n\n' | awk -F': ' '
            { value[$1] = $2 }
            END {
                printf "| %.2f %% | %.3f | %.1f |\n", 100 * value[" \"test_accuracy\""],
                    value[" \"test_loss\""], value[" \"cpu_seconds\""]
            }'
    else
        echo "| $(sed -n 's/^train: //p' "$runs/$name.log") | | |"
    fi
done
