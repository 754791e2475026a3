"""Runs the tests beside this file inside ChimeraX.

    ChimeraX --nogui --exit --script "run.py OUT.json PYTHON BUNDLE [test_file ...]"

Each function test_*(session) of each test_*.py here runs in a session without models. PYTHON has torch and
what else the engine needs. BUNDLE is a folder with the unpacked wheel to test, or "installed".
OUT.json gets {"file::function": "passed", "skipped: reason" or a traceback}.
"""

import importlib
import json
import sys
import tempfile
import traceback
from importlib.metadata import PathDistribution
from pathlib import Path

HERE = Path(__file__).resolve().parent


def load_bundle(session, folder):
    """Make the wheel unpacked in `folder` the bundle, without installing it anywhere."""
    sys.path.insert(0, folder)  # chimerax is a namespace package, found all along the path
    for name in [name for name in sys.modules if name.startswith("chimerax.map_enhance")]:
        del sys.modules[name]
    from chimerax.core.toolshed.installed import _make_bundle_info

    (facts,) = Path(folder).glob("*.dist-info")
    bundle, toolshed = _make_bundle_info(PathDistribution(facts), True, session.logger), session.toolshed
    known = toolshed._installed_bundle_info
    known[:] = [other for other in known if other.name != bundle.name] + [bundle]
    # So that sessions can be saved and restored, too.
    toolshed._installed_packages.update(dict.fromkeys(bundle.packages, bundle))
    bundle.register(session.logger)


def run_all(session, out, python, bundle, names):
    sys.path.insert(0, str(HERE))
    if bundle != "installed":
        load_bundle(session, bundle)
    import support

    support.PYTHON = python
    # A folder of its own, as another job's files in the common one would be taken for what a test left behind.
    with tempfile.TemporaryDirectory(prefix="chimerax_tests_", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        with support.settings_kept(session):
            return run_files(session, support, out, names)


def run_files(session, support, out, names):
    results = {}
    for file in sorted(HERE.glob("test_*.py")):
        if names and file.stem not in names:
            continue
        module = importlib.import_module(file.stem)
        for name, function in list(vars(module).items()):
            if name.startswith("test_") and callable(function):
                outcome = run_one(session, support, function)
                results[f"{file.stem}::{name}"] = outcome
                print(f"{file.stem}::{name} {outcome}", flush=True)
                Path(out).write_text(json.dumps(results, indent=1))
    return results


def run_one(session, support, function):
    try:
        support.fresh(session)
        function(session)
    except support.Skipped as reason:
        return f"skipped: {reason}"
    except BaseException:
        return traceback.format_exc()
    return "passed"


if "session" in globals():
    outcomes = run_all(session, sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])  # noqa: F821
    broken = [name for name, outcome in outcomes.items() if not outcome.startswith(("passed", "skipped"))]
    if broken:
        from chimerax.core.errors import UserError

        raise UserError(f"{len(broken)} of {len(outcomes)} tests failed: {', '.join(broken)}")
