#!/bin/sh
# Builds the package for a Python that needs a file of its own (free-threaded):
#   package.sh PYTHON DIR
# Afterwards DIR has googlecloudprofiler, for PYTHONPATH. Needs cmake and ninja on
# PATH, and the headers of PYTHON.
set -eu

python=$1
site=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
package=$site/googlecloudprofiler

mkdir -p "$package"
cmake -S "$source" -B "$site/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
	-DPython_EXECUTABLE="$python" -DCPROF_WERROR=ON
cmake --build "$site/build" --target _native _transport
cp "$source"/python/googlecloudprofiler/*.py "$site"/build/_*.so "$package"
