"""The panel "Enhance Map" and the plots, used as a user does: by mouse and keys. Skipped without a window."""

import tempfile
from importlib.util import find_spec

import numpy as np
from chimerax.core.commands import run
from hands import choose, click, item_of, panel, titles, write
from small_model import scene, true_map
from support import PYTHON, Skipped, open_map
from test_window import wait


def test_enhance_and_compare(session):
    _, volume = scene(session)
    with panel(session) as (shown, commands):
        form, comparison = shown.form, shown.comparison
        choose(form.map_menu, "true #2")
        write(form.resolution.widget, "3.5")
        choose(form.method.widget, "superem")
        click(shown.enhance_button)
        assert shown.stop_button.isVisible() and shown.progress_bar.isVisible()
        wait(session, lambda: comparison.results.isVisible(), 60)
        assert commands[0] == "enhance #2 method superem resolution 3.5"
        assert "mapcc #2,3 to #1 resolution 3.5 metrics fsc,classes" in commands
        result = comparison.result_menu.value
        assert result.name == "true superem" and result.display and not volume.display
        assert not shown.stop_button.isVisible() and not shown.progress_bar.isVisible()
        row = item_of(comparison.results, "CC mask")
        assert row.text(1) == row.text(2) and float(row.text(1)) > 0.9 and row.text(3) == "+0.000"
        assert titles(shown.pages) == ["Enhance", "Compare", "FSC", "Residues", "Classes"]


def test_options_become_the_command(session):
    open_map(session, name="one")
    open_map(session, name="two")
    with panel(session) as (shown, _):
        form = shown.form
        choose(form.map_menu, "two #2")
        click(shown.options_button)
        choose(form.method.widget, "cryosamu")
        choose(form.device.widget, "cpu")
        choose(form.mask_menu, "one #1")
        write(form.level.widget, "0.25")
        write(form.grid_spacing.widget, "1.1")
        write(form.weights.widget, "/some where/w.safetensors")
        write(form.samples.widget, "3")
        choose(form.color_by.widget, "confidence")
        for box in (form.hide_input, form.keep_lost):
            click(box.widget, 8, box.widget.height() / 2)
        assert form.command() == (
            'enhance #2 method cryosamu level 0.25 weights "/some where/w.safetensors" device cpu'
            " gridSpacing 1.1 keepLost true samples 3 mask #1 hideInput false colorBy confidence"
        )


def test_advice(session):
    if not session.ui.is_gui:
        raise Skipped("no window")
    from chimerax.map_enhance.panel.form import advice

    assert "superem" in advice(3.4) and "cryosamu" not in advice(3.4)
    assert "cryosamu" in advice(7) and "superem" not in advice(7)
    assert "superem" in advice(5) and "cryosamu" in advice(5) and "both" in advice(5)
    assert "don't trust" in advice(12)


def test_what_is_wrong_with_the_input_is_red_or_orange(session):
    from chimerax.map_enhance.trust.html import WARNING_COLORS

    open_map(session, name="doubtful")
    with panel(session) as (shown, _):
        assert not shown.warnings.isVisible()
        click(shown.enhance_button)
        wait(session, lambda: "range" in shown.warnings.text())
        first, second = shown.warnings.text().split("</p>")[:2]
        assert shown.warnings.isVisible()
        assert WARNING_COLORS[True] in first and "about its noise" in first
        assert WARNING_COLORS[False] in second and "about its range" in second
        wait(session, lambda: not shown.stop_button.isVisible())
        assert shown.warnings.isVisible()


def test_not_a_number(session):
    from chimerax.core.errors import UserError

    open_map(session)
    with panel(session) as (shown, _):
        write(shown.form.resolution.widget, "three")
        try:
            shown.form.command()
        except UserError as error:
            assert "three" in str(error)
        else:
            raise AssertionError("“three” was taken for a number")


