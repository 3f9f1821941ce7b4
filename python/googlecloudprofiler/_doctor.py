"""`doctor`: what start() would find here, line by line, and what to do about it.

Nothing secret is shown: of credentials the type and where they come from.
"""

import json
import platform
import sys
from collections import namedtuple

from googlecloudprofiler import (
    _access,
    _agent,
    _config,
    _credentials,
    _network,
    _options,
    _platform,
    _selftest,
    _tokens,
)
from googlecloudprofiler.__version__ import __version__

OK, WARNING, ERROR = "ok", "warning", "error"

# `what` is one word for the first column, `words` one line.
Finding = namedtuple("Finding", "what status words")

# How long the service may leave a question open until that counts as "let in".
_ASK_S = 5
# What a metadata server nearby takes much less than.
_METADATA_S = 1.0


class Failure(Exception):
    """A check found an error; the message is the finding."""


class Advice(Exception):
    """A check found something to warn of."""


def examine(arguments):
    """All Findings, in the order of what builds on what. `arguments` has service,
    service_version, project, key_file, endpoint and zone, each may be None."""
    return [_try(what, check, arguments) for what, check in _CHECKS]


def _try(what, check, arguments):
    try:
        return Finding(what, OK, check(arguments))
    except Advice as e:
        return Finding(what, WARNING, str(e))
    except (Failure, ValueError, TypeError, OSError, RuntimeError) as e:
        # NotImplementedError is a RuntimeError.
        return Finding(what, ERROR, str(e))


def _check_python(_):
    native = _agent._load_native()
    _selftest.run(native.walk_self)
    return "%s %s: stacks are read right" % (
        platform.python_implementation(),
        platform.python_version(),
    )


def _check_memory(_):
    return "read by %s" % _agent._load_native().reads_by()


def _check_threads(_):
    lacks = _agent._load_native().lacks()
    if lacks:
        raise Advice(lacks)
    return "what threads use and wait for is told"


def _check_platform(_):
    where = _platform.find()
    if not where.metadata_host:
        return "%s; no metadata server is looked for" % where.name
    return "%s, metadata server at %s" % (where.name, where.metadata_host)


def _check_endpoint(arguments):
    endpoint = _config.find_endpoint(arguments.endpoint)
    if _config.ignores_token_file(endpoint):
        raise Advice("%s; %s" % (endpoint.target, _agent.TOKEN_IS_IGNORED))
    if endpoint.local:
        return "%s, in plaintext on this host" % endpoint.target
    proxy = _network.find_proxy(endpoint.target.rpartition(":")[0])
    # What stands before an @ is a password.
    via = " by the proxy %s" % proxy.rpartition("@")[2] if proxy else ""
    return "%s over TLS%s" % (endpoint.target, via)


def _check_certificates(arguments):
    if not _config.find_endpoint(arguments.endpoint).tls:
        return "not needed"
    native = _agent._load_native()
    paths = _network.find_roots()
    for path in paths:
        count = native.count_roots(path)
        if count:
            return "%d CA certificates in %s" % (count, path)
    raise Failure(
        "no CA certificates found: install the ca-certificates package, or name a file "
        "of them in SSL_CERT_FILE (looked at %s)" % ", ".join(paths)
    )


def _is_own(arguments):
    """Whether the service is one of our own, where nothing of Google's is needed."""
    endpoint = _config.find_endpoint(arguments.endpoint)
    return endpoint.local or _config.find_token_file(endpoint) is not None


def _look_around(arguments):
    """The Platform, and the Credentials or None; looked for once."""
    if not hasattr(arguments, "found"):
        arguments.found = _options.look_around(
            _agent._load_native(), arguments.project, arguments.key_file, None
        )
    return arguments.found


