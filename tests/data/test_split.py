from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.layout import Category, Dataset, Item, find_dataset
from bench.data.split import RULES, make_split, third
from bench.errors import BenchError


def data_set(**sizes: int) -> Dataset:
    def items(part: str, count: int) -> tuple[Item, ...]:
        return tuple(Item(Path(f"/{part}/{i}.png"), None, None, f"{i:03}") for i in range(count))

    defects = {defect: items(defect, n) for defect, n in sizes.items()}
    category = Category("bolt", Path("/bolt"), items("train", 5), items("good", 4), defects)
    return Dataset("data", Path("/"), (category,), "mvtec")


def seed_for(rule: str, seed: int = 0) -> int | None:
    return seed if rule == "random@1" else None


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), st.sampled_from(RULES), st.integers(0, 5))
def test_base_and_test_are_disjoint_parts_of_each_type(sizes, rule, seed):
    dataset = data_set(**{f"d{i}": n for i, n in enumerate(sizes)})
    (split,) = make_split(dataset, rule, seed_for(rule, seed)).categories
    for i, n in enumerate(sizes):
        base, test = split.base[f"d{i}"], split.test[f"d{i}"]
        assert not set(base) & set(test)
        assert set(base) | set(test) <= set(dataset.categories[0].defects[f"d{i}"])
        assert len(test) == n - third(n) >= 1
        assert len(base) == (min(int(rule[6]), third(n)) if rule.startswith("shots") else third(n))
        assert list(test) == sorted(test, key=lambda item: item.stem)
        assert list(base) == sorted(base, key=lambda item: item.stem)


@given(st.integers(2, 60))
def test_first_third_takes_the_first_files(n):
    (split,) = make_split(data_set(crack=n)).categories
    assert [i.stem for i in split.base["crack"]] == [f"{i:03}" for i in range(max(1, n // 3))]


@pytest.mark.parametrize("rule", ["shots-1", "shots-2"])
def test_shots_keep_the_test_set_of_first_third(rule):
    dataset = data_set(crack=12, dent=3)
    few, full = make_split(dataset, rule).categories[0], make_split(dataset).categories[0]
    assert few.test == full.test
    assert few.base["crack"] == full.base["crack"][: int(rule[-1])]
    assert few.base["dent"] == full.base["dent"]


def test_random_is_a_function_of_its_seed_and_differs_between_seeds_and_types():
    dataset = data_set(crack=30, dent=30)
    splits = [make_split(dataset, "random", seed=s).categories[0] for s in (0, 0, 1)]
    stems = [[i.stem for i in s.base["crack"]] for s in splits]
    assert stems[0] == stems[1] != stems[2]
    assert stems[0] != [i.stem for i in splits[0].base["dent"]]


def test_another_type_leaves_the_random_draw_of_a_type_alone():
    one = make_split(data_set(crack=30), "random", seed=3).categories[0]
    two = make_split(data_set(bend=9, crack=30), "random", seed=3).categories[0]
    assert [i.stem for i in one.base["crack"]] == [i.stem for i in two.base["crack"]]


def test_a_version_may_be_left_out_of_a_rule():
    assert make_split(data_set(crack=4), "first-third").name == "first-third@1"


@pytest.mark.parametrize(
    ("rule", "seed", "sentence"),
    [
        ("first-thrid", None, "did you mean 'first-third@1'"),
        ("random", None, "needs a seed"),
        ("first-third", 1, "takes no seed"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(rule, seed, sentence):
    with pytest.raises(BenchError, match=sentence):
        make_split(data_set(crack=4), rule, seed)


def test_a_type_of_one_image_cannot_be_split():
    with pytest.raises(BenchError, match="'crack' of 'bolt' has 1 image"):
        make_split(data_set(crack=1))


def test_pairs_for_pools_carry_the_defect_and_end_with_normal_images():
    (split,) = make_split(data_set(crack=3, dent=3)).categories
    assert [defect for _, defect in split.base_items] == ["crack", "dent"]
    assert [d for _, d in split.test_items] == [
        "crack",
        "crack",
        "dent",
        "dent",
        "good",
        "good",
        "good",
        "good",
    ]


def test_the_counts_of_the_magnetic_tiles(mtd):
    counts = make_split(mtd).counts()
    assert (counts.types, counts.normal, counts.base, counts.test_defects) == (5, 381, 64, 134)
    assert (counts.test_good, counts.test) == (95, 229)


def test_a_selected_category_keeps_its_split(tmp_path, write_category):
    for name in ("a", "b"):
        write_category(tmp_path / name, crack=6)
    split = make_split(find_dataset(tmp_path), "random", seed=1)
    assert split.select(["b"]).categories == (split.category("b"),)
    with pytest.raises(BenchError, match="unknown category 'c' of 'the split'"):
        split.select(["c"])
