"""Going on with an answer that was interrupted: what a model repeats of its end is found and cut off."""

from __future__ import annotations

LEAST_OVERLAP = 10
"""Characters. What is shorter may be the same by chance, and losing it would lose text."""
LEAST_TELLING = 6
"""Letters and digits in it: rules of tables, dashes and indentation follow one another in a whole answer, too."""
MOST_OVERLAP = 2_000
"""Characters from the end in which a repetition may begin; besides, the model may begin from the very start."""


class OverlapTrimmer:
    """Takes the text that follows an interruption, piece by piece, and gives it without what the text before it holds already.

    Text waits only while it is the same as a part of the text before it that leads to its end: mostly not at all.
    """

    def __init__(self, before: str, *, only_whole: bool = False) -> None:
        """`only_whole`: nothing counts as a repetition but all of the text before, from its very start."""
        self._before = before
        nearest = max(0, len(before) - MOST_OVERLAP)
        last = len(before) - LEAST_OVERLAP
        in_the_end = [] if only_whole else range(max(1, nearest), last + 1)
        self._starts: list[int] | None = [0, *in_the_end] if last >= 0 else None
        """Where a repetition may begin, the longest first; None once it is decided."""
        self._waiting = ""
        self._overlap = 0
        """The longest repetition that is complete."""

    def take(self, text: str) -> str:
        """Takes what came next, and gives what can go out."""
        if self._starts is None:
            return text
        self._waiting += text
        going_on: list[int] = []
        for start in self._starts:
            rest = len(self._before) - start
            if rest <= len(self._waiting):
                repeated = self._before[start:]
                if self._waiting.startswith(repeated) and sum(map(str.isalnum, repeated)) >= LEAST_TELLING:
                    self._overlap = max(self._overlap, rest)
            elif self._before.startswith(self._waiting, start):
                going_on.append(start)
        # A repetition that is still going on is worth waiting for only when it would be the longer one.
        self._starts = [start for start in going_on if len(self._before) - start > self._overlap]
        return "" if self._starts else self.end()

    def end(self) -> str:
        """Gives what waits: no more text will come, or nothing more can be a repetition."""
        text, self._waiting, self._starts = self._waiting[self._overlap :], "", None
        return text


class RepeatedSpaceTrimmer:
    """Takes the text that follows an interruption, from a model that was not shown the white space before it, and gives it without as
    much of that as the model writes again.
    """

    def __init__(self, hidden: str) -> None:
        self._hidden = hidden

    def take(self, text: str) -> str:
        """Takes what came next, and gives what can go out."""
        if not self._hidden:
            return text
        same = 0
        while same < min(len(text), len(self._hidden)) and text[same] == self._hidden[same]:
            same += 1
        # Once the model has written anything else, nothing more of it is a repetition.
        self._hidden = self._hidden[same:] if same == len(text) else ""
        return text[same:]