def _check_credentials(arguments):
    path = _config.find_token_file(_config.find_endpoint(arguments.endpoint))
    if path:
        found = _credentials.of_token_file(_agent._load_native(), path)
        if _access.is_open_to_all(found.path):
            raise Advice(_access.OPEN_TO_ALL % found.path)
        return "the token in %s" % found.path
    if _is_own(arguments):
        return "not needed"
    _, found = _look_around(arguments)
    if not found:
        raise Failure(_options.NO_CREDENTIALS)
    if found.type == "metadata":
        email = _ask_metadata(arguments, "instance/service-accounts/default/email")
        if not email:
            raise Failure(
                "the metadata server names no service account: attach one to this "
                "machine, or set GOOGLE_APPLICATION_CREDENTIALS"
            )
        return "tokens of the metadata server, for %s" % email
    payer = _credentials.find_quota_project(found)
    return "%s in %s%s" % (
        found.type, found.path, ", paid by %s" % payer if payer else ""
    )


def _ask_metadata(arguments, key):
    where, _ = _look_around(arguments)
    if not where.metadata_host:
        return None
    return _agent._load_native().metadata(where.metadata_host, key, _METADATA_S)


def _check_project(arguments):
    if _is_own(arguments):
        return arguments.project or "local"
    try:
        _, credentials = _look_around(arguments)
    except ValueError:
        credentials = None
    project = _credentials.find_project(
        arguments.project, credentials, bool(arguments.key_file)
    ) or _ask_metadata(arguments, "project/project-id")
    if not project:
        raise Failure(
            "not known: set GOOGLE_CLOUD_PROJECT or pass start(project_id=...)"
        )
    return project


def _check_service(arguments):
    version = _config.find_version(arguments.service_version)
    return "%s, version %s" % (
        _config.find_service(arguments.service), version or "not set"
    )


def _check_zone(arguments):
    if arguments.zone:
        return arguments.zone
    if _is_own(arguments):
        return "not needed"
    zone = _ask_metadata(arguments, "instance/zone")
    return zone.rpartition("/")[2] if zone else "not known, and not needed"


def _check_permission(arguments):
    """A real CreateProfile, given up after some seconds."""
    native = _agent._load_native()
    try:
        options = _options.resolve(
            native,
            arguments.service,
            arguments.service_version,
            arguments.project,
            arguments.key_file,
            False,
            False,
            10,
            arguments.endpoint,
            arguments.zone,
            None,
            None,
        )
    except ValueError:
        raise Advice("not asked for, because of what is missing above") from None
    source = _tokens.find_source(options, None)
    tokens = source and _tokens.Refresher(
        source, native.give_token, native.give_no_token
    )
    try:
        refused = native.ask(timeout_s=_ASK_S, **options)
    finally:
        if tokens:
            tokens.stop()
    if refused:
        raise Failure("; ".join(words for words in refused if words))
    return "the service lets this program upload profiles"


def _check_transport(_):
    version, alone = _agent._load_native().transport(_options.transport_path())
    if alone:
        return "gRPC core %s" % version
    raise Advice("gRPC core %s: a forked child is not profiled" % version)


def _check_versions(_):
    return "google-cloud-profiler %s on %s %s, %s" % (
        __version__,
        platform.system(),
        platform.release(),
        platform.machine(),
    )


# Each is a word and a function that returns one line, or raises.
_CHECKS = (
    ("versions", _check_versions),
    ("python", _check_python),
    ("memory", _check_memory),
    ("threads", _check_threads),
    ("transport", _check_transport),
    ("platform", _check_platform),
    ("endpoint", _check_endpoint),
    ("certificates", _check_certificates),
    ("credentials", _check_credentials),
    ("project", _check_project),
    ("service", _check_service),
    ("zone", _check_zone),
    ("permission", _check_permission),
)


def run(arguments, as_json, out=None):
    """Print the Findings; returns the exit status: 1 if there is an error."""
    out = out or sys.stdout
    findings = examine(arguments)
    if as_json:
        json.dump([f._asdict() for f in findings], out, indent=2)
        out.write("\n")
    else:
        for f in findings:
            out.write("%-8s %-13s %s\n" % (f.status, f.what, f.words))
    return int(any(f.status == ERROR for f in findings))
