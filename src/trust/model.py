"""What belongs to an enhanced map besides itself: a group of models that closes and moves with it."""

from __future__ import annotations

import numpy as np
from chimerax.core.models import MODEL_POSITION_CHANGED, REMOVE_MODELS, Model
from chimerax.core.session import Session
from chimerax.core.state import State
from chimerax.map import Volume, volume_from_grid_data
from chimerax.map_data import ArrayGridData

from ..cryomap.grid import Grid
from ..cryomap.trust.halves import HalvesComparison
from ..cryomap.trust.judgement import Trust
from ..cryomap.typed_json import from_plain, to_plain


class TrustModel(Model):
    """Maps and markers that tell how far a result can be trusted.

    It is no child of the result, since commands take a map's number for its child maps too.

    Attributes:
        result: the enhanced map.
        trust: the engine's judgement; None where input and result couldn't be compared.
        halves: how far enhanced half maps agree; None of others.
    """

    def __init__(
        self,
        session: Session,
        result: Volume,
        trust: Trust | None,
        halves: HalvesComparison | None = None,
    ) -> None:
        super().__init__(f"{result.name}: trust", session)
        self.result, self.trust, self.halves = result, trust, halves
        self.position = result.scene_position
        self._handlers = [
            session.triggers.add_handler(REMOVE_MODELS, self._models_closed),
            session.triggers.add_handler(MODEL_POSITION_CHANGED, self._model_moved),
        ]

    def _models_closed(self, _name: str, models: list[Model]) -> None:
        if self.result in models and self.session.models.have_model(self):
            self.session.models.close([self])

    def _model_moved(self, _name: str, model: Model) -> None:
        if not self.result.deleted and model is self.result:
            self.scene_position = self.result.scene_position

    def delete(self) -> None:
        """Close it."""
        for handler in self._handlers:
            handler.remove()
        self._handlers = []
        super().delete()

    def add_map(self, name: str, values: np.ndarray, grid: Grid, level: float | None = None) -> Volume:
        """Add a map, hidden, that lies on the result.

        Args:
            name: of the map.
            values: float32 (z, y, x).
            grid: where the values are, in the coordinates of the result.
            level: contour level for when it's shown.
        """
        data = ArrayGridData(values, grid.origin, grid.step, grid.cell_angles, grid.rotation, name=name)
        volume = volume_from_grid_data(data, self.session, open_model=False, show_dialog=False)
        if level is not None:
            volume.set_parameters(surface_levels=[level])
        volume.display = False
        self.session.models.add([volume], parent=self)
        return volume

    def part(self, name: str) -> Model | None:
        """The model in this group whose name begins so."""
        return next((model for model in self.child_models() if model.name.startswith(name)), None)

    def take_snapshot(self, session: Session, flags: int) -> dict:
        """What a session keeps."""
        state = super().take_snapshot(session, flags)
        if flags == State.SCENE:
            return state
        facts = {**(to_plain(self.trust) or {}), "halves": to_plain(self.halves)}
        return {"version": 1, "model": state, "result": self.result, "facts": facts}

    @classmethod
    def restore_snapshot(cls, session: Session, data: dict) -> TrustModel:
        """The group as it was."""
        facts = dict(data["facts"])
        halves = facts.pop("halves", None)
        group = cls(
            session,
            data["result"],
            from_plain(Trust, facts, "trust") if "support" in facts else None,
            from_plain(HalvesComparison | None, halves, "halves"),
        )
        group.set_state_from_snapshot(session, data["model"])
        return group


def trust_of(session: Session, result: Volume) -> TrustModel | None:
    """The group that belongs to a map, if there is one."""
    groups = session.models.list(type=TrustModel)
    return next((group for group in groups if group.result is result), None)
