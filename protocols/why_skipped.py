"""Why a cell of a leaderboard is skipped: the reasons that a page gives for its holes."""

from collections.abc import Sequence

from bench.planning.config import CategoryPlan, PlanConfig, ResolvedMethod
from bench.planning.methods import task_of
from protocols.seed_data import RowPlan, anomalies_of, missing_requirement, normals_of, yields_of


def reason_not_trainable(
    config: PlanConfig,
    detector: ResolvedMethod,
    row: RowPlan,
    category: CategoryPlan,
    names_defects: bool,
    modality: str,
    covered: Sequence[CategoryPlan],
) -> str:
    """Why a detector cannot be trained on a row and tested on a category; empty where it can.

    covered: all categories of the one model that the category is tested with.
    """
    if detector.ingested is not None:
        outputs = detector.ingested.get(category.name)
        if outputs is None:
            return f"nothing was ingested for {category.name}"
        if outputs["test"] != category.test.digest:
            return f"{detector.name} was ingested for another test set of {category.name}"
    return (
        detector.missing_requirement
        or _cannot_learn(config, detector, row, category)
        or _cannot_use_masks(config, detector, row, covered)
        or _cannot_see(detector, row, category, names_defects, modality)
        or (_cannot_name(row, category) if names_defects else "")
    )


def _cannot_name(row: RowPlan, category: CategoryPlan) -> str:
    """Why a classifier of defect types cannot be; empty where it can."""
    if not category.has_types:
        return f"{category.name} has no defect types to tell apart"
    if len(category.defects) < 2:
        return f"{category.name} has one defect type; there is nothing to tell apart"
    if row.generator and "type" not in yields_of(row.generator):
        return f"{row.generator.name} knows no defect types, so its images have no label to learn"
    return ""


def _cannot_learn(config: PlanConfig, detector: ResolvedMethod, row: RowPlan, category: CategoryPlan) -> str:
    """Why this detector cannot be trained on this mix of images; empty where it can."""
    if detector.ingested is not None:
        return ""
    mix = config.mixes[row.mix]
    foreign = set(mix.shares) - detector.as_detector.trains_on
    if "pseudo" in foreign:
        return f"{detector.name} makes no anomalies of its own"
    if foreign:
        return f"{detector.name} learns from normal images alone"
    if "pseudo" in mix.shares and not detector.balanced:
        return f"with balanced=false {detector.name} has no share for anomalies of its own"
    if row.generator is None:
        return ""
    if "generated" in mix.shares and not anomalies_of(config, row.generator, category):
        return no_anomalies(row.generator, category)
    if mix.generated_normals and not normals_of(config, row.generator, category):
        return no_normals(row.generator, category)
    return ""


def _cannot_use_masks(
    config: PlanConfig, detector: ResolvedMethod, row: RowPlan, covered: Sequence[CategoryPlan]
) -> str:
    """Why a detector of anomalies cannot do without the masks that a category lacks; empty where it can."""
    lacking = [category.name for category in covered if not category.has_masks]
    if detector.ingested is not None or not lacking or task_of(detector) == "classification":
        return ""
    if "real" in config.mixes[row.mix].shares:
        return f"{detector.name} learns from the masks of real defects, and {lacking[0]} has none"
    if config.selection == "test-oracle":
        return (
            f"selection=test-oracle scores the pixels of test images, and {lacking[0]} has no masks; "
            "--set selection=last keeps the last checkpoint"
        )
    return ""


def reason_not_scorable(
    config: PlanConfig, generator: ResolvedMethod, category: CategoryPlan, modality: str
) -> str:
    """Why the defects of a generator cannot be scored in a modality; empty where they can."""
    if not anomalies_of(config, generator, category):
        return no_anomalies(generator, category)
    return _no_depth(generator, category) if modality == "depth" else ""


def _no_depth(generator: ResolvedMethod | None, category: CategoryPlan) -> str:
    if not category.has_depth:
        return f"{category.name} has no depth maps"
    if generator and "depth" not in yields_of(generator):
        return f"{generator.name} makes no depth"
    return ""


def _cannot_see(
    detector: ResolvedMethod,
    row: RowPlan,
    category: CategoryPlan,
    names_defects: bool,
    modality: str,
) -> str:
    """Why a cell of depth cannot be; empty where it can, and for colour."""
    if modality == "rgb":
        return ""
    if reason := _no_depth(row.generator, category):
        return reason
    if modality == "rgb+depth" and names_defects:
        return f"{detector.name} names defects; only anomaly maps and scores are fused"
    return ""


def no_anomalies(generator: ResolvedMethod, category: CategoryPlan) -> str:
    if reason := missing_requirement(generator, category):
        return reason
    if generator.ingested is not None:
        return f"{generator.name} was ingested without images of {category.name}"
    return f"{generator.name} makes no anomalies"


def no_normals(generator: ResolvedMethod, category: CategoryPlan) -> str:
    if reason := missing_requirement(generator, category):
        return reason
    if generator.ingested is not None:
        return f"{generator.name} was ingested without normal images of {category.name}"
    return f"{generator.name} makes no normal images"
