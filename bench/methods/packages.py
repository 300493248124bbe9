"""Whether a package that a method works with can be used here; asked before any work."""

import functools
from importlib import import_module
from importlib.util import find_spec

_WHEELS = {
    "cv2": "opencv-python",
    "mmcv": "onedl-mmcv",
    "mmengine": "onedl-mmengine",
    "mmseg": "onedl-mmsegmentation",
}
"""Module to what installs it, where the names differ."""
_OF_SYSTEM = {
    "cv2": "install the system's libgl1 and libglib2.0-0, or the wheel that needs neither: "
    "`pip uninstall opencv-python`, then `pip install opencv-python-headless`"
}
"""Modules that rest on libraries of the system, and what to do where those are not there."""


@functools.cache
def why_unusable(module: str) -> str:
    """The sentence about a module that cannot be imported; "" where it can.

    A module that rests on libraries of the system is imported, of any other it is asked whether it is there.
    """
    try:
        if find_spec(module) is None:
            return f"{module} is not installed: pip install {_WHEELS.get(module, module)}"
        if module in _OF_SYSTEM:
            import_module(module)
    except (ImportError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        mend = _OF_SYSTEM.get(module, f"install {_WHEELS.get(module, module)} again")
        return f"{module} cannot be imported ({reason}): {mend}"
    return ""
