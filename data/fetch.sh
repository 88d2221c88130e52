#!/bin/sh
# Downloads well-known data sets to where `train --data NAME` looks for them. A broken download goes on
# where it broke; a file counts only once its MD5 is the published one, and until then an older one stays.
set -eu

usage()
{
    cat <<'END'
usage: data/fetch.sh [--from BASE] NAME...

NAME is mnist, fashion-mnist, kmnist, emnist, cifar-10 or cifar-100. Files go to $DESCENT_DATA/NAME, or
$XDG_CACHE_HOME/descent/NAME (~/.cache where XDG_CACHE_HOME is not set). They come from their publishers, or
from BASE/FILE. Needs curl, and unzip or python3 for emnist.
END
}

# Where its publishers, or mirrors they name, keep a data set.
address() # name
{
    case $1 in
    mnist) echo https://ossci-datasets.s3.amazonaws.com/mnist ;;
    fashion-mnist) echo http://fashion-mnist.s3-website.eu-central-1.amazonaws.com ;;
    kmnist) echo http://codh.rois.ac.jp/kmnist/dataset/kmnist ;;
    emnist) echo https://biometrics.nist.gov/cs_links/EMNIST ;;
    *) echo https://www.cs.toronto.edu/~kriz ;;
    esac
}

# A row a file: data set, file, MD5 (as in data/known.c).
files()
{
    cat <<'END'
mnist train-images-idx3-ubyte.gz f68b3c2dcbeaaa9fbdd348bbdeb94873
mnist train-labels-idx1-ubyte.gz d53e105ee54ea40749a09fcbcd1e9432
mnist t10k-images-idx3-ubyte.gz 9fb629c4189551a2d022fa330f9573f3
mnist t10k-labels-idx1-ubyte.gz ec29112dd5afa0611ce80d1b7f02629c
fashion-mnist train-images-idx3-ubyte.gz 8d4fb7e6c68d591d4c3dfef9ec88bf0d
fashion-mnist train-labels-idx1-ubyte.gz 25c81989df183df01b3e8a0aad5dffbe
fashion-mnist t10k-images-idx3-ubyte.gz bef4ecab320f06d8554ea6380940ec79
fashion-mnist t10k-labels-idx1-ubyte.gz bb300cfdad3c16e7a12a480ee83cd310
kmnist train-images-idx3-ubyte.gz bdb82020997e1d708af4cf47b453dcf7
kmnist train-labels-idx1-ubyte.gz e144d726b3acfaa3e44228e80efcd344
kmnist t10k-images-idx3-ubyte.gz 5c965bf0a639b31b8f53240b1b52f4d7
kmnist t10k-labels-idx1-ubyte.gz 7320c461ea6c1c855c0b718fb2a4b134
emnist gzip.zip 58c8d27c78d21e728a6bc7b3cc06412e
cifar-10 cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530
cifar-100 cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8
END
}

fail()
{
    echo "fetch.sh: $*" >&2
    exit 1
}

md5() # file
{
    if command -v md5sum >/dev/null; then
        md5sum <"$1" | cut -d ' ' -f 1
    else
        openssl md5 -r "$1" | cut -d ' ' -f 1
    fi
}

size() # file
{
    if [ -f "$1" ]; then wc -c <"$1" | xargs; else echo 0; fi
}

is() # file digest
{
    [ -f "$1" ] && [ "$(md5 "$1")" = "$2" ]
}

# Downloads to FILE.part, going on with what is there, and makes it FILE if it is the published one. If not,
# it is thrown away; where it was resumed, its beginning may be at fault, and all of it is loaded again.
download() # address file digest
{
    part=$2.part
    resumed=no
    if [ -s "$part" ]; then
        resumed=yes
        echo "fetch.sh: $1, after $(size "$part") bytes that are there"
    else
        echo "fetch.sh: $1"
    fi
    status=0
    is "$part" "$3" || curl --fail --location --silent --show-error --retry 2 --continue-at - \
        --output "$part" "$1" || status=$?
    # Resumed, 22 and 33 mean that there is no more of it, or that the server cannot begin in the middle.
    case $resumed:$status in
    *:0 | yes:22 | yes:33) ;;
    *) fail "$1: curl failed with status $status; the next run goes on after $(size "$part") bytes" ;;
    esac
    if is "$part" "$3"; then
        mv -f "$part" "$2"
        return
    fi
    found=$(md5 "$part")
    rm -f "$part"
    if [ $resumed = yes ]; then
        echo "fetch.sh: that is not its beginning: again from the start"
        download "$1" "$2" "$3"
    elif [ -f "$2" ]; then
        fail "$1: MD5 is $found, expected $3; not kept, the old $2 stays"
    else
        fail "$1: MD5 is $found, expected $3; not kept"
    fi
}

# EMNIST's archive holds gzip/*.gz; it is replaced by these and a note of its digest.
unpack() # archive digest
{
    directory=$(dirname "$1")
    rm -rf "$directory/unpacking"
    mkdir "$directory/unpacking"
    if command -v unzip >/dev/null; then
        unzip -q "$1" -d "$directory/unpacking"
    else
        python3 -m zipfile -e "$1" "$directory/unpacking"
    fi
    mv "$directory"/unpacking/gzip/*.gz "$directory"
    rm -rf "$directory/unpacking" "$1"
    echo "$2" >"$1.md5"
}

base=
while [ $# -gt 0 ]; do
    case $1 in
    --from)
        [ $# -gt 1 ] || fail "--from expects an address"
        base=$2
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    -*) fail "unknown option $1; known: --from, --help" ;;
    *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
for name in "$@"; do
    files | grep -q "^$name " && continue
    fail "unknown data set '$name'; known: $(files | cut -d ' ' -f 1 | uniq | xargs)"
done
command -v curl >/dev/null || fail "curl is missing"

place=${DESCENT_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/descent}
for name in "$@"; do
    mkdir -p "$place/$name"
    files | grep "^$name " | while read -r _ file digest; do
        target=$place/$name/$file
        if is "$target" "$digest" || [ "$(cat "$target.md5" 2>/dev/null)" = "$digest" ]; then
            echo "fetch.sh: $target is there"
            continue
        fi
        download "${base:-$(address "$name")}/$file" "$target" "$digest"
        case $file in *.zip) unpack "$target" "$digest" ;; esac
    done
    echo "fetch.sh: $name is in $place/$name"
done
