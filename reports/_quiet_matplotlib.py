"""matplotlib, imported before the files that draw: a cache folder it cannot write to is none of our reader's
business, and gets a temporary one; its two lines about it would stand before every result."""

import logging

_log = logging.getLogger("matplotlib")
_level = _log.level
_log.setLevel(logging.ERROR)
try:
    import matplotlib.style  # noqa: F401
finally:
    _log.setLevel(_level)
