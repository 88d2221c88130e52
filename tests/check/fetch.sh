#!/bin/sh
# data/fetch.sh against a server on loopback: a whole download, one resumed after a cut, one resumed on a
# wrong beginning, one refused for its digest with the old file kept; and `train` finds what it fetched. The
# script under test is a copy in which the digests of MNIST are those of a few generated images.
# usage: fetch.sh SOURCE-ROOT TRAIN
set -eu
source=$1
train=$2
for tool in python3 curl; do
    command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }
done
place=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$place"' EXIT

fail()
{
    echo "$*"
    exit 1
}

# The digests are those that data/known.c knows.
grep -oE '\b[0-9a-f]{32}\b' "$source/data/fetch.sh" >"$place/digests"
[ "$(wc -l <"$place/digests")" = 15 ]
while read -r digest; do
    grep -q "$digest" "$source/data/known.c" || fail "$digest is not in data/known.c"
done <"$place/digests"

# 10 + 5 images of 28 x 28 pixels, gzipped.
mkdir "$place/files"
python3 - "$place/files" <<'END'
import gzip, pathlib, struct, sys
place = pathlib.Path(sys.argv[1])
for part, count in ("train", 10), ("t10k", 5):
    pixels = bytes((i * 37 + k * k // 7) % 256 for i in range(count) for k in range(784))
    files = {"images-idx3": struct.pack(">4I", 0x803, count, 28, 28) + pixels,
             "labels-idx1": struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))}
    for kind, data in files.items():
        (place / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(data, mtime=0))
END
cp "$source/data/fetch.sh" "$place/fetch.sh"
for file in "$place"/files/*; do
    digest=$(md5sum <"$file" | cut -d ' ' -f 1)
    sed -i "s/^mnist ${file##*/} .*/mnist ${file##*/} $digest/" "$place/fetch.sh"
done

python3 "$source/tests/check/serve.py" "$place/files" >"$place/port" &
server=$!
i=0
while [ ! -s "$place/port" ]; do
    i=$((i + 1))
    [ $i -lt 100 ] || fail "the server does not start"
    sleep 0.1
done
address=http://127.0.0.1:$(cat "$place/port")
export DESCENT_DATA="$place/data" no_proxy=127.0.0.1
images=$DESCENT_DATA/mnist/train-images-idx3-ubyte.gz

fetch() # how
{
    "$place/fetch.sh" --from "$address/$1" mnist >"$place/log" 2>&1
}
expect() # words in the log
{
    grep -qF "$1" "$place/log" || { cat "$place/log"; fail "the log does not say '$1'"; }
}
whole()
{
    for file in "$place"/files/*; do
        cmp "$file" "$DESCENT_DATA/mnist/${file##*/}" || fail "not fetched whole"
    done
    [ -z "$(find "$DESCENT_DATA" -name '*.part')" ] || fail "parts are left"
}

fetch good || { cat "$place/log"; fail "a whole download failed"; }
whole
"$train" data mnist --no-sheet >"$place/log" || fail "train does not find it"
expect 'images      10 training and 5 test, 28 x 28'
fetch nowhere || fail "files that are there were fetched again"
expect 'train-images-idx3-ubyte.gz is there'

rm -rf "$DESCENT_DATA"
! fetch cut || fail "a broken download was taken for a whole one"
expect 'the next run goes on after'
size=$(wc -c <"$images.part")
[ "$size" -gt 0 ] || fail "nothing to resume"
[ ! -e "$images" ] || fail "half a file"
fetch good || { cat "$place/log"; fail "not resumed"; }
expect "after $size bytes that are there"
whole

rm "$images"
echo 'another beginning' >"$images.part"
fetch good || { cat "$place/log"; fail "a wrong beginning was not replaced"; }
expect 'again from the start'
whole
rm "$images"
head -c 100 "$place/files/${images##*/}" >"$images.part"
fetch plain || { cat "$place/log"; fail "a server without ranges was not coped with"; }
whole

echo 'an old file' >"$images"
! fetch bad || fail "a damaged download was taken"
expect "expected $(md5sum <"$place/files/${images##*/}" | cut -d ' ' -f 1); not kept, the old $images stays"
[ "$(cat "$images")" = 'an old file' ] || fail "the old file is gone"
[ ! -e "$images.part" ] || fail "the damaged part is kept"
fetch good || fail "a later download failed"
whole

rm "$images"
! fetch nowhere || fail "a missing file was found"
expect '404'
! "$place/fetch.sh" minst >"$place/log" 2>&1 || fail "an unknown name was taken"
expect "unknown data set 'minst'; known: mnist fashion-mnist kmnist emnist cifar-10 cifar-100"

# EMNIST is unpacked.
python3 - "$place/files/gzip.zip" "$place/files/train-labels-idx1-ubyte.gz" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    archive.write(sys.argv[2], "gzip/emnist-digits-train-labels-idx1-ubyte.gz")
END
digest=$(md5sum <"$place/files/gzip.zip" | cut -d ' ' -f 1)
sed -i "s/^emnist .*/emnist gzip.zip $digest/" "$place/fetch.sh"
"$place/fetch.sh" --from "$address/good" emnist >"$place/log" 2>&1 || { cat "$place/log"; exit 1; }
labels='train-labels-idx1-ubyte.gz'
cmp "$place/files/$labels" "$DESCENT_DATA/emnist/emnist-digits-$labels"
[ ! -e "$DESCENT_DATA/emnist/gzip.zip" ] || fail "the archive is left"
"$place/fetch.sh" --from "$address/nowhere" emnist >"$place/log" 2>&1 || fail "fetched again"
