#!/bin/sh
# Builds the package for a Python that needs a file of its own (free-threaded):
#   package.sh PYTHON DIR [-DCPROF_BUNDLED_TRANSPORT=ON]
# Afterwards DIR has googlecloudprofiler, for PYTHONPATH. Needs cmake and ninja on
# PATH, and the headers of PYTHON. What follows DIR is for cmake.
set -eu

python=$1
site=$2
shift 2
source=$(cd "$(dirname "$0")/../.." && pwd)

cmake -S "$source" -B "$site/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
	-DPython_EXECUTABLE="$python" -DCPROF_WERROR=ON "$@"
cmake --build "$site/build"
cmake --install "$site/build" --prefix "$site"
cp "$source"/python/googlecloudprofiler/*.py "$site/googlecloudprofiler"
