"""How the service is reached over TLS: whose certificates count, and by which proxy."""

import os

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


def find_proxy(host, environ=os.environ):
    """The proxy for TLS to `host` as "http://[user:password@]host:port", or None.

    https_proxy, else HTTPS_PROXY; not for what no_proxy, else NO_PROXY, lists.

    Raises:
        ProxyError: It is no http:// proxy. The message does not show it, as it may
            hold a password.
    """
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not proxy or _is_exempt(host, exempt):
        return None
    if "://" not in proxy:
        proxy = "http://" + proxy
    if not proxy.startswith("http://") or not proxy.isprintable():
        raise ProxyError(
            "https_proxy must be of the form http://host:port: TLS to the proxy itself "
            "is not supported"
        )
    return proxy.rstrip("/")


def _is_exempt(host, exempt):
    """As curl reads no_proxy: names cover what is below them, * is everything."""
    host = host.strip("[]").lower()
    for entry in exempt.lower().split(","):
        entry = entry.strip()
        if entry == "*":
            return True
        if "/" in entry:
            if _is_in_network(host, entry):
                return True
            continue
        entry = entry.lstrip("*").lstrip(".").strip("[]")
        if entry and (host == entry or host.endswith("." + entry)):
            return True
    return False


def _is_in_network(host, network):
    import ipaddress  # few need it

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, False)
    except ValueError:
        return False
