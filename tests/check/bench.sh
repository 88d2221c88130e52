#!/bin/sh
# descent's sides of the benchmarks answer every request that bench/training.py, optimizers.py and
# loading.py make, one line each, and refuse what makes no sense; the scripts themselves start.
# usage: bench.sh SOURCE-ROOT STEPS OPTIMIZER-STEPS LOADING
set -eu
steps=$2 optimizer_steps=$3 loading=$4
python3 -B "$1/bench/training.py" --help >/dev/null
python3 -B "$1/bench/optimizers.py" --help >/dev/null
python3 -B "$1/bench/loading.py" --help >/dev/null

answers=$(printf '%s\n' version 'train mlp 4 1 2' 'train mlp 4 2 2' 'train lenet5 2 1 1' 'train cnn 2 1 1' \
    'train resnet20 2 1 1' 'sgemm 16 2 1' 'flops mlp' 'flops resnet20' memory | "$steps")
echo "$answers"
# 784-256-128-10: 6 FLOPs a weight, 4 in the first layer; then biases, activations and the loss.
echo "$answers" | awk '
    NR == 1 { good += /^descent [(]/ }
    NR >= 2 && NR <= 6 { good += NF == 2 && $1 > 0 && $2 > 1 && $2 < 10 }
    NR == 2 { loss = $2 }
    NR == 3 { good += $2 == loss }
    NR == 7 { good += NF == 1 && $1 > 0 }
    NR == 8 { good += $1 >= 1007104 && $1 < 1.01 * 1007104 }
    NR == 9 { good += $1 > 200e6 && $1 < 300e6 }
    NR == 10 { good += $1 > 1e6 }
    END { exit !(NR == 10 && good == 11) }'

for request in 'train lenet 64 1 1' 'train mlp 0 1 1' 'train mlp 64 1 0' 'sgemm 0 1 1' 'flops' ''; do
    if echo "$request" | "$steps" >/dev/null 2>&1; then
        echo "steps served '$request'"
        exit 1
    fi
done

answers=$(printf '%s\n' algorithms 'step adamw 10000 1 2' 'step adamw 10000 2 2' 'nothing adamw 10000 2 2' \
    'bytes adamw 10000' 'bytes sgd 10000' forget 'step lamb 1000 1 1' | "$optimizer_steps")
echo "$answers"
# adamw has two numbers of state beside each and a step count, and moves 7; sgd moves 3.
echo "$answers" | awk '
    NR == 1 { good += NF > 20 && / adamw / }
    NR == 2 || NR == 3 || NR == 4 || NR == 8 { good += NF == 1 && $1 > 0 }
    NR == 5 { good += $1 >= 8 && $1 < 8.01 && $2 == 28 }
    NR == 6 { good += $1 < 0.01 && $2 == 12 }
    END { exit !(NR == 8 && good == 7) }'

for request in 'step adamw 10 1 1' 'step adamw 10000 0 1' 'step nobody 10000 1 1' \
    'nothing adamw 10000 1 0' 'bytes'; do
    if echo "$request" | "$optimizer_steps" >/dev/null 2>&1; then
        echo "optimizer_steps served '$request'"
        exit 1
    fi
done

set=$1/data/sample/fashion-mnist
answers=$(printf '%s\n' version "load $set 0 100 1000 2 none" "load $set 2 100 1000 1 crop:pad=4+flip" \
    memory | "$loading")
echo "$answers"
echo "$answers" | awk '
    NR == 2 || NR == 3 { good += NF == 1 && $1 > 0 }
    NR == 4 { good += $1 > 1e6 }
    END { exit !(NR == 4 && good == 3) }'
for request in "load $set 0 100 1000 1" "load $set 0 100 0 1 none" "load $set 0 100 1000 1 corp" \
    "load $set 0 100 4501 1 none"; do
    if echo "$request" | "$loading" >/dev/null 2>&1; then
        echo "loading served '$request'"
        exit 1
    fi
done
