"""The leaderboard of a run on a terminal."""

from typing import TYPE_CHECKING

from bench.methods import registry
from bench.planning.plan import Plan
from bench.results.collect import collect
from bench.runner.session import page_state
from bench.store import Store
from bench.store.notes import read_note, write_note
from bench.tasks import digest

if TYPE_CHECKING:
    from rich.console import Console


def leaderboard_text(store: Store, plan: Plan, console: "Console", *, unchanged: bool) -> str:
    """The leaderboard of a plan as this console shows it.

    `unchanged`: whether the store is as the last run left it; the text of that run is then taken again, if
    it was of the same plan on the same kind of terminal.
    """
    terminal = [console.width, console.is_terminal, console.color_system, console.encoding]
    state = digest([page_state(store, plan), terminal])
    path = store.root / "runs" / "leaderboard"
    note = read_note(path, {"state": str, "text": str})
    if unchanged and note is not None and note["state"] == state:
        return note["text"]
    with console.capture() as captured:
        registry.load_page("terminal")(collect(plan, store), console)
    text = captured.get()
    write_note(path, {"state": state, "text": text})
    return text