def test_stop(session):
    volume = open_map(session, name="slow map")
    with panel(session) as (shown, commands):
        click(shown.enhance_button)
        wait(session, lambda: "left" in shown.progress_text.text())
        assert 0 <= shown.progress_bar.value() < 500 and "slow map" in shown.progress_text.text()
        click(shown.stop_button)
        wait(session, lambda: not shown.stop_button.isVisible())
        assert "stopped" in shown.progress_text.text()
        assert commands[-1].startswith("taskman kill")
        assert volume.display and shown.comparison.result_menu.value is None


def test_closed_while_running(session):
    open_map(session)
    with panel(session) as (shown, _):
        click(shown.enhance_button)
        (job,) = shown._tasks
        shown.delete()
        wait(session, lambda: job.done)
        assert len(job.results) == 1


def test_lost_ligand_is_red_and_clicked(session):
    from chimerax.map_enhance.panel.results_view import LOST

    model, _ = scene(session)
    true_map(session, model, without="XYZ", name="without")
    with panel(session) as (shown, commands):
        comparison = shown.comparison
        choose(shown.form.map_menu, "true #2")
        choose(comparison.result_menu, "without #3")
        shown.pages.setCurrentWidget(comparison)
        click(comparison.compare_button)
        wait(session, lambda: comparison.results.isVisible(), 60)
        view = comparison.results
        lost, kept = item_of(view, "/A:101 XYZ"), item_of(view, "/B:102 MG")
        assert lost.foreground(0).color() == LOST and kept.foreground(0).color() != LOST
        view.scrollToItem(lost)
        place = view.visualItemRect(lost).center()
        click(view.viewport(), place.x(), place.y())
        assert "select #1/A:101" in commands and "view sel" in commands
        assert {atom.residue.name for atom in selected(session)} == {"XYZ"}


def test_lost_density_is_red_and_clicked(session):
    """Without a model the page of figures has it alone; with one, it comes first."""
    from chimerax.map_enhance.panel.results_view import LOST

    open_map(session, name="lossy map")
    with panel(session) as (shown, commands):
        click(shown.enhance_button)
        comparison = shown.comparison
        wait(session, lambda: comparison.results.isVisible(), 60)
        view = comparison.results
        assert titles(shown.pages) == ["Enhance", "Compare"]
        names = [view.topLevelItem(number).text(0) for number in range(view.topLevelItemCount())]
        assert names == [
            "Support by the input",
            "Lost density: share that is left",
            "Invented density: share that was there",
        ]
        assert view.topLevelItem(0).child(0).text(2) == "0.90"
        lost = view.topLevelItem(1).child(0)
        assert [lost.text(column) for column in (1, 2, 3)] == ["1.00", "0.20", "-0.80"]
        assert lost.foreground(0).color() == LOST and "7.5 σ" in lost.text(0)
        place = view.visualItemRect(lost).center()
        click(view.viewport(), place.x(), place.y())
        assert commands[-2:] == [
            "view #3.1:1 clip false pad 0.75",
            "clip near -7 far 12 position #3.1:1",
        ] or (commands[-1] == "view #3.1:1 clip false pad 0.75; clip near -7 far 12 position #3.1:1")
        run(session, "close #3")
        view.itemClicked.emit(lost, 0)
        assert "#3.1" not in commands[-1]


def test_links_after_atoms_were_deleted(session):
    scene(session)
    with panel(session) as (shown, commands):
        choose(shown.form.map_menu, "true #2")
        shown.comparison.result_menu.value = open_map(session, shape=(36, 36, 36), origin=(-3, 4, 2))
        shown.pages.setCurrentWidget(shown.comparison)
        click(shown.comparison.compare_button)
        wait(session, lambda: shown.comparison.results.isVisible(), 60)
        run(session, "delete #1/A:1")
        item = item_of(shown.comparison.results, "/A:101 XYZ")
        shown.comparison.results.itemClicked.emit(item, 0)
        assert not [text for text in commands if text.startswith("select")]
        with tempfile.TemporaryDirectory() as folder:
            run(session, f"save {folder}/a.cxs")
            run(session, f"open {folder}/a.cxs")
        from chimerax.map_enhance.panel.tool import EnhancePanel

        (restored,) = session.tools.find_by_class(EnhancePanel)
        assert titles(restored.pages) == ["Enhance", "Compare", "FSC", "Classes"]
        restored.delete()


