"""Better cryo-EM maps by neural networks, and the field's map and model metrics, in UCSF ChimeraX."""

from chimerax.core.toolshed import BundleAPI


class _MapEnhanceAPI(BundleAPI):
    api_version = 1

    @staticmethod
    def register_command(bi, ci, logger):
        """Register the command `ci.name` when it's first used."""
        from . import enhance_command

        enhance_command.register_command(ci, logger)


bundle_api = _MapEnhanceAPI()
