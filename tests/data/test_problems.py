from bench.data.problems import Problem, sentences


def problem(folder, number, kind="mask-values"):
    path = f"{folder}{number}.png"
    return Problem("warning", kind, "bolt", path, f"{path} holds {number} values")


def test_warnings_of_one_kind_are_one_line_per_folder_with_a_count_and_two_examples():
    many = [problem("bolt/gt/dent/", n) for n in range(40)]
    lines = list(sentences([*many, problem("bolt/gt/cut/", 7), problem("bolt/gt/dent/", 1, "full-mask")]))
    assert lines == [
        "bolt/gt/dent/: 40 times a mask with values between 0 and 255: "
        "0.png holds 0 values; 1.png holds 1 values; ...",
        "bolt/gt/cut/7.png holds 7 values",
        "bolt/gt/dent/1.png holds 1 values",
    ]


def test_all_gives_each():
    many = [problem("", n) for n in range(3)]
    assert list(sentences(many, ungrouped=True)) == [p.message for p in many]
