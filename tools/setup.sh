# shellcheck shell=sh
# Finds what building and testing need, and installs what is missing on Debian and Ubuntu; elsewhere names
# the packages to install. Where nothing is missing it needs neither root nor network. Sourced, not run.

# One row a thing: group, how and what to look for, its package for apt-get, dnf, pacman and brew.
things()
{
    cat <<'END'
build   command  gcc          gcc                    gcc                  gcc          gcc
build   header   stdio.h      libc6-dev              glibc-devel          glibc        gcc
build   command  meson        meson                  meson                meson        meson
build   command  ninja        ninja-build            ninja-build          ninja        ninja
build   command  pkg-config   pkg-config             pkgconf-pkg-config   pkgconf      pkgconf
build   module   openblas     libopenblas-dev        openblas-devel       openblas     openblas
build   module   zlib         zlib1g-dev             zlib-devel           zlib         zlib
build   module   nettle       nettle-dev             nettle-devel         nettle       nettle
build   header   stb/stb_image.h  libstb-dev         stb_image-devel      stb          -
build   module   jansson      libjansson-dev         jansson-devel        jansson      jansson
test    command  clang        clang                  clang                clang        llvm
test    command  curl         curl                   curl                 curl         curl
test    module   cmocka       libcmocka-dev          libcmocka-devel      cmocka       cmocka
format  command  clang-format-14  clang-format-14    -                    -            -
pictures command gnuplot     gnuplot-nox            gnuplot              gnuplot      gnuplot
images  file     /usr/share/datasets/fashion-mnist  dataset-fashion-mnist  -  -        -
END
}

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

say()
{
    printf '%s%s%s\n' "$bold" "$*" "$plain"
}

# Runs a command without input; what it prints is shown only when it fails.
quietly()
{
    quiet_log=$(mktemp)
    quiet_status=0
    "$@" </dev/null >"$quiet_log" 2>&1 || quiet_status=$?
    [ "$quiet_status" = 0 ] || cat "$quiet_log" >&2
    rm -f "$quiet_log"
    return "$quiet_status"
}

present() # kind name
{
    case $1 in
    command) command -v "$2" ;;
    module) pkg-config --exists "$2" ;;
    header) printf '#include <%s>\n' "$2" | gcc -E -x c - ;;
    file) [ -e "$2" ] ;;
    esac >/dev/null 2>&1
}

# The packages that hold what is missing of some groups, in the names of one package manager.
missing() # manager group...
{
    manager=$1
    shift
    things | while read -r group kind name apt dnf pacman brew; do
        case " $* " in *" $group "*) ;; *) continue ;; esac
        present "$kind" "$name" && continue
        case $manager in
        apt-get) echo "$apt" ;;
        dnf) echo "$dnf" ;;
        pacman) echo "$pacman" ;;
        brew) echo "$brew" ;;
        esac
    done | sort -u | xargs
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "neither root nor sudo to run: $*"
        return 1
    fi
}

apt_updated=no
apt_install() # package...
{
    say "Installing $*"
    if [ $apt_updated = no ]; then
        quietly as_root apt-get update -q || return 1
        apt_updated=yes
    fi
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

# Makes sure of everything in some groups, or ends the script with what to do.
need() # group...
{
    if ! command -v apt-get >/dev/null; then
        manager='apt-get'
        for other in dnf pacman brew; do
            if command -v $other >/dev/null; then manager=$other; fi
        done
        packages=$(missing "$manager" "$@")
        [ -z "$packages" ] && return
        say "This script installs packages on Debian and Ubuntu only. Please install these:" >&2
        say "  $manager: $packages" >&2
        exit 1
    fi
    packages=$(missing apt-get "$@")
    [ -z "$packages" ] && return
    # shellcheck disable=SC2086 # a list of words
    apt_install $packages || { say "Could not install: $packages" >&2; exit 1; }
    packages=$(missing apt-get "$@")
    [ -z "$packages" ] || { say "Installed, yet still not found: what is in $packages" >&2; exit 1; }
}

# The same for what one can do without: returns 1 where it cannot be had. A package that is not on the
# system's lists is not tried again each time.
want() # group
{
    package=$(missing apt-get "$1")
    [ -z "$package" ] && return
    command -v apt-get >/dev/null || return 1
    if ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
        apt-cache policy "$package" | grep -q 'Candidate: [0-9]' || return 1
    fi
    apt_install "$package" && [ -z "$(missing apt-get "$1")" ]
}
