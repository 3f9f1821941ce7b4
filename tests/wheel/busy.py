"""Is profiled against a service at ADDRESS until its standard input ends. Runs on 3.6
to 3.15, with no more than a Python and the package.

Usage: busy.py ADDRESS
"""

import sys
import threading

import googlecloudprofiler

end = threading.Thread(target=sys.stdin.read, daemon=True)
end.start()
googlecloudprofiler.start(service="wheel", verbose=1, api_endpoint=sys.argv[1])


def busy():
    while end.is_alive():
        sum(range(10000))


busy()
googlecloudprofiler.stop()
