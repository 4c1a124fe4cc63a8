"""What TLS clients are met with: an `ssl.SSLContext` made of the settings."""

from __future__ import annotations

import ssl

from diskkv.config import TLS_VERSIONS, Settings
from diskkv.errors import SettingError

REQUIRED = {"yes": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "no": ssl.CERT_NONE}


def make_context(settings: Settings) -> ssl.SSLContext:
    """What to serve `tls-port` with. SettingError when the settings do not fit together, or a file is not what it should be."""
    certificate, key = settings["tls-cert-file"], settings["tls-key-file"]
    authority, authorities = settings["tls-ca-cert-file"], settings["tls-ca-cert-dir"]
    if not certificate:
        raise SettingError("No tls-cert-file configured!")
    if not key:
        raise SettingError("No tls-key-file configured!")
    if settings["tls-auth-clients"] != "no" and not authority and not authorities:
        raise SettingError("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is enabled!")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Nothing falls back on asking at the terminal.
    password = settings["tls-key-file-pass"]
    try:
        context.load_cert_chain(certificate, key, lambda: password)
    except (OSError, ValueError) as error:
        raise SettingError(f"can't use tls-cert-file {certificate} with tls-key-file {key}: {_reason(error)}") from None
    if authority or authorities:
        try:
            context.load_verify_locations(authority or None, authorities or None)
        except OSError as error:
            raise SettingError(f"can't use tls-ca-cert-file or tls-ca-cert-dir: {_reason(error)}") from None
    context.verify_mode = REQUIRED[settings["tls-auth-clients"]]
    versions = [ssl.TLSVersion[TLS_VERSIONS[word].replace(".", "_")] for word in settings["tls-protocols"].lower().split()]
    if versions:
        context.minimum_version, context.maximum_version = min(versions), max(versions)
    if settings["tls-ciphers"]:
        try:
            context.set_ciphers(settings["tls-ciphers"])
        except ssl.SSLError:
            raise SettingError(f"Failed to configure ciphers: {settings['tls-ciphers']}") from None
    return context


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
