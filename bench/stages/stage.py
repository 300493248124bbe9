"""What a stage is: the inputs that it takes, the task that asks for it, and the run that makes its output.

    @dataclass(frozen=True)
    class Features(Stage[T]):
        name, version = "features", 2
        pool: T                                             # one input with the role "pool"
        normal: Mapping[str, T] = field(metadata=BY_NAME)   # the roles "normal/bottle", "normal/cable"

        @staticmethod
        def task(profile: Mapping[str, str], pool: Task) -> Task:
            return Features(pool=pool).to_task(profile)

        def run(self: "Features[Output]", run: StageRun) -> None:
            pool = open_pool(self.pool.folder)

T is what stands for an input: its task in a protocol, its key in a plan on disk, its output in a run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from bench.methods.context import Context
from bench.record.labels import CellLabels
from bench.tasks import Resources, Task

T = TypeVar("T")

PayloadKind = Literal["", "models", "caches", "features", "predictions", "samples"]
"""What `bench gc` calls the output of a stage; "" where it is kept."""

Metrics = tuple[tuple[str, str], ...]
"""(level, metric) pairs."""


@dataclass(frozen=True)
class Output:
    """What a task that is done left in the store."""

    folder: Path
    params: Mapping[str, Any]
    """The parameters of the task."""


@dataclass(frozen=True)
class StageRun:
    """One execution of a stage, but for its inputs."""

    params: Mapping[str, Any]
    adapter: str
    sources: Path
    """Folder of the lists that say where on this machine the files of a data part lie."""
    out: Path
    """The stage writes its output into this folder."""
    context: Context


BY_NAME: Mapping[str, bool] = {"several": False}
"""Marks a field that maps names to inputs, whose roles are "field/name"."""
SEVERAL_BY_NAME: Mapping[str, bool] = {"several": True}
"""Marks a field that maps names to tuples of inputs."""


@dataclass(frozen=True)
class Stage(Generic[T]):
    """A step of a plan; its fields are its inputs. An input that may be absent is None by default."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Part of every key; rises where outputs change."""
    imports: ClassVar[tuple[str, ...]] = ()
    """Slow modules that `run` needs; a worker imports them once for all its tasks."""
    gpu: ClassVar[bool] = False
    """Whether a run uses a GPU where there is one."""
    payload: ClassVar[PayloadKind] = ""

    def run(self: "Stage[Output]", run: StageRun) -> None:
        """Make the output of one task."""
        raise NotImplementedError

    @classmethod
    def metrics(cls, labels: CellLabels) -> Metrics:
        """What a scoring stage measures of a cell at least."""
        return ()

    def to_task(self: "Stage[Task]", params: Mapping[str, Any], adapter: str = "", seed: int = 0) -> Task:
        """The task that runs this stage on these inputs."""
        resources = Resources(gpu=self.gpu)
        return Task(self.name, self.version, params, tuple(self.inputs()), adapter, seed, resources)

    def inputs(self) -> Iterator[tuple[str, T]]:
        """(role, input) pairs in the order in which they are part of a key."""
        for role, field in _roles(type(self)).items():
            value = getattr(self, field.name)
            if field.metadata:
                for name, inputs in value.items():
                    for one in inputs if field.metadata["several"] else (inputs,):
                        yield f"{role}/{name}", one
            elif value is not None:
                yield role, value

    @classmethod
    def of(cls, inputs: Iterable[tuple[str, T]]) -> Self:
        """The stage with these (role, input) pairs; TypeError where a role is missing or unknown."""
        values, unknown = _by_field(cls, inputs)
        if unknown:
            raise TypeError(f"{cls.name} takes no input {unknown[0]!r}")
        return cls(**values)

    @classmethod
    def of_plan(cls, inputs: Iterable[tuple[str, T]]) -> Self:
        """As `of`, from a plan that another version may have written.

        Roles that this version does not know are left out. An input that the plan lacks is an AttributeError
        where it is asked for.
        """
        stage = object.__new__(cls)
        values, _ = _by_field(cls, inputs)
        for name, value in values.items():
            object.__setattr__(stage, name, value)
        return stage


_ROLES: dict[object, dict[str, Field[Any]]] = {}
"""By stage, since a plan asks for them for each of its tasks."""


def _roles(stage: type[Stage[Any]]) -> dict[str, Field[Any]]:
    """Role, or what comes before the "/" in it, to the field for it."""
    if stage not in _ROLES:
        _ROLES[stage] = {field.name.replace("_", "-"): field for field in fields(stage)}
    return _ROLES[stage]


def _by_field(stage: type[Stage[Any]], inputs: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Values for the fields of a stage, and the roles that it does not know."""
    values: dict[str, Any] = {field.name: {} for field in _roles(stage).values() if field.metadata}
    unknown: list[str] = []
    for role, value in inputs:
        prefix, slash, name = role.partition("/")
        field = _roles(stage).get(prefix)
        if field is None or bool(slash) != bool(field.metadata):
            unknown.append(role)
        elif not slash:
            values[field.name] = value
        elif field.metadata["several"]:
            chunks = values[field.name]
            chunks[name] = (*chunks.get(name, ()), value)
        else:
            values[field.name][name] = value
    return values, unknown
