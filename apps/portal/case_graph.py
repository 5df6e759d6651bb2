"""The graph around a case as it is drawn: parties left, decisions right, a line where one names the other. Pure."""

from typing import NamedTuple

from apps.review.cases.graph import Graph, Node, Party

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 250, 470, 26, 20
#: Characters of a name that fit beside a line.
LONGEST = 30


class Mark(NamedTuple):
    """A party or decision at its height."""

    y: int
    text: str
    kind: str


class Line(NamedTuple):
    """From a party's height to a decision's."""

    y1: int
    y2: int
    own: bool


class Drawing(NamedTuple):
    """What parts/case_graph.html draws."""

    width: int
    height: int
    left: int
    right: int
    parties: list[Mark]
    decisions: list[Mark]
    lines: list[Line]


class Related(NamedTuple):
    """A decision of the table beside the drawing, with the parties it shares."""

    decision: Node
    shares: list[Party]


def drawing(graph: Graph) -> Drawing:
    """Where everything stands."""
    rows = max(len(graph.parties), len(graph.decisions), 1)
    parties = [Mark(_y(place), _cut(one.name), "party") for place, one in enumerate(graph.parties)]
    decisions = [
        Mark(_y(place), _cut(one.transaction_id), one.label or one.recommended_action)
        for place, one in enumerate(graph.decisions)
    ]
    lines = [Line(_y(party), _y(decision), decision == 0) for decision, party in graph.edges]
    return Drawing(WIDTH, 2 * TOP + (rows - 1) * ROW, LEFT, RIGHT, parties, decisions, lines)


def related(graph: Graph) -> list[Related]:
    """The decisions beside the case's own, each with what it shares."""
    shares: dict[int, list[Party]] = {}
    for decision, party in graph.edges:
        shares.setdefault(decision, []).append(graph.parties[party])
    return [Related(one, shares.get(place, [])) for place, one in enumerate(graph.decisions) if place]


def _y(place: int) -> int:
    return TOP + place * ROW


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
