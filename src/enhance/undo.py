"""`undo` after `enhance`."""

from __future__ import annotations

from collections.abc import Sequence

from chimerax.core.session import Session
from chimerax.core.undo import UndoAction
from chimerax.map import Volume


class UndoEnhance(UndoAction):
    """Closes new maps, with what belongs to them, and shows again the maps that they hid."""

    def __init__(
        self, session: Session, title: str, results: Sequence[Volume], hidden: Sequence[Volume]
    ) -> None:
        super().__init__(title, can_redo=False)
        self._session, self._results, self._hidden = session, list(results), list(hidden)

    def undo(self) -> None:
        """Do it; what was closed meanwhile stays closed."""
        groups = {result.parent for result in self._results if not result.deleted}
        self._session.models.close([result for result in self._results if not result.deleted])
        empty = [group for group in groups if group.id and not group.child_models()]
        self._session.models.close(empty)
        for volume in self._hidden:
            if not volume.deleted:
                volume.display = True
