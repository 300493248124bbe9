"""`bench verify`: is what lies in the store what was written, and does it still score the same?"""

from pathlib import Path

from bench import api


def verify_command(store: Path, *, recompute: bool, remove: bool) -> int:
    """0 if every task is as it was written, 1 otherwise (also where damaged ones were removed)."""
    verification = api.verify(store, recompute=recompute, remove=remove)
    for key, fault in verification.damaged.items():
        print(f"{key}: {fault}")
    count = len(verification.damaged)
    removed = "; removed, `bench run` makes them again" if remove and count else ""
    print(f"{verification.checked} tasks verified, {count} damaged{removed}")
    return 1 if count else 0
