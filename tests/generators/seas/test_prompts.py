"""Prompts of 3.2 and A.3, the new tokens in tokenizer and text encoder, and where they stand."""

import pytest

from generators.seas.prompts import positions, typical, unbalanced

torch = pytest.importorskip("torch")


def test_a_type_has_the_prompt_of_a_3() -> None:
    prompts = unbalanced(2)
    assert prompts.normal.text == "a <ob1>"
    assert [prompt.text for prompt in prompts.abnormal] == [
        "a <ob1> with <df1>, <df2>, <df3>, <df4>",
        "a <ob1> with <df5>, <df6>, <df7>, <df8>",
    ]
    assert prompts.new[0] == ("<ob1>", "object")
    assert [token for token, start in prompts.new[1:] if start == "defect"] == [
        f"<df{n}>" for n in range(1, 9)
    ]


def test_released_prompts_have_no_commas_and_numbers_of_tokens_are_options() -> None:
    prompts = unbalanced(1, normal_tokens=2, anomaly_tokens=1, commas=False)
    assert prompts.abnormal[0].text == "a <ob1> <ob2> with <df1>"
    assert unbalanced(1, commas=False).abnormal[0].text == "a <ob1> with <df1> <df2> <df3> <df4>"


def test_the_typical_prompt_has_no_new_tokens() -> None:
    prompts = typical("metal_nut", 2)
    assert prompts.abnormal[1].text == "a photo of a metal nut with defect"
    assert prompts.normal.text == "a photo of a metal nut"
    assert prompts.new == ()


def test_positions_are_found_in_order() -> None:
    assert positions([9, 1, 2, 1, 5, 6, 9], [[1], [5, 6]]) == (1, 4, 5)
    with pytest.raises(ValueError, match="not in the prompt"):
        positions([9, 1], [[2]])


def test_each_token_stands_where_the_text_has_it(tuning) -> None:
    held = tuning()
    normal, anomaly = held.text.places(held.prompts.abnormal[1])
    ids = held.text.ids([held.prompts.abnormal[1].text])[0].tolist()
    words = held.base.tokenizer.convert_ids_to_tokens(ids)
    assert [words[place] for place in normal] == ["<ob1>"]
    assert [words[place] for place in anomaly] == ["<df5>", "<df6>", "<df7>", "<df8>"]
    assert words[0] == "<|startoftext|>"
    assert set(words[12:]) == {"<|endoftext|>"}


def test_words_of_the_typical_prompt_are_found_too(tuning) -> None:
    held = tuning(prompt="typical")
    normal, anomaly = held.text.places(held.prompts.abnormal[0])
    ids = held.text.ids([held.prompts.abnormal[0].text])[0].tolist()
    words = held.base.tokenizer.convert_ids_to_tokens(ids)
    assert [words[place] for place in normal] == ["plate</w>"]
    assert [words[place] for place in anomaly] == ["defect</w>"]


def test_new_rows_start_as_their_words_and_old_rows_stay(tuning, base_folder) -> None:
    from generators.seas.base import load_base

    held = tuning()
    before = load_base(base_folder).text_encoder.embeddings.token_embedding.weight
    known = len(before)
    torch.testing.assert_close(held.text.words(torch.arange(known)), before)
    (start,) = held.base.tokenizer("object", add_special_tokens=False).input_ids
    row = held.text.words(torch.tensor([known]))[0]
    torch.testing.assert_close(row, before[start])
    assert len(held.text.words.new) == 1 + 2 * 4


def test_text_without_new_tokens_is_encoded_as_before(tuning, base_folder) -> None:
    from generators.seas.base import load_base

    held, plain = tuning(), load_base(base_folder)
    ids = held.text.ids(["a photo of a plate"])
    with torch.no_grad():
        expected = plain.text_encoder(input_ids=ids).last_hidden_state
        torch.testing.assert_close(held.text(ids), expected)


def test_numbers_past_nine_are_tokens_of_their_own(tuning) -> None:
    held = tuning(anomaly_tokens=8)
    _, anomaly = held.text.places(held.prompts.abnormal[1])
    ids = held.text.ids([held.prompts.abnormal[1].text])[0].tolist()
    assert held.base.tokenizer.convert_ids_to_tokens([ids[place] for place in anomaly]) == [
        f"<df{n}>" for n in range(9, 17)
    ]
