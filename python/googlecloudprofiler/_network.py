"""How the service is reached over TLS: whose certificates count, and by which proxy."""

import os
import re

# Where systems keep all certificate authorities in one file, and one by one.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # older ones
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine without ca-certificates
)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")


def find_roots(environ=os.environ):
    """Paths of files and folders with certificate authorities, the best first.

    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, or SSL_CERT_FILE and SSL_CERT_DIR, count alone
    where they are set. Else the system's, then those of the application's certifi.
    What cannot be read is passed over when it is used.
    """
    path = environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    if path:
        return (path,)
    named = [environ.get("SSL_CERT_FILE", "")]
    named += environ.get("SSL_CERT_DIR", "").split(os.pathsep)
    named = tuple(p for p in named if p)
    return named or _BUNDLES + _FOLDERS + _find_certifi()


def _find_certifi():
    """The path of certifi's bundle; certifi is not imported."""
    # Not at the top: few programs need it, and it takes milliseconds.
    import importlib.util

    try:
        spec = importlib.util.find_spec("certifi")
    except (ImportError, ValueError):
        return ()
    if not spec or not spec.origin:
        return ()
    return (os.path.join(os.path.dirname(spec.origin), "cacert.pem"),)


class ProxyError(ValueError):
    """The proxy that the environment names cannot be used."""


# user:password@, of what a URI may have there; host or [IPv6 address]; port. Core
# takes another character, or an @ as %40, for the end, and goes without the proxy.
_PROXY = re.compile(
    r"(?:http://)?((?:[\w.~!$&'()*+,;=:-]|%(?!40)[\da-f]{2})*@)?"
    r"([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?/*\Z",
    re.ASCII | re.IGNORECASE,
)


def find_proxy(host, environ=os.environ):
    """The proxy for TLS to `host` as "http://[user:password@]host:port", or None.

    https_proxy, else HTTPS_PROXY; not for what no_proxy, else NO_PROXY, lists. The
    port is 80 where none is given.

    Raises:
        ProxyError: It is no http:// proxy. The message does not show it, as it may
            hold a password.
    """
    proxy = (environ.get("https_proxy") or environ.get("HTTPS_PROXY") or "").strip()
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not proxy or _is_exempt(host, exempt):
        return None
    match = _PROXY.match(proxy)
    if not match:
        raise ProxyError(
            "https_proxy must be of the form http://[user:password@]host:port, "
            "without TLS to the proxy itself, and with what is special in a password "
            "as %XX, less the @, which it cannot have"
        )
    user, name, port = match.groups()
    return "http://%s%s%s" % (user or "", name, port or ":80")


def _is_exempt(host, exempt):
    """As curl reads no_proxy: names cover what is below them, networks the addresses
    in them, * is everything."""
    host = host.strip("[]").rstrip(".").lower()
    entries = [e for e in re.split(r"[\s,]+", exempt.lower()) if e]
    if "*" in entries:
        return True
    if ":" in host or re.match(r"[\d.]+\Z", host):
        return any(_is_in_network(host, e.strip("[]")) for e in entries)
    names = [e.lstrip("*").strip(".") for e in entries]
    return any(n and (host == n or host.endswith("." + n)) for n in names)


def _is_in_network(host, network):
    """Whether an address is the one, or in the network, that an entry is."""
    import ipaddress  # few need it

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, False)
    except ValueError:
        return False
