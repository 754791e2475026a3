"""The table of figures in the panel "Enhance Map": before, after, change; ligands and regions to click on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from Qt.QtCore import Qt
from Qt.QtGui import QBrush, QColor, QFont
from Qt.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from ..mapcc.rows import Group, Row

LOST = QColor(192, 0, 0)
_ROW = Qt.ItemDataRole.UserRole


class ResultsView(QTreeWidget):
    """Groups of rows; what belongs to a residue or a region is a link."""

    def __init__(self, go_to: Callable[[Row], None]) -> None:
        """Make an empty table.

        Args:
            go_to: called with the row when a link is clicked.
        """
        super().__init__()
        self._go_to = go_to
        self.groups: list[Group] = []
        self.setRootIsDecorated(True)
        self.setIndentation(12)
        self.setMinimumHeight(110)
        self.itemClicked.connect(self._clicked)

    def show_groups(self, groups: list[Group], names: list[str]) -> None:
        """Replace the table.

        Args:
            groups: rows with a value for each of two maps.
            names: of the maps.
        """
        self.clear()
        self.groups = groups
        self.setHeaderLabels(["", *names, "change"])
        for group in groups:
            title = QTreeWidgetItem([group.title])
            title.setFirstColumnSpanned(True)
            bold = QFont(self.font())
            bold.setBold(True)
            title.setFont(0, bold)
            self.addTopLevelItem(title)
            title.setFirstColumnSpanned(True)
            for row in group.rows:
                title.addChild(self._item(row))
            title.setExpanded(True)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, self.columnCount()):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)

    def _item(self, row: Row) -> QTreeWidgetItem:
        item = QTreeWidgetItem([row.label, row.text(0), row.text(1), row.change(1)])
        for column in range(1, 4):
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if row.is_link:
            item.setData(0, _ROW, row)
            item.setToolTip(0, "; ".join((*row.marks, "click to go there")))
            link = QFont(self.font())
            link.setUnderline(True)
            item.setFont(0, link)
        if row.marks:
            for column in range(4):
                item.setForeground(column, QBrush(LOST))
        return item

    def _clicked(self, item: QTreeWidgetItem, _column: int) -> None:
        row = item.data(0, _ROW)
        if row is not None:
            self._go_to(row)

    def snapshot(self) -> dict:
        """What a session keeps."""
        header = self.headerItem()
        names = [header.text(column) for column in range(1, self.columnCount() - 1)]
        return {"groups": [asdict(group) for group in self.groups], "names": names}

    def restore(self, data: dict) -> None:
        """Show the table of `snapshot`."""
        groups = [Group(group["title"], [_row(row) for row in group["rows"]]) for group in data["groups"]]
        if groups:
            self.show_groups(groups, data["names"])


def _row(data: dict) -> Row:
    """A row from a session, in which tuples may have become lists."""
    return Row(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})
