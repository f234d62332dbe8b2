"""HTML builder: all text is escaped unless it is `Html`, which only this package creates."""

import html
from collections.abc import Iterable
from typing import Any


class Html(str):
    """Finished markup; any other string is text and gets escaped."""

    __slots__ = ()


def el(name: str, *children: object, **attributes: Any) -> Html:
    """An element. `class_` is the class; underscores in attribute names become dashes."""
    opening = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{opening}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """Elements and texts, one after the other; None is skipped."""
    return Html(
        "".join(
            child if isinstance(child, Html) else _escape(child) for child in children if child is not None
        )
    )


def plain(text: str) -> str:
    """Text with control and bidirectional formatting characters replaced by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _escape(value: object) -> str:
    return html.escape(plain(str(value)), quote=True)


def table(
    headings: tuple[str, ...], rows: list[tuple[object, ...]], *, numbers: tuple[int, ...] = ()
) -> Html:
    """A table; the columns in `numbers` are right-aligned."""

    def row(cells: tuple[object, ...]) -> Html:
        found = (el("td", cell, class_="n" if at in numbers else None) for at, cell in enumerate(cells))
        return el("tr", *found)

    head = (
        el("th", text, scope="col", class_="n" if at in numbers else None) for at, text in enumerate(headings)
    )
    body = el("table", el("thead", el("tr", *head)), el("tbody", *(row(cells) for cells in rows)))
    return el("div", body, class_="wide")


def tiles(found: Iterable[tuple[str, str, str]]) -> Html:
    """Key figures: (number, what it counts, a remark) each."""
    return el(
        "div",
        *(
            el("div", el("b", number), el("span", name), el("small", more), class_="tile")
            for number, name, more in found
        ),
        class_="tiles",
    )


def pairs(rows: list[tuple[str, object]]) -> Html:
    """A table of names and values. Rows whose value is None are skipped."""
    found = [
        el("tr", el("th", name, scope="row"), el("td", value, class_="any"))
        for name, value in rows
        if value is not None
    ]
    return el("div", el("table", el("tbody", *found)), class_="wide")
