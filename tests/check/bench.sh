#!/bin/sh
# descent's side of the benchmark answers every request that bench/training.py makes, one line each, and
# refuses what makes no sense; training.py itself starts.
# usage: bench.sh SOURCE-ROOT STEPS
set -eu
steps=$2
python3 -B "$1/bench/training.py" --help >/dev/null

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
