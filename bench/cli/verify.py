"""`bench verify`: is what lies in the store what was written, and does it still score the same?"""

from collections import Counter
from pathlib import Path

from bench import api


def verify_command(store: Path, *, recompute: bool, remove: bool) -> int:
    """0 if every task is as it was written, 1 otherwise (also where damaged ones were removed)."""
    verification = api.verify(store, recompute=recompute, remove=remove)
    for name, fault in {**verification.damaged, **verification.damaged_files}.items():
        print(f"{name}: {fault}")
    count = len(verification.damaged)
    removed = "; removed, `bench run` makes them again" if remove and count else ""
    print(f"{verification.checked} tasks verified, {count} damaged{removed}")
    if recompute:
        print(f"{verification.recomputed} scores made again, equal in every file")
    for reason, scores in Counter(verification.not_recomputable.values()).items():
        print(f"{scores} scores not recomputable: {reason}")
    if verification.unbound:
        print(
            f"{verification.unbound} tasks of an older version: their costs, environment and commit are not "
            "bound to their content"
        )
    return 1 if count or verification.damaged_files else 0