def selected(session):
    from chimerax.atomic import selected_atoms

    return list(selected_atoms(session))


def test_fade(session):
    first, second = open_map(session, name="one"), open_map(session, name="two")
    with panel(session) as (shown, commands):
        choose(shown.form.map_menu, "one #1")
        choose(shown.comparison.result_menu, "two #2")
        steps = len(session.undo.undo_stack)
        for share in (40, 35, 30):
            shown.comparison.fader.setValue(share)
        assert first.display and second.display and len(session.undo.undo_stack) == steps
        assert abs(first.surfaces[0].color[3] - 0.7 * 255) < 2
        assert abs(second.surfaces[0].color[3] - 0.3 * 255) < 2
        shown.comparison.fader.setValue(0)
        assert first.display and not second.display
        assert commands[-1] == "hide #2 models"
        shown.comparison.fader.setValue(100)
        assert second.display and not first.display and second.surfaces[0].color[3] == 255


def test_fade_keeps_the_transparency_of_the_maps(session):
    first = open_map(session, name="one")
    open_map(session, name="two")
    with panel(session) as (shown, _):
        choose(shown.form.map_menu, "one #1")
        choose(shown.comparison.result_menu, "two #2")
        run(session, "transparency #1 40")
        for share in (50, 20, 0):
            shown.comparison.fader.setValue(share)
            opacity = 0.6 * (1 - share / 100)
            assert abs(first.surfaces[0].color[3] - 255 * opacity) < 2
        run(session, "transparency #1 0")
        shown.comparison.fader.setValue(50)
        assert abs(first.surfaces[0].color[3] - 0.5 * 255) < 2


def test_fits_a_low_window(session):
    """The panel asks for little height, whatever it shows; more would make the main window grow."""
    open_map(session, name="lossy map with a name " + 20 * "that goes on ")
    with panel(session) as (shown, _):
        shown.form.toggle_options(True)
        click(shown.enhance_button)
        wait(session, lambda: shown.comparison.results.isVisible())
        for _ in range(20):
            session.ui.processEvents()
        area = shown.tool_window.ui_area
        assert area.minimumSizeHint().height() < 300 and area.minimumSizeHint().width() < 600
        assert len(titles(shown.pages)) == 2


def test_options_make_no_other_page_higher(session):
    """Plots of a page would be cut off below in a low window; and the button Enhance stays above the options."""
    open_map(session)
    with panel(session) as (shown, _):
        shown.pages.setCurrentIndex(1)
        low = shown.pages.minimumSizeHint().height()
        shown.pages.setCurrentIndex(0)
        shown.form.toggle_options(True)
        for _ in range(20):
            session.ui.processEvents()
        assert shown.pages.minimumSizeHint().height() > low + 40
        above = shown.enhance_button.mapTo(shown.pages, shown.enhance_button.rect().bottomLeft())
        options = shown.form.options
        assert above.y() <= options.mapTo(shown.pages, options.rect().topLeft()).y()
        shown.pages.setCurrentIndex(1)
        assert shown.pages.minimumSizeHint().height() == low


def test_plots_take_the_place_of_the_panel(session):
    """Both below each other would make the main window grow."""
    from chimerax.map_enhance.plots.data import PlotData
    from chimerax.map_enhance.plots.tool import show_plots

    with panel(session):
        before = session.ui.main_window.minimumSizeHint().height()
        plots = show_plots(session, PlotData(title="nothing"))
        for _ in range(20):
            session.ui.processEvents()
        assert session.ui.main_window.minimumSizeHint().height() < before + 60
        assert plots.pages.isVisible()
        plots.delete()


