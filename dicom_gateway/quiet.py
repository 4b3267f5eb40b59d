"""Libraries kept from writing patient data to the log.

pynetdicom logs the identifiers of queries by default, pydicom quotes the values that it complains about, and highdicom
and httpx log UIDs. radgate's own log lines carry counts, codes and digests only, so these libraries are silenced.
"""

import logging
import warnings

from pynetdicom import _config

__all__ = ["silence_libraries"]


def silence_libraries() -> None:
    """Turn off what these libraries log or warn of by themselves; call it again as often as you like."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    for name in ("pynetdicom", "pydicom", "highdicom", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if not any(f[0] == "ignore" and f[3] is not None and f[3].pattern.startswith("pydicom") for f in warnings.filters):
        warnings.filterwarnings("ignore", module=r"pydicom\..*")
