"""Checks that generators and detectors share: parameters, seeds, memory, interruption, a fresh process."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.conformance.checks import (
    Nonconformance,
    differing,
    need,
    other_files,
    own_randomness,
    randomness,
    refuses,
    touched_since,
)
from bench.conformance.trial import Interrupted, Trial
from bench.methods import Params, View


def declares_facts(trial: Trial[Any], scopes: Iterable[str], steps: Iterable[str]) -> None:
    """Name, version, scope and `frugal` are there and known, and there is a preset `tiny`."""
    cls = trial.adapter
    need(isinstance(cls.name, str) and cls.name.strip() == cls.name != "", f"name is {cls.name!r}")
    need(isinstance(cls.version, int) and cls.version >= 1, f"version is {cls.version!r}; use 1, 2, ...")
    need(cls.scope in scopes, f"scope is {cls.scope!r}; use one of {', '.join(scopes)}")
    need(cls.frugal <= set(steps), f"frugal is {sorted(cls.frugal)}; use {' and '.join(steps)}")
    need("tiny" in cls.presets, "there is no preset 'tiny', which the checks run")


def validates_parameters(trial: Trial[Any]) -> None:
    """Parameters are typed, frozen and described, survive JSON; every preset is valid and gives a view or
    None, unknown names are refused."""
    cls = trial.adapter
    need(issubclass(cls.Params, Params), "Params is not a subclass of bench.methods.Params")
    for preset in (None, *cls.presets):
        configured = cls.configure(preset)
        view, params = configured.view(), configured.params
        need(
            view is None or isinstance(view, View),
            f"view() of preset {preset!r} gives {view!r}; give a bench.methods.View, or None",
        )
        again = cls.Params.model_validate_json(params.model_dump_json())
        need(again == params, f"the parameters of preset {preset!r} change when they are stored as JSON")
    nameless = [name for name, info in cls.Params.model_fields.items() if not info.description]
    need(not nameless, f"parameters without a description: {', '.join(nameless)}")
    need(bool(cls.Params.model_config.get("frozen")), "Params is not frozen")
    refuses(lambda: cls.configure(None, {"no_such_parameter": 1}), "an unknown parameter is accepted")


def same_seed_same_bytes(trial: Trial[Any]) -> None:
    """Fitting again writes the same files, and using the model again gives the same values."""
    for part in trial.parts():
        first, second = trial.fitted(part), trial.fitted(part, attempt=1)
        files = other_files(first.model, second.model)
        need(not files, f"two fits{trial.named(part)} with one seed wrote other {', '.join(files)}")
        again = trial.outputs(part, first.model, trial.use_context(part))
        need(
            not differing(trial.used(part), again),
            f"one model and one seed gave other {trial.output}{trial.named(part)} the second time",
        )


def another_seed_differs(trial: Trial[Any]) -> str | None:
    """The seed matters, unless the method draws no random numbers at all."""
    note = None
    for part in trial.parts():
        if differing(trial.used(part, seed=0), trial.used(part, seed=1)):
            continue
        same = f"seeds 0 and 1 give the same {trial.output}{trial.named(part)}"
        streams = ", ".join(sorted(trial.streams(part)))
        need(not streams, f"{same}, though ctx was asked for the random streams {streams}")
        line = own_randomness(trial.source)
        need(line is None, f"{same}; {line}: draw from ctx.rng or ctx.torch_stream")
        note = f"{same}: right for a method that asks ctx for no random stream"
    return note


def goes_on_after_an_interruption(trial: Trial[Any]) -> str | None:
    """A fit that was interrupted, and run again with the same scratch folder, writes the same bytes.

    A fit is interrupted where it calls ctx.progress. One that never does, and keeps no checkpoint either, is
    taken for one step: after a kill it begins anew, and there is nothing to go on from.
    """
    part = trial.parts()[0]
    undisturbed = trial.fitted(part)
    steps, scratch = undisturbed.context.steps, undisturbed.context.scratch
    if not steps:
        need(
            not any(scratch.iterdir()),
            "fit keeps files in ctx.scratch and never calls ctx.progress; call ctx.progress(done, total) "
            "after each step, where a fit can be interrupted",
        )
        return "fit never calls ctx.progress: right for a fit of one step; a longer one calls it after each"
    stop = steps[len(steps) // 2]
    context = trial.fit_context(part)

    def interrupt(done: int, total: int, note: str = "") -> None:
        if done >= stop:
            raise Interrupted

    try:
        trial.fit(part, replace(context, progress=interrupt))
    except Interrupted:
        pass
    else:
        raise Nonconformance("an exception that ctx.progress raises is swallowed")
    files = other_files(undisturbed.model, trial.fit(part, context).model)
    need(not files, f"after an interruption at step {stop} other bytes are in {', '.join(files)}")
    return None


def comes_to_the_same_in_less_memory(trial: Trial[Any]) -> None:
    """What it says that it does in less memory (`frugal`) has the same bytes there."""
    says = trial.adapter.frugal
    for part in trial.parts():
        if "fit" in says:
            model = trial.fit(part, replace(trial.fit_context(part), frugal=True)).model
            files = other_files(trial.fitted(part).model, model)
            need(not files, f"a fit{trial.named(part)} in less memory wrote other {', '.join(files)}")
        if says - {"fit"}:
            context = replace(trial.use_context(part), frugal=True)
            outputs = trial.outputs(part, trial.fitted(part).model, context)
            need(
                not differing(trial.used(part), outputs),
                f"other {trial.output}{trial.named(part)} in less memory",
            )


def leaves_global_randomness(trial: Trial[Any]) -> None:
    """Neither Python's, NumPy's nor torch's global generators are drawn from or seeded."""
    part = trial.parts()[0]
    trial.used(part)  # imports first: libraries may draw when they are loaded
    fit, before = trial.fitted(part, attempt=1), randomness()
    trial.outputs(part, fit.model, trial.use_context(part))
    touched = sorted({*fit.touched, *touched_since(before)})
    need(
        not touched,
        f"the global random state of {', '.join(touched)} changed; use ctx.rng or ctx.torch_stream",
    )


def works_in_a_fresh_process(trial: Trial[Any]) -> None:
    """A copy of the model gives the same in a fresh process that works in another folder, and the method's
    module is light: its import loads no network library."""
    part, elsewhere = trial.parts()[0], trial.new_folder("elsewhere")
    shutil.copytree(trial.fitted(part).model, elsewhere / "model")
    outputs, heavy = trial.used_elsewhere(elsewhere)
    expected = trial.used(part)
    for name in {**expected, **outputs}:
        need(
            name in outputs and name in expected and _close(expected[name], outputs[name]),
            f"{name} differs in a fresh process; keep all that is needed in the model folder",
        )
    need(
        not heavy,
        f"importing {trial.adapter.__module__} loads {', '.join(heavy)}; import them inside the methods",
    )


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to rounding: another process may lay memory out otherwise, and pick another kernel."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype == np.uint8:
        return bool(np.abs(a.astype(int) - b).max(initial=0) <= 1)
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5))