def test_job_of_a_command_is_shown(session):
    """The panel shows a job that was typed, stops it, and takes its result."""
    open_map(session, name="blobs")
    open_map(session, name="slow map")
    with panel(session) as (shown, _):
        run(session, "enhance #2 block false")
        wait(
            session, lambda: "slow map" in shown.progress_text.text() and "left" in shown.progress_text.text()
        )
        run(session, "enhance #1 block false")
        click(shown.stop_button)
        wait(session, lambda: shown.comparison.result_menu.value is not None)
        assert shown.comparison.result_menu.value.name == "blobs superem"
        assert shown.form.map_menu.value.name == "blobs" and not shown.stop_button.isVisible()


def test_newest_input_and_its_result_are_chosen(session):
    from support import use_fake_engine

    use_fake_engine()
    for name in ("first", "second"):
        open_map(session, name=name)
    with session.in_script:
        run(session, "enhance #2 colorBy support")
    with panel(session) as (shown, _):
        assert shown.form.map_menu.value.name == "second"
        assert shown.comparison.result_menu.value.name == "second superem"


def test_closed_maps_take_their_figures_along(session):
    from chimerax.map_enhance.plots.tool import PlotPanel

    model, _ = scene(session)
    true_map(session, model, without="XYZ", name="without")
    with panel(session) as (shown, _):
        choose(shown.form.map_menu, "true #2")
        choose(shown.comparison.result_menu, "without #3")
        shown.pages.setCurrentWidget(shown.comparison)
        click(shown.comparison.compare_button)
        wait(session, lambda: shown.comparison.results.isVisible(), 60)
        with session.in_script:
            run(session, "mapcc #2 to #1 resolution 3.5 metrics fsc plot true")
        (plots,) = session.tools.find_by_class(PlotPanel)
        assert plots.pages.count() and len(titles(shown.pages)) > 2
        run(session, "close #2")
        assert not plots.pages.count() and "closed" in plots.data.title
        assert len(titles(shown.pages)) == 2 and not shown.comparison.results.groups
        plots.delete()


def test_contours_of_equal_volume(session):
    first = open_map(session, name="one")
    values = np.sqrt(np.maximum(first.full_matrix(), 0))
    from chimerax.map import volume_from_grid_data
    from chimerax.map_data import ArrayGridData

    second = volume_from_grid_data(ArrayGridData(values, name="two"), session)
    second.set_parameters(surface_levels=[0.5])
    with panel(session) as (shown, _):
        choose(shown.form.map_menu, "one #1")
        choose(shown.comparison.result_menu, "two #2")
        run(session, "volume #1 level 0.49")
        wait(session, lambda: abs(second.surfaces[0].level - 0.7) < 0.01)
        count = [int((v.full_matrix() >= v.surfaces[0].level).sum()) for v in (first, second)]
        assert count[0] == count[1]
        click(shown.comparison.equal_volume.widget, 8, shown.comparison.equal_volume.widget.height() / 2)
        run(session, "volume #1 level 0.25")
        for _ in range(30):
            session.ui.processEvents()
        assert abs(second.surfaces[0].level - 0.7) < 0.01


def test_session(session):
    scene(session)
    with panel(session) as (shown, _):
        choose(shown.form.map_menu, "true #2")
        write(shown.form.resolution.widget, "3.5")
        choose(shown.form.method.widget, "superem")
        click(shown.enhance_button)
        wait(session, lambda: shown.comparison.results.isVisible(), 60)
        shown.comparison.fader.setValue(40)
        before = shown.comparison.results.snapshot()
        with tempfile.TemporaryDirectory() as folder:
            run(session, f"save {folder}/a.cxs")
            run(session, "close session")
            run(session, f"open {folder}/a.cxs")
        from chimerax.map_enhance.panel.tool import EnhancePanel

        (restored,) = session.tools.find_by_class(EnhancePanel)
        assert restored is not shown
        form, comparison = restored.form, restored.comparison
        assert form.map_menu.value.name == "true" and form.resolution.value == 3.5
        assert form.method.value == "superem" and comparison.fader.value() == 40
        assert comparison.result_menu.value.name == "true superem"
        assert comparison.results.snapshot() == before and restored.pages.count() == 5
        restored.delete()


