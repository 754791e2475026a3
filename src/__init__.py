"""Better cryo-EM maps by neural networks, and the field's map and model metrics, in UCSF ChimeraX."""

from chimerax.core.toolshed import BundleAPI


class _MapEnhanceAPI(BundleAPI):
    api_version = 1

    @staticmethod
    def register_command(bi, ci, logger):
        """Register the command `ci.name` when it's first used."""
        from .enhance import command as enhance_command
        from .mapcc import command as mapcc_command

        module = mapcc_command if ci.name == "mapcc" else enhance_command
        module.register_command(ci, logger)

    @staticmethod
    def start_tool(session, bi, ti):
        """Show the panel "Enhance Map"."""
        from .panel.tool import show_panel

        return show_panel(session)

    @staticmethod
    def run_provider(session, name, manager, **_):
        """Act on the button of the toolbar."""
        from chimerax.core.commands import run

        run(session, 'ui tool show "Enhance Map"')

    @staticmethod
    def get_class(class_name):
        """The class of that name in a session file."""
        if class_name == "PlotPanel":
            from .plots.tool import PlotPanel

            return PlotPanel
        if class_name == "TrustModel":
            from .trust.model import TrustModel

            return TrustModel
        if class_name == "EnhancePanel":
            from .panel.tool import EnhancePanel

            return EnhancePanel
        return None


bundle_api = _MapEnhanceAPI()
