"""Whether both people have seen the same."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.demo.lines import Line


def differences(
    writer: str, written: Sequence[Line], reader: str, seen: Sequence[Line]
) -> Iterator[str]:
    """What ``writer`` wrote against what ``reader`` was shown: every deviation, as a sentence.

    A client of ours shows a stanza once, however often it comes under the same id; so two lines
    with one text are two ids, and that is a double.
    """
    wanted = [line.text for line in written]
    came = [line.text for line in seen]
    counted = Counter(came)
    for text in wanted:
        if not counted[text]:
            yield f"{reader} never saw {text!r} of {writer}."
        elif counted[text] > 1:
            yield f"{reader} saw {text!r} of {writer} {counted[text]} times."
    for text in counted.keys() - set(wanted):
        yield f"{reader} saw {text!r}, which {writer} never wrote."
    if Counter(wanted) == counted and wanted != came:
        first = next(i for i, (a, b) in enumerate(zip(wanted, came, strict=True)) if a != b)
        yield (
            f"{reader} saw {writer}'s messages in another order: "
            f"number {first + 1} was {came[first]!r} instead of {wanted[first]!r}."
        )
    for line in written:
        if not line.receipt:
            yield f"{writer} got no receipt for {line.text!r}."
        if not line.read:
            yield f"{writer} was not told that {line.text!r} was read."
