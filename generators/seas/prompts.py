"""Unbalanced Abnormal text prompts (3.2, A.3): one token is the product, four others a defect type."""

from collections.abc import Sequence
from dataclasses import dataclass

NORMAL_START, ANOMALY_START = "object", "defect"
"""Words that the new tokens begin as, in the released code."""


@dataclass(frozen=True)
class Prompt:
    """A text, and which of its words stand for the product and which for the anomaly."""

    text: str
    normal: tuple[str, ...]
    anomaly: tuple[str, ...]


@dataclass(frozen=True)
class Prompts:
    """The prompts of one product. `new` holds each new token with the word that it begins as."""

    normal: Prompt
    abnormal: tuple[Prompt, ...]
    """By the number of the defect type."""
    new: tuple[tuple[str, str], ...]


def unbalanced(types: int, normal_tokens: int = 1, anomaly_tokens: int = 4, commas: bool = True) -> Prompts:
    """P_n = a <ob> with <df_{N(n-1)+1}>, ..., <df_{Nn}> for the n-th type; "a <ob>" for normal images."""
    products = tuple(f"<ob{i + 1}>" for i in range(normal_tokens))
    defects = tuple(f"<df{i + 1}>" for i in range(types * anomaly_tokens))
    product = f"a {' '.join(products)}"
    abnormal = []
    for kind in range(types):
        tokens = defects[kind * anomaly_tokens : (kind + 1) * anomaly_tokens]
        abnormal.append(Prompt(f"{product} with {(', ' if commas else ' ').join(tokens)}", products, tokens))
    new = [(token, NORMAL_START) for token in products] + [(token, ANOMALY_START) for token in defects]
    return Prompts(Prompt(product, products, ()), tuple(abnormal), tuple(new))


def typical(category: str, types: int) -> Prompts:
    """What Table 5 compares with: a photo of a bottle with defect, the same words for every type."""
    words = category.replace("_", " ")
    abnormal = Prompt(f"a photo of a {words} with defect", (words,), ("defect",))
    return Prompts(Prompt(f"a photo of a {words}", (words,), ()), (abnormal,) * types, ())


def positions(ids: Sequence[int], words: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Where the words, each given as its token ids, stand in a tokenised prompt, in order."""
    rows: list[int] = []
    start = 0
    for word in words:
        for row in range(start, len(ids) - len(word) + 1):
            if list(ids[row : row + len(word)]) == list(word):
                rows.extend(range(row, row + len(word)))
                start = row + len(word)
                break
        else:
            raise ValueError(f"the tokens {list(word)} are not in the prompt {list(ids)}")
    return tuple(rows)
