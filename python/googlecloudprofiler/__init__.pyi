from typing import Any, Optional

from googlecloudprofiler import __version__ as __version__
from googlecloudprofiler import __version__ as version

def start(
    service: Optional[str] = ...,
    service_version: Optional[str] = ...,
    project_id: Optional[str] = ...,
    service_account_json_file: Optional[str] = ...,
    verbose: int = ...,
    disable_cpu_profiling: bool = ...,
    disable_wall_profiling: bool = ...,
    period_ms: int = ...,
    discovery_service_url: Optional[str] = ...,
    *,
    api_endpoint: Optional[str] = ...,
    zone: Optional[str] = ...,
    instance: Optional[str] = ...,
    credentials: Optional[Any] = ...,
    wall_threads: str = ...,
) -> None: ...
def stop() -> None: ...
