"""`python -m bench`, and, started by the path of this file, the processes that a run starts.

The folder that a user happens to be in is not searched for packages: one named `detectors`, or a checkout of
another version, would be imported in place of ours.
"""

import sys
from importlib.util import find_spec
from pathlib import Path


def _search_our_installation() -> None:
    ours = Path(__file__).resolve()
    home = str(ours.parents[1])
    if not sys.flags.safe_path and sys.path[0] != home:
        del sys.path[0]  # the current folder, or that of this file
    spec = find_spec("bench")
    if spec is None or spec.origin is None or Path(spec.origin).resolve().parent != ours.parent:
        sys.path.insert(0, home)
    if sys.argv[1:2] in (["exec"], ["ray"]):
        # ours first: an installation that can be edited is found after all paths
        sys.path += [path for path in (home, *sys.argv[2:]) if path not in sys.path]


_search_our_installation()

from bench.cli import main  # noqa: E402

main()