def test_without_torch(session):
    from chimerax.map_enhance.runtime import engine_python

    open_map(session)
    if engine_python.private_folder().exists() or all(find_spec(name) for name in engine_python.NEEDED):
        raise Skipped("this ChimeraX has PyTorch")
    with panel(session) as (shown, _):
        from chimerax.map_enhance.runtime.install import use_private

        use_private(session)
        wait(session, lambda: shown.install_button.isVisible())
        told = shown.form.device_line.text()
        assert "GB" in told and str(engine_python.private_folder()) in told
        assert not shown.enhance_button.isVisible()
        run(session, f"enhance install python {PYTHON}")
        wait(session, lambda: shown.enhance_button.isVisible(), 60)
        assert not shown.install_button.isVisible()


def test_plots(session):
    """A click on the residue plot selects, the panel is in the session."""
    if not session.ui.is_gui:
        raise Skipped("no window")
    from chimerax.map_enhance.plots.tool import PlotPanel

    scene(session)
    run(session, "mapcc #2 to #1 resolution 3.5 metrics fsc,qscore plot true")
    with tempfile.TemporaryDirectory() as folder:
        run(session, f"save {folder}/a.cxs")
        run(session, "close session")
        run(session, f"open {folder}/a.cxs")
    (plots,) = session.tools.find_by_class(PlotPanel)
    plots.pages.setCurrentIndex(1)
    page = plots.pages.currentWidget()
    for _ in range(20):
        session.ui.processEvents()
    page.canvas.draw()
    ratio = page.canvas.device_pixel_ratio
    x, y = page.axes.transData.transform((4, sum(page.axes.get_ylim()) / 2)) / ratio
    click(page.canvas, x, page.canvas.height() - y)
    assert {atom.residue.number for atom in selected(session)} == {5}
    assert "ALA 5 A" in page.note.text()
    curve, masked = plots.data.curves
    assert masked.masked and not curve.masked and max(curve.fsc) > 0.95
    plots.delete()


def test_legends_leave_the_plot_its_room(session):
    """Whatever the names of maps and the width of the page."""
    if not session.ui.is_gui:
        raise Skipped("no window")
    from chimerax.map_enhance.cryomap.metrics.plots import FscCurve
    from chimerax.map_enhance.plots.pages import FscPage

    for length in (3, 20, 36):
        names = [f"#{number} {'n' * length}" for number in (1, 3)]
        curves = [
            FscCurve(name + ", masked" * masked, number, masked, [20.0, 5.0, 2.0], [1.0, 0.9, 0.0])
            for number, name in enumerate(names)
            for masked in (False, True)
        ]
        page = FscPage(curves)
        for width in (440, 570, 900):
            page.resize(width, 260)
            page.show()
            session.ui.processEvents()
            page.canvas.draw()
            whole = page.figure.bbox
            legend = page.axes.get_legend()
            assert legend.get_window_extent().x1 <= whole.x1, (length, width)
            assert page.axes.get_window_extent().width > 0.7 * whole.width, (length, width)
            assert [text.get_text() for text in legend.get_texts()] == [*names, "masked"]
        page.close()


def test_log_keeps_its_room(session):
    """The Volume Viewer grows for every map that is opened, until the Log would be gone, and the window higher."""
    for number in range(3):
        open_map(session, name=f"map {number}")
    with panel(session) as (shown, _):
        from Qt.QtCore import Qt

        main_window = session.ui.main_window
        main_window.resize(1270, 690)
        (log,) = [tool for tool in session.tools.list() if tool.tool_name == "Log"]
        dock = log.tool_window.ui_area
        while not hasattr(dock, "isFloating"):
            dock = dock.parentWidget()
        main_window.resizeDocks([dock], [0], Qt.Orientation.Vertical)
        wait(session, lambda: dock.height() < 100)
        height = main_window.height()
        click(shown.enhance_button)
        wait(session, lambda: dock.height() > 120 and main_window.height() <= height, 60)
