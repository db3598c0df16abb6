# Sourced by demo, docs and test. Finds a Python, makes a virtual environment in the repository, and installs
# rnngen there with pinned versions. Does nothing when that has been done already.
#
#   RNNGEN_PYTHON   the interpreter to use (default: the first 3.11 or newer that is found)
#   RNNGEN_VENV     the folder of the environment, from the repository's root (default: .venv)
#   extras          set by the script that sources this: what it needs beside rnngen itself (default: [dev])
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/${RNNGEN_VENV:-.venv}
extras=${extras-[dev]}

find_python() {
  local candidate
  for candidate in "$@"; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

if [ -n "${RNNGEN_PYTHON:-}" ]; then
  python=$(find_python "$RNNGEN_PYTHON")
else
  python=$(find_python python3 python3.14 python3.13 python3.12 python3.11 python)
fi
if [ -z "$python" ]; then
  echo "rnngen needs Python 3.11 or newer with venv and pip (on Debian: apt install python3-venv)" >&2
  exit 2
fi

if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then
  constraints=$root/scripts/constraints/python3.11.txt
else
  constraints=$root/scripts/constraints/newest.txt
fi
stamp=$("$python" -VV | cat - "$root/pyproject.toml" "$constraints" | cksum)
installed=$venv/installed  # a line for each set of extras
# Sets `fresh`: whether the environment is to be made anew; fails where something is to be installed.
is_installed() {
  fresh=$(grep -qs "^$stamp " "$installed" && echo no || echo yes)
  [ $fresh = no ] && { [ -z "$extras" ] || grep -qxF "$stamp $extras" "$installed"; }
}
if ! is_installed; then
  # Two at once would break each other's: the lock is on this file, and ends with descriptor 9.
  exec 9< "$root/scripts/setup.sh"
  "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
  if ! is_installed; then
    echo "installing into $venv with $("$python" -V)"
    if [ $fresh = yes ]; then "$python" -m venv --clear "$venv"; fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$constraints" -e "$root$extras"
    echo "$stamp $extras" >> "$installed"
  fi
  exec 9<&-
fi
